//! An app: what a person deploys, and the settings that a deployment takes a copy of.

use std::num::NonZeroU16;

use super::build::BuildOptions;
use super::deployment::DeploymentId;
use super::mount::MountedFile;
use super::name::{EnvKey, HostName, Slug};
use super::project::Project;
use super::runtime::Runtime;
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
    /// Every host that leads to it: its own in the order they were given, then the automatic one.
    pub hosts: Vec<HostName>,
    /// What the next deployment will run with, but for variables and files.
    pub settings: Settings,
    /// The names of its own variables.
    pub variables: Vec<EnvKey>,
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
        }
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
    /// The token by which its repository is read, which the engine seals and puts into the source.
    pub git_token: Option<GitToken>,
    /// The hosts whose requests it answers, besides the automatic one.
    pub hosts: Vec<HostName>,
    /// What its deployments run with. The variables in it are its first own ones, sealed.
    pub settings: Settings,
    /// Its first own variables, until they are sealed.
    pub variables: Vec<NewVariable>,
}
