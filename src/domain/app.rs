//! An app: what a person deploys, and the settings that a deployment takes a copy of.

use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use super::deployment::DeploymentId;
use super::name::{EnvKey, HostName, InvalidName, Slug};
use super::project::Project;
use super::source::Source;
use super::time::Timestamp;

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
    /// Whether its release is to run.
    pub wish: Wish,
    /// It is being deleted: nothing new may start.
    pub deleting: bool,
    /// When it was created.
    pub created: Timestamp,
}

/// Whether somebody wants an app to run. What systemd shows may differ for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// It runs, as every app does that nobody stopped.
    Run,
    /// It was stopped, and is on its way back.
    Start,
    /// It is stopped, and stays so until it is started or deployed.
    Stop,
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
    /// How many containers answer side by side.
    pub replicas: Replicas,
    /// What else runs when it is deployed.
    pub commands: Commands,
    /// How long a new release is watched after it went live; when it does badly, the one before comes back. None:
    /// it is not watched.
    pub rollback_window: Option<Duration>,
}

impl Settings {
    /// What an app runs with that listens on `port` and says nothing else.
    #[must_use]
    pub fn new(port: NonZeroU16) -> Self {
        let health = HealthCheck { path: None, timeout: HealthCheck::DEFAULT_TIMEOUT };
        Self {
            port,
            variables: Vec::new(),
            health,
            replicas: Replicas::ONE,
            commands: Commands::default(),
            rollback_window: Some(Self::ROLLBACK_WINDOW),
        }
    }

    /// How long a new release is watched unless the app says otherwise.
    pub const ROLLBACK_WINDOW: Duration = Duration::from_mins(1);
}

/// How many containers of a release answer side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Replicas(NonZeroU8);

impl Replicas {
    /// A single container.
    pub const ONE: Self = Self(NonZeroU8::MIN);
    /// The most: a project's network has 253 addresses, and a deployment takes them twice.
    pub const MAX: u8 = 32;

    /// Takes 1 to [`Replicas::MAX`].
    #[must_use]
    pub fn new(count: u8) -> Option<Self> {
        NonZeroU8::new(count).filter(|count| count.get() <= Self::MAX).map(Self)
    }

    /// The count.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0.get()
    }

    /// The numbers of the containers, from 1.
    #[must_use]
    pub fn numbers(self) -> std::ops::RangeInclusive<u8> {
        1..=self.get()
    }
}

/// Commands that run in the new image, each in a container of its own, when a release is deployed. Not when an
/// older release comes back or the same one is restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commands {
    /// Before the new release is started, such as a migration of the database; its failure ends the deployment.
    pub before_switch: Option<Command>,
    /// After the new release went live; its failure is a warning.
    pub after_switch: Option<Command>,
    /// How long each of them may take.
    pub timeout: Duration,
}

impl Default for Commands {
    fn default() -> Self {
        Self { before_switch: None, after_switch: None, timeout: Self::DEFAULT_TIMEOUT }
    }
}

impl Commands {
    /// How long a command may take unless the app says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(10);
}

/// The words that a container runs in place of its image's own: what an entry point is called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command(Vec<String>);

impl Command {
    /// The longest command, in bytes.
    pub const MAX: usize = 10_000;

    /// Takes words that a unit file can carry: none of them empty, none a lone semicolon (FACTS 13.7), no NUL.
    pub fn new(words: Vec<String>) -> Result<Self, InvalidName> {
        let bad =
            |word: &String| word.is_empty() || matches!(word.as_str(), ";" | "\\;") || word.contains('\0');
        let length: usize = words.iter().map(|word| word.len() + 1).sum();
        if words.is_empty() || words.iter().any(bad) || length > Self::MAX {
            let rule = "use at least one word, none of them empty or a lone semicolon, at most 10,000 bytes";
            return Err(InvalidName::new("command", &words.join(" "), rule));
        }
        Ok(Self(words))
    }

    /// Takes a line whose words stand between blanks, as people type them where nothing needs quotes.
    pub fn parse(line: &str) -> Result<Self, InvalidName> {
        Self::new(line.split_whitespace().map(str::to_owned).collect())
    }

    /// The words.
    #[must_use]
    pub fn words(&self) -> &[String] {
        &self.0
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(" "))
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

/// How the proxy tells that a release answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// The path asked for; none: a TCP connection is enough.
    pub path: Option<HealthPath>,
    /// How long a new release may take until it answers.
    pub timeout: Duration,
}

impl HealthCheck {
    /// How long a new release may take until it answers, unless the app says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
}

/// The path of a health check: origin-form, visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthPath(String);

impl HealthPath {
    /// Takes a path that begins with one slash, with an optional query.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let visible = |c: char| c.is_ascii_graphic() && c != '#';
        if text.starts_with('/') && !text.starts_with("//") && text.len() <= 1000 && text.chars().all(visible)
        {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new("health path", text, "begin it with one slash and use visible ASCII characters"))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
