//! Sessions of browsers. A session that waits for the second factor is a type of its own and opens nothing.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use http::request::Parts;
use sha2::{Digest, Sha256};

use super::audit::{Deed, Doer};
use super::secret::hex;
use super::{Auth, Person, Refusal, SignInError, Times, attempts, link, reach};
use crate::domain::person::{Login, UserId};
use crate::domain::right::Scope;
use crate::domain::time::Timestamp;
use crate::store::{Account, Begin, Over, Session, SessionId, StoreError};

/// How long a session may wait for the second factor.
const PENDING: Duration = Duration::from_mins(10);
/// The last use is noted to within this time.
const NOTE_AFTER: Duration = Duration::from_mins(1);
/// The longest name of a program that is kept, in characters.
const AGENT_MAX: usize = 200;

/// Whom a cookie shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Visitor {
    /// Somebody who has signed in.
    Person(Person),
    /// Somebody who has shown a password and not yet the second factor.
    SecondFactor(Pending),
}

/// Somebody who has shown a password and not yet the second factor.
#[derive(Clone, PartialEq, Eq)]
pub struct Pending {
    pub(super) session: SessionId,
    pub(super) user: UserId,
    /// The name by which they sign in.
    pub login: String,
    /// What the form for the code has to show.
    pub csrf: String,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("login", &self.login).finish_non_exhaustive()
    }
}

/// Where somebody comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The address, where there is one.
    pub address: Option<IpAddr>,
    /// The program, as it calls itself.
    pub agent: String,
}

impl Origin {
    /// Where a request comes from. The address is the one that rivetr's own proxy wrote down.
    #[must_use]
    pub fn of(parts: &Parts) -> Self {
        let agent = parts.headers.get(http::header::USER_AGENT).and_then(|field| field.to_str().ok());
        let forwarded = parts.headers.get_all("x-forwarded-for").iter().next_back();
        let address =
            forwarded.and_then(|field| field.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
        Self { address, agent: agent.unwrap_or_default().to_owned() }
    }

    /// What is remembered of the address when somebody signs in: a network, for IPv6.
    pub(super) fn network(&self) -> Option<String> {
        self.address.map(|address| attempts::network(address).to_string())
    }
}

/// A session that has begun.
#[derive(Clone, PartialEq, Eq)]
pub struct NewSession {
    /// The cookie that shows it.
    pub cookie: String,
    /// For how long it can last.
    pub lasts: Duration,
}

impl fmt::Debug for NewSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSession").field("lasts", &self.lasts).finish_non_exhaustive()
    }
}

/// A session, as its user sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionInfo {
    /// Its number.
    pub id: SessionId,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to a minute.
    pub used: Timestamp,
    /// Where it began.
    pub address: Option<String>,
    /// The program that began it, as it calls itself.
    pub agent: String,
    /// Whether it is the one that asks.
    pub current: bool,
}

impl Auth {
    /// Whom a cookie shows; none: it is not good, or no longer.
    pub async fn session(&self, cookie: &str) -> Result<Option<Visitor>, StoreError> {
        let Some(hash) = link::digest(cookie) else { return Ok(None) };
        let now = self.now();
        let Some((session, account)) = self.0.reader.session(&hash).await? else { return Ok(None) };
        if account.user.disabled || self.is_over(&session, now) {
            return Ok(None);
        }
        let login = account.user.login.to_string();
        if session.pending {
            let (session, user, csrf) = (session.id, session.user, csrf(&session.hash));
            return Ok(Some(Visitor::SecondFactor(Pending { session, user, login, csrf })));
        }
        if u128::from(now.millis_since(session.used)) >= NOTE_AFTER.as_millis()
            && let Err(error) = self.0.writer.touch_session(session.id, now).await
        {
            tracing::warn!(session = session.id.0, %error, "the session's last use could not be stored");
        }
        Ok(Some(Visitor::Person(person(&session, &account))))
    }

    /// Ends the session of a person.
    pub async fn sign_out(&self, person: &Person) -> Result<(), StoreError> {
        if let Some((session, _)) = self.session_of(person).await? {
            self.record_own(person, "session.signed_out").await;
            self.0.writer.end_session(person.id, session.id).await?;
        }
        Ok(())
    }

