//! Files that are sealed for a key and opened with it: the age format, version 1 (age-encryption.org/v1), as a stream.
//!
//! Only recipients of the kinds X25519 and scrypt: a key, or a passphrase. Whoever has it opens such a file with any program
//! that speaks age, and needs no rivetr for it. What comes out has been authenticated, chunk by chunk; that the file is whole is known at
//! its end, and an error is given there if it is not.

mod bech32;
mod head;
mod scrypt;
mod x25519;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce};
use thiserror::Error;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::{Zeroize as _, Zeroizing};

pub(super) use self::head::instead;
use crate::domain::secret::Secret;

/// How much is sealed at a time, in bytes.
const CHUNK: usize = 64 << 10;
const TAG: usize = 16;
/// What the key of the chunks is made for.
const PAYLOAD: &[u8] = b"payload";
const SECRET_PREFIX: &str = "age-secret-key-";
const PUBLIC_PREFIX: &str = "age";

/// The key that opens.
#[derive(Clone)]
pub struct Identity(StaticSecret);

/// For whom a file is sealed; public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recipient(PublicKey);

/// Why a file cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotOpened {
    /// It is something else.
    #[error("this is no file of the age format: a backup of rivetr begins with age-encryption.org/v1")]
    Foreign,
    /// It is sealed for other keys.
    #[error(
        "it is sealed for another key than this installation has: open it with the key it was made with (rivetr \
         backups key shows one)"
    )]
    OtherKey,
    /// It is sealed under another passphrase.
    #[error("this is not the passphrase that it was sealed with")]
    OtherPassphrase,
    /// A key was brought, and it is sealed under a passphrase.
    #[error("it is sealed with a passphrase, and no key opens it")]
    WantsPassphrase,
    /// A passphrase was brought, and it is sealed for a key.
    #[error("it is sealed for a key, and no passphrase opens it")]
    WantsKey,
    /// Trying the passphrase would take more memory than a host has to spare.
    #[error("whoever sealed it asks for more than 1 GiB of memory to try a passphrase")]
    TooMuchWork,
    /// It is not what was sealed.
    #[error("it was changed or cut off since it was sealed, so nothing of it may be used")]
    Damaged,
}

impl From<NotOpened> for io::Error {
    fn from(why: NotOpened) -> Self {
        Self::new(io::ErrorKind::InvalidData, why)
    }
}

impl Identity {
    /// A new key.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = Zeroizing::new([0; 32]);
        getrandom::fill(bytes.as_mut_slice())?;
        Ok(Self(StaticSecret::from(*bytes)))
    }

    /// Takes `AGE-SECRET-KEY-1…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let lower = Zeroizing::new(text.trim().to_ascii_lowercase());
        bech32::decode(SECRET_PREFIX, &lower).map(|bytes| Self(StaticSecret::from(*bytes)))
    }

    /// `AGE-SECRET-KEY-1…`, for whom it is shown to or the vault.
    #[must_use]
    pub fn reveal(&self) -> Secret {
        let bytes = Zeroizing::new(self.0.to_bytes());
        let mut text = Zeroizing::new(bech32::encode(SECRET_PREFIX, &bytes));
        text.make_ascii_uppercase();
        Secret::from(text.as_str())
    }

    /// For whom to seal what this key is to open.
    #[must_use]
    pub fn recipient(&self) -> Recipient {
        Recipient(PublicKey::from(&self.0))
    }
}

impl Recipient {
    /// Takes `age1…`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        bech32::decode(PUBLIC_PREFIX, text.trim()).map(|bytes| Self(PublicKey::from(*bytes)))
    }
}

/// How long the beginning of a file has to be for [`wants_passphrase`] to tell, in bytes.
pub const TELLING: u64 = 64;

/// Whether a file that begins with this is sealed under a passphrase.
#[must_use]
pub fn wants_passphrase(beginning: &[u8]) -> bool {
    let rest = beginning.strip_prefix(head::VERSION.as_bytes());
    let how = rest.and_then(|rest| rest.strip_prefix(b"-> "));
    how.is_some_and(|how| how.starts_with(scrypt::KIND.as_bytes()))
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&bech32::encode(PUBLIC_PREFIX, self.0.as_bytes()))
    }
}

/// The key of the chunks and the number of the next one.
struct Chunks {
    key: LessSafeKey,
    next: u64,
}

