//! An app's settings as the JSON that stands in a column. Newer fields must have a default:
//! the rows of old deployments are never rewritten.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::domain::app::{EnvValue, HealthCheck, HealthPath, Settings, Variable};
use crate::domain::name::EnvKey;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    port: NonZeroU16,
    variables: Vec<StoredVariable>,
    health: StoredHealth,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredVariable {
    key: String,
    value: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredHealth {
    path: Option<String>,
    timeout_ms: u64,
}

/// Settings as JSON.
pub(super) fn to_json(settings: &Settings) -> Result<String, StoreError> {
    let Settings { port, variables, health: HealthCheck { path, timeout } } = settings;
    let stored = Stored {
        port: *port,
        variables: variables
            .iter()
            .map(|Variable { key, value }| StoredVariable {
                key: key.as_str().to_owned(),
                value: value.as_str().to_owned(),
            })
            .collect(),
        health: StoredHealth {
            path: path.as_ref().map(|path| path.as_str().to_owned()),
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        },
    };
    serde_json::to_string(&stored).map_err(|_| StoreError::Malformed("settings"))
}

/// Settings from JSON; the error names no value, for values may be secret.
pub(super) fn from_json(text: &str) -> Result<Settings, StoreError> {
    read(text).ok_or(StoreError::Malformed("settings"))
}

fn read(text: &str) -> Option<Settings> {
    let Stored { port, variables, health: StoredHealth { path, timeout_ms } } =
        serde_json::from_str(text).ok()?;
    let variable = |StoredVariable { key, value }| {
        Some(Variable { key: EnvKey::parse(&key).ok()?, value: EnvValue::parse(&value).ok()? })
    };
    let path = match path {
        Some(path) => Some(HealthPath::parse(&path).ok()?),
        None => None,
    };
    Some(Settings {
        port,
        variables: variables.into_iter().map(variable).collect::<Option<_>>()?,
        health: HealthCheck { path, timeout: Duration::from_millis(timeout_ms) },
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn settings(port: u16, value: &str, path: Option<&str>, timeout: u64) -> Settings {
        Settings {
            variables: vec![Variable {
                key: EnvKey::parse("KEY").unwrap(),
                value: EnvValue::parse(value).unwrap(),
            }],
            health: HealthCheck {
                path: path.map(|path| HealthPath::parse(path).unwrap()),
                timeout: Duration::from_millis(timeout),
            },
            ..Settings::new(NonZeroU16::new(port).unwrap())
        }
    }

    proptest! {
        #[test]
        fn what_was_stored_is_read(port in 1u16.., value in "[^\0]*", timeout in 0u64..1 << 40) {
            for path in [None, Some("/up?x=%20")] {
                let before = settings(port, &value, path, timeout);
                prop_assert_eq!(from_json(&to_json(&before).unwrap()).unwrap(), before);
            }
        }
    }

    #[test]
    fn what_rivetr_never_writes_is_refused() {
        let good = to_json(&settings(80, "v", Some("/"), 1)).unwrap();
        for bad in [
            "",
            "{}",
            &good.replace(":80", ":0"),
            &good.replace("KEY", "K-Y"),
            &good.replace("\"/\"", "\"up\""),
            &good.replacen('{', "{\"extra\":1,", 1),
        ] {
            assert!(matches!(from_json(bad), Err(StoreError::Malformed("settings"))), "{bad}");
        }
    }
}
