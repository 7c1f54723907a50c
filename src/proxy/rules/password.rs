//! Basic authentication (RFC 7617): a password is checked slowly once, and known again quickly.
//!
//! A check takes memory and tens of milliseconds of a processor by design. So it runs aside, few at once, and whoever
//! is wrong too often has to wait. A password that was right is known by a hash under a key of this process; wrong
//! ones are not remembered at all.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, Params, PasswordVerifier};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use ring::hmac;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::super::admission::network;
use super::super::refusal::Refusal;
use super::Credential;
use super::policy::RuleError;

/// Checks that run at once, over all workers: the rest of the processors is for requests.
const AT_ONCE: usize = 2;
/// Checks that run or wait their turn; whoever comes then is told to try again.
const WAITING: usize = 16;
/// The most memory that a check may take, in KiB.
const MEMORY_KIB: u32 = 128 * 1024;
/// The most passes over that memory.
const PASSES: u32 = 16;
/// The longest user and password, in bytes, as they come.
const GIVEN_BYTES: usize = 1024;
/// After this time a client may be wrong once more.
const PAUSE: Duration = Duration::from_secs(6);
/// How often a client may be wrong in a row.
const IN_A_ROW: u32 = 10;
/// Clients that are told apart; two that share a place only wait for each other.
const PLACES: usize = 1024;

/// Who may come in.
#[derive(Debug)]
pub(in crate::proxy) struct Users {
    users: Vec<User>,
    guard: Arc<Guard>,
}

#[derive(Debug)]
struct User {
    name: String,
    hash: PasswordHash,
    /// What the right password hashes to under the key of this process, once it was given.
    right: OnceLock<hmac::Tag>,
}

/// What the checks of one process share.
#[derive(Debug)]
pub(super) struct Guard {
    key: hmac::Key,
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    places: RandomState,
    /// For each place, when what its clients did wrong is forgotten.
    forgotten: Mutex<Vec<Option<Instant>>>,
}

impl Guard {
    pub(super) fn new() -> Arc<Self> {
        let mut secret = [0; 32];
        let key = getrandom::fill(&mut secret).map(|()| hmac::Key::new(hmac::HMAC_SHA256, &secret));
        let key = key.unwrap_or_else(|error| {
            // Nothing is kept but in memory, so a weak key shows nobody anything.
            tracing::warn!(%error, "passwords are remembered without a secret key");
            hmac::Key::new(hmac::HMAC_SHA256, &secret)
        });
        Arc::new(Self {
            key,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            waiting: Arc::new(Semaphore::new(WAITING)),
            places: RandomState::new(),
            forgotten: Mutex::new(vec![None; PLACES]),
        })
    }

    /// Counts a try of `client` as a wrong one, until it turns out right; refused if there were too many.
    fn count(&self, client: IpAddr) -> Result<(), Refusal> {
        let now = Instant::now();
        let counted = self.at(client, |forgotten| {
            let since = forgotten.filter(|at| *at > now).unwrap_or(now);
            if since + PAUSE > now + PAUSE * IN_A_ROW {
                return Err(Refusal::TooManyTries);
            }
            *forgotten = Some(since + PAUSE);
            Ok(())
        });
        counted.unwrap_or(Ok(()))
    }

    fn was_right(&self, client: IpAddr) {
        self.at(client, |forgotten| *forgotten = forgotten.and_then(|at| at.checked_sub(PAUSE)));
    }

    fn at<T>(&self, client: IpAddr, act: impl FnOnce(&mut Option<Instant>) -> T) -> Option<T> {
        let hash = self.places.hash_one(network(client).unwrap_or(client));
        let place = usize::try_from(hash % PLACES as u64).unwrap_or(0);
        // Each change is one statement, so a panic elsewhere does not spoil it.
        let mut forgotten = self.forgotten.lock().unwrap_or_else(PoisonError::into_inner);
        forgotten.get_mut(place).map(act)
    }
}

