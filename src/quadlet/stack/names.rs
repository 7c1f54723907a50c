//! What each unit of a stack is called: its file, its service and its container. No two share one.

use std::collections::{BTreeMap, BTreeSet};

use super::Naming;
use super::draft::Notes;
use crate::domain::stack::Stack;
use crate::domain::stack::container::{Container, ImageSource};
use crate::domain::stack::network::Network;

/// The longest part of a name in bytes that leaves room for what is put around it: file systems take 255.
const STEM_MAX: usize = 200;

/// The names of all units of a stack.
#[derive(Debug, Default)]
pub(super) struct Names {
    containers: BTreeMap<String, Vec<ContainerNames>>,
    /// By service.
    pub(super) builds: BTreeMap<String, UnitNames>,
    /// By the key in the stack.
    pub(super) networks: BTreeMap<String, UnitNames>,
    /// By the key in the stack.
    pub(super) volumes: BTreeMap<String, UnitNames>,
}

/// The names of one Quadlet.
#[derive(Debug)]
pub(super) struct UnitNames {
    /// The file: `blog-web.container`.
    pub(super) file: String,
    /// The service that Quadlet makes of it: `blog-web.service`.
    pub(super) service: String,
    /// What the Quadlet has to say for that, where Quadlet would call it like another.
    pub(super) told: Option<String>,
}

/// The names of one replica.
#[derive(Debug)]
pub(super) struct ContainerNames {
    /// Of its Quadlet.
    pub(super) unit: UnitNames,
    /// Of its container.
    pub(super) name: String,
}

/// Names that are in use.
#[derive(Default)]
struct Taken {
    /// Each service is called like its file.
    owned: bool,
    files: BTreeSet<String>,
    services: BTreeSet<String>,
}

impl Names {
    /// Names everything that gets a unit: first what people type, then the rest, so that it gives way.
    pub(super) fn of(stack: &Stack, naming: &Naming, notes: &mut Notes) -> Self {
        let mut names = Self::default();
        let mut taken = Taken { owned: naming.owned.is_some(), ..Taken::default() };
        for first in [true, false] {
            for (service, container) in &stack.containers {
                let numbers = (1..=container.replicas).filter(|number| (*number == 1) == first);
                let replicas = numbers.map(|number| names_of(container, number, naming, &mut taken));
                let replicas: Vec<_> = replicas.collect();
                names.containers.entry(service.clone()).or_default().extend(replicas);
            }
        }
        names.check(stack, notes);

        let prefix = &naming.prefix;
        for (service, container) in &stack.containers {
            if matches!(container.image, ImageSource::Build { .. }) && container.replicas > 0 {
                let stem = format!("{prefix}-{service}");
                names.builds.insert(service.clone(), taken.claim(&stem, "build", "-build"));
            }
        }
        let used = used_networks(stack);
        let ours = |network: &Network| {
            !network.external && !matches!(network.driver.as_deref(), Some("host" | "none" | "null"))
        };
        for (key, _) in
            stack.networks.iter().filter(|(key, network)| ours(network) && used.contains(key.as_str()))
        {
            names
                .networks
                .insert(key.clone(), taken.claim(&format!("{prefix}-{key}"), "network", "-network"));
        }
        for (key, _) in stack.volumes.iter().filter(|(_, volume)| !volume.external) {
            names.volumes.insert(key.clone(), taken.claim(&format!("{prefix}-{key}"), "volume", "-volume"));
        }
        names
    }

    /// The replicas of a service; none where it has none.
    pub(super) fn replicas(&self, service: &str) -> &[ContainerNames] {
        self.containers.get(service).map_or(&[], Vec::as_slice)
    }

    /// The Quadlet of the container of this name.
    pub(super) fn quadlet_of(&self, container: &str) -> Option<&str> {
        let mut all = self.containers.values().flatten();
        all.find(|called| called.name == container).map(|called| called.unit.file.as_str())
    }

    /// Podman takes such names, and each of them once: the second container would put an end to the first.
    fn check(&self, stack: &Stack, notes: &mut Notes) {
        let mut seen = BTreeMap::new();
        for (service, replicas) in &self.containers {
            let asked = stack.containers.get(service).and_then(|container| container.container_name.as_ref());
            let key = || match asked {
                Some(_) => format!("services.{service}.container_name"),
                None => format!("services.{service}"),
            };
            for ContainerNames { name, .. } in replicas {
                if !is_container_name(name) {
                    let message =
                        format!("{name:?} is no name for a container; use letters, digits, _ . and -");
                    notes.refuse(key(), message);
                }
                if let Some(other) = seen.insert(name.clone(), service) {
                    let message =
                        format!("the container {name} would be called like one of the service {other}");
                    notes.refuse(key(), message);
                }
            }
        }
    }
}

impl Taken {
    /// The first free name like `stem`, and the first free service like what Quadlet makes of it.
    fn claim(&mut self, stem: &str, kind: &str, suffix: &str) -> UnitNames {
        if self.owned {
            let usual = format!("{}{suffix}", unit_stem(stem));
            let stem = free(&usual, |stem| self.services.insert(stem.to_owned()));
            return UnitNames {
                file: format!("{stem}.{kind}"),
                told: (!suffix.is_empty()).then(|| stem.clone()),
                service: format!("{stem}.service"),
            };
        }
        let stem = free(&unit_stem(stem), |stem| self.files.insert(format!("{stem}.{kind}")));
        let usual = format!("{stem}{suffix}");
        let service = free(&usual, |service| self.services.insert(service.to_owned()));
        UnitNames {
            file: format!("{stem}.{kind}"),
            told: (service != usual).then(|| service.clone()),
            service: format!("{service}.service"),
        }
    }
}

fn names_of(container: &Container, number: u32, naming: &Naming, taken: &mut Taken) -> ContainerNames {
    let plain = format!("{}-{}", naming.prefix, container.service);
    let stem = if number == 1 { plain.clone() } else { format!("{plain}-{number}") };
    let unit = taken.claim(&stem, "container", "");
    let name = match &container.container_name {
        _ if naming.owned.is_some() => unit.service.trim_end_matches(".service").to_owned(),
        Some(name) => name.clone(),
        None => format!("{plain}-{number}"),
    };
    ContainerNames { unit, name }
}

fn used_networks(stack: &Stack) -> BTreeSet<&str> {
    let running = stack.containers.values().filter(|container| container.replicas > 0);
    running.flat_map(|container| container.networks.iter().map(|at| at.network.as_str())).collect()
}

/// The name itself, or with the first number behind it that makes it free.
fn free(name: &str, mut take: impl FnMut(&str) -> bool) -> String {
    let numbered = (2_u32..).map(|number| format!("{name}_{number}"));
    let mut candidates = std::iter::once(name.to_owned()).chain(numbered);
    candidates.find(|candidate| take(candidate)).unwrap_or_else(|| name.to_owned())
}

/// Only what the name of a unit may hold; `@` would make it a template.
fn unit_stem(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    text.chars().map(fit).take(STEM_MAX).collect()
}

/// Whether Quadlet or systemd would take the name for one of a unit of these kinds.
pub(super) fn ends<const N: usize>(name: &str, kinds: [&str; N]) -> bool {
    kinds.iter().any(|kind| name.ends_with(kind))
}

fn is_container_name(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_ascii_alphanumeric())
        && chars.all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}
