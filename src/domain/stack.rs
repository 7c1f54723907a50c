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

use self::container::{Container, ImageSource};
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

impl Stack {
    /// The service that builds the image of this reference: others may run it without building it.
    #[must_use]
    pub fn builder_of(&self, reference: &str) -> Option<&str> {
        let builds = |container: &Container| {
            let ImageSource::Build { reference: Some(built), .. } = &container.image else { return false };
            container.replicas > 0 && with_tag(built) == with_tag(reference)
        };
        let mut all = self.containers.iter();
        all.find(|(_, container)| builds(container)).map(|(name, _)| name.as_str())
    }
}

/// A reference with the tag that it has where it names none.
fn with_tag(reference: &str) -> String {
    let name = reference.rsplit_once('/').map_or(reference, |(_, name)| name);
    if name.contains([':', '@']) { reference.to_owned() } else { format!("{reference}:latest") }
}
