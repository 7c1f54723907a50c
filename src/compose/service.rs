//! One service of a compose file into a container: each part in a file of its own.

mod build;
mod device;
mod grant;
mod health;
mod image;
mod mount;
mod network;
mod order;
mod port;
mod process;
mod resources;
mod variables;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

pub use self::grant::origin;
pub use self::image::qualify;

use super::Files;
use super::environment::Environment;
use super::field::Field;
use super::keys;
use super::log::Log;
use crate::domain::stack::container::{Container, Namespace, Peer};
use crate::domain::stack::mount::FileOrigin;

/// What a service is read with: what stands around it.
pub struct Context<'a> {
    pub log: Log,
    pub files: Files<'a>,
    pub environment: Environment,
    pub home: Option<PathBuf>,
    /// The names of all services, those of profiles that were not asked for among them.
    pub services: BTreeSet<String>,
    /// The services that are to run.
    pub enabled: BTreeSet<String>,
    pub networks: BTreeSet<String>,
    pub volumes: BTreeSet<String>,
    pub secrets: BTreeMap<String, FileOrigin>,
    pub configs: BTreeMap<String, FileOrigin>,
    /// How much the files of services held so far, in bytes.
    pub held: usize,
    /// Other names that services are linked by: service, its name, and who links it.
    pub links: Vec<Link>,
}

/// The most that the files of all services may hold together, with their variables filled in, in bytes.
const HELD_MAX: usize = 64 << 20;

impl Context<'_> {
    /// The text of a file that a service names.
    fn text_of(&mut self, path: &Path) -> io::Result<String> {
        let text = (self.files)(path)?;
        self.hold(text.len())?;
        Ok(text)
    }

    /// Makes room for what a file said.
    fn hold(&mut self, bytes: usize) -> io::Result<()> {
        self.held += bytes;
        if self.held > HELD_MAX {
            let message = format!("the files of all services hold more than {} MiB", HELD_MAX >> 20);
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
        }
        Ok(())
    }
}

/// A link of one service to another.
#[derive(Debug, Clone)]
pub struct Link {
    pub from: String,
    pub to: String,
    pub alias: String,
}

/// Reads a service.
pub fn read(name: &str, field: &Field<'_>, context: &mut Context<'_>) -> Container {
    field.known(&mut context.log, keys::SERVICE);
    let mut container = Container { service: name.to_owned(), ..Container::default() };
    image::read(field, &mut container, context);
    process::read(field, &mut container, context);
    variables::read(field, &mut container, context);
    mount::read(field, &mut container, context);
    grant::read(field, &mut container, context);
    network::read(field, &mut container, context);
    port::read(field, &mut container, context);
    health::read(field, &mut container, &mut context.log);
    resources::read(field, &mut container, &mut context.log);
    device::read(field, &mut container, &mut context.log);
    isolation(field, &mut container, context);
    order::read(field, &mut container, context);
    container
}

/// What keeps it from the host, and what does not.
fn isolation(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    let log = &mut context.log;
    let texts = |key: &str, log: &mut Log| field.get(key).map(|field| field.texts(log)).unwrap_or_default();
    container.privileged = boolean(field, "privileged", log);
    container.cap_add = texts("cap_add", log);
    container.cap_drop = texts("cap_drop", log);
    container.device_cgroup_rules = texts("device_cgroup_rules", log);
    container.security_opt =
        field.get("security_opt").map(|field| security_options(&field, log)).unwrap_or_default();
    container.userns = text(field, "userns_mode", log);
    container.uts = text(field, "uts", log);
    container.cgroup_parent = text(field, "cgroup_parent", log);
    container.runtime = text(field, "runtime", log);
    container.cgroup = text(field, "cgroup", log);
    if let (Some(cgroup), Some(field)) = (&container.cgroup, field.get("cgroup"))
        && !matches!(cgroup.as_str(), "host" | "private")
    {
        field.problem(log, format!("{cgroup:?} is neither host nor private"));
    }
    container.profiles = texts("profiles", log);
    container.pid = namespace(field, "pid", context);
    container.ipc = namespace(field, "ipc", context);
}

fn namespace(field: &Field<'_>, key: &str, context: &mut Context<'_>) -> Option<Namespace> {
    let field = field.get(key)?;
    let text = field.filled(&mut context.log)?;
    let namespace = match text.as_str() {
        "host" => Namespace::Host,
        "shareable" => Namespace::Shareable,
        "private" => Namespace::Private,
        "none" => Namespace::None,
        _ => {
            let of = peer(&text);
            if of.is_none() {
                let message = format!("{text:?} is none of host, private, service:NAME and container:NAME");
                field.problem(&mut context.log, message);
            }
            Namespace::Of(of?)
        }
    };
    Some(namespace)
}

/// `service:NAME` or `container:NAME`.
fn peer(text: &str) -> Option<Peer> {
    let service = text.strip_prefix("service:").map(|name| Peer::Service(name.to_owned()));
    service.or_else(|| text.strip_prefix("container:").map(|name| Peer::Container(name.to_owned())))
}

/// Options in the words of Podman: Docker takes a colon where Podman wants an equals sign.
fn security_options(field: &Field<'_>, log: &mut Log) -> Vec<String> {
    let mut options = Vec::new();
    for item in field.items(log) {
        let Some(text) = item.filled(log) else { continue };
        let (key, value) = text.split_once(['=', ':']).unwrap_or((&text, ""));
        let option = match (key, value) {
            ("no-new-privileges", "" | "true") => "no-new-privileges".to_owned(),
            ("no-new-privileges", "false") => continue,
            ("systempaths", "unconfined") => "unmask=ALL".to_owned(),
            ("seccomp", "unconfined" | "builtin" | "") => text.replacen(':', "=", 1),
            ("seccomp", profile) => {
                let path = super::load::absolute(log.base(item.place()), profile);
                format!("seccomp={}", path.display())
            }
            ("apparmor" | "label" | "mask" | "unmask" | "proc-opts", value) => format!("{key}={value}"),
            _ => {
                item.problem(log, format!("Podman knows no security option {key:?}"));
                continue;
            }
        };
        options.push(option);
    }
    options
}

/// The text of a key, unless it is empty.
fn text(field: &Field<'_>, key: &str, log: &mut Log) -> Option<String> {
    field.get(key)?.filled(log)
}

/// A truth value that is false where nothing is said.
fn boolean(field: &Field<'_>, key: &str, log: &mut Log) -> bool {
    field.get(key).and_then(|field| field.boolean(log)).unwrap_or_default()
}
