//! What a stack may have on this host: one function, asked before any of it is written.
//!
//! Asked of the stack as it was read, after all variables and merges, so that no other way of saying a thing gets by.

use std::path::{Path, PathBuf};

use super::Stack;
use super::container::{Container, ImageSource, Namespace, Peer};
use super::mount::{FileOrigin, MountSource};
use super::network::{NetworkMode, Protocol, PublishedPort as Asked};
use crate::domain::runtime::PublishedPort;

/// Ports below this one are root's.
const FIRST_UNPRIVILEGED: u16 = 1024;
/// The most containers of one service, its replicas counted.
const CONTAINERS_MAX: u32 = 50;
/// The most ports that a container may publish.
const PORTS_MAX: u16 = 100;
/// Labels that rivetr tells its own things by.
const OWN_LABELS: &str = "io.rivetr.";

/// What is known about who asks and where.
#[derive(Clone, Copy)]
pub struct Circumstances<'a> {
    /// Who asks may change the instance.
    pub administrator: bool,
    /// Containers run without root.
    pub rootless: bool,
    /// Ports that rivetr itself listens on.
    pub own_ports: &'a [u16],
    /// Ports that others have, and who that is.
    pub taken: &'a [(PublishedPort, String)],
    /// Directories of the host that lie directly in these may be mounted.
    pub bind_roots: &'a [PathBuf],
    /// The folder that stands for the files which were handed in.
    pub folder: &'a Path,
    /// The socket of this host's Podman.
    pub podman_socket: &'a Path,
    /// Where a path of the host leads once every link is followed; none: there is no such.
    pub real_path: &'a (dyn Fn(&Path) -> Option<PathBuf> + Sync),
}

/// Something that a stack may not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The keys that lead there: `services.web.privileged`.
    pub key: String,
    /// Why, and what would do.
    pub message: String,
}

struct Check<'a> {
    circumstances: &'a Circumstances<'a>,
    refusals: Vec<Refusal>,
}

/// Everything that a stack may not have; none: it may be written.
#[must_use]
pub fn check(stack: &Stack, circumstances: &Circumstances<'_>) -> Vec<Refusal> {
    let mut check = Check { circumstances, refusals: Vec::new() };
    let all = stack.containers.values().fold(0_u32, |sum, one| sum.saturating_add(one.replicas));
    if all == 0 {
        check.refuse("services".to_owned(), "nothing would run: name at least one service");
    }
    if all > CONTAINERS_MAX {
        check.refuse(
            "services".to_owned(),
            format!("these are {all} containers, and {CONTAINERS_MAX} is the limit"),
        );
    }
    for (name, container) in &stack.containers {
        check.container(&format!("services.{name}"), container);
    }
    check.ports(stack);
    for (name, network) in &stack.networks {
        let key = format!("networks.{name}");
        if network.external {
            check.refuse(
                key,
                "a network that is not the service's own cannot be used: containers of a project reach each other \
                 as CONTAINER.SERVICE, and rivetr's proxy reaches them by itself, so take it out",
            );
            continue;
        }
        let special = network
            .driver
            .as_deref()
            .is_some_and(|driver| !matches!(driver, "bridge" | "default" | "overlay"))
            || !network.driver_opts.is_empty()
            || network.ipam_driver.is_some()
            || network.ranges.iter().any(|range| range.subnet.is_some());
        if special {
            check.power(key.clone(), "a driver, options or a subnet of its own");
        }
        check.labels(&key, network.labels.keys());
    }
    for (name, volume) in &stack.volumes {
        let key = format!("volumes.{name}");
        if volume.external {
            check.refuse(
                key.clone(),
                "a volume that is not the service's own cannot be used: leave external out",
            );
        }
        if volume.driver.as_deref().is_some_and(|driver| !matches!(driver, "local" | "default"))
            || !volume.driver_opts.is_empty()
        {
            check.power(key.clone(), "a driver or its options");
        }
        check.labels(&key, volume.labels.keys());
    }
    check.refusals
}

