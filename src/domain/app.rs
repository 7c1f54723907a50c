//! An app: what a person deploys, and the settings that a deployment takes a copy of.

use std::num::{NonZeroU8, NonZeroU16};
use std::time::Duration;

use super::build::BuildOptions;
use super::deployment::DeploymentId;
use super::domain::Domain;
use super::mount::MountedFile;
use super::name::{EnvKey, HostName, Slug};
use super::project::Project;
use super::runtime::{Runtime, Words};
use super::source::{GitToken, Source};
use super::time::Timestamp;
use super::variable::{NewVariable, Variable};

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
    /// The domains that lead to it: its own in the order they were given, then the automatic one.
    pub domains: Vec<Domain>,
    /// What the next deployment will run with, but for variables and files.
    pub settings: Settings,
    /// The names of its own variables.
    pub variables: Vec<EnvKey>,
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

impl App {
    /// The hosts that it answers at, whole.
    pub fn hosts(&self) -> impl Iterator<Item = &HostName> {
        self.domains.iter().filter_map(|domain| domain.site.whole_host())
    }
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
    /// Variables that its build and its process get: those of its project, its environment and its own. Only a
    /// deployment's copy holds them; until then they lie in rows of their own.
    pub variables: Vec<Variable>,
    /// Files that are mounted into its container, likewise.
    pub files: Vec<MountedFile>,
    /// How to tell that it answers.
    pub health: HealthCheck,
    /// How its container runs.
    pub runtime: Runtime,
    /// How its image is built.
    pub build: BuildOptions,
    /// How many containers answer side by side.
    pub replicas: Replicas,
    /// What else runs when it is deployed.
    pub commands: Commands,
    /// How long a new release is watched after it went live; when it does badly, the one before comes back. None:
    /// it is not watched.
    pub rollback_window: Option<Duration>,
    /// The databases that it is told of, and starts after. Only a deployment's copy holds them, as with variables.
    pub linked: Vec<Slug>,
}

impl Settings {
    /// What an app runs with that listens on `port` and says nothing else.
    #[must_use]
    pub fn new(port: NonZeroU16) -> Self {
        Self {
            port,
            variables: Vec::new(),
            files: Vec::new(),
            health: HealthCheck::default(),
            runtime: Runtime::default(),
            build: BuildOptions::default(),
            replicas: Replicas::ONE,
            commands: Commands::default(),
            rollback_window: Some(Self::ROLLBACK_WINDOW),
            linked: Vec::new(),
        }
    }

    /// How long a new release is watched unless the app says otherwise.
    pub const ROLLBACK_WINDOW: Duration = Duration::from_mins(1);
    /// The longest that it may be watched.
    pub const ROLLBACK_WINDOW_MAX: Duration = Duration::from_hours(1);
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
    pub before_switch: Option<Words>,
    /// After the new release went live; its failure is a warning.
    pub after_switch: Option<Words>,
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
    /// The longest that it may be given.
    pub const TIMEOUT_MAX: Duration = Duration::from_hours(1);
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
    /// The token by which its repository is read, which the engine seals and puts into the source.
    pub git_token: Option<GitToken>,
    /// The hosts whose requests it answers, besides the automatic one.
    pub hosts: Vec<HostName>,
    /// What its deployments run with. The variables in it are its first own ones, sealed.
    pub settings: Settings,
    /// Its first own variables, until they are sealed.
    pub variables: Vec<NewVariable>,
}
