//! How the health of a container is told.

use std::time::Duration;

/// A health check. An absent value means what the image or Podman says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Health {
    /// The image's own check is switched off.
    Off,
    /// A check.
    Check(HealthCheck),
}

/// A command that tells whether a container is well.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthCheck {
    /// The command; absent where the image's own is kept.
    pub test: Option<Test>,
    /// From one try to the next.
    pub interval: Option<Duration>,
    /// How long a try may take.
    pub timeout: Option<Duration>,
    /// Failures in a row until it counts as ill.
    pub retries: Option<u64>,
    /// How long failures do not count at first.
    pub start_period: Option<Duration>,
    /// From one try to the next in that time.
    pub start_interval: Option<Duration>,
}

/// A command of a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// Words, without a shell.
    Words(Vec<String>),
    /// A line for the shell of the container.
    Shell(String),
    /// A line for the shell that is written as several words.
    ShellWords(Vec<String>),
}
