//! Who is asking, and how far they may go.
//!
//! Three ways in: the Unix socket, where the kernel names the peer, a token, and the session of a browser. What a
//! caller may do is decided by `domain::right` alone; which right a route needs, by its handler.

mod attempts;
pub mod audit;
pub mod gate;
mod header;
mod invite;
mod link;
mod password;
mod peer;
mod people;
mod query;
mod reach;
mod second_factor;
mod secret;
mod session;
mod setup;
mod sign_in;
pub mod subject;
mod token;

#[cfg(test)]
mod people_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::request::Parts;
use thiserror::Error;

use crate::domain::person::{TeamId, UserId};
use crate::domain::right::{Closed, Reach, Right};
use crate::domain::time::Timestamp;
use crate::store::{Object, Reader, StoreError, TokenId, Writer};
use crate::vault::Sealing;

pub use link::NoRandom;
pub use password::{BadPassword, PASSWORD_MAX, PASSWORD_MIN};
pub use peer::{Owner, Peer};
pub use people::ChangeError;
pub use second_factor::{FactorError, NewFactor};
pub use secret::{InvalidSecret, Secret};
pub use session::{NewSession, Origin, Pending, SessionInfo, Visitor};
pub use setup::{ClaimError, Fields, SetupLinkError};
pub use sign_in::{SignInError, SignedIn};
pub use token::CreateError;

/// Somebody whose credentials were good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Caller {
    /// A process of root or of rivetr's own user, on the Unix socket.
    Local {
        /// The user, as the kernel says.
        uid: u32,
        /// The name of that user.
        name: String,
    },
    /// The bearer of a token.
    Token {
        /// The token's number.
        id: TokenId,
        /// What the token is for.
        name: String,
        /// Whose it is; none: the instance's own.
        user: Option<UserId>,
        /// How far it reaches.
        reach: Reach,
    },
    /// A person in a browser, who has signed in.
    Person(Person),
}

/// A person who has signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub id: UserId,
    /// The name by which they sign in.
    pub login: String,
    /// What each form of this session has to show.
    pub csrf: String,
    /// How far they reach.
    pub reach: Reach,
    /// When they last showed their password.
    pub proved: Timestamp,
}

/// How long what is known of people lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// A session ends when it was not used for this time.
    pub idle: Duration,
    /// A session ends after this time, however much it is used.
    pub longest: Duration,
    /// What gives power or takes something for good asks for the password again after this time (SECURITY 7.5).
    pub proof: Duration,
    /// For how many days it is kept what was done by whom.
    pub audit_days: u32,
}

/// What tests go by; an instance goes by its configuration.
#[cfg(test)]
impl Default for Times {
    fn default() -> Self {
        Self {
            idle: Duration::from_hours(12),
            longest: Duration::from_hours(14 * 24),
            proof: Duration::from_mins(5),
            audit_days: 365,
        }
    }
}

/// Marks a request that comes from a browser: only the session of its cookie counts, if there is one.
#[derive(Debug, Clone)]
pub struct Browser(pub Option<Person>);

/// Why somebody is not let in.
#[derive(Debug, Error)]
pub enum Refusal {
    /// Nothing was shown.
    #[error("show a token: `Authorization: Bearer rvt_…`, or for git the token as the password")]
    Missing,
    /// What was shown is no token of this instance, or no longer.
    #[error("the token is not known here, was revoked, or has expired; make one with `rivetr tokens create`")]
    Unknown,
    /// The Authorization field cannot be read.
    #[error("the Authorization field must be `Bearer` and a token, or `Basic` with a token as the password")]
    Unreadable,
    /// The user on the other end of the Unix socket is neither root nor rivetr's own.
    #[error("user {uid} may not use this socket: only root and {owner} may; use a token over HTTP instead")]
    Stranger {
        /// Who asked.
        uid: u32,
        /// Whose socket it is.
        owner: String,
    },
    /// A token stood in the address, where logs and histories keep it.
    #[error("a token must not stand in the address; send it in the Authorization field{revoked}")]
    InAddress {
        /// What was done about it.
        revoked: &'static str,
    },
    /// There is no such thing, or it is of a team that the caller has no part in.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// "app".
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// Nobody has signed in.
    #[error("sign in first")]
    SignedOut,
    /// It is closed to who has no second factor.
    #[error(
        "{caller} has no second factor, and {what} asks for one: set it up at {SECOND_FACTOR} in the dashboard"
    )]
    NeedsSecondFactor {
        /// Who asked.
        caller: String,
        /// "this team".
        what: &'static str,
    },
    /// The caller is known, and may not do this.
    #[error("{caller} may not do this: it needs {needs}")]
    Forbidden {
        /// Who asked.
        caller: String,
        /// What is missing.
        needs: &'static str,
    },
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where in the dashboard a second factor is set up.
pub const SECOND_FACTOR: &str = "/me#second-factor";

/// The layer around every request of a face renders it.
#[derive(Debug, Clone)]
pub struct Refused(pub Arc<Refusal>);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = StatusCode::FORBIDDEN.into_response();
        response.extensions_mut().insert(Refused(Arc::new(self)));
        response
    }
}

/// Tells who is asking.
#[derive(Clone)]
pub struct Auth(Arc<Inner>);

struct Inner {
    owner: Owner,
    reader: Reader,
    writer: Writer,
    sealing: Sealing,
    clock: fn() -> Timestamp,
    hasher: password::Hasher,
    attempts: attempts::Attempts,
    times: Times,
    /// When the audit was last swept.
    swept: AtomicI64,
}

