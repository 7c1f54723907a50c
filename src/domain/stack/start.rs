//! When containers of a stack start and stop, and in which order.

use std::collections::BTreeMap;
use std::time::Duration;

/// What must be there before a container starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The service.
    pub service: String,
    /// In which state.
    pub condition: Condition,
    /// Whether this one does not start without it.
    pub required: bool,
    /// Whether this one is restarted with it.
    pub restart: bool,
}

/// The state of a service that another waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It runs.
    Started,
    /// Its health check says that it is well.
    Healthy,
    /// It ran to its end without a failure.
    Completed,
}

/// When a container that ended is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// Whatever ended it.
    Always,
    /// Whatever ended it, unless a person stopped it: with systemd the same.
    UnlessStopped,
    /// When it failed.
    OnFailure {
        /// How often in a row.
        attempts: Option<u32>,
        /// The pause before each.
        delay: Option<Duration>,
        /// The time in which attempts are counted.
        window: Option<Duration>,
    },
}

/// How a container ends.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StopPolicy {
    /// The signal: `SIGINT`.
    pub stop_signal: Option<String>,
    /// From the signal until it is killed.
    pub stop_grace_period: Option<Duration>,
}

/// A command at a moment of a container's life.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hook {
    /// What runs.
    pub command: Vec<String>,
    /// As whom.
    pub user: Option<String>,
    /// Where.
    pub working_dir: Option<String>,
    /// With which variables.
    pub environment: BTreeMap<String, String>,
    /// Whether with all privileges.
    pub privileged: bool,
}
