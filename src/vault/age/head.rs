//! The head of a file: for whom its key is sealed, and a code over all of that.

use std::io::{self, BufRead, Read};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::{hkdf, hmac};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use super::NotOpened;

const VERSION: &str = "age-encryption.org/v1\n";
const KIND: &str = "X25519";
const WRAP: &[u8] = b"age-encryption.org/v1/X25519";
const MAC: &[u8] = b"header";
const FILE_KEY: usize = 16;
/// The longest head that is read, in bytes: one of ours is some 200, one for a dozen people 2,000.
const HEAD_MAX: u64 = 16 << 10;

/// What the chunks of a file are sealed by.
pub(super) struct Opened {
    pub(super) file_key: Zeroizing<[u8; FILE_KEY]>,
    pub(super) nonce: [u8; 16],
}

/// A new file.
pub(super) struct Begun {
    /// Its first bytes.
    pub(super) head: Vec<u8>,
    pub(super) file_key: Zeroizing<[u8; FILE_KEY]>,
    pub(super) nonce: [u8; 16],
}

/// Makes the key of a file and its head.
pub(super) fn begin(recipient: &PublicKey) -> io::Result<Begun> {
    let random = |bytes: &mut [u8]| getrandom::fill(bytes).map_err(io::Error::other);
    let (mut file_key, mut nonce) = (Zeroizing::new([0; FILE_KEY]), [0; 16]);
    random(file_key.as_mut_slice())?;
    random(&mut nonce)?;
    let mut share = Zeroizing::new([0; 32]);
    random(share.as_mut_slice())?;
    let share = StaticSecret::from(*share);
    let public = PublicKey::from(&share);
    let key = wrapping(&share.diffie_hellman(recipient), &public, recipient)?;
    let mut wrapped = file_key.to_vec();
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key([0; NONCE_LEN]), Aad::empty(), &mut wrapped)
        .map_err(|_| failed())?;
    let (share, body) = (STANDARD_NO_PAD.encode(public.as_bytes()), STANDARD_NO_PAD.encode(&wrapped));
    let mut head = format!("{VERSION}-> {KIND} {share}\n{body}\n---");
    let tag = hmac::sign(&mac_key(&file_key)?, head.as_bytes());
    head.push(' ');
    head.push_str(&STANDARD_NO_PAD.encode(tag));
    head.push('\n');
    let mut head = head.into_bytes();
    head.extend(nonce);
    Ok(Begun { head, file_key, nonce })
}

/// Reads a head and finds the key of the file with that of a person.
pub(super) fn open(from: &mut impl BufRead, identity: &StaticSecret) -> io::Result<Opened> {
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
    let mut found = None;
    let mut share = None;
    let tag = loop {
        let start = line(&mut head)?;
        let text = head.get(start..).unwrap_or_default().trim_end_matches('\n');
        if let Some(tag) = text.strip_prefix("--- ") {
            break Some((start + 3, tag.to_owned()));
        }
        if let Some(arguments) = text.strip_prefix("-> ") {
            share = arguments.strip_prefix(KIND).and_then(|rest| public(rest.strip_prefix(' ')?));
        } else if let Some(public) = share.take() {
            found = found.or(unwrap(&public, text, identity)?);
        }
    };
    let mut nonce = [0; 16];
    let file_key: Zeroizing<[u8; FILE_KEY]> = found.ok_or(NotOpened::OtherKey)?;
    let (signed, tag) = tag.ok_or(NotOpened::Foreign)?;
    let tag = STANDARD_NO_PAD.decode(tag).map_err(|_| NotOpened::Damaged)?;
    let signed = head.get(..signed).unwrap_or_default();
    hmac::verify(&mac_key(&file_key)?, signed.as_bytes(), &tag).map_err(|_| NotOpened::Damaged)?;
    from.read_exact(&mut nonce)
        .map_err(|error| instead(error, io::ErrorKind::UnexpectedEof, NotOpened::Damaged))?;
    Ok(Opened { file_key, nonce })
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

fn mac_key(file_key: &[u8; FILE_KEY]) -> io::Result<hmac::Key> {
    let key = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(file_key);
    Ok(hmac::Key::from(key.expand(&[MAC], hmac::HMAC_SHA256).map_err(|_| failed())?))
}

fn wrapping(shared: &SharedSecret, share: &PublicKey, recipient: &PublicKey) -> io::Result<LessSafeKey> {
    let salt = [share.as_bytes().as_slice(), recipient.as_bytes()].concat();
    derive(shared.as_bytes(), &salt, WRAP, &CHACHA20_POLY1305).map(LessSafeKey::new)
}

/// The key of the file, if it was sealed for this one.
fn unwrap(
    share: &PublicKey,
    body: &str,
    identity: &StaticSecret,
) -> io::Result<Option<Zeroizing<[u8; FILE_KEY]>>> {
    let shared = identity.diffie_hellman(share);
    let Some(mut body) = STANDARD_NO_PAD.decode(body).ok().map(Zeroizing::new) else { return Ok(None) };
    if body.len() != FILE_KEY + super::TAG || !shared.was_contributory() {
        return Ok(None);
    }
    let key = wrapping(&shared, share, &PublicKey::from(identity))?;
    let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
    let Ok(opened) = key.open_in_place(nonce, Aad::empty(), &mut body) else { return Ok(None) };
    Ok(<[u8; FILE_KEY]>::try_from(&*opened).ok().map(Zeroizing::new))
}

fn public(text: &str) -> Option<PublicKey> {
    let bytes: [u8; 32] = STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(PublicKey::from(bytes))
}

/// An error of one kind says what it means here.
pub(in super::super) fn instead(error: io::Error, kind: io::ErrorKind, means: NotOpened) -> io::Error {
    if error.kind() == kind { means.into() } else { error }
}

fn failed() -> io::Error {
    io::Error::other("no key could be made")
}
