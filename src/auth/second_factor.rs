//! The second factor: codes by the time, and recovery codes for who has lost what makes them.

pub(super) mod totp;

use std::fmt;

use sha2::{Digest, Sha256};
use thiserror::Error;

use super::link::NoRandom;
use super::session::Origin;
use super::sign_in::SignInError;
use super::{Auth, Person};
use crate::domain::person::UserId;
use crate::domain::secret::{Sealed, Secret};
use crate::store::{PeopleError, StoreError};
use crate::vault::OpenError;

/// How many recovery codes a user gets.
const CODES: usize = 10;
/// The random bytes of a recovery code: more than the 112 bits that a fast hash wants.
const CODE_LEN: usize = 15;
/// The letters of a recovery code.
const CODE_LETTERS: usize = CODE_LEN * 8 / 5;

/// What somebody typed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Six digits.
    Totp(String),
    /// A recovery code, of this digest.
    Recovery([u8; 32]),
    /// Something else.
    Neither,
}

/// A second factor that is about to be set up.
#[derive(Clone, PartialEq, Eq)]
pub struct NewFactor {
    /// What an authenticator reads: `otpauth://totp/…`.
    pub url: String,
    /// The secret alone, to be typed.
    pub secret: String,
}

impl fmt::Debug for NewFactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a second factor was not changed.
#[derive(Debug, Error)]
pub enum FactorError {
    /// The code is wrong, or was taken before.
    #[error("this code is not right, or was used already: take the next one that is shown")]
    WrongCode,
    /// The password is wrong, or there were too many tries.
    #[error(transparent)]
    SignIn(#[from] SignInError),
    /// It is set up already, or was never begun.
    #[error("this has changed meanwhile: load it again")]
    Changed,
    /// Something failed inside.
    #[error("{0}")]
    Internal(String),
}

impl Auth {
    /// Makes the secret of a second factor, for who shows the password; it counts when a code of it was shown.
    /// `issuer` is what an authenticator calls this instance.
    pub async fn begin_second_factor(
        &self,
        person: &Person,
        password: &str,
        issuer: &str,
        from: &Origin,
    ) -> Result<NewFactor, FactorError> {
        self.prove(&person.login, password, from).await?;
        let mut random = vec![0; totp::SECRET_LEN];
        getrandom::fill(&mut random).map_err(internal)?;
        let secret = Secret::new(random);
        let _held = self.hold_sealing().await;
        let sealed = self.seal_totp(person.id, &secret).map_err(internal)?;
        self.0.writer.begin_totp(person.id, sealed).await?;
        let url = totp::url(&secret, issuer, &person.login);
        Ok(NewFactor { url, secret: totp::base32(secret.reveal()) })
    }

    /// The second factor that was begun and does not count yet.
    pub async fn second_factor_begun(
        &self,
        person: &Person,
        issuer: &str,
    ) -> Result<Option<NewFactor>, FactorError> {
        let Some(totp) = self.0.reader.totp(person.id).await?.filter(|totp| !totp.good) else {
            return Ok(None);
        };
        let secret = self.open_totp(person.id, &totp.secret).map_err(internal)?;
        let url = totp::url(&secret, issuer, &person.login);
        Ok(Some(NewFactor { url, secret: totp::base32(secret.reveal()) }))
    }

    /// Has the second factor count, for who shows a code of it. The recovery codes are shown this once.
    pub async fn confirm_second_factor(
        &self,
        person: &Person,
        code: &str,
    ) -> Result<Vec<String>, FactorError> {
        let _held = self.hold_sealing().await;
        let found = self.0.reader.totp(person.id).await?.filter(|totp| !totp.good);
        let found = found.ok_or(FactorError::Changed)?;
        let secret = self.open_totp(person.id, &found.secret).map_err(internal)?;
        let Code::Totp(digits) = parse(code) else { return Err(FactorError::WrongCode) };
        let step = totp::step_of(&secret, &digits, self.now()).ok_or(FactorError::WrongCode)?;
        let (codes, digests) = recovery_codes()?;
        let kept = self.session_of(person).await?.map(|(session, _)| session.hash);
        self.0.writer.confirm_totp(person.id, found.secret, step, digests, kept).await?;
        self.record_own(person, "second_factor.set_up").await;
        Ok(codes)
    }

    /// Forgets the second factor of a person, who shows password and code for it.
    pub async fn disable_second_factor(
        &self,
        person: &Person,
        password: &str,
        code: &str,
        from: &Origin,
    ) -> Result<(), FactorError> {
        self.prove(&person.login, password, from).await?;
        self.show_code(person, code).await?;
        let kept = self.session_of(person).await?.map(|(session, _)| session.hash);
        self.0.writer.forget_second_factor(person.id, kept).await?;
        self.record_own(person, "second_factor.forgotten").await;
        Ok(())
    }

