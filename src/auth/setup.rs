//! The first user. A link that is good for an hour and once is the only way to become that; only who can already
//! administer the instance gets one.

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use super::Auth;
use super::audit::{Deed, Doer};
use super::link::{self, Link, NoRandom};
use super::password::{self, HashError};
use super::session::{NewSession, Origin};
use super::sign_in::SignInError;
use crate::domain::person::{Login, TeamId};
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;
use crate::store::{PasswordHash, PeopleError, StoreError};

/// How long the link is good.
const LINK: Duration = Duration::from_hours(1);

/// What is wrong with which field of a form.
pub type Fields = BTreeMap<&'static str, String>;

/// Why there is no link for the first user.
#[derive(Debug, Error)]
pub enum SetupLinkError {
    /// There is a user, who can invite others.
    #[error("there is a user already: sign in, or see `rivetr users list`")]
    HasUsers,
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// The store could not keep it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why somebody did not come in by a link.
#[derive(Debug, Error)]
pub enum ClaimError {
    /// Fields are wrong.
    #[error("{}", first(.0))]
    Invalid(Fields),
    /// The link is not good, or no longer.
    #[error("this link is not good any more: it was used, or its time is over. Ask for a new one")]
    Closed,
    /// The password of a user who is there already is wrong, or too many passwords were.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl ClaimError {
    /// What is wrong with which field: `login`, `password`.
    #[must_use]
    pub fn fields(&self) -> Fields {
        match self {
            Self::Invalid(fields) => fields.clone(),
            Self::Closed => Fields::new(),
            Self::SignIn(error) => Fields::from([("password", error.to_string())]),
        }
    }
}

impl Auth {
    /// What stands in a new link for the first user, in place of the one before, and until when it is good.
    pub async fn setup_link(&self) -> Result<(String, Timestamp), SetupLinkError> {
        let link = Link::new()?;
        let expires = self.now().after(LINK);
        if !self.0.writer.put_setup_link(link.digest, expires).await? {
            return Err(SetupLinkError::HasUsers);
        }
        Ok((link.text, expires))
    }

    /// Whether nobody can sign in yet, so that a link for the first user is the way in.
    pub async fn setup_is_open(&self) -> bool {
        self.0.reader.has_no_user().await.unwrap_or_else(|error| {
            tracing::warn!(%error, "whether there is a user could not be looked up");
            false
        })
    }

    /// Whether this is what stands in the link for the first user.
    pub async fn is_setup_link(&self, secret: &str) -> Result<bool, StoreError> {
        match link::digest(secret) {
            Some(hash) => self.0.reader.is_setup_link(&hash, self.now()).await,
            None => Ok(false),
        }
    }

    /// Makes the first user, for who has the link: an administrator of the instance and owner of the first team.
    pub async fn claim_setup(
        &self,
        secret: &str,
        login: &str,
        password: &str,
        from: &Origin,
    ) -> Result<NewSession, ClaimError> {
        let hash = link::digest(secret).ok_or(ClaimError::Closed)?;
        // Before anything that takes time: who has no link costs next to nothing.
        if !self.0.reader.is_setup_link(&hash, self.now()).await? {
            return Err(ClaimError::Closed);
        }
        let mut wrong = Fields::new();
        let login = Login::parse(login).map_err(|error| wrong.insert("login", error.rule.to_owned()));
        let name = login.as_ref().map_or("", Login::as_str);
        if let Err(error) = password::check(password, name) {
            wrong.insert("password", error.to_string());
        }
        let (Ok(login), true) = (login, wrong.is_empty()) else { return Err(ClaimError::Invalid(wrong)) };
        let password = self.hash_password(password).await?;
        let link = Link::new().map_err(SignInError::from)?;
        let begin = self.beginning(link.digest, from);
        let user = self.0.writer.claim_setup(hash, login.clone(), password, begin).await?;
        let by = Doer::at_the_door(login.as_str(), Some(user), from);
        self.record(&by, Deed::new("setup.claimed", format!("user {login}")).of(TeamId::FIRST)).await;
        Ok(NewSession { cookie: link.text, lasts: self.longest(false) })
    }

    pub(super) async fn hash_password(&self, password: &str) -> Result<PasswordHash, SignInError> {
        Ok(self.0.hasher.hash(Secret::from(password)).await?)
    }
}

/// What is wrong with a new password, as a form says it.
pub(super) fn check_new_password(password: &str, login: &str) -> Result<(), ClaimError> {
    password::check(password, login)
        .map_err(|error| ClaimError::Invalid(Fields::from([("password", error.to_string())])))
}

fn first(fields: &Fields) -> &str {
    fields.values().next().map_or("", String::as_str)
}

impl From<StoreError> for ClaimError {
    fn from(error: StoreError) -> Self {
        Self::SignIn(error.into())
    }
}

impl From<HashError> for ClaimError {
    fn from(error: HashError) -> Self {
        Self::SignIn(error.into())
    }
}

impl From<PeopleError> for ClaimError {
    fn from(error: PeopleError) -> Self {
        if let PeopleError::LoginTaken(_) = error {
            return Self::Invalid(Fields::from([("login", error.to_string())]));
        }
        if let PeopleError::Store(error) = error { error.into() } else { Self::Closed }
    }
}
