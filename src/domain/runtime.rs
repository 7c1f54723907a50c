//! How an app's container runs: what it may use, what it is given, how it is started and stopped.
//!
//! Each option has one grammar, and `Display` writes what `parse` reads. What an app may ask for is [`policy`].

pub(crate) mod amount;
mod label;
mod network;
pub mod policy;
mod process;

use std::collections::BTreeSet;
use std::time::Duration;

pub use self::amount::{Cpus, Memory};
pub use self::label::{Label, Labels, Preset};
pub use self::network::{Alias, ExtraHost, Protocol, PublishedPort};
pub use self::process::{Capability, ContainerUser, Restart, StopSignal, Ulimit, Words};
use super::volume::{ContainerPath, Mount, Tmpfs};

/// How the container of a release runs. The default is what an app gets that says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runtime {
    /// Ports of the host that lead to it, past the proxy.
    pub publish: Vec<PublishedPort>,
    /// More names by which the apps of its project find it.
    pub aliases: Vec<Alias>,
    /// Names that it finds besides those of DNS.
    pub extra_hosts: Vec<ExtraHost>,
    /// Labels of the container, besides rivetr's own.
    pub labels: Vec<Labels>,
    /// What it may use; the one part that changes while it runs.
    pub limits: Limits,
    /// How many processes and threads it may have; none: Podman's own limit.
    pub pids: Option<u32>,
    /// Limits of each of its processes.
    pub ulimits: Vec<Ulimit>,
    /// What its root may do besides what every app's may.
    pub capabilities: BTreeSet<Capability>,
    /// Its root file system cannot be written to.
    pub read_only: bool,
    /// The user that its process runs as; none: the image's.
    pub user: Option<ContainerUser>,
    /// The program, in place of the image's entry point.
    pub entrypoint: Option<Words>,
    /// The arguments, in place of the image's command.
    pub command: Option<Words>,
    /// Where its process starts; none: the image's.
    pub working_dir: Option<ContainerPath>,
    /// A small process 1 passes signals on and reaps children.
    pub init: bool,
    /// The size of `/dev/shm`; none: Podman's own.
    pub shm_size: Option<Memory>,
    /// Whether it is started again when it ends.
    pub restart: Restart,
    /// The signal that asks it to end; none: the image's.
    pub stop_signal: Option<StopSignal>,
    /// How long it may take to end.
    pub grace: Duration,
    /// What is mounted into it.
    pub mounts: Vec<Mount>,
    /// Directories in memory.
    pub tmpfs: Vec<Tmpfs>,
}

/// What a container may use. Changed while it runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory of all its processes together.
    pub memory: Option<Memory>,
    /// Processor time.
    pub cpus: Option<Cpus>,
}

impl Runtime {
    /// How long a container may take to end unless the app says otherwise.
    pub const DEFAULT_GRACE: Duration = Duration::from_secs(10);
    /// The longest that it may be given: a job of systemd that takes longer than 15 minutes is given up.
    pub const GRACE_MAX: Duration = Duration::from_mins(10);
    /// The most processes and threads an app may be given: the kernel's own bound is 4 Mi for all together.
    pub const PIDS_MAX: u32 = 1 << 20;
    /// How many entries any of its lists may have: enough for any app, and a unit stays readable.
    pub const LIST_MAX: usize = 64;
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            publish: Vec::new(),
            aliases: Vec::new(),
            extra_hosts: Vec::new(),
            labels: Vec::new(),
            limits: Limits::default(),
            pids: None,
            ulimits: Vec::new(),
            capabilities: BTreeSet::new(),
            read_only: false,
            user: None,
            entrypoint: None,
            command: None,
            working_dir: None,
            init: false,
            shm_size: None,
            restart: Restart::Always,
            stop_signal: None,
            grace: Self::DEFAULT_GRACE,
            mounts: Vec::new(),
            tmpfs: Vec::new(),
        }
    }
}

/// Holds a grammar against texts: what is written is what was read, and everything else is refused.
#[cfg(test)]
pub(super) fn check<T: ToString, E: std::fmt::Debug>(
    parse: impl Fn(&str) -> Result<T, E>,
    good: &[(&str, &str)],
    bad: &[&str],
) {
    for (typed, written) in good {
        let parsed = parse(typed).unwrap_or_else(|error| panic!("{typed:?}: {error:?}"));
        assert_eq!(parsed.to_string(), *written, "{typed:?}");
        assert_eq!(parse(written).unwrap().to_string(), *written, "{written:?}");
    }
    for typed in bad {
        assert!(parse(typed).is_err(), "{typed:?} was taken");
    }
}
