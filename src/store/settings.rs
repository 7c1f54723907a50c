//! An app's settings as the JSON that stands in a column. Newer fields must have a default:
//! the rows of old deployments are never rewritten.

mod options;

use std::num::NonZeroU16;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use serde::{Deserialize, Serialize};

use self::options::{StoredBuild, StoredRuntime};
use super::error::StoreError;
use crate::domain::app::{Commands, HealthAsk, HealthCheck, HealthPath, Replicas, Settings, Statuses};
use crate::domain::mount::{MountPath, MountedFile};
use crate::domain::name::{EnvKey, Slug};
use crate::domain::runtime::Words;
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
    #[serde(default)]
    runtime: StoredRuntime,
    #[serde(default)]
    build: StoredBuild,
    #[serde(default = "one")]
    replicas: u8,
    #[serde(default)]
    commands: StoredCommands,
    #[serde(default = "default_window")]
    rollback_window_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    linked: Vec<String>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    statuses: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(default)]
    attempt_ms: Option<u64>,
    #[serde(default)]
    interval_ms: Option<u64>,
    #[serde(default)]
    retries: Option<u32>,
}

/// Settings as JSON.
pub(super) fn to_json(settings: &Settings) -> Result<String, StoreError> {
    let Settings {
        port,
        variables,
        files,
        health,
        runtime,
        build,
        replicas,
        commands,
        rollback_window,
        linked,
    } = settings;
    let Commands { before_switch, after_switch, timeout } = commands;
    let words = |command: &Option<Words>| command.as_ref().map(|command| command.as_slice().to_vec());
    let stored = Stored {
        port: *port,
        variables: variables.iter().map(stored_variable).collect(),
        files: files.iter().map(stored_file).collect(),
        health: health.into(),
        runtime: runtime.into(),
        build: build.into(),
        replicas: replicas.get(),
        commands: StoredCommands {
            before_switch: words(before_switch),
            after_switch: words(after_switch),
            timeout_ms: Some(millis(*timeout)),
        },
        rollback_window_ms: rollback_window.map(millis),
        linked: linked.iter().map(ToString::to_string).collect(),
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

/// How to tell that a release answers, from that part of its settings.
pub(super) fn health_from_json(text: &str) -> Result<HealthCheck, StoreError> {
    let stored = serde_json::from_str(text).ok().and_then(StoredHealth::read);
    stored.ok_or(StoreError::Malformed("health"))
}

fn read(text: &str) -> Option<Settings> {
    let Stored {
        port,
        variables,
        files,
        health,
        runtime,
        build,
        replicas,
        commands,
        rollback_window_ms,
        linked,
    } = serde_json::from_str(text).ok()?;
    Some(Settings {
        port,
        variables: variables.into_iter().map(variable).collect::<Option<_>>()?,
        files: files.into_iter().map(file).collect::<Option<_>>()?,
        health: health.read()?,
        runtime: runtime.read()?,
        build: build.read()?,
        replicas: Replicas::new(replicas)?,
        commands: read_commands(commands)?,
        rollback_window: rollback_window_ms.map(Duration::from_millis),
        linked: linked.iter().map(|slug| Slug::parse(slug).ok()).collect::<Option<_>>()?,
    })
}

fn read_commands(stored: StoredCommands) -> Option<Commands> {
    let StoredCommands { before_switch, after_switch, timeout_ms } = stored;
    let command = |words: Option<Vec<String>>| words.map(Words::new).transpose().ok();
    Some(Commands {
        before_switch: command(before_switch)?,
        after_switch: command(after_switch)?,
        timeout: timeout_ms.map_or(Commands::DEFAULT_TIMEOUT, Duration::from_millis),
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

impl From<&HealthCheck> for StoredHealth {
    fn from(HealthCheck { ask, timeout, attempt, interval, retries }: &HealthCheck) -> Self {
        let (path, statuses, command) = match ask {
            HealthAsk::Connect => (None, None, None),
            HealthAsk::Http { path, statuses } => {
                (Some(path.as_str().to_owned()), Some(statuses.to_string()), None)
            }
            HealthAsk::Command(words) => (None, None, Some(words.as_slice().to_vec())),
        };
        Self {
            path,
            timeout_ms: millis(*timeout),
            statuses,
            command,
            attempt_ms: Some(millis(*attempt)),
            interval_ms: Some(millis(*interval)),
            retries: Some(*retries),
        }
    }
}

impl StoredHealth {
    fn read(self) -> Option<HealthCheck> {
        let Self { path, timeout_ms, statuses, command, attempt_ms, interval_ms, retries } = self;
        let default = HealthCheck::default();
        let ask = match (path, command) {
            (None, None) => HealthAsk::Connect,
            (Some(path), None) => HealthAsk::Http {
                path: HealthPath::parse(&path).ok()?,
                statuses: match statuses {
                    Some(statuses) => Statuses::parse(&statuses).ok()?,
                    None => Statuses::default(),
                },
            },
            (None, Some(words)) => HealthAsk::Command(Words::new(words).ok()?),
            (Some(_), Some(_)) => return None,
        };
        Some(HealthCheck {
            ask,
            timeout: Duration::from_millis(timeout_ms),
            attempt: attempt_ms.map_or(default.attempt, Duration::from_millis),
            interval: interval_ms.map_or(default.interval, Duration::from_millis),
            retries: retries.unwrap_or(default.retries),
        })
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
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
                ask: path.map_or(HealthAsk::Connect, |path| HealthAsk::Http {
                    path: HealthPath::parse(path).unwrap(),
                    statuses: Statuses::parse("200-204").unwrap(),
                }),
                timeout: Duration::from_millis(timeout),
                ..HealthCheck::default()
            },
            replicas: Replicas::new(3).unwrap(),
            commands: Commands {
                before_switch: Some(Words::parse("rake db:migrate").unwrap()),
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
        fn what_was_stored_is_read(port in 1u16.., value in proptest::collection::vec(any::<u8>(), 0..99), timeout in 0u64..1 << 40) {
            for path in [None, Some("/up?x=%20")] {
                let before = settings(port, &value, path, timeout);
                prop_assert_eq!(from_json(&to_json(&before).unwrap()).unwrap(), before);
            }
        }
    }

    #[test]
    fn every_option_is_read_as_it_was_stored() {
        let (runtime, build) = options::everything();
        let health = HealthCheck {
            ask: HealthAsk::Command(Words::parse("pg_isready -q").unwrap()),
            timeout: Duration::from_secs(1),
            attempt: Duration::from_secs(2),
            interval: Duration::from_secs(3),
            retries: 4,
        };
        let before = Settings { health, runtime, build, ..settings(80, b"v", None, 1) };
        assert_eq!(from_json(&to_json(&before).unwrap()).unwrap(), before);
        let plain = settings(80, b"v", None, 1);
        assert!(to_json(&plain).unwrap().contains(r#""runtime":{},"build":{}"#), "defaults take no room");
    }

    #[test]
    fn rows_of_older_deployments_mean_what_they_meant() {
        let old = r#"{"port":80,"variables":[],"health":{"path":"/up","timeout_ms":5000}}"#;
        let read = from_json(old).unwrap();
        let ask = HealthAsk::Http { path: HealthPath::parse("/up").unwrap(), statuses: Statuses::default() };
        let health = HealthCheck { ask, timeout: Duration::from_secs(5), ..HealthCheck::default() };
        assert_eq!(read, Settings { health, ..Settings::new(NonZeroU16::new(80).unwrap()) });
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
            &good.replace("\"replicas\":3", "\"replicas\":33"),
            &good.replace("\"rake\"", "\"\""),
            &good.replacen('{', "{\"extra\":1,", 1),
        ] {
            assert!(matches!(from_json(bad), Err(StoreError::Malformed("settings"))), "{bad}");
        }
    }
}
