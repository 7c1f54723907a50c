//! An app's settings as the JSON that stands in a column. Newer fields must have a default:
//! the rows of old deployments are never rewritten.

use std::num::NonZeroU16;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::domain::app::{HealthCheck, HealthPath, Settings};
use crate::domain::mount::{MountPath, MountedFile};
use crate::domain::name::EnvKey;
use crate::domain::secret::Sealed;
use crate::domain::variable::{Usage, Variable};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    port: NonZeroU16,
    variables: Vec<StoredVariable>,
    #[serde(default)]
    files: Vec<StoredFile>,
    health: StoredHealth,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredVariable {
    key: String,
    value: String,
    secret: bool,
    usage: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredFile {
    path: String,
    content: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHealth {
    path: Option<String>,
    timeout_ms: u64,
}

/// Settings as JSON.
pub(super) fn to_json(settings: &Settings) -> Result<String, StoreError> {
    let Settings { port, variables, files, health: HealthCheck { path, timeout } } = settings;
    let stored = Stored {
        port: *port,
        variables: variables.iter().map(stored_variable).collect(),
        files: files.iter().map(stored_file).collect(),
        health: StoredHealth {
            path: path.as_ref().map(|path| path.as_str().to_owned()),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        },
    };
    serde_json::to_string(&stored).map_err(|_| StoreError::Malformed("settings"))
}

fn stored_variable(Variable { key, value, secret, usage }: &Variable) -> StoredVariable {
    StoredVariable {
        key: key.as_str().to_owned(),
        value: BASE64.encode(&value.0),
        secret: *secret,
        usage: usage.as_str().to_owned(),
    }
}

fn stored_file(MountedFile { path, content }: &MountedFile) -> StoredFile {
    StoredFile { path: path.to_string(), content: BASE64.encode(&content.0) }
}

/// Settings from JSON; the error names no value, for values may be secret.
pub(super) fn from_json(text: &str) -> Result<Settings, StoreError> {
    read(text).ok_or(StoreError::Malformed("settings"))
}

fn read(text: &str) -> Option<Settings> {
    let Stored { port, variables, files, health: StoredHealth { path, timeout_ms } } =
        serde_json::from_str(text).ok()?;
    let path = match path {
        Some(path) => Some(HealthPath::parse(&path).ok()?),
        None => None,
    };
    Some(Settings {
        port,
        variables: variables.into_iter().map(variable).collect::<Option<_>>()?,
        files: files.into_iter().map(file).collect::<Option<_>>()?,
        health: HealthCheck { path, timeout: Duration::from_millis(timeout_ms) },
    })
}

fn variable(StoredVariable { key, value, secret, usage }: StoredVariable) -> Option<Variable> {
    let (key, usage) = (EnvKey::parse(&key).ok()?, Usage::parse(&usage)?);
    Some(Variable { key, value: Sealed(BASE64.decode(value).ok()?), secret, usage })
}

fn file(StoredFile { path, content }: StoredFile) -> Option<MountedFile> {
    let path = MountPath::parse(&path).ok()?;
    Some(MountedFile { path, content: Sealed(BASE64.decode(content).ok()?) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(port: u16, value: &[u8], path: Option<&str>, timeout: u64) -> Settings {
        let variable = |usage| Variable {
            key: EnvKey::parse("KEY").unwrap(),
            value: Sealed(value.to_vec()),
            secret: usage == Usage::Build,
            usage,
        };
        let file = MountedFile { path: MountPath::parse("/etc/x").unwrap(), content: Sealed(value.to_vec()) };
        Settings {
            variables: Usage::ALL.map(variable).to_vec(),
            files: vec![file],
            health: HealthCheck {
                path: path.map(|path| HealthPath::parse(path).unwrap()),
                timeout: Duration::from_millis(timeout),
            },
            ..Settings::new(NonZeroU16::new(port).unwrap())
        }
    }

    proptest! {
        #[test]
        fn what_was_stored_is_read(port in 1u16.., value in proptest::collection::vec(any::<u8>(), 0..99), timeout in 0u64..1 << 40) {
            for path in [None, Some("/up?x=%20")] {
                let before = settings(port, &value, path, timeout);
                prop_assert_eq!(from_json(&to_json(&before).unwrap()).unwrap(), before);
            }
        }
    }

    #[test]
    fn what_rivetr_never_writes_is_refused() {
        let good = to_json(&settings(80, b"v", Some("/"), 1)).unwrap();
        for bad in [
            "",
            "{}",
            &good.replace(":80", ":0"),
            &good.replace("KEY", "K-Y"),
            &good.replace("both", "never"),
            &good.replace("/etc/x", "etc/x"),
            &good.replace("\"value\":\"", "\"value\":\"*"),
            &good.replace("\"/\"", "\"up\""),
            &good.replacen('{', "{\"extra\":1,", 1),
        ] {
            assert!(matches!(from_json(bad), Err(StoreError::Malformed("settings"))), "{bad}");
        }
    }
}