impl Chunks {
    /// The nonce of the next chunk: its number in eleven bytes, and whether it is the last.
    fn nonce(&mut self, last: bool) -> io::Result<Nonce> {
        let mut nonce = [0; NONCE_LEN];
        let number = self.next.to_be_bytes();
        for (byte, digit) in nonce.iter_mut().skip(3).zip(number) {
            *byte = digit;
        }
        if let Some(flag) = nonce.last_mut() {
            *flag = u8::from(last);
        }
        self.next = self.next.checked_add(1).ok_or_else(|| io::Error::other("the file is too long"))?;
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

/// Seals what is written to it. Without [`Sealer::finish`] the file is one that was cut off.
pub struct Sealer<W: Write> {
    to: W,
    chunks: Chunks,
    buffer: Vec<u8>,
}

impl<W: Write> Sealer<W> {
    /// Begins a file for a recipient.
    pub fn new(to: W, recipient: &Recipient) -> io::Result<Self> {
        Self::begin(to, &head::begin(|file_key| x25519::wrap(&recipient.0, file_key))?)
    }

    /// Begins a file under a passphrase. This takes about a second, and 256 MiB of memory meanwhile.
    pub fn with_passphrase(to: W, passphrase: &Secret) -> io::Result<Self> {
        Self::begin(to, &head::begin(|file_key| scrypt::wrap(passphrase, file_key))?)
    }

    fn begin(mut to: W, begun: &head::Begun) -> io::Result<Self> {
        to.write_all(&begun.head)?;
        let key =
            LessSafeKey::new(head::derive(&*begun.file_key, &begun.nonce, PAYLOAD, &CHACHA20_POLY1305)?);
        Ok(Self { to, chunks: Chunks { key, next: 0 }, buffer: Vec::with_capacity(CHUNK + TAG) })
    }

    /// Writes what is left, as the end of the file.
    pub fn finish(mut self) -> io::Result<W> {
        self.seal(true)?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn seal(&mut self, last: bool) -> io::Result<()> {
        let nonce = self.chunks.nonce(last)?;
        let sealed = self.chunks.key.seal_in_place_append_tag(nonce, Aad::empty(), &mut self.buffer);
        sealed.map_err(|_| io::Error::other("a chunk could not be sealed"))?;
        self.to.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(())
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A full chunk waits until it is known that it is not the last.
        if self.buffer.len() == CHUNK && !bytes.is_empty() {
            self.seal(false)?;
        }
        let taken = bytes.get(..CHUNK - self.buffer.len()).unwrap_or(bytes);
        self.buffer.extend_from_slice(taken);
        Ok(taken.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Opens what it reads.
pub struct Opener<R: Read> {
    from: BufReader<R>,
    chunks: Chunks,
    buffer: Vec<u8>,
    /// What of the buffer has been given away.
    given: usize,
    ended: bool,
}

impl<R: Read> Opener<R> {
    /// Reads the head of a file that is sealed for this key.
    pub fn new(from: R, identity: &Identity) -> io::Result<Self> {
        Self::open(from, |arguments, body| x25519::unwrap(&identity.0, arguments, body))
    }

    /// Reads the head of a file that is sealed under this passphrase, which takes what it took to seal it.
    pub fn with_passphrase(from: R, passphrase: &Secret) -> io::Result<Self> {
        let mut tried = false;
        Self::open(from, |arguments, body| {
            // More than one way in, and not each of them has been agreed to.
            if std::mem::replace(&mut tried, true) {
                return Err(NotOpened::Damaged.into());
            }
            scrypt::unwrap(passphrase, arguments, body).map(Some)
        })
    }

    fn open(
        from: R,
        unwrap: impl FnMut(&str, &str) -> io::Result<Option<head::FileKey>>,
    ) -> io::Result<Self> {
        let mut from = BufReader::with_capacity(CHUNK, from);
        let opened = head::open(&mut from, unwrap)?;
        let key =
            LessSafeKey::new(head::derive(&*opened.file_key, &opened.nonce, PAYLOAD, &CHACHA20_POLY1305)?);
        let chunks = Chunks { key, next: 0 };
        Ok(Self { from, chunks, buffer: Vec::with_capacity(CHUNK + TAG), given: 0, ended: false })
    }

    fn open_next(&mut self) -> io::Result<()> {
        self.buffer.clear();
        self.given = 0;
        let whole = u64::try_from(CHUNK + TAG).unwrap_or(u64::MAX);
        self.from.by_ref().take(whole).read_to_end(&mut self.buffer)?;
        let last = self.from.fill_buf()?.is_empty();
        // The last chunk may be empty only if nothing was sealed.
        if self.buffer.len() < TAG || self.buffer.len() == TAG && self.chunks.next > 0 {
            self.buffer.clear();
            return Err(NotOpened::Damaged.into());
        }
        let nonce = self.chunks.nonce(last)?;
        let opened =
            self.chunks.key.open_in_place(nonce, Aad::empty(), &mut self.buffer).map(|text| text.len());
        self.buffer.truncate(opened.unwrap_or(0));
        opened.map_err(|_| NotOpened::Damaged)?;
        self.ended = last;
        Ok(())
    }
}

impl<R: Read> Read for Opener<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.given == self.buffer.len() && !self.ended && !into.is_empty() {
            self.open_next()?;
        }
        let read = self.buffer.get(self.given..).unwrap_or_default().read(into)?;
        self.given += read;
        Ok(read)
    }
}

impl<R: Read> Drop for Opener<R> {
    fn drop(&mut self) {
        self.buffer.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sealed(text: &[u8], identity: &Identity) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new(), &identity.recipient()).unwrap();
        sealer.write_all(text).unwrap();
        sealer.finish().unwrap()
    }

    fn opened(file: &[u8], identity: &Identity) -> Result<Vec<u8>, NotOpened> {
        let why = |error: io::Error| *error.get_ref().unwrap().downcast_ref::<NotOpened>().unwrap();
        let mut text = Vec::new();
        let mut opener = Opener::new(file, identity).map_err(why)?;
        opener.read_to_end(&mut text).map_err(why)?;
        Ok(text)
    }

    #[test]
    fn what_is_sealed_is_opened_at_every_border_of_a_chunk() {
        let identity = Identity::generate().unwrap();
        for length in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 2 * CHUNK + 7] {
            let text: Vec<u8> = (0..length).map(|index| u8::try_from(index % 251).unwrap()).collect();
            let file = sealed(&text, &identity);
            assert_eq!(opened(&file, &identity), Ok(text), "{length}");
        }
    }

    #[test]
    fn what_was_cut_off_lengthened_swapped_or_is_of_others_is_refused() {
        let identity = Identity::generate().unwrap();
        let text: Vec<u8> = (0..2 * CHUNK + 10).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let file = sealed(&text, &identity);
        let head = file.len() - text.len() - 3 * TAG;
        // At every border, and within each part.
        for length in [head, head + 5, head + CHUNK + TAG, head + 2 * (CHUNK + TAG), file.len() - 1] {
            assert_eq!(opened(&file[..length], &identity), Err(NotOpened::Damaged), "cut to {length}");
        }
        assert_eq!(opened(&[&file[..], b"x"].concat(), &identity), Err(NotOpened::Damaged));
        let (first, rest) = file[head..].split_at(CHUNK + TAG);
        let (second, third) = rest.split_at(CHUNK + TAG);
        for order in [
            vec![second, first, third],
            vec![first, third],
            vec![first, second],
            vec![first, first, second, third],
        ] {
            let other = [&file[..head], &order.concat()].concat();
            assert_eq!(opened(&other, &identity), Err(NotOpened::Damaged));
        }
        assert_eq!(opened(&file, &Identity::generate().unwrap()), Err(NotOpened::OtherKey));
        for other in [&b""[..], b"PGDMP", b"age-encryption.org/v2\n", b"age-encryption.org/v1\n-> X25519"] {
            assert_eq!(opened(other, &identity), Err(NotOpened::Foreign));
        }
    }

    /// Made by age 1.1.1: `age --passphrase`.
    const UNDER_PASSPHRASE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IHNjcnlwdCA2aGNIMEhUalc0UE9FYlVZdTdTMHpnIDE4CmxhM0VNL2p4clUxdzgyUC9aMkJwV01qek9JdUl5WW41c05COFUrcmJNN1kKLS0tIDVZWit4Y0hqV09PZDJ4VzdaZE5oWGQ3cnhjS1FHNll5cHBIWUk0eHRmbVkKx+hST+tx3YElobTWDlhlpZKT5267WQxh4hL7lk8HNw/gXMchig==";

    fn decoded(text: &str) -> Vec<u8> {
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, text).unwrap()
    }

    fn opened_with(file: &[u8], passphrase: &str) -> Result<Vec<u8>, NotOpened> {
        let why = |error: io::Error| *error.get_ref().unwrap().downcast_ref::<NotOpened>().unwrap();
        let mut text = Vec::new();
        let mut opener = Opener::with_passphrase(file, &Secret::from(passphrase)).map_err(why)?;
        opener.read_to_end(&mut text).map_err(why)?;
        Ok(text)
    }

    #[test]
    fn a_file_of_age_under_a_passphrase_is_opened_by_that_one_alone() {
        let file = decoded(UNDER_PASSPHRASE);
        assert!(wants_passphrase(&file[..usize::try_from(TELLING).unwrap()]));
        assert_eq!(opened_with(&file, "correct horse battery").unwrap(), b"hello");
        assert_eq!(opened_with(&file, "correct horse batterY"), Err(NotOpened::OtherPassphrase));
        assert_eq!(opened(&file, &Identity::generate().unwrap()), Err(NotOpened::WantsPassphrase));
    }

    #[test]
    fn what_is_sealed_under_a_passphrase_comes_back() {
        let passphrase = Secret::from("correct horse battery");
        let mut sealer = Sealer::with_passphrase(Vec::new(), &passphrase).unwrap();
        sealer.write_all(b"canary").unwrap();
        let file = sealer.finish().unwrap();
        assert!(wants_passphrase(&file));
        assert_eq!(opened_with(&file, "correct horse battery").unwrap(), b"canary");
        assert_eq!(opened_with(&file[..file.len() - 1], "correct horse battery"), Err(NotOpened::Damaged));
    }

    #[test]
    fn a_passphrase_is_tried_on_nothing_else_and_not_at_any_cost() {
        let identity = Identity::generate().unwrap();
        let file = sealed(b"canary", &identity);
        assert!(!wants_passphrase(&file) && !wants_passphrase(b"PGDMP"));
        assert_eq!(opened_with(&file, "x"), Err(NotOpened::WantsKey));
        let under = decoded(UNDER_PASSPHRASE);
        let other = |from: &str, to: &str| {
            let found = under.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
            [&under[..found], to.as_bytes(), &under[found + from.len()..]].concat()
        };
        assert_eq!(opened_with(&other(" 18\n", " 30\n"), "x"), Err(NotOpened::TooMuchWork));
        assert_eq!(opened_with(&other(" 18\n", " x\n"), "x"), Err(NotOpened::Damaged));
        assert_eq!(opened_with(&other("6hcH0", "6hc"), "x"), Err(NotOpened::Damaged));
        // A second way in, beside the one with the passphrase.
        let two = other("--- ", "-> scrypt AAAAAAAAAAAAAAAAAAAAAA 1\nAAAA\n--- ");
        assert_eq!(opened_with(&two, "correct horse battery"), Err(NotOpened::Damaged));
    }

    proptest! {
        // Unoptimised, a key takes long to make.
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn no_byte_can_be_changed(index in any::<prop::sample::Index>(), bit in 0..8_u32) {
            let identity = Identity::generate().unwrap();
            let mut file = sealed(b"canary", &identity);
            let index = index.index(file.len());
            file[index] ^= 1 << bit;
            prop_assert!(opened(&file, &identity).is_err(), "byte {}", index);
        }

        #[test]
        fn strangers_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let file = [b"age-encryption.org/v1\n".as_slice(), &bytes].concat();
            prop_assert!(opened(&file, &Identity::generate().unwrap()).is_err());
        }
    }

