//! Keys of SSH: those by which rivetr is let in to repositories, and those by which it knows their servers again.
//!
//! Made from bytes that the caller took from the system, or parsed from what a person hands in. Where they are kept
//! is not decided here.

use std::fmt;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use sha2::{Digest as _, Sha256};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{Algorithm, LineEnding};
use thiserror::Error;

use super::name::{HostName, InvalidName, Slug};
use super::person::TeamId;
use super::secret::Secret;
use super::time::Timestamp;

/// The port of SSH.
const SSH_PORT: u16 = 22;

/// A key by which rivetr is let in; its private half is kept apart, sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Its name.
    pub name: Slug,
    /// The team it belongs to, whose apps may be fetched with it.
    pub team: TeamId,
    /// The half that is given to servers.
    pub public: PublicKey,
    /// When it came here.
    pub created: Timestamp,
}

/// The public half of a key, as it stands in `authorized_keys`, without a comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: String,
    data: String,
}

impl PublicKey {
    /// Takes a kind and base64 (sshd(8), "`AUTHORIZED_KEYS` FILE FORMAT"); what follows them is left out.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut words = text.split_ascii_whitespace();
        let (kind, data) = (words.next()?, words.next()?);
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '@' | '.');
        let known = !kind.is_empty() && !kind.starts_with('-') && kind.chars().all(plain);
        // The kind stands in the data too, after its length; so a key cannot be passed off as another kind.
        let decoded = BASE64_STANDARD.decode(data).ok()?;
        let named = decoded.get(4..)?.starts_with(kind.as_bytes());
        (known && named).then(|| Self { kind: kind.to_owned(), data: data.to_owned() })
    }

    /// `ssh-ed25519` and so on.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The digest by which people compare keys, as `ssh-keygen -l` shows it.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let data = BASE64_STANDARD.decode(&self.data).unwrap_or_default();
        format!("SHA256:{}", BASE64_STANDARD_NO_PAD.encode(Sha256::digest(data)))
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.data)
    }
}

/// Why a private key cannot be taken. The key itself is never shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadKey {
    /// It is something else, or of an old form.
    #[error(
        "this is no private key of OpenSSH: hand in the file that begins with -----BEGIN OPENSSH PRIVATE KEY-----; \
         `ssh-keygen -p -N '' -f FILE` turns an older one into it"
    )]
    NoKey,
    /// It is the half that is not secret.
    #[error("this is the public half: hand in the private one, which lies in the file without .pub")]
    Public,
    /// A person would have to type something.
    #[error(
        "this key has a passphrase, and nobody is there to type it: take it off a copy with \
         `ssh-keygen -p -N '' -f COPY`, or let rivetr make a key of its own"
    )]
    Passphrase,
    /// Not of a kind that rivetr uses.
    #[error("keys of this kind are not used: take ed25519 or RSA, or let rivetr make a key of its own")]
    Kind,
}

/// A private key in the one form that `ssh` reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrivateKey {
    /// The key in OpenSSH's form.
    pub secret: Secret,
    /// Its other half.
    pub public: PublicKey,
}

impl PrivateKey {
    /// What the key of a name is sealed for.
    #[must_use]
    pub fn place(name: &Slug) -> String {
        format!("key/{name}")
    }

    /// The ed25519 key that follows from 32 random bytes.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, BadKey> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| BadKey::NoKey)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| BadKey::NoKey)?;
        let pair =
            Ed25519Keypair { public: Ed25519PublicKey(public), private: Ed25519PrivateKey::from_bytes(seed) };
        let key = ssh_key::PrivateKey::new(KeypairData::Ed25519(pair), "").map_err(|_| BadKey::NoKey)?;
        Self::of(&key)
    }

    /// Takes a private key as `ssh-keygen` writes it, without a passphrase.
    pub fn parse(text: &str) -> Result<Self, BadKey> {
        if PublicKey::parse(text).is_some() {
            return Err(BadKey::Public);
        }
        let unknown = |error: &ssh_key::Error| {
            matches!(error, ssh_key::Error::AlgorithmUnknown | ssh_key::Error::AlgorithmUnsupported { .. })
        };
        let key = ssh_key::PrivateKey::from_openssh(text.trim());
        let key = key.map_err(|error| if unknown(&error) { BadKey::Kind } else { BadKey::NoKey })?;
        if key.is_encrypted() {
            return Err(BadKey::Passphrase);
        }
        if !matches!(key.algorithm(), Algorithm::Ed25519 | Algorithm::Rsa { .. }) {
            return Err(BadKey::Kind);
        }
        Self::of(&key)
    }

    /// Without the comment, which often names a person.
    fn of(key: &ssh_key::PrivateKey) -> Result<Self, BadKey> {
        let mut key = key.clone();
        key.set_comment("");
        let text = key.to_openssh(LineEnding::LF).map_err(|_| BadKey::NoKey)?;
        let public = key.public_key().to_openssh().ok().and_then(|text| PublicKey::parse(&text));
        Ok(Self { secret: Secret::new(text.as_bytes().to_vec()), public: public.ok_or(BadKey::NoKey)? })
    }
}

/// A host and the port at which it is asked over SSH.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SshHost {
    host: String,
    port: u16,
}

