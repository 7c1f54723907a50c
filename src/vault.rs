//! Secrets at rest: sealed with AES-256-GCM under a ring of keys that lies apart from the database.
//!
//! What is sealed is bound to the place it is sealed for: moved elsewhere, it does not open. The newest key of the
//! ring seals; each of them opens what it sealed. It keeps nothing: where sealed bytes lie is for the store.

pub mod age;
pub mod stream;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::domain::secret::{Sealed, Secret};
use crate::files::{self, FileError};

/// The first byte of what is sealed: the form of all that follows it.
const FORM: u8 = 1;
/// The form, the number of the key, the nonce.
const HEAD_LEN: usize = 1 + 4 + NONCE_LEN;
const KEY_LEN: usize = 32;
/// A ring is a few lines; whatever is longer is no ring.
const RING_KEYS_MAX: usize = 1000;

/// Why there is no vault.
#[derive(Debug, Error)]
pub enum RingError {
    /// The file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It holds something else.
    #[error(
        "{path}, line {line}: this is no key: write a number, a blank and 64 hexadecimal digits, or bring the file \
         back from a backup"
    )]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
    /// There is none, and it is not the time to make one.
    #[error(
        "the master key {0} is missing, and without it no secret of the database can be read: bring it back from a \
         backup"
    )]
    Missing(PathBuf),
    /// The system gave no random bytes.
    #[error("the system gives no random bytes: {0}")]
    NoRandom(getrandom::Error),
}

/// Why something cannot be opened. It is never taken for an empty value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The key that sealed it is not in the ring.
    #[error(
        "it was sealed with master key {0}, which is not in the key file: bring that file back from a backup"
    )]
    UnknownKey(u32),
    /// It was changed, or was sealed for another place.
    #[error("it was changed since it was sealed, or belongs elsewhere")]
    Damaged,
}

/// The system gave no random bytes, so nothing can be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the system gives no random bytes, so the secret was not taken: try again")]
pub struct SealError;

/// The keys of this installation, oldest first.
pub struct KeyRing(BTreeMap<u32, Zeroizing<[u8; KEY_LEN]>>);

impl KeyRing {
    /// The ring in `path`.
    pub fn read(path: &Path) -> Result<Self, RingError> {
        let text = files::read_text(path)?.map(Zeroizing::new);
        let text = text.ok_or_else(|| RingError::Missing(path.to_owned()))?;
        let mut keys = BTreeMap::new();
        let mut count = 0;
        for (index, line) in text.lines().enumerate() {
            let malformed = || RingError::Malformed { path: path.to_owned(), line: index + 1 };
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            count += 1;
            let (number, key) = parse_line(line).ok_or_else(malformed)?;
            if count > RING_KEYS_MAX || keys.insert(number, key).is_some() {
                return Err(malformed());
            }
        }
        if keys.is_empty() { Err(RingError::Missing(path.to_owned())) } else { Ok(Self(keys)) }
    }

    /// A ring of one new key.
    pub fn generate() -> Result<Self, RingError> {
        Self(BTreeMap::new()).with_new_key()
    }

    /// The ring with one more key, which seals from then on.
    pub fn with_new_key(mut self) -> Result<Self, RingError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        getrandom::fill(key.as_mut_slice()).map_err(RingError::NoRandom)?;
        let number = self.0.keys().next_back().map_or(1, |last| last + 1);
        self.0.insert(number, key);
        Ok(self)
    }

    /// The number of the key that seals.
    #[must_use]
    pub fn newest(&self) -> Option<u32> {
        self.0.keys().next_back().copied()
    }

    /// Whether a change of keys is under way: more than one is in it.
    #[must_use]
    pub fn is_changing(&self) -> bool {
        self.0.len() > 1
    }

    /// The ring with nothing but its newest key, once that has sealed everything.
    #[must_use]
    pub fn newest_alone(mut self) -> Self {
        let newest = self.0.pop_last();
        Self(newest.into_iter().collect())
    }

    /// Writes the ring whole, for the owner's eyes alone.
    pub fn write(&self, path: &Path) -> Result<(), RingError> {
        let mut text = Zeroizing::new(
            "# The master keys of rivetr. Whoever has them and the database has every secret.\n".to_owned(),
        );
        for (number, key) in &self.0 {
            text.push_str(&number.to_string());
            text.push(' ');
            for half in key.iter().flat_map(|byte| [byte >> 4, byte & 0xf]) {
                text.extend(char::from_digit(half.into(), 16));
            }
            text.push('\n');
        }
        Ok(files::write_whole(path, text.as_bytes(), 0o600)?)
    }
}

