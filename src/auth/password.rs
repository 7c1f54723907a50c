//! Passwords: which are taken, and how they are kept. A check takes memory and time by design, so few run at once,
//! and it takes as much for a user who is not there.

use std::sync::Arc;

use argon2::password_hash::PasswordHasher;
use argon2::password_hash::phc;
use argon2::{Algorithm, Argon2, Params, PasswordVerifier, Version};
use thiserror::Error;
use tokio::sync::Semaphore;

use super::link::NoRandom;
pub use crate::domain::person::{PASSWORD_MAX, PASSWORD_MIN};
use crate::domain::secret::Secret;
use crate::store::PasswordHash;

/// Memory in KiB, passes, lanes (OWASP ASVS 5.0, appendix C).
const COST: (u32, u32, u32) = (19_456, 2, 1);
/// Checks that run at once: the rest of the memory and the processors is for others.
const AT_ONCE: usize = 2;
/// Checks that run or wait their turn; whoever comes then is told to try again.
const WAITING: usize = 16;

/// What nobody's password hashes to, under the same cost.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// What many people choose, without the digits and signs that they put around it.
const COMMON: [&str; 24] = [
    "password",
    "passwort",
    "passw0rd",
    "qwertyuiop",
    "qwertzuiop",
    "qwerty",
    "qwertyuiopasdfghjkl",
    "asdfghjkl",
    "letmein",
    "welcome",
    "iloveyou",
    "administrator",
    "admin",
    "changeme",
    "changemenow",
    "secret",
    "dashboard",
    "rivetr",
    "podman",
    "systemd",
    "football",
    "sunshine",
    "princess",
    "monkey",
];

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadPassword {
    /// Too short.
    #[error("use at least 12 characters")]
    Short,
    /// Too long.
    #[error("use at most 128 bytes")]
    Long,
    /// Everybody would guess it.
    #[error(
        "this is one of the first passwords that are tried: choose one that is not a usual word or row of keys"
    )]
    Common,
    /// It is the login.
    #[error("choose one that does not consist of your login")]
    Login,
}

/// Why a password was not hashed.
#[derive(Debug, Error)]
pub(super) enum HashError {
    /// Too many others wait.
    #[error("too many passwords are being checked at once")]
    Busy,
    /// No salt.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// The hash could not be made.
    #[error("a password could not be hashed: {0}")]
    Broken(String),
}

/// Looks whether a password may be taken. Any character may stand in it.
pub fn check(password: &str, login: &str) -> Result<(), BadPassword> {
    if password.len() < PASSWORD_MIN {
        return Err(BadPassword::Short);
    }
    if password.len() > PASSWORD_MAX {
        return Err(BadPassword::Long);
    }
    let lower = password.to_lowercase();
    if consists_of(&lower, login) || login.split_once('@').is_some_and(|(name, _)| consists_of(&lower, name))
    {
        return Err(BadPassword::Login);
    }
    let core = lower.trim_matches(|c: char| !c.is_alphabetic());
    if is_row(&lower) || COMMON.iter().any(|word| consists_of(core, word)) {
        return Err(BadPassword::Common);
    }
    Ok(())
}

/// Whether a text is a word over and over, with digits and signs in between.
fn consists_of(text: &str, word: &str) -> bool {
    word.len() > 2
        && text.contains(word)
        && text.replace(word, "").chars().all(|c| c.is_ascii_digit() || c.is_ascii_punctuation())
}

/// Whether it is one short piece over and over, or counts up or down.
fn is_row(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    let repeats = (1..=4).any(|period| chars.windows(period + 1).all(|part| part.first() == part.last()));
    let step = |by: i64| {
        chars.windows(2).all(|pair| match pair {
            [a, b] => {
                let difference = i64::from(u32::from(*b)) - i64::from(u32::from(*a));
                // After 9 comes 0.
                difference == by
                    || (*a == '9' && *b == '0' && by == 1)
                    || (*a == '0' && *b == '9' && by == -1)
            }
            _ => true,
        })
    };
    repeats || step(1) || step(-1)
}

/// Hashes passwords, few at once.
pub(super) struct Hasher {
    turns: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
}

