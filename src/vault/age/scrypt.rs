//! The key of a file, for whoever knows a passphrase.

use std::io;

use ::scrypt::Params;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{CHACHA20_POLY1305, LessSafeKey, UnboundKey};
use zeroize::Zeroizing;

use super::NotOpened;
use super::head::{self, FileKey, Stanza};
use crate::domain::secret::Secret;

pub(super) const KIND: &str = "scrypt ";
const LABEL: &[u8] = b"age-encryption.org/v1/scrypt";
const SALT: usize = 16;
/// How much one try costs, as a power of two in KiB: 256 MiB and about a second, as `age` has it.
const WORK: u8 = 18;
/// The most that a file may ask for: 1 GiB.
const WORK_MAX: u8 = 20;

/// Wraps the key under a passphrase.
pub(super) fn wrap(passphrase: &Secret, file_key: &FileKey) -> io::Result<Stanza> {
    let mut salt = [0; SALT];
    head::random(&mut salt)?;
    let key = wrapping(passphrase, &salt, WORK)?;
    let arguments = format!("{KIND}{} {WORK}", STANDARD_NO_PAD.encode(salt));
    Ok(Stanza { arguments, body: head::seal(&key, file_key)? })
}

/// The key of the file; there are no other ways to open one that has a passphrase.
pub(super) fn unwrap(passphrase: &Secret, arguments: &str, body: &str) -> io::Result<FileKey> {
    let arguments = arguments.strip_prefix(KIND).ok_or(NotOpened::WantsKey)?;
    let (salt, work) = arguments.split_once(' ').ok_or(NotOpened::Damaged)?;
    let salt: Option<[u8; SALT]> = STANDARD_NO_PAD.decode(salt).ok().and_then(|salt| salt.try_into().ok());
    let salt = salt.ok_or(NotOpened::Damaged)?;
    let work: u8 = work.parse().map_err(|_| NotOpened::Damaged)?;
    if work > WORK_MAX {
        return Err(NotOpened::TooMuchWork.into());
    }
    let opened = head::unseal(&wrapping(passphrase, &salt, work)?, body);
    Ok(opened.ok_or(NotOpened::OtherPassphrase)?)
}

fn wrapping(passphrase: &Secret, salt: &[u8; SALT], work: u8) -> io::Result<LessSafeKey> {
    let cost = Params::new(work, 8, 1).map_err(|_| NotOpened::Damaged)?;
    let mut key = Zeroizing::new([0; 32]);
    ::scrypt::scrypt(passphrase.reveal(), &[LABEL, salt].concat(), &cost, key.as_mut_slice())
        .map_err(io::Error::other)?;
    let key = UnboundKey::new(&CHACHA20_POLY1305, key.as_slice());
    key.map(LessSafeKey::new).map_err(|_| head::failed())
}