impl Check<'_> {
    fn refuse(&mut self, key: String, message: impl Into<String>) {
        self.refusals.push(Refusal { key, message: message.into() });
    }

    /// What only an administrator may give.
    fn power(&mut self, key: String, what: &str) {
        if !self.circumstances.administrator {
            self.refuse(
                key,
                format!(
                    "{what} can only be given by an administrator: take it out, or use a token of scope admin"
                ),
            );
        }
    }

    fn labels<'k>(&mut self, key: &str, labels: impl Iterator<Item = &'k String>) {
        for label in labels.filter(|label| label.starts_with(OWN_LABELS)) {
            self.refuse(
                format!("{key}.labels"),
                format!("{label} is one of rivetr's own labels: use another name"),
            );
        }
    }

    fn container(&mut self, key: &str, container: &Container) {
        let at = |of: &str| format!("{key}.{of}");
        if let ImageSource::Build { .. } = container.image {
            self.refuse(
                at("build"),
                "a service whose files are handed in is made of images that are there already: have it follow the \
                 repository (rivetr services source NAME --repository URL), and it is built from there; or name an image \
                 of a registry",
            );
        }
        self.powers(key, container);
        self.namespaces(key, container);
        self.labels(key, container.labels.keys());
        for name in &container.passed_through {
            self.refuse(at("environment"), format!("{name} has no value: write one, or set it in .env"));
        }
        for file in &container.env_files {
            self.missing(at("env_file"), file);
        }
        for other in &container.volumes_from {
            if let Peer::Container(name) = &other.from {
                self.refuse(at("volumes_from"), format!("the container {name} is none of this service"));
            }
        }
        for mount in &container.mounts {
            if let MountSource::Bind { path, options, .. } = &mount.source {
                self.bind(
                    at("volumes"),
                    path,
                    options.iter().any(|word| word == "U" || word.starts_with("idmap")),
                );
            }
        }
        for file in &container.files {
            let key = at(match file.kind {
                super::mount::FileKind::Secret => "secrets",
                super::mount::FileKind::Config => "configs",
            });
            match &file.origin {
                FileOrigin::Content(_) => {}
                FileOrigin::Path(path) => self.bind(key, path, false),
                FileOrigin::Variable(name) => {
                    self.refuse(key, format!("{name} has no value: set it in .env"));
                }
                FileOrigin::External(name) => self.refuse(
                    key,
                    format!("{name} is not this service's: hand the file in and name it with file:, in place of external"),
                ),
            }
        }
    }

    fn powers(&mut self, key: &str, container: &Container) {
        let given = [
            ("privileged", container.privileged),
            ("cap_add", !container.cap_add.is_empty()),
            ("security_opt", container.security_opt.iter().any(|option| !is_harmless(option))),
            ("sysctls", !container.sysctls.is_empty()),
            ("devices", !container.devices.is_empty()),
            ("device_cgroup_rules", !container.device_cgroup_rules.is_empty()),
            ("userns_mode", container.userns.is_some()),
            ("cgroup", container.cgroup.is_some()),
            ("cgroup_parent", container.cgroup_parent.is_some()),
            ("runtime", container.runtime.is_some()),
            ("storage_opt", !container.storage_opt.is_empty()),
            ("uts", container.uts.is_some()),
            ("mem_swappiness", container.resources.oom_kill_disable),
            ("annotations", !container.annotations.is_empty()),
            (
                "post_start",
                container.post_start.iter().chain(&container.pre_stop).any(|hook| hook.privileged),
            ),
        ];
        for (of, is_given) in given {
            if is_given {
                self.power(format!("{key}.{of}"), of);
            }
        }
    }

    fn namespaces(&mut self, key: &str, container: &Container) {
        match &container.network_mode {
            None | Some(NetworkMode::None | NetworkMode::Of(Peer::Service(_))) => {}
            Some(NetworkMode::Bridge) => self.refuse(
                format!("{key}.network_mode"),
                "the host's common bridge is nobody's own: leave it out, and the service has a network of its own",
            ),
            Some(NetworkMode::Of(Peer::Container(name))) => {
                self.refuse(format!("{key}.network_mode"), format!("the container {name} is none of this service"));
            }
            Some(NetworkMode::Host | NetworkMode::Other(_)) => {
                self.power(format!("{key}.network_mode"), "such a network");
            }
        }
        for (of, namespace) in [("pid", &container.pid), ("ipc", &container.ipc)] {
            match namespace {
                None
                | Some(
                    Namespace::Private
                    | Namespace::None
                    | Namespace::Shareable
                    | Namespace::Of(Peer::Service(_)),
                ) => {}
                Some(Namespace::Of(Peer::Container(name))) => {
                    self.refuse(
                        format!("{key}.{of}"),
                        format!("the container {name} is none of this service"),
                    );
                }
                Some(Namespace::Host) => self.power(format!("{key}.{of}"), "a namespace of the host"),
            }
        }
    }

    /// A path that was not handed in with the files is missing there.
    fn missing(&mut self, key: String, path: &Path) -> bool {
        let Ok(below) = path.strip_prefix(self.circumstances.folder) else {
            self.refuse(
                key,
                format!("{} is no file of the service: hand it in, and name it relative", path.display()),
            );
            return false;
        };
        self.refuse(
            key,
            format!("there is no file {} among those of the service: hand it in too", below.display()),
        );
        true
    }

    fn bind(&mut self, key: String, path: &Path, owned: bool) {
        let Circumstances { folder, podman_socket, bind_roots, real_path, administrator, .. } =
            *self.circumstances;
        if let Ok(below) = path.strip_prefix(folder) {
            let below = below.display();
            return self.refuse(
                key,
                format!("{below} is not among the files of the service: hand it in, or make it a volume, as data:/path"),
            );
        }
        if path == podman_socket {
            // Whoever has the socket has every container.
            if !administrator {
                self.power(key, "Podman's socket");
            }
            return;
        }
        let refuse = |why: &str| format!("{} cannot be mounted: {why}", path.display());
        let message = match real_path(path) {
            None => refuse("there is no such directory on this machine"),
            Some(real) if real != path => refuse("it leads through a link; name the directory itself"),
            Some(_) if owned => refuse("its owner would be changed"),
            // Not deeper: who may write above what is mounted could put a link in its place.
            Some(real) if !bind_roots.iter().any(|root| real.parent() == Some(root.as_path())) => {
                refuse("it does not lie directly in one of bind_roots under [volumes] in rivetr.toml")
            }
            Some(_) => return,
        };
        self.refuse(key, message);
    }

    fn ports(&mut self, stack: &Stack) {
        let mut seen: Vec<PublishedPort> = Vec::new();
        for (name, container) in &stack.containers {
            let key = format!("services.{name}.ports");
            for asked in &container.ports {
                let ports = match published(asked) {
                    Ok(ports) => ports,
                    Err(message) => {
                        self.refuse(key.clone(), message);
                        continue;
                    }
                };
                if !ports.is_empty() && container.replicas > 1 {
                    self.refuse(
                        key.clone(),
                        "a port of the host can only lead to one container: run one replica",
                    );
                }
                for port in ports {
                    if let Some(message) = self.port(&port, &seen) {
                        self.refuse(key.clone(), message);
                    }
                    seen.push(port);
                }
            }
        }
    }

    fn port(&self, port: &PublishedPort, seen: &[PublishedPort]) -> Option<String> {
        let Circumstances { rootless, own_ports, taken, .. } = *self.circumstances;
        let number = port.host.get();
        let instead = "take it out: a domain leads to the container without it (rivetr services domains add)";
        if rootless && number < FIRST_UNPRIVILEGED {
            return Some(format!(
                "port {number} needs root, which this rivetr has not; use one from 1024 on, or {instead}"
            ));
        }
        if own_ports.contains(&number) {
            return Some(format!("rivetr itself listens on port {number}; choose another one, or {instead}"));
        }
        if let Some((_, holder)) = taken.iter().find(|(other, _)| other.collides_with(port)) {
            return Some(format!("port {number} belongs to {holder}; choose another one, or {instead}"));
        }
        let twice = seen.iter().any(|other| other.collides_with(port));
        twice.then(|| format!("port {number} is published twice"))
    }
}

