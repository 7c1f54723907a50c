//! The key of a file, for whoever has a key of the kind X25519.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{CHACHA20_POLY1305, LessSafeKey};
use x25519_dalek::{PublicKey, SharedSecret, StaticSecret};
use zeroize::Zeroizing;

use super::NotOpened;
use super::head::{self, FileKey, Stanza};
use super::scrypt;

const KIND: &str = "X25519 ";
const LABEL: &[u8] = b"age-encryption.org/v1/X25519";

/// Wraps the key for somebody.
pub(super) fn wrap(recipient: &PublicKey, file_key: &FileKey) -> io::Result<Stanza> {
    let mut share = Zeroizing::new([0; 32]);
    head::random(share.as_mut_slice())?;
    let share = StaticSecret::from(*share);
    let public = PublicKey::from(&share);
    let key = wrapping(&share.diffie_hellman(recipient), &public, recipient)?;
    let arguments = format!("{KIND}{}", STANDARD_NO_PAD.encode(public.as_bytes()));
    Ok(Stanza { arguments, body: head::seal(&key, file_key)? })
}

/// The key of the file, if it was wrapped for this person.
pub(super) fn unwrap(identity: &StaticSecret, arguments: &str, body: &str) -> io::Result<Option<FileKey>> {
    if arguments.starts_with(scrypt::KIND) {
        return Err(NotOpened::WantsPassphrase.into());
    }
    let Some(share) = arguments.strip_prefix(KIND).and_then(public) else { return Ok(None) };
    let shared = identity.diffie_hellman(&share);
    if !shared.was_contributory() {
        return Ok(None);
    }
    let key = wrapping(&shared, &share, &PublicKey::from(identity))?;
    Ok(head::unseal(&key, body))
}

fn wrapping(shared: &SharedSecret, share: &PublicKey, recipient: &PublicKey) -> io::Result<LessSafeKey> {
    let salt = [share.as_bytes().as_slice(), recipient.as_bytes()].concat();
    head::derive(shared.as_bytes(), &salt, LABEL, &CHACHA20_POLY1305).map(LessSafeKey::new)
}

fn public(text: &str) -> Option<PublicKey> {
    let bytes: [u8; 32] = STANDARD_NO_PAD.decode(text).ok()?.try_into().ok()?;
    Some(PublicKey::from(bytes))
}
