//! The text of a token: `rvt_`, 32 random bytes, a checksum. Only its digest is ever kept.
//!
//! The checksum lets a scanner tell a token from look-alikes without asking, and us refuse a mistyped one
//! without touching the store. It is no protection by itself.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;

const PREFIX: &str = "rvt_";
/// 32 random bytes in hexadecimal.
const RANDOM_DIGITS: usize = 64;
/// The first bytes of the digest of what stands before, in hexadecimal.
const CHECKSUM_DIGITS: usize = 8;

/// A token's secret, well formed; whether it is known is for the store.
#[derive(Clone)]
pub struct Secret(String);

/// A text that cannot be a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("this is no token: one begins with rvt_ and was probably cut short or mistyped")]
pub struct InvalidSecret;

impl Secret {
    /// The secret made of these random bytes.
    #[must_use]
    pub fn from_random(random: &[u8; 32]) -> Self {
        let body = format!("{PREFIX}{}", hex(random));
        let checksum = checksum(&body);
        Self(body + &checksum)
    }

    /// Takes a text that has the form and the checksum of a token.
    pub fn parse(text: &str) -> Result<Self, InvalidSecret> {
        if text.len() != PREFIX.len() + RANDOM_DIGITS + CHECKSUM_DIGITS || !text.starts_with(PREFIX) {
            return Err(InvalidSecret);
        }
        let (body, given) = text.split_at_checked(PREFIX.len() + RANDOM_DIGITS).ok_or(InvalidSecret)?;
        if bool::from(checksum(body).as_bytes().ct_eq(given.as_bytes())) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidSecret)
    }

    /// What the store keeps: SHA-256 of the whole text. 256 random bits need no slow hash.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.0.as_bytes()).into()
    }

    /// The text itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

fn checksum(body: &str) -> String {
    let digest: [u8; 32] = Sha256::digest(body.as_bytes()).into();
    hex(&digest).chars().take(CHECKSUM_DIGITS).collect()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.extend(
            [byte >> 4, byte & 15].into_iter().filter_map(|digit| char::from_digit(digit.into(), 16)),
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        let secret = Secret::from_random(&[7; 32]);
        assert_eq!(format!("{secret:?}"), "***");
        assert!(secret.reveal().starts_with("rvt_0707"));
    }

    proptest! {
        #[test]
        fn what_was_made_is_taken_and_a_changed_digit_is_not(
            random in any::<[u8; 32]>(), place in 0..76_usize, digit in "[0-9a-f]"
        ) {
            let text = Secret::from_random(&random).reveal().to_owned();
            let parsed = Secret::parse(&text).unwrap();
            prop_assert_eq!(parsed.digest(), Secret::from_random(&random).digest());
            let mut other = text.clone();
            other.replace_range(place..=place, &digit);
            prop_assert_eq!(Secret::parse(&other).is_ok(), other == text);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,100}") {
            prop_assert!(Secret::parse(&text).is_err());
        }
    }
}
