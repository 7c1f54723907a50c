//! An app: what a person deploys, and the settings that a deployment takes a copy of.

use std::num::NonZeroU16;

use super::build::BuildOptions;
use super::deployment::DeploymentId;
use super::name::{EnvKey, HostName, InvalidName, Slug};
use super::project::Project;
use super::runtime::Runtime;
use super::source::Source;
use super::time::Timestamp;

pub use super::health::{HealthAsk, HealthCheck, HealthPath, Statuses};

/// An app's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(pub i64);

/// An app as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct App {
    /// Its number in the store.
    pub id: AppId,
    /// Its name.
    pub slug: Slug,
    /// The project it belongs to.
    pub project: Project,
    /// The project's environment that it is part of.
    pub environment: Slug,
    /// Where its code comes from.
    pub source: Source,
    /// Every host that leads to it: its own in the order they were given, then the automatic one.
    pub hosts: Vec<HostName>,
    /// What the next deployment will run with.
    pub settings: Settings,
    /// The deployment that serves, once one has been switched to.
    pub live: Option<DeploymentId>,
    /// The number of that deployment among the app's own.
    pub release: Option<u32>,
    /// It is being deleted: nothing new may start.
    pub deleting: bool,
    /// When it was created.
    pub created: Timestamp,
}

/// What a release runs with. A deployment keeps a copy, so that a rollback brings all of it back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The port the app listens on in its container.
    pub port: NonZeroU16,
    /// Variables that its process gets.
    pub variables: Vec<Variable>,
    /// How to tell that it answers.
    pub health: HealthCheck,
    /// How its container runs.
    pub runtime: Runtime,
    /// How its image is built.
    pub build: BuildOptions,
}

impl Settings {
    /// What an app runs with that listens on `port` and says nothing else.
    #[must_use]
    pub fn new(port: NonZeroU16) -> Self {
        Self {
            port,
            variables: Vec::new(),
            health: HealthCheck::default(),
            runtime: Runtime::default(),
            build: BuildOptions::default(),
        }
    }
}

/// One environment variable; the value is any text a process can receive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub key: EnvKey,
    /// Its value, without NUL.
    pub value: EnvValue,
}

/// The value of an environment variable: any UTF-8 text without NUL that one `execve` string can hold.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvValue(String);

impl EnvValue {
    /// The longest value in bytes: name, `=`, value and NUL stay below the kernel's 128 KiB a string (FACTS 2).
    pub const MAX: usize = 120_000;

    /// Takes any text without NUL up to [`EnvValue::MAX`] bytes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| Err(InvalidName::new("value", "(not shown)", rule));
        if text.contains('\0') {
            return refuse("a variable cannot hold a NUL byte");
        }
        if text.len() > Self::MAX {
            return refuse("a variable can hold at most 120,000 bytes");
        }
        Ok(Self(text.to_owned()))
    }

    /// The value as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// An app as a person asks for it, before the store has given it a number.
#[derive(Debug, Clone)]
pub struct NewApp {
    /// Its name.
    pub slug: Slug,
    /// The project it goes to.
    pub project: Slug,
    /// The project's environment that it is part of.
    pub environment: Slug,
    /// Where its code comes from.
    pub source: Source,
    /// The hosts whose requests it answers, besides the automatic one.
    pub hosts: Vec<HostName>,
    /// What its deployments run with.
    pub settings: Settings,
}
