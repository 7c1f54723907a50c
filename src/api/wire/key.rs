//! Keys of SSH and known servers, as JSON.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, Hidden, time};
use crate::domain::key::{self, PrivateKey};
use crate::domain::name::Slug;

/// The longest private key that is taken, in bytes: one of RSA with 16384 bits has 12,000.
const PRIVATE_MAX: usize = 32 * 1024;

/// A new key: made here, or handed in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// A private key of OpenSSH without a passphrase; without it, rivetr makes an ed25519 key. Never shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub private: Option<Hidden>,
    /// The team it is for; not needed where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// A key by which repositories are opened over SSH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Key {
    /// Its name.
    pub name: String,
    /// Its kind: `ssh-ed25519` and so on.
    pub kind: String,
    /// The half that is given to servers, as one line.
    pub public: String,
    /// The digest by which people compare keys.
    pub fingerprint: String,
    /// When it came here (RFC 3339, UTC).
    pub created: String,
    /// The apps that are fetched with it; only where one key is shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<String>,
}

/// A key by which a server is known again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KnownHost {
    /// The server and its port.
    pub host: String,
    /// The kind of the key.
    pub kind: String,
    /// The digest by which people compare keys.
    pub fingerprint: String,
    /// When it was first seen (RFC 3339, UTC).
    pub seen: String,
}

impl CreateKey {
    /// The name, and the key that was handed in, or what is wrong with each field.
    pub fn parse(self) -> Result<(Slug, Option<PrivateKey>), FieldErrors> {
        let Self { name, private, team: _ } = self;
        let mut errors = FieldErrors::default();
        let name = errors.take("name", Slug::parse(&name));
        let private = private.and_then(|Hidden(text)| {
            if text.len() > PRIVATE_MAX {
                errors.put("private", "this is too long for a key: at most 32 KiB are taken");
                return None;
            }
            errors.take("private", PrivateKey::parse(&text))
        });
        name.filter(|_| errors.0.is_empty()).map(|name| (name, private)).ok_or(errors)
    }
}

impl Key {
    /// A key as it is shown, with the apps that use it.
    #[must_use]
    pub fn of(key: &key::Key, apps: &[Slug]) -> Self {
        let key::Key { name, team: _, public, created } = key;
        Self {
            name: name.to_string(),
            kind: public.kind().to_owned(),
            public: format!("{public} rivetr-{name}"),
            fingerprint: public.fingerprint(),
            created: time(*created),
            apps: apps.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&key::KnownHost> for KnownHost {
    fn from(known: &key::KnownHost) -> Self {
        let key::KnownHost { key: key::HostKey { host, key }, seen } = known;
        Self {
            host: host.to_string(),
            kind: key.kind().to_owned(),
            fingerprint: key.fingerprint(),
            seen: time(*seen),
        }
    }
}
