//! A stack: containers that belong together, as a compose file describes them, with nothing left to look up.
//!
//! Names, defaults and paths are resolved: what a file said in three ways is said here in one. What a stack may
//! do on this host is not judged here.

pub mod container;
pub mod health;
pub mod mount;
pub mod network;
pub mod policy;
pub mod resources;
pub mod start;

use std::collections::BTreeMap;

use self::container::Container;
use self::mount::Volume;
use self::network::Network;

/// Containers with the networks and volumes between them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stack {
    /// The name of the project: lower-case letters, digits, dashes and underscores.
    pub name: String,
    /// By the name of the service. Only those that are to run: no service of a profile that was not asked for.
    pub containers: BTreeMap<String, Container>,
    /// By the name in the file; `default` among them where a container is on it.
    pub networks: BTreeMap<String, Network>,
    /// The named volumes, by the name in the file.
    pub volumes: BTreeMap<String, Volume>,
}