impl Hasher {
    pub(super) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)), waiting: Arc::new(Semaphore::new(WAITING)) }
    }

    /// What is kept of a password, under a salt of its own.
    pub(super) async fn hash(&self, password: Secret) -> Result<PasswordHash, HashError> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(NoRandom::from)?;
        let broken = |error: &dyn std::fmt::Display| HashError::Broken(error.to_string());
        self.in_turn(move || {
            let hash = hasher()?.hash_password_with_salt(password.reveal(), &salt);
            hash.map(|hash| PasswordHash(hash.to_string())).map_err(|error| broken(&error))
        })
        .await?
    }

    /// Whether a password fits what was kept of it; it takes as long where nothing was.
    pub(super) async fn fits(&self, password: Secret, kept: Option<PasswordHash>) -> Result<bool, HashError> {
        self.in_turn(move || {
            let text = kept.as_ref().map_or(NOBODYS, |kept| kept.0.as_str());
            let hash = phc::PasswordHash::new(text).map_err(|error| HashError::Broken(error.to_string()))?;
            Ok(hasher()?.verify_password(password.reveal(), &hash).is_ok() && kept.is_some())
        })
        .await?
    }

    /// Whether what was kept of a password was made otherwise than it would be now: it costs less to guess, or more to
    /// check.
    pub(super) fn is_outdated(kept: &PasswordHash) -> bool {
        let made = |text: &str| {
            let hash = phc::PasswordHash::new(text).ok()?;
            Some((hash.algorithm, hash.version, hash.params))
        };
        made(&kept.0) != made(NOBODYS)
    }

    async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashError> {
        let _place = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| HashError::Busy)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| HashError::Busy)?;
        // The turn goes along: who asked may hang up, and the work goes on.
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(turn);
            done
        });
        done.await.map_err(|error| HashError::Broken(error.to_string()))
    }
}

fn hasher() -> Result<Argon2<'static>, HashError> {
    let (memory, passes, lanes) = COST;
    let params =
        Params::new(memory, passes, lanes, None).map_err(|error| HashError::Broken(error.to_string()))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn which_are_taken() {
        let long = "ä".repeat(64);
        for (password, expect) in [
            ("correct horse battery", Ok(())),
            ("päßwörtchen mit ümläut", Ok(())),
            (&long, Err(BadPassword::Common)),
            (&format!("{long}x"), Err(BadPassword::Long)),
            ("elevenchars", Err(BadPassword::Short)),
            ("Password1234", Err(BadPassword::Common)),
            ("passwordpassword!", Err(BadPassword::Common)),
            ("123456789012", Err(BadPassword::Common)),
            ("aaaaaaaaaaaa", Err(BadPassword::Common)),
            ("abcabcabcabcabc", Err(BadPassword::Common)),
            ("Rivetr-2026-!", Err(BadPassword::Common)),
            ("lovelace1815", Err(BadPassword::Login)),
            ("rivetr is a good word", Ok(())),
        ] {
            assert_eq!(check(password, "lovelace@example.org"), expect, "{password}");
        }
    }

    #[tokio::test]
    async fn a_hash_says_what_it_cost_and_fits_its_password_alone() {
        let hasher = Hasher::new();
        let hash = hasher.hash(Secret::from("correct horse")).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert_ne!(hash, hasher.hash(Secret::from("correct horse")).await.unwrap(), "no salt");
        assert!(hasher.fits(Secret::from("correct horse"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.fits(Secret::from("correct hors"), Some(hash.clone())).await.unwrap());
        assert!(!hasher.fits(Secret::from("correct horse"), None).await.unwrap());
        // What stands for nobody costs the same: it is read, and with the same parameters.
        let nobodys = phc::PasswordHash::new(NOBODYS).unwrap();
        let ours = phc::PasswordHash::new(&hash.0).unwrap();
        assert_eq!(
            (nobodys.algorithm, nobodys.version, nobodys.params),
            (ours.algorithm, ours.version, ours.params)
        );
        assert_eq!(format!("{hash:?}"), "***");
    }

    #[test]
    fn what_was_made_otherwise_is_outdated() {
        let made = |version, (memory, passes, lanes)| {
            let params = Params::new(memory, passes, lanes, None).unwrap();
            let hasher = Argon2::new(Algorithm::Argon2id, version, params);
            PasswordHash(hasher.hash_password_with_salt(b"correct horse", &[7; 16]).unwrap().to_string())
        };
        for (version, cost, outdated) in [
            (Version::V0x13, COST, false),
            (Version::V0x10, COST, true),
            (Version::V0x13, (8192, 2, 1), true),
            (Version::V0x13, (19_456, 3, 1), true),
            (Version::V0x13, (19_456, 2, 2), true),
        ] {
            assert_eq!(Hasher::is_outdated(&made(version, cost)), outdated, "{version:?} {cost:?}");
        }
    }

    #[tokio::test]
    async fn no_more_wait_than_there_is_room_for() {
        let hasher = Hasher::new();
        let turns = hasher.turns.acquire_many(u32::try_from(AT_ONCE).unwrap()).await.unwrap();
        let waiting = (0..WAITING).map(|_| hasher.fits(Secret::from("x"), None));
        let mut waiting: Vec<_> = waiting.map(Box::pin).collect();
        for one in &mut waiting {
            assert!(futures_util::poll!(one).is_pending());
        }
        assert!(matches!(hasher.fits(Secret::from("x"), None).await, Err(HashError::Busy)));
        drop(waiting);
        drop(turns);
        assert!(!hasher.fits(Secret::from("x"), None).await.unwrap());
    }
}