impl Users {
    /// None if nobody is named: then everyone may come in.
    pub(super) fn check(named: &[Credential], guard: &Arc<Guard>) -> Result<Option<Self>, RuleError> {
        let mut users: Vec<User> = Vec::with_capacity(named.len());
        for Credential { user, hash } in named {
            let wrong = |why: &str| RuleError::new("basic_auth", user, why.to_owned());
            if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) {
                return Err(wrong("a user has a name without colons and control characters"));
            }
            if users.iter().any(|known| known.name == *user) {
                return Err(wrong("this user stands there twice"));
            }
            let hash = argon2id(hash).ok_or_else(|| {
                wrong("its hash is not one of argon2id in the PHC format, with at most 128 MiB and 16 passes")
            })?;
            users.push(User { name: user.clone(), hash, right: OnceLock::new() });
        }
        Ok((!users.is_empty()).then(|| Self { users, guard: Arc::clone(guard) }))
    }

    /// Who they are.
    pub(in crate::proxy) fn names(&self) -> impl Iterator<Item = &str> {
        self.users.iter().map(|user| user.name.as_str())
    }

    /// Lets a request through that names one of the users, and takes from it what it was let through by.
    pub(super) async fn admit(&self, fields: &mut HeaderMap, client: IpAddr) -> Result<(), Refusal> {
        let given = given(fields).ok_or(Refusal::Unauthorized)?;
        let (name, password) = given.split_once(':').ok_or(Refusal::Unauthorized)?;
        let user = self.users.iter().find(|user| user.name == name);
        let known = user.is_some_and(|user| self.is_known(user, password));
        if !known && !self.verify(user, password, client).await? {
            return Err(Refusal::Unauthorized);
        }
        fields.remove(AUTHORIZATION);
        Ok(())
    }

    fn is_known(&self, user: &User, password: &str) -> bool {
        let right = user.right.get();
        right.is_some_and(|tag| hmac::verify(&self.guard.key, password.as_bytes(), tag.as_ref()).is_ok())
    }

    /// Checks a password; for a user who is not there it takes as long and comes to nothing.
    async fn verify(&self, user: Option<&User>, password: &str, client: IpAddr) -> Result<bool, Refusal> {
        let Some(hash) = user.or(self.users.first()).map(|user| user.hash.clone()) else { return Ok(false) };
        self.guard.count(client)?;
        let waiting = Arc::clone(&self.guard.waiting).try_acquire_owned();
        let waiting = waiting.map_err(|_full| Refusal::TooManyTries)?;
        let turn = Arc::clone(&self.guard.turns).acquire_owned().await;
        let turn = turn.map_err(|_closed| Refusal::TooManyTries)?;
        let asked = Zeroizing::new(password.to_owned());
        let check = move || {
            // A client that leaves does not end its check: the turn is over when that is.
            let (_waiting, _turn) = (waiting, turn);
            Argon2::default().verify_password(asked.as_bytes(), &hash).is_ok()
        };
        let right = tokio::task::spawn_blocking(check).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a password could not be checked");
            false
        });
        let Some(user) = user.filter(|_| right) else { return Ok(false) };
        user.right.get_or_init(|| hmac::sign(&self.guard.key, password.as_bytes()));
        self.guard.was_right(client);
        Ok(true)
    }
}

/// User and password as the client sent them, joined by a colon.
fn given(fields: &HeaderMap) -> Option<Zeroizing<String>> {
    let mut values = fields.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, encoded) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > GIVEN_BYTES * 4 / 3 {
        return None;
    }
    let bytes = BASE64_STANDARD.decode(encoded.trim()).ok()?;
    String::from_utf8(bytes).ok().map(Zeroizing::new)
}

/// Reads a hash whose check costs no more than it may.
fn argon2id(text: &str) -> Option<PasswordHash> {
    let hash = PasswordHash::new(text).ok()?;
    let params = Params::try_from(&hash).ok()?;
    let affordable = params.m_cost() <= MEMORY_KIB && params.t_cost() <= PASSES && params.p_cost() <= PASSES;
    let whole = hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some();
    (affordable && whole).then_some(hash)
}

#[cfg(test)]
mod tests {
    use argon2::PasswordHasher;

    use super::*;