impl SshHost {
    /// Takes `host`, `host:port`, `[v6 address]` or `[v6 address]:port`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = || {
            InvalidName::new(
                "host",
                text,
                "use a host name or an address, and a port after a colon if need be",
            )
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or_else(refuse)?,
            None => text.split_at(text.find(':').unwrap_or(text.len())),
        };
        let port = match port.strip_prefix(':') {
            Some(port) if port.chars().all(|c| c.is_ascii_digit()) => port.parse().map_err(|_| refuse())?,
            None if port.is_empty() => SSH_PORT,
            Some(_) | None => return Err(refuse()),
        };
        let host = match text.strip_prefix('[') {
            Some(_) => host.parse::<std::net::Ipv6Addr>().map_err(|_| refuse())?.to_string(),
            None => HostName::parse(host).map_err(|_| refuse())?.as_str().to_owned(),
        };
        if port == 0 { Err(refuse()) } else { Ok(Self { host, port }) }
    }

    /// As `known_hosts` names it (sshd(8), "`SSH_KNOWN_HOSTS` FILE FORMAT").
    #[must_use]
    pub fn in_known_hosts(&self) -> String {
        if self.port == SSH_PORT { self.host.clone() } else { format!("[{}]:{}", self.host, self.port) }
    }
}

impl fmt::Display for SshHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

/// A key by which a server is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostKey {
    /// The server.
    pub host: SshHost,
    /// The key that it showed.
    pub key: PublicKey,
}

/// A key of a server, and since when it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownHost {
    /// The server and its key.
    pub key: HostKey,
    /// When it was first seen.
    pub seen: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_and_read_again() {
        let made = PrivateKey::from_seed(&[7; 32]).unwrap();
        assert_eq!(made.public.kind(), "ssh-ed25519");
        let text = std::str::from_utf8(made.secret.reveal()).unwrap();
        assert!(text.starts_with("-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert_eq!(PrivateKey::parse(text).unwrap(), made);
        assert_ne!(PrivateKey::from_seed(&[8; 32]).unwrap().public, made.public);
        assert_eq!(PublicKey::parse(&format!("{} me@here", made.public)), Some(made.public.clone()));
        assert_eq!(PrivateKey::parse(&made.public.to_string()), Err(BadKey::Public));
        assert!(!format!("{made:?}").contains("BEGIN"));
    }

    #[test]
    fn what_is_no_key_is_refused_with_what_to_do() {
        for (text, why) in [
            ("", BadKey::NoKey),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n", BadKey::NoKey),
            ("-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n", BadKey::NoKey),
            (WITH_PASSPHRASE, BadKey::Passphrase),
        ] {
            assert_eq!(PrivateKey::parse(text).unwrap_err(), why, "{text}");
        }
    }

    #[test]
    fn a_fingerprint_is_that_of_ssh_keygen() {
        let key = PublicKey::parse(PUBLIC).unwrap();
        assert_eq!(key.fingerprint(), FINGERPRINT);
        for bad in ["", "ssh-ed25519", "ssh-ed25519 !", "ssh-rsa AAAAC3NzaC1lZDI1NTE5", "-x AAAAAnh4"] {
            assert_eq!(PublicKey::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn hosts() {
        for (text, shown, in_file) in [
            ("git.example.org", "git.example.org:22", "git.example.org"),
            ("Git.example.org:22", "git.example.org:22", "git.example.org"),
            ("10.0.0.1:2222", "10.0.0.1:2222", "[10.0.0.1]:2222"),
            ("[::1]", "[::1]:22", "::1"),
            ("[::1]:2222", "[::1]:2222", "[::1]:2222"),
        ] {
            let host = SshHost::parse(text).unwrap();
            assert_eq!((host.to_string().as_str(), host.in_known_hosts().as_str()), (shown, in_file));
        }
        for bad in [
            "", ":22", "a:", "a:0", "a:x", "a:+1", "a:70000", "-oX", "a b", "*", "[a]", "[::1", "::1", "a\nb",
        ] {
            assert!(SshHost::parse(bad).is_err(), "{bad:?}");
        }
    }

    /// Made by ssh-keygen with the passphrase "secret".
    const WITH_PASSPHRASE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
        b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABA9Iyq5QL\n\
        bDeTDxUd41z6I0AAAAEAAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIE8orw61wNWAKgUk\n\
        B+bd1jM2gWs6/AzbOMEkKqtGFBnjAAAAkGvfnAxEZ7nl7j5XiBn64PdWLCJe7q+wIgyDDm\n\
        Q+KWFmk0UkSjua7i4B088SBxv8pgkFh9ffxqO0V3qM9rFqZbYyk06aX9VMi3UcpNk7zojK\n\
        5hRbKLEgikF4KIouSq++3ZAW+ZmSK3hOYhtGogIQg/feeHFz3TEI+d4hLpfdBF0NT2KucP\n\
        D1Dqlst3R4L/EYDQ==\n\
        -----END OPENSSH PRIVATE KEY-----\n";
    const PUBLIC: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII81E/JhFLJtNGt/T8wfwec4L+dhO6VGK43Ip1UTGRvx";
    const FINGERPRINT: &str = "SHA256:B44Edj3hznuEi0iAdQG/nkVVHN193evPCLtJR0+DUJo";
}
