//! Signing in: a password, then the second factor where there is one.
//!
//! Who is wrong learns no more than that, and as slowly for a user who is not there.

use std::time::Duration;

use thiserror::Error;

use super::audit::{Deed, Doer};
use super::link::{Link, NoRandom};
use super::password::{HashError, Hasher};
use super::session::{NewSession, Origin, Pending};
use super::{Auth, second_factor};
use crate::domain::person::{LOGIN_MAX, Login, UserId};
use crate::domain::secret::Secret;
use crate::store::{Account, Factor, PasswordHash, PeopleError, StoreError};

/// Wrong codes until the password is to be shown again.
const CODES_MAX: u32 = 5;

/// How far signing in has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedIn {
    /// To its end.
    Done(NewSession),
    /// The second factor is missing.
    NeedsSecondFactor(NewSession),
}

/// Why somebody is not signed in.
#[derive(Debug, Error)]
pub enum SignInError {
    /// Login, password or code.
    #[error("this is not right: look at the spelling and try again")]
    Wrong,
    /// Too many tries.
    #[error("too many tries: wait {} and try again", words(*wait))]
    TooMany {
        /// How long to wait.
        wait: Duration,
    },
    /// The session that waited for the code is over.
    #[error("this took too long or went wrong too often: sign in again")]
    StartAgain,
    /// Too many passwords are looked at.
    #[error("many people sign in just now: try again in a moment")]
    Busy,
    /// Something failed inside.
    #[error("{0}")]
    Internal(String),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Auth {
    /// Begins a session for who knows the password.
    pub async fn sign_in(&self, login: &str, password: &str, from: &Origin) -> Result<SignedIn, SignInError> {
        let (account, hash) = self.prove(login, password, from).await?;
        let pending = account.user.second_factor;
        let session = self.begin(&account, hash, pending, from).await?;
        if pending {
            return Ok(SignedIn::NeedsSecondFactor(session));
        }
        let by = Doer::at_the_door(account.user.login.as_str(), Some(account.user.id), from);
        self.record(&by, Deed::new("session.begun", format!("user {}", account.user.login))).await;
        Ok(SignedIn::Done(session))
    }

    /// Puts a session in the place of the one that waits, for who has a code: of this moment, or a recovery code.
    pub async fn second_factor(
        &self,
        pending: &Pending,
        code: &str,
        from: &Origin,
    ) -> Result<NewSession, SignInError> {
        let now = self.now();
        let network = from.network().unwrap_or_default();
        let known = self.0.reader.has_signed_in_from(pending.user, &network).await?;
        let account = format!("second factor of {}", pending.login);
        let attempt = self.0.attempts.begin(&account, from.address, known, now);
        let attempt = attempt.map_err(|wait| SignInError::TooMany { wait })?;
        let factor = match second_factor::parse(code) {
            second_factor::Code::Totp(digits) => {
                let Some(totp) = self.0.reader.totp(pending.user).await?.filter(|totp| totp.good) else {
                    return Err(SignInError::StartAgain);
                };
                let secret = self.open_totp(pending.user, &totp.secret).map_err(internal)?;
                second_factor::totp::step_of(&secret, &digits, now).map(Factor::Totp)
            }
            second_factor::Code::Recovery(digest) => Some(Factor::Recovery(digest)),
            second_factor::Code::Neither => None,
        };
        let link = Link::new().map_err(internal)?;
        let by = Doer::at_the_door(&pending.login, Some(pending.user), from);
        if let Some(factor) = factor {
            let begin = self.beginning(link.digest, from);
            match self.0.writer.pass_second_factor(pending.session, factor, begin).await {
                Ok(()) => {
                    self.0.attempts.was_right(&attempt);
                    self.record(&by, Deed::new("session.begun", format!("user {}", pending.login))).await;
                    return Ok(NewSession { cookie: link.text, lasts: self.longest(false) });
                }
                Err(PeopleError::NoLink) => return Err(SignInError::StartAgain),
                Err(PeopleError::Store(error)) => return Err(error.into()),
                // Not good, or taken before.
                Err(_) => (),
            }
        }
        self.record(&by, Deed::new("second_factor.failed", format!("user {}", pending.login))).await;
        let goes_on = self.0.writer.count_wrong_code(pending.session, CODES_MAX).await?;
        Err(if goes_on { SignInError::Wrong } else { SignInError::StartAgain })
    }

    /// The user of this login, if the password is theirs.
    pub(super) async fn prove(
        &self,
        login: &str,
        password: &str,
        from: &Origin,
    ) -> Result<(Account, PasswordHash), SignInError> {
        let now = self.now();
        let parsed = Login::parse(login).ok();
        let account = match &parsed {
            Some(login) => self.0.reader.user(login).await?,
            None => None,
        };
        let known = match &account {
            Some(account) => {
                let network = from.network().unwrap_or_default();
                self.0.reader.has_signed_in_from(account.user.id, &network).await?
            }
            None => false,
        };
        let name: String = login.chars().take(LOGIN_MAX).collect::<String>().to_lowercase();
        let attempt = self.0.attempts.begin(&name, from.address, known, now);
        let attempt = attempt.map_err(|wait| {
            tracing::info!(target: "rivetr::audit", login = name.escape_debug().to_string(), "too many tries");
            SignInError::TooMany { wait }
        })?;
        let hash = account.as_ref().filter(|account| !account.user.disabled);
        let hash = hash.and_then(|account| account.user.password.clone());
        let fits = self.0.hasher.fits(Secret::from(password), hash.clone()).await?;
        let user = account.as_ref().map(|account| account.user.id);
        if let (Some(account), Some(hash), true) = (account, hash, fits) {
            self.0.attempts.was_right(&attempt);
            let hash = self.renewed(account.user.id, password, hash).await;
            return Ok((account, hash));
        }
        let (by, name) = (Doer::at_the_door(&name, user, from), name.escape_debug());
        self.record(&by, Deed::new("session.refused", format!("user {name}"))).await;
        Err(SignInError::Wrong)
    }

    /// What is kept of a password that was just shown: made anew, where it was made otherwise than it would be now.
    /// Where that does not work, the old one does.
    async fn renewed(&self, user: UserId, password: &str, hash: PasswordHash) -> PasswordHash {
        if !Hasher::is_outdated(&hash) {
            return hash;
        }
        let renew = async {
            let new = self.0.hasher.hash(Secret::from(password)).await?;
            let kept = self.0.writer.renew_password(user, hash.clone(), new.clone()).await?;
            Ok::<_, SignInError>(kept.then_some(new))
        };
        match renew.await {
            Ok(Some(new)) => new,
            // Somebody has set another one meanwhile.
            Ok(None) => hash,
            Err(error) => {
                tracing::warn!(user = user.0, %error, "what is kept of a password was not made anew");
                hash
            }
        }
    }

    async fn begin(
        &self,
        account: &Account,
        hash: PasswordHash,
        pending: bool,
        from: &Origin,
    ) -> Result<NewSession, SignInError> {
        let link = Link::new().map_err(internal)?;
        let begin = self.beginning(link.digest, from);
        match self.0.writer.begin_session(account.user.id, hash, pending, begin, self.over()).await {
            Ok(()) => Ok(NewSession { cookie: link.text, lasts: self.longest(pending) }),
            Err(PeopleError::Store(error)) => Err(error.into()),
            // The password or the user has changed meanwhile.
            Err(_) => Err(SignInError::Wrong),
        }
    }
}

impl From<HashError> for SignInError {
    fn from(error: HashError) -> Self {
        match error {
            HashError::Busy => Self::Busy,
            HashError::Random(_) | HashError::Broken(_) => Self::Internal(error.to_string()),
        }
    }
}

impl From<NoRandom> for SignInError {
    fn from(error: NoRandom) -> Self {
        internal(error)
    }
}

fn internal(error: impl std::fmt::Display) -> SignInError {
    SignInError::Internal(error.to_string())
}

fn words(wait: Duration) -> String {
    match wait.as_millis().div_ceil(1000) {
        0 | 1 => "a second".to_owned(),
        seconds @ 2..=90 => format!("{seconds} seconds"),
        seconds => format!("{} minutes", seconds.div_ceil(60)),
    }
}