fn parse_line(line: &str) -> Option<(u32, Zeroizing<[u8; KEY_LEN]>)> {
    let (number, digits) = line.split_once(' ')?;
    let mut key = Zeroizing::new([0; KEY_LEN]);
    if digits.len() != 2 * KEY_LEN || !digits.is_ascii() {
        return None;
    }
    for (byte, index) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(index..index + 2)?, 16).ok()?;
    }
    Some((number.parse().ok()?, key))
}

/// Where the ring of this installation comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// A file of rivetr's own, which it may write.
    File(PathBuf),
    /// A credential that systemd hands in; only who gave it to systemd can change it.
    Credential(PathBuf),
}

impl KeySource {
    /// Where to read.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Credential(path) => path,
        }
    }
}

/// A vault, and the turns of those who seal and store with those who change its keys.
#[derive(Clone)]
pub struct Sealing {
    /// The vault.
    pub vault: Arc<Vault>,
    /// Read by who seals until it is stored; written by a change of keys.
    pub lock: Arc<tokio::sync::RwLock<()>>,
}

impl Sealing {
    /// A vault whose turns nobody else takes.
    #[must_use]
    pub fn new(vault: Vault) -> Self {
        Self { vault: Arc::new(vault), lock: Arc::default() }
    }
}

/// Seals and opens.
pub struct Vault {
    keys: RwLock<Keys>,
}

type Keys = BTreeMap<u32, LessSafeKey>;

impl Vault {
    /// A vault under this ring.
    #[must_use]
    pub fn new(ring: &KeyRing) -> Self {
        Self { keys: RwLock::new(usable(ring)) }
    }

    /// Goes on under another ring. Keys that it no longer has stay until the process ends, for what was read
    /// before.
    pub fn adopt(&self, ring: &KeyRing) {
        self.keys.write().unwrap_or_else(PoisonError::into_inner).extend(usable(ring));
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        // The map is whole after any panic: each change of it is one call.
        self.keys.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Seals bytes for a place, which must be named again to open them: `app/3/env/DATABASE_URL`.
    pub fn seal(&self, place: &str, secret: &Secret) -> Result<Sealed, SealError> {
        let keys = self.keys();
        let (number, key) = keys.last_key_value().ok_or(SealError)?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SealError)?;
        let mut sealed = Vec::with_capacity(HEAD_LEN + secret.reveal().len() + AES_256_GCM.tag_len());
        sealed.push(FORM);
        sealed.extend(number.to_be_bytes());
        sealed.extend(nonce);
        let mut body = secret.reveal().to_vec();
        let nonce = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(nonce, Aad::from(place), &mut body).map_err(|_| SealError)?;
        sealed.append(&mut body);
        Ok(Sealed(sealed))
    }

    /// Opens what was sealed for a place.
    pub fn open(&self, place: &str, sealed: &Sealed) -> Result<Secret, OpenError> {
        let (head, body) = sealed.0.split_at_checked(HEAD_LEN).ok_or(OpenError::Damaged)?;
        let (form, head) = head.split_first().ok_or(OpenError::Damaged)?;
        let (number, nonce) = head.split_first_chunk::<4>().ok_or(OpenError::Damaged)?;
        if *form != FORM {
            return Err(OpenError::Damaged);
        }
        let number = u32::from_be_bytes(*number);
        let keys = self.keys();
        let key = keys.get(&number).ok_or(OpenError::UnknownKey(number))?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Damaged)?;
        let mut body = body.to_vec();
        let length =
            key.open_in_place(nonce, Aad::from(place), &mut body).map_err(|_| OpenError::Damaged)?.len();
        body.truncate(length);
        Ok(Secret::new(body))
    }
}