    const CLIENT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7));

    fn credential(user: &str, password: &str) -> Credential {
        let cheap = Argon2::from(Params::new(16, 1, 1, None).unwrap());
        let hash = cheap.hash_password_with_salt(password.as_bytes(), b"salt and salt").unwrap().to_string();
        Credential { user: user.into(), hash }
    }

    fn asking(text: &str) -> HeaderMap {
        let mut fields = HeaderMap::new();
        fields.insert(AUTHORIZATION, format!("basic {}", BASE64_STANDARD.encode(text)).parse().unwrap());
        fields
    }

    fn users() -> Users {
        let named = [credential("ann", "a:b"), credential("bob", "ü")];
        Users::check(&named, &Guard::new()).unwrap().unwrap()
    }

    #[tokio::test]
    async fn who_comes_in() {
        let users = users();
        for (text, outcome) in [
            ("ann:a:b", Ok(())),
            ("bob:ü", Ok(())),
            ("ann:ü", Err(Refusal::Unauthorized)),
            ("ann:", Err(Refusal::Unauthorized)),
            ("ann", Err(Refusal::Unauthorized)),
            ("eve:a:b", Err(Refusal::Unauthorized)),
            ("", Err(Refusal::Unauthorized)),
            ("ann:a:b", Ok(())),
        ] {
            let mut fields = asking(text);
            assert_eq!(users.admit(&mut fields, CLIENT).await, outcome, "{text}");
            assert_eq!(fields.contains_key(AUTHORIZATION), outcome.is_err(), "{text}");
        }
        let mut twice = asking("ann:a:b");
        twice.append(AUTHORIZATION, "Bearer x".parse().unwrap());
        assert_eq!(users.admit(&mut twice, CLIENT).await, Err(Refusal::Unauthorized));
        for value in ["Bearer abc", "Basic", "Basic %%%", "Basic /w=="] {
            let mut fields = HeaderMap::new();
            fields.insert(AUTHORIZATION, value.parse().unwrap());
            assert_eq!(users.admit(&mut fields, CLIENT).await, Err(Refusal::Unauthorized), "{value}");
        }
    }

    #[tokio::test]
    async fn who_is_wrong_too_often_waits_and_who_is_right_does_not() {
        let users = users();
        users.admit(&mut asking("bob:ü"), CLIENT).await.unwrap();
        for _ in 0..IN_A_ROW {
            assert_eq!(users.admit(&mut asking("ann:x"), CLIENT).await, Err(Refusal::Unauthorized));
        }
        assert_eq!(users.admit(&mut asking("ann:a:b"), CLIENT).await, Err(Refusal::TooManyTries));
        // Whoever is known needs no check.
        users.admit(&mut asking("bob:ü"), CLIENT).await.unwrap();
        tokio::time::pause();
        tokio::time::advance(PAUSE).await;
        tokio::time::resume();
        users.admit(&mut asking("ann:a:b"), CLIENT).await.unwrap();
    }

    #[tokio::test]
    async fn no_more_checks_wait_than_may() {
        let users = users();
        let _all = users.guard.waiting.acquire_many(u32::try_from(WAITING).unwrap()).await.unwrap();
        assert_eq!(users.admit(&mut asking("ann:a:b"), CLIENT).await, Err(Refusal::TooManyTries));
    }

    #[test]
    fn what_names_nobody() {
        let check = |named: &[Credential]| Users::check(named, &Guard::new());
        assert!(check(&[]).unwrap().is_none());
        let hash = credential("ann", "x").hash;
        for (user, hash, why) in [
            ("", hash.clone(), "a user has a name"),
            ("a:b", hash.clone(), "a user has a name"),
            ("ann", "x".to_owned(), "argon2id"),
            ("ann", hash.replace("argon2id", "argon2i"), "argon2id"),
            ("ann", hash.replace("m=16", "m=1000000"), "argon2id"),
            ("ann", hash.replace("t=1", "t=100"), "argon2id"),
            ("ann", hash.rsplit_once('$').unwrap().0.to_owned(), "argon2id"),
        ] {
            let error = check(&[Credential { user: user.into(), hash }]).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("basic_auth"), "{error}");
        }
        let twice = check(&[credential("ann", "x"), credential("ann", "y")]);
        assert!(twice.unwrap_err().to_string().contains("twice"));
    }
}