impl Auth {
    /// Callers of this instance: `owner` runs it, users and tokens are in the store.
    #[must_use]
    pub fn new(
        owner: Owner,
        reader: Reader,
        writer: Writer,
        sealing: Sealing,
        clock: fn() -> Timestamp,
        times: Times,
    ) -> Self {
        let (hasher, attempts) = (password::Hasher::new(), attempts::Attempts::new());
        Self(Arc::new(Inner {
            owner,
            reader,
            writer,
            sealing,
            clock,
            hasher,
            attempts,
            times,
            swept: AtomicI64::new(0),
        }))
    }

    /// Who makes this request. A token that is shown counts before the socket it comes from.
    pub async fn caller(&self, parts: &Parts) -> Result<Caller, Refusal> {
        if let Some(Browser(person)) = parts.extensions.get() {
            return person.clone().map(Caller::Person).ok_or(Refusal::SignedOut);
        }
        self.refuse_secret_in_address(parts).await?;
        if let Some(secret) = header::secret(&parts.headers)? {
            return self.bearer(&secret, parts).await;
        }
        match parts.extensions.get::<Peer>() {
            Some(Peer::Unix { uid }) => self.0.owner.admit(*uid),
            Some(Peer::Tcp) | None => Err(Refusal::Missing),
        }
    }

    /// Whether the caller of a stream that is still open would be let in again, and reach as far.
    pub async fn is_still_good(&self, caller: &Caller) -> Result<bool, Refusal> {
        match caller {
            Caller::Local { .. } => Ok(true),
            Caller::Token { id, reach, .. } => self.is_still_taken(*id, reach).await,
            Caller::Person(person) => self.is_still_signed_in(person).await,
        }
    }

    /// The team of an object; none: there is no such object, or it is no team's.
    pub async fn team_of(&self, object: Object, name: &str) -> Result<Option<TeamId>, StoreError> {
        self.0.reader.team_of(object, name).await
    }

    fn now(&self) -> Timestamp {
        (self.0.clock)()
    }
}

/// How far the local socket reaches.
static EVERYTHING: Reach = Reach::ALL;

impl Caller {
    /// Whether this caller may do what `right` names: in one of its teams, or on the instance.
    #[must_use]
    pub fn may(&self, right: Right) -> bool {
        self.reach().allows(right)
    }

    /// Whether this caller may do it in that team.
    #[must_use]
    pub fn may_in(&self, right: Right, team: TeamId) -> bool {
        self.reach().allows_in(right, team)
    }

    /// Whether this caller knows that the team is there.
    #[must_use]
    pub fn sees(&self, team: TeamId) -> bool {
        self.reach().sees(team)
    }

    /// Whether this caller stands above all teams.
    #[must_use]
    pub fn sees_all(&self) -> bool {
        self.reach().teams.is_none()
    }

    /// Whether what this caller has shown carries the right, wherever it holds.
    #[must_use]
    pub fn carries(&self, right: Right) -> bool {
        self.reach().scope.allows(right)
    }

    /// Refuses a caller who may not do it in that team; one who does not know of the team is told that `what` of this
    /// name is not there.
    pub fn require_in(
        &self,
        right: Right,
        team: TeamId,
        what: &'static str,
        name: &str,
    ) -> Result<(), Refusal> {
        self.refuse_closed(Some(team))?;
        if !self.sees(team) {
            return Err(Refusal::NotFound { what, name: name.to_owned() });
        }
        if self.may_in(right, team) { Ok(()) } else { Err(self.forbidden("a wider scope or role")) }
    }

    /// What is closed to this caller until they have a second factor.
    #[must_use]
    pub fn closed(&self) -> &Closed {
        &self.reach().closed
    }

    /// Refuses a caller to whom a team, or without one the instance, is closed until they have a second factor.
    fn refuse_closed(&self, team: Option<TeamId>) -> Result<(), Refusal> {
        let closed = self.closed();
        match team {
            Some(team) if closed.teams.contains(&team) => Err(self.needs_second_factor("this team")),
            None if closed.instance => Err(self.needs_second_factor("a team of yours")),
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a caller to whom anything is: it may be what is missing.
    fn refuse_partly_closed(&self) -> Result<(), Refusal> {
        if self.closed().is_nothing() { Ok(()) } else { Err(self.needs_second_factor("a team of yours")) }
    }

    fn needs_second_factor(&self, what: &'static str) -> Refusal {
        Refusal::NeedsSecondFactor { caller: self.to_string(), what }
    }

    /// The teams that this caller has a part in; none: it stands above them all.
    #[must_use]
    pub fn teams(&self) -> Option<impl Iterator<Item = TeamId>> {
        self.reach().teams.as_ref().map(|teams| teams.keys().copied())
    }

    /// The user behind this caller.
    #[must_use]
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Local { .. } => None,
            Self::Token { user, .. } => *user,
            Self::Person(person) => Some(person.id),
        }
    }

    fn forbidden(&self, needs: &'static str) -> Refusal {
        Refusal::Forbidden { caller: self.to_string(), needs }
    }

    fn reach(&self) -> &Reach {
        match self {
            Self::Local { .. } => &EVERYTHING,
            Self::Token { reach, .. } | Self::Person(Person { reach, .. }) => reach,
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { name, .. } => write!(f, "user {name}"),
            Self::Token { id, name, .. } => write!(f, "token {} ({})", id.0, name.escape_debug()),
            Self::Person(person) => write!(f, "{}", person.login.escape_debug()),
        }
    }
}
