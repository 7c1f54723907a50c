//! The head of a file: for whom its key is wrapped, and a code over all of that.

use std::io::{self, BufRead, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

use super::NotOpened;

pub(super) const VERSION: &str = "age-encryption.org/v1\n";
const MAC: &[u8] = b"header";
const FILE_KEY: usize = 16;
/// The longest head that is read, in bytes: one of ours is some 200, one for a dozen people 2,000.
const HEAD_MAX: u64 = 16 << 10;

/// What all keys of a file are made from.
pub(super) type FileKey = Zeroizing<[u8; FILE_KEY]>;

/// The key of a file, wrapped for somebody.
pub(super) struct Stanza {
    /// How, in words.
    pub(super) arguments: String,
    pub(super) body: Vec<u8>,
}

/// What the chunks of a file are sealed by.
pub(super) struct Opened {
    pub(super) file_key: FileKey,
    pub(super) nonce: [u8; 16],
}

/// A new file.
pub(super) struct Begun {
    /// Its first bytes.
    pub(super) head: Vec<u8>,
    pub(super) file_key: FileKey,
    pub(super) nonce: [u8; 16],
}

/// Makes the key of a file and its head.
pub(super) fn begin(wrap: impl FnOnce(&FileKey) -> io::Result<Stanza>) -> io::Result<Begun> {
    let (mut file_key, mut nonce) = (Zeroizing::new([0; FILE_KEY]), [0; 16]);
    random(file_key.as_mut_slice())?;
    random(&mut nonce)?;
    let Stanza { arguments, body } = wrap(&file_key)?;
    let mut head = format!("{VERSION}-> {arguments}\n{}\n---", STANDARD_NO_PAD.encode(body));
    let tag = hmac::sign(&mac_key(&file_key)?, head.as_bytes());
    head.push(' ');
    head.push_str(&STANDARD_NO_PAD.encode(tag));
    head.push('\n');
    let mut head = head.into_bytes();
    head.extend(nonce);
    Ok(Begun { head, file_key, nonce })
}

/// Reads a head and finds the key of the file: `unwrap` is given how it was wrapped, and what came of it.
pub(super) fn open(
    from: &mut impl BufRead,
    mut unwrap: impl FnMut(&str, &str) -> io::Result<Option<FileKey>>,
) -> io::Result<Opened> {
    let mut limited = from.take(HEAD_MAX);
    let mut head = String::new();
    let mut line = |head: &mut String| -> io::Result<usize> {
        let start = head.len();
        let read = limited
            .read_line(head)
            .map_err(|error| instead(error, io::ErrorKind::InvalidData, NotOpened::Foreign))?;
        if read == 0 || !head.ends_with('\n') { Err(NotOpened::Foreign.into()) } else { Ok(start) }
    };
    line(&mut head)?;
    if head != VERSION {
        return Err(NotOpened::Foreign.into());
    }
    let (mut found, mut arguments) = (None, None);
    let (signed, tag) = loop {
        let start = line(&mut head)?;
        let text = head.get(start..).unwrap_or_default().trim_end_matches('\n');
        if let Some(tag) = text.strip_prefix("--- ") {
            break (start + 3, tag.to_owned());
        }
        if let Some(how) = text.strip_prefix("-> ") {
            arguments = Some(how.to_owned());
        } else if let Some(how) = arguments.take() {
            found = found.or(unwrap(&how, text)?);
        }
    };
    let mut nonce = [0; 16];
    let file_key: FileKey = found.ok_or(NotOpened::OtherKey)?;
    let tag = STANDARD_NO_PAD.decode(tag).map_err(|_| NotOpened::Damaged)?;
    let signed = head.get(..signed).unwrap_or_default();
    hmac::verify(&mac_key(&file_key)?, signed.as_bytes(), &tag).map_err(|_| NotOpened::Damaged)?;
    from.read_exact(&mut nonce)
        .map_err(|error| instead(error, io::ErrorKind::UnexpectedEof, NotOpened::Damaged))?;
    Ok(Opened { file_key, nonce })
}

/// Seals the key of a file under one that is used for nothing else.
pub(super) fn seal(key: &LessSafeKey, file_key: &FileKey) -> io::Result<Vec<u8>> {
    let mut wrapped = file_key.to_vec();
    key.seal_in_place_append_tag(once(), Aad::empty(), &mut wrapped).map_err(|_| failed())?;
    Ok(wrapped)
}

/// The key of a file as it was sealed under this key.
pub(super) fn unseal(key: &LessSafeKey, body: &str) -> Option<FileKey> {
    let mut body = Zeroizing::new(STANDARD_NO_PAD.decode(body).ok()?);
    if body.len() != FILE_KEY + super::TAG {
        return None;
    }
    let opened = key.open_in_place(once(), Aad::empty(), &mut body).ok()?;
    <[u8; FILE_KEY]>::try_from(&*opened).ok().map(Zeroizing::new)
}

fn once() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

/// Fills with bytes that nobody can guess.
pub(super) fn random(bytes: &mut [u8]) -> io::Result<()> {
    getrandom::fill(bytes).map_err(io::Error::other)
}

/// A key for a purpose, made from another one.
pub(super) fn derive<L: hkdf::KeyType>(
    secret: &[u8],
    salt: &[u8],
    purpose: &[u8],
    length: L,
) -> io::Result<UnboundKey>
where
    UnboundKey: for<'a> From<hkdf::Okm<'a, L>>,
{
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, salt).extract(secret);
    Ok(UnboundKey::from(key.expand(&[purpose], length).map_err(|_| failed())?))
}

fn mac_key(file_key: &FileKey) -> io::Result<hmac::Key> {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(file_key.as_slice());
    Ok(hmac::Key::from(key.expand(&[MAC], hmac::HMAC_SHA256).map_err(|_| failed())?))
}

/// An error of one kind says what it means here.
pub(in super::super) fn instead(error: io::Error, kind: io::ErrorKind, means: NotOpened) -> io::Error {
    if error.kind() == kind { means.into() } else { error }
}

pub(super) fn failed() -> io::Error {
    io::Error::other("no key could be made")
}