/// The ports of the host that an entry asks for; none where it leaves the choice to the host, for then nobody asks for
/// one.
pub fn published(asked: &Asked) -> Result<Vec<PublishedPort>, String> {
    let Asked { host_ip, host, container: (first, last), protocol } = asked;
    let Some((host_first, host_last)) = host else { return Ok(Vec::new()) };
    let count = host_last.saturating_sub(*host_first);
    if count >= PORTS_MAX {
        return Err(format!("these are {} ports, and {PORTS_MAX} is the limit", u32::from(count) + 1));
    }
    let protocol = match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => return Err("SCTP cannot be published".to_owned()),
    };
    let address = match host_ip {
        None => "0.0.0.0".to_owned(),
        Some(std::net::IpAddr::V4(ip)) => ip.to_string(),
        Some(std::net::IpAddr::V6(ip)) => format!("[{ip}]"),
    };
    let one = |offset: u16| {
        let container = if first == last { *first } else { first.saturating_add(offset) };
        let text = format!("{address}:{}:{container}/{protocol}", host_first.saturating_add(offset));
        PublishedPort::parse(&text).map_err(|error| error.to_string())
    };
    (0..=count).map(one).collect()
}

/// Options that take power away.
fn is_harmless(option: &str) -> bool {
    let (name, value) = option.split_once(['=', ':']).unwrap_or((option, ""));
    name == "no-new-privileges" && matches!(value, "" | "true")
}