    /// Made by age 1.1.1: `age -r RECIPIENT`.
    #[test]
    fn a_file_of_age_itself_is_opened() {
        const KEY: &str = "AGE-SECRET-KEY-1TCLQJDRM4U4TQPGW8AC75S52LHSG5UHFM3ZYL9V5NZZ4NNH7DD8S9MMD0S";
        const FILE: &str = "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBWOTF5WHk1eTVOWW9UVnZ2TzRPbEVhNC93V3AxdCtxNjlYa2dJWERXMFhnCmYrWmtKcVhIMFM0QVJpY2dINzl0cCsxR0Fxc1BmRW4wc28zL3MzVjVBdDAKLS0tIG1TRVRwdk1rQk02akpkSzVrd2ZISWRUOWZiVytrSEZzTDBRZlRLUmtHb1UKiMa0u1RV9dHAgJB7ru6sEkRKJvdp4LSBHPEJTPbgBYZVvpXGuQ==";
        let file = decoded(FILE);
        let identity = Identity::parse(KEY).unwrap();
        assert_eq!(
            identity.recipient().to_string(),
            "age1r6z2szruzdsz274fx7n7jw6aqxjyhz0d7x6tz6kktcggsts6737qxz4dr7"
        );
        let recipient = identity.recipient();
        assert_eq!(Recipient::parse(&format!(" {recipient}\n")), Some(recipient));
        assert!([KEY, "age1", "nobody"].iter().all(|text| Recipient::parse(text).is_none()));
        assert_eq!(identity.reveal(), Secret::from(KEY));
        assert_eq!(opened(&file, &identity).unwrap(), b"hello");
        assert!(Identity::parse(&KEY.replace('Q', "P")).is_none());
        assert!(Identity::parse("AGE-SECRET-KEY-1").is_none());
        assert_eq!(format!("{identity:?}"), "***");
    }
}