    /// The sessions of a person that are still good, the last one first.
    pub async fn sessions(&self, person: &Person) -> Result<Vec<SessionInfo>, StoreError> {
        let now = self.now();
        let found = self.0.reader.sessions(person.id).await?;
        let shown = found.into_iter().filter(|session| !session.pending && !self.is_over(session, now));
        Ok(shown
            .map(|session| SessionInfo {
                current: csrf(&session.hash) == person.csrf,
                id: session.id,
                created: session.created,
                used: session.used,
                address: session.address,
                agent: session.agent,
            })
            .collect())
    }

    /// Ends one session of a person; false: there is none of this number.
    pub async fn end_session(&self, person: &Person, id: SessionId) -> Result<bool, StoreError> {
        let ended = self.0.writer.end_session(person.id, id).await?;
        if ended {
            self.record_own(person, "session.ended").await;
        }
        Ok(ended)
    }

    /// Ends every session of a person but the one that asks.
    pub async fn end_other_sessions(&self, person: &Person) -> Result<(), StoreError> {
        let kept = self.session_of(person).await?.map(|(session, _)| session.hash);
        self.0.writer.end_sessions(person.id, kept).await
    }

    /// Writes down what a person did about themselves, from where their session began.
    pub(super) async fn record_own(&self, person: &Person, action: &'static str) {
        let session = self.session_of(person).await.ok().flatten();
        let by = Doer::of_person(person, session.and_then(|(session, _)| session.address));
        self.record(&by, Deed::new(action, format!("user {}", person.login))).await;
    }

    /// Whether a person would be let in again, and reach as far.
    pub(super) async fn is_still_signed_in(&self, before: &Person) -> Result<bool, Refusal> {
        let found = self.session_of(before).await?;
        Ok(found.is_some_and(|(session, account)| {
            !account.user.disabled
                && !self.is_over(&session, self.now())
                && person(&session, &account).reach == before.reach
        }))
    }

    /// The session that a person came by.
    pub(super) async fn session_of(&self, person: &Person) -> Result<Option<(Session, Account)>, StoreError> {
        let sessions = self.0.reader.sessions(person.id).await?;
        let own = sessions.into_iter().find(|session| !session.pending && csrf(&session.hash) == person.csrf);
        match own {
            Some(session) => self.0.reader.session(&session.hash).await,
            None => Ok(None),
        }
    }

    /// What a new session is stored as.
    pub(super) fn beginning(&self, hash: [u8; 32], from: &Origin) -> Begin {
        let agent = from.agent.chars().filter(|c| !c.is_control()).take(AGENT_MAX).collect();
        Begin { hash, address: from.network(), agent, now: self.now() }
    }

    /// What is over by now.
    pub(super) fn over(&self) -> Over {
        let now = self.now();
        let before = |time: Duration| Timestamp(now.0.saturating_sub(millis(time)));
        let Times { idle, longest, .. } = self.0.times;
        Over { created: before(longest), used: before(idle), pending: before(PENDING) }
    }

    /// How long a session can last.
    pub(super) fn longest(&self, pending: bool) -> Duration {
        if pending { PENDING } else { self.0.times.longest }
    }

    fn is_over(&self, session: &Session, now: Timestamp) -> bool {
        session.created.after(self.longest(session.pending)) <= now
            || session.used.after(self.0.times.idle) <= now
    }

    /// Whether a person is to show their password again before they do what gives power or takes something for good.
    #[must_use]
    pub fn asks_again(&self, person: &Person) -> bool {
        u128::from(self.now().millis_since(person.proved)) >= self.0.times.proof.as_millis()
    }

    /// Takes the password of a person once more.
    pub async fn prove_again(
        &self,
        person: &Person,
        password: &str,
        from: &Origin,
    ) -> Result<(), SignInError> {
        self.prove(&person.login, password, from).await?;
        if let Some((session, _)) = self.session_of(person).await? {
            self.0.writer.prove_session(session.id, self.now()).await?;
        }
        Ok(())
    }
}

fn person(session: &Session, account: &Account) -> Person {
    Person {
        id: account.user.id,
        login: login(&account.user.login),
        csrf: csrf(&session.hash),
        reach: reach::of(account, Scope::Admin, None),
        proved: session.proved,
    }
}

fn login(login: &Login) -> String {
    login.as_str().to_owned()
}

/// What forms of a session show: made from what only its cookie leads to, and of no use without it.
fn csrf(hash: &[u8; 32]) -> String {
    let digest: [u8; 32] = Sha256::new().chain_update(b"rivetr csrf").chain_update(hash).finalize().into();
    hex(&digest)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
