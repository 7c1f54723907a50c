//! Secrets of rivetr's own that are no tokens: cookies, and what stands in one-time links. Only digests are kept.

use std::fmt;

use sha2::{Digest, Sha256};

use super::secret::hex;

/// A secret is 32 random bytes in hexadecimal.
const DIGITS: usize = 64;

/// The kernel gave no random bytes.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the kernel gave no random bytes: {0}")]
pub struct NoRandom(#[from] getrandom::Error);

/// A new secret.
pub(super) struct Link {
    /// What the person or the browser gets.
    pub(super) text: String,
    /// What the store gets.
    pub(super) digest: [u8; 32],
}

impl Link {
    pub(super) fn new() -> Result<Self, NoRandom> {
        let mut random = [0; 32];
        getrandom::fill(&mut random)?;
        let text = hex(&random);
        Ok(Self { digest: Sha256::digest(text.as_bytes()).into(), text })
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// What the store knows a secret by; none: it cannot be one.
pub(super) fn digest(text: &str) -> Option<[u8; 32]> {
    let well_formed = text.len() == DIGITS
        && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    well_formed.then(|| Sha256::digest(text.as_bytes()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_known_by_its_digest_and_not_shown_by_accident() {
        let (one, other) = (Link::new().unwrap(), Link::new().unwrap());
        assert_ne!(one.text, other.text);
        assert_eq!(digest(&one.text), Some(one.digest));
        assert_eq!(format!("{one:?}"), "***");
        for bad in ["", "0", &one.text.to_uppercase(), &format!("{}\n", &one.text[..63]), &one.text.repeat(2)]
        {
            assert_eq!(digest(bad), None, "{bad:?}");
        }
    }
}
