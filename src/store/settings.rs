//! An app's settings as the JSON that stands in a column. Newer fields must have a default:
//! the rows of old deployments are never rewritten.

use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::error::StoreError;
use crate::domain::app::{
    Command, Commands, EnvValue, HealthCheck, HealthPath, Replicas, Settings, Variable,
};
use crate::domain::name::EnvKey;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    port: NonZeroU16,
    variables: Vec<StoredVariable>,
    health: StoredHealth,
    #[serde(default = "one")]
    replicas: u8,
    #[serde(default)]
    commands: StoredCommands,
    #[serde(default = "default_window")]
    rollback_window_ms: Option<u64>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredCommands {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before_switch: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after_switch: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
}

fn one() -> u8 {
    Replicas::ONE.get()
}

#[expect(clippy::unnecessary_wraps, reason = "none is what is stored where a release is not watched")]
fn default_window() -> Option<u64> {
    Some(millis(Settings::ROLLBACK_WINDOW))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
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
    let Settings { port, variables, health, replicas, commands, rollback_window } = settings;
    let HealthCheck { path, timeout } = health;
    let Commands { before_switch, after_switch, timeout: command_timeout } = commands;
    let words = |command: &Option<Command>| command.as_ref().map(|command| command.words().to_vec());
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
            timeout_ms: millis(*timeout),
        },
        replicas: replicas.get(),
        commands: StoredCommands {
            before_switch: words(before_switch),
            after_switch: words(after_switch),
            timeout_ms: Some(millis(*command_timeout)),
        },
        rollback_window_ms: rollback_window.map(millis),
    };
    serde_json::to_string(&stored).map_err(|_| StoreError::Malformed("settings"))
}

/// Settings from JSON; the error names no value, for values may be secret.
pub(super) fn from_json(text: &str) -> Result<Settings, StoreError> {
    read(text).ok_or(StoreError::Malformed("settings"))
}

fn read(text: &str) -> Option<Settings> {
    let Stored { port, variables, health, replicas, commands, rollback_window_ms } =
        serde_json::from_str(text).ok()?;
    let StoredHealth { path, timeout_ms } = health;
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
        replicas: Replicas::new(replicas)?,
        commands: read_commands(commands)?,
        rollback_window: rollback_window_ms.map(Duration::from_millis),
    })
}

fn read_commands(stored: StoredCommands) -> Option<Commands> {
    let StoredCommands { before_switch, after_switch, timeout_ms } = stored;
    let command = |words: Option<Vec<String>>| words.map(Command::new).transpose().ok();
    Some(Commands {
        before_switch: command(before_switch)?,
        after_switch: command(after_switch)?,
        timeout: timeout_ms.map_or(Commands::DEFAULT_TIMEOUT, Duration::from_millis),
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
            replicas: Replicas::new(3).unwrap(),
            commands: Commands {
                before_switch: Some(Command::parse("rake db:migrate").unwrap()),
                ..Commands::default()
            },
            rollback_window: None,
            ..Settings::new(NonZeroU16::new(port).unwrap())
        }
    }

    #[test]
    fn what_an_older_rivetr_wrote_is_read_with_the_defaults() {
        let old = r#"{"port":80,"variables":[],"health":{"path":null,"timeout_ms":60000}}"#;
        assert_eq!(from_json(old).unwrap(), Settings::new(NonZeroU16::new(80).unwrap()));
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
            &good.replace("\"replicas\":3", "\"replicas\":33"),
            &good.replace("\"rake\"", "\"\""),
            &good.replacen('{', "{\"extra\":1,", 1),
        ] {
            assert!(matches!(from_json(bad), Err(StoreError::Malformed("settings"))), "{bad}");
        }
    }
}
