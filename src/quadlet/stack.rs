//! A stack as units: a container for each replica of a service, and the networks, volumes and images between them.
//!
//! Pure: the same stack gives the same bytes. What Quadlet cannot say is noted where little is lost by it, and
//! refused where a container would not be what it was meant to be.

mod build;
mod container;
mod draft;
mod files;
mod health;
mod mount;
mod names;
mod network;
mod process;
mod resources;
mod security;
mod start;
#[cfg(test)]
mod tests;
mod volume;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use self::draft::Notes;
use self::names::Names;
use self::start::Waited;
use super::features::PodmanFeatures;
use super::unit::Unit;
use crate::domain::stack::Stack;
use crate::domain::stack::container::ImageSource;

/// The longest unit in bytes: the command that Quadlet makes of it is one line, and systemd takes lines of at most
/// 1 MiB.
const UNIT_MAX: usize = 1_000_000;

/// Who may read a unit: its owner alone, for compose files write passwords into variables.
const UNIT_MODE: u32 = 0o600;

/// What the first line of each unit ends with.
pub const REMARK_END: &str = ", written by rivetr.";

/// What the units of a stack are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// What stands in front of the name of each unit and container, without the dash after it.
    pub prefix: String,
    /// Where the stack was read, for the remark that each unit begins with: `compose.yaml`.
    pub origin: String,
    /// What is other where rivetr looks after the units; none: they are for somebody else.
    pub owned: Option<Owned>,
}

/// Units that rivetr looks after: each service is called like its file, each container and network like its service, and
/// a start ends when the container is well, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Owned {
    /// The file of the network that the containers are on besides their own.
    pub network: String,
    /// Their addresses there, by the name of the container; one without an address is not on it.
    pub addresses: BTreeMap<String, Ipv4Addr>,
    /// What they are called there, by the name of the service.
    pub aliases: BTreeMap<String, Vec<String>>,
}

/// The files of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Written {
    /// By their names, relative to the folder of the units.
    pub files: BTreeMap<String, WrittenFile>,
    /// What is not quite as it was said.
    pub notes: Vec<Note>,
}

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenFile {
    /// What stands in it.
    pub text: String,
    /// Its permissions.
    pub mode: u32,
}

/// A remark about a key of the stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// The keys that lead there: `services.web.logging`.
    pub key: String,
    /// What is not as it was said, and what there is instead.
    pub message: String,
}

/// A stack that Quadlet cannot say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Why; never empty.
    pub problems: Vec<Note>,
    /// What was noted besides.
    pub notes: Vec<Note>,
}

/// All that the units are made from.
struct Context<'a> {
    stack: &'a Stack,
    naming: &'a Naming,
    names: Names,
    waited: Waited<'a>,
}

/// The units of a stack, for a Podman of these features.
pub fn units(stack: &Stack, naming: &Naming, features: PodmanFeatures) -> Result<Written, Refused> {
    let mut notes = Notes::default();
    let names = Names::of(stack, naming, &mut notes);
    let context = Context { stack, naming, names, waited: Waited::of(stack) };
    let mut files = BTreeMap::new();
    let mut put = |file: &str, unit: &Unit, key: String, notes: &mut Notes| {
        let text = unit.to_string();
        if let Err(unknown) = features.check(unit) {
            notes.refuse(key, unknown.to_string());
        } else if text.len() > UNIT_MAX {
            notes.refuse(
                key,
                format!("its unit would be {} bytes long, and {UNIT_MAX} is the limit", text.len()),
            );
        }
        files.insert(file.to_owned(), WrittenFile { text, mode: UNIT_MODE });
    };

    for (key, called) in &context.names.networks {
        if let Some(network) = stack.networks.get(key) {
            put(
                &called.file,
                &network::unit(&context, key, network, &mut notes),
                format!("networks.{key}"),
                &mut notes,
            );
        }
    }
    for (key, called) in &context.names.volumes {
        if let Some(volume) = stack.volumes.get(key) {
            put(
                &called.file,
                &volume::unit(&context, key, volume, &mut notes),
                format!("volumes.{key}"),
                &mut notes,
            );
        }
    }
    for (service, container) in &stack.containers {
        let key = format!("services.{service}");
        if let (Some(called), ImageSource::Build { build, .. }) =
            (context.names.builds.get(service), &container.image)
        {
            put(&called.file, &build::unit(&context, container, build, &mut notes), key.clone(), &mut notes);
        }
        for (index, called) in context.names.replicas(service).iter().enumerate() {
            let unit = container::unit(&context, container, called, index, &mut notes);
            put(&called.unit.file, &unit, key.clone(), &mut notes);
        }
    }
    files.extend(files::contents(&context, &mut notes));

    let Notes { notes, problems } = notes;
    if problems.is_empty() { Ok(Written { files, notes }) } else { Err(Refused { problems, notes }) }
}

impl Naming {
    /// As Docker Compose calls containers: `project-service-1`.
    #[must_use]
    pub fn plain(stack: &Stack, origin: &str) -> Self {
        Self { prefix: stack.name.clone(), origin: origin.to_owned(), owned: None }
    }
}