    /// New recovery codes in place of those before, for who shows a code.
    pub async fn renew_recovery_codes(
        &self,
        person: &Person,
        code: &str,
    ) -> Result<Vec<String>, FactorError> {
        self.show_code(person, code).await?;
        let (codes, digests) = recovery_codes()?;
        self.0.writer.put_recovery_codes(person.id, digests).await?;
        self.record_own(person, "recovery_codes.renewed").await;
        Ok(codes)
    }

    /// Whether a person has a second factor, and how many recovery codes are left.
    pub async fn second_factor_of(&self, person: &Person) -> Result<Option<u32>, StoreError> {
        match self.0.reader.totp(person.id).await?.filter(|totp| totp.good) {
            Some(_) => Ok(Some(self.0.reader.recovery_codes(person.id).await?)),
            None => Ok(None),
        }
    }

    /// Takes a code by the time from somebody who has signed in.
    async fn show_code(&self, person: &Person, code: &str) -> Result<(), FactorError> {
        let account = format!("second factor of {}", person.login);
        let attempt = self.0.attempts.begin(&account, None, true, self.now());
        let attempt = attempt.map_err(|wait| SignInError::TooMany { wait })?;
        let found = self.0.reader.totp(person.id).await?.filter(|totp| totp.good);
        let found = found.ok_or(FactorError::Changed)?;
        let secret = self.open_totp(person.id, &found.secret).map_err(internal)?;
        let Code::Totp(digits) = parse(code) else { return Err(FactorError::WrongCode) };
        let step = totp::step_of(&secret, &digits, self.now()).ok_or(FactorError::WrongCode)?;
        if !self.0.writer.use_totp_step(person.id, step).await? {
            return Err(FactorError::WrongCode);
        }
        self.0.attempts.was_right(&attempt);
        Ok(())
    }

    pub(super) fn open_totp(&self, user: UserId, sealed: &Sealed) -> Result<Secret, OpenError> {
        self.0.sealing.vault.open(&place(user), sealed)
    }

    fn seal_totp(&self, user: UserId, secret: &Secret) -> Result<Sealed, crate::vault::SealError> {
        self.0.sealing.vault.seal(&place(user), secret)
    }

    /// Held while something is sealed and stored: a change of the master key takes turns with it.
    async fn hold_sealing(&self) -> tokio::sync::RwLockReadGuard<'_, ()> {
        self.0.sealing.lock.read().await
    }
}

/// What a code that somebody typed may be.
pub(super) fn parse(text: &str) -> Code {
    let typed: String = text.chars().filter(|c| !c.is_whitespace() && *c != '-').collect();
    if typed.len() == 6 && typed.bytes().all(|byte| byte.is_ascii_digit()) {
        return Code::Totp(typed);
    }
    let typed = typed.to_ascii_uppercase();
    let letter = |byte: u8| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte);
    if typed.len() == CODE_LETTERS && typed.bytes().all(letter) {
        return Code::Recovery(Sha256::digest(typed.as_bytes()).into());
    }
    Code::Neither
}

/// New recovery codes, as they are shown and as they are kept.
fn recovery_codes() -> Result<(Vec<String>, Vec<[u8; 32]>), NoRandom> {
    let mut codes = (Vec::with_capacity(CODES), Vec::with_capacity(CODES));
    for _ in 0..CODES {
        let mut random = [0; CODE_LEN];
        getrandom::fill(&mut random)?;
        let letters = totp::base32(&random);
        codes.1.push(Sha256::digest(letters.as_bytes()).into());
        let groups: Vec<&[u8]> = letters.as_bytes().chunks(4).collect();
        let groups = groups.iter().map(|group| String::from_utf8_lossy(group).to_lowercase());
        codes.0.push(groups.collect::<Vec<_>>().join("-"));
    }
    Ok(codes)
}

fn place(user: UserId) -> String {
    format!("totp/{}", user.0)
}

fn internal(error: impl fmt::Display) -> FactorError {
    FactorError::Internal(error.to_string())
}

impl From<NoRandom> for FactorError {
    fn from(error: NoRandom) -> Self {
        internal(error)
    }
}

impl From<StoreError> for FactorError {
    fn from(error: StoreError) -> Self {
        Self::SignIn(error.into())
    }
}

impl From<PeopleError> for FactorError {
    fn from(error: PeopleError) -> Self {
        if let PeopleError::Store(error) = error { error.into() } else { Self::Changed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_read_with_its_gaps() {
        let (codes, digests) = recovery_codes().unwrap();
        assert_eq!((codes.len(), digests.len()), (CODES, CODES));
        for (code, digest) in codes.iter().zip(digests) {
            assert_eq!(code.len(), 24 + 5, "{code}");
            assert_eq!(parse(code), Code::Recovery(digest));
            assert_eq!(parse(&format!(" {} ", code.replace('-', "").to_uppercase())), Code::Recovery(digest));
        }
        assert_eq!(parse("123 456"), Code::Totp("123456".to_owned()));
        for bad in ["", "12345", "1234567", "abc-def", "١٢٣٤٥٦"] {
            assert_eq!(parse(bad), Code::Neither, "{bad}");
        }
    }
}