fn usable(ring: &KeyRing) -> Keys {
    let usable = |key: &[u8]| UnboundKey::new(&AES_256_GCM, key).map(LessSafeKey::new);
    ring.0.iter().filter_map(|(number, key)| Some((*number, usable(key.as_slice()).ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn secret(bytes: &[u8]) -> Secret {
        Secret::new(bytes.to_vec())
    }

    proptest! {
        #[test]
        fn what_is_sealed_is_opened(bytes in proptest::collection::vec(any::<u8>(), 0..300), place in ".*") {
            let vault = Vault::new(&KeyRing::generate().unwrap());
            let sealed = vault.seal(&place, &secret(&bytes)).unwrap();
            prop_assert_eq!(vault.open(&place, &sealed).unwrap(), secret(&bytes));
            prop_assert!(bytes.len() < 8 || !sealed.0.windows(bytes.len()).any(|part| part == bytes));
        }
    }

    #[test]
    fn what_was_changed_or_moved_is_not_opened() {
        let vault = Vault::new(&KeyRing::generate().unwrap());
        let sealed = vault.seal("app/1/env/A", &secret(b"canary")).unwrap();
        assert_eq!(vault.open("app/1/env/B", &sealed), Err(OpenError::Damaged));
        for index in 0..sealed.0.len() {
            let mut changed = sealed.clone();
            changed.0[index] ^= 1;
            assert!(vault.open("app/1/env/A", &changed).is_err(), "byte {index}");
            assert!(vault.open("app/1/env/A", &Sealed(sealed.0[..index].to_vec())).is_err(), "{index} bytes");
        }
    }

    #[test]
    fn two_installations_do_not_read_each_other() {
        let [one, other] = [(); 2].map(|()| Vault::new(&KeyRing::generate().unwrap()));
        let sealed = one.seal("x", &secret(b"canary")).unwrap();
        assert_ne!(one.seal("x", &secret(b"canary")).unwrap(), sealed);
        assert_eq!(other.open("x", &sealed), Err(OpenError::Damaged));
    }

    #[test]
    fn a_ring_goes_on_over_a_change_of_keys() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        KeyRing::generate().unwrap().write(&path).unwrap();
        let old = Vault::new(&KeyRing::read(&path).unwrap()).seal("x", &secret(b"old")).unwrap();

        KeyRing::read(&path).unwrap().with_new_key().unwrap().write(&path).unwrap();
        let both = Vault::new(&KeyRing::read(&path).unwrap());
        assert_eq!(both.open("x", &old).unwrap(), secret(b"old"));
        let new = both.seal("x", &secret(b"new")).unwrap();

        KeyRing::read(&path).unwrap().newest_alone().write(&path).unwrap();
        let swapped = Vault::new(&KeyRing::read(&path).unwrap());
        swapped.adopt(&KeyRing::read(&path).unwrap().with_new_key().unwrap());
        assert_eq!(swapped.open("x", &new).unwrap(), secret(b"new"), "what was sealed before");
        let alone = Vault::new(&KeyRing::read(&path).unwrap());
        let newest = swapped.seal("x", &secret(b"newest")).unwrap();
        assert_eq!(alone.open("x", &newest), Err(OpenError::UnknownKey(3)));
        assert_eq!(alone.open("x", &new).unwrap(), secret(b"new"));
        assert_eq!(alone.open("x", &old), Err(OpenError::UnknownKey(1)));
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_broken_ring_says_which_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        assert!(matches!(KeyRing::read(&path), Err(RingError::Missing(_))));
        let key = "0f".repeat(32);
        for (text, line) in [
            ("x".to_owned(), 1),
            (format!("1 {key}0"), 1),
            (format!("# ring\n1 {key}\n1 {key}"), 3),
            (format!("1 {key}\n\n2 {}", "é".repeat(32)), 3),
        ] {
            files::write_whole(&path, text.as_bytes(), 0o600).unwrap();
            let refused = KeyRing::read(&path).err().unwrap();
            assert!(matches!(refused, RingError::Malformed { line: said, .. } if said == line), "{refused}");
        }
        files::write_whole(&path, b"# nothing\n", 0o600).unwrap();
        assert!(matches!(KeyRing::read(&path), Err(RingError::Missing(_))));
    }
}
