//! What a container may have: one function, asked when an app is created, when it is changed, and before a release
//! is started.

use std::path::{Path, PathBuf};

use super::{PublishedPort, Runtime};
use crate::domain::app::Replicas;
use crate::domain::volume::{Mount, Tmpfs};

/// Ports below this one are root's.
const FIRST_UNPRIVILEGED: u16 = 1024;

/// What is known about who asks and where.
#[derive(Debug, Clone, Copy)]
pub struct Circumstances<'a> {
    /// Who asks may change the instance.
    pub administrator: bool,
    /// Containers run without root.
    pub rootless: bool,
    /// Ports that rivetr itself listens on.
    pub own_ports: &'a [u16],
    /// How many containers answer side by side.
    pub replicas: Replicas,
    /// Ports that something else has, and what: `app blog`, `database orders`.
    pub taken: &'a [(PublishedPort, String)],
    /// Apps may mount the directories of the host that lie directly in these.
    pub bind_roots: &'a [PathBuf],
    /// Where each host path of the mounts leads once every link is followed, in their order; none: there is no such.
    pub real_paths: &'a [Option<PathBuf>],
    /// What the app has already.
    pub before: Option<&'a Runtime>,
}

/// Something that an app may not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The option.
    pub field: &'static str,
    /// Why, and what would do.
    pub message: String,
}

/// Whether an app may have all of this.
pub fn check(runtime: &Runtime, circumstances: &Circumstances<'_>) -> Result<(), Refusal> {
    capabilities(runtime, circumstances)?;
    ports(runtime, circumstances)?;
    replicas(runtime, circumstances.replicas)?;
    mount_points(runtime)?;
    host_paths(runtime, circumstances.bind_roots, circumstances.real_paths)
}

/// Whether so many containers can run side by side: a port of the host leads to one alone.
pub fn replicas(runtime: &Runtime, replicas: Replicas) -> Result<(), Refusal> {
    match runtime.publish.first().filter(|_| replicas > Replicas::ONE) {
        Some(port) => Err(Refusal {
            field: "runtime.publish",
            message: format!(
                "port {} of the host can only lead to one container, and these are {}: take the port away, or \
                 run one container",
                port.host,
                replicas.get()
            ),
        }),
        None => Ok(()),
    }
}

/// Whether the paths of the host that are mounted lie below a directory on the list; `real` is where each leads once
/// every link is followed.
pub fn host_paths(runtime: &Runtime, roots: &[PathBuf], real: &[Option<PathBuf>]) -> Result<(), Refusal> {
    let asked = runtime.mounts.iter().filter_map(Mount::host_path);
    for (path, real) in asked.zip(real) {
        let refuse = |why: &str| {
            Err(Refusal { field: "runtime.volumes", message: format!("{path} cannot be mounted: {why}") })
        };
        let Some(real) = real else { return refuse("there is no such directory on this machine") };
        if real != Path::new(path.as_str()) {
            return refuse("it leads through a link; name the directory itself");
        }
        // Not deeper: who may write above what is mounted could put a link in its place, and Podman would follow it
        // when it starts the container again by itself.
        if !roots.iter().any(|root| real.parent() == Some(root.as_path())) {
            return refuse("it does not lie directly in one of bind_roots under [volumes] in rivetr.toml");
        }
    }
    Ok(())
}

fn capabilities(runtime: &Runtime, circumstances: &Circumstances<'_>) -> Result<(), Refusal> {
    let had =
        |capability| circumstances.before.is_some_and(|before| before.capabilities.contains(capability));
    match runtime.capabilities.iter().find(|capability| !had(capability)) {
        Some(more) if !circumstances.administrator => Err(Refusal {
            field: "runtime.capabilities",
            message: format!("{more} can only be given by an administrator: use a token of scope admin"),
        }),
        _ => Ok(()),
    }
}

fn ports(runtime: &Runtime, circumstances: &Circumstances<'_>) -> Result<(), Refusal> {
    let refuse = |message| Err(Refusal { field: "runtime.publish", message });
    for (index, port) in runtime.publish.iter().enumerate() {
        let number = port.host.get();
        if circumstances.rootless && number < FIRST_UNPRIVILEGED {
            return refuse(format!(
                "port {number} needs root, which this rivetr has not: use one from 1024 on"
            ));
        }
        if circumstances.own_ports.contains(&number) {
            return refuse(format!("rivetr itself listens on port {number}: choose another one"));
        }
        if let Some((_, owner)) = circumstances.taken.iter().find(|(taken, _)| taken.collides_with(port)) {
            return refuse(format!(
                "port {number} belongs to {owner}: choose another one, or take it away there first"
            ));
        }
        if runtime.publish.iter().take(index).any(|earlier| earlier.collides_with(port)) {
            return refuse(format!("port {number} is published twice"));
        }
    }
    Ok(())
}

fn mount_points(runtime: &Runtime) -> Result<(), Refusal> {
    let mounts = runtime.mounts.iter().map(|mount| &mount.at);
    let mut points: Vec<_> = mounts.chain(runtime.tmpfs.iter().map(Tmpfs::at)).collect();
    points.sort();
    let twice = points.windows(2).find_map(|pair| pair.first().filter(|first| pair.last() == Some(first)));
    twice.map_or(Ok(()), |path| {
        Err(Refusal { field: "runtime.volumes", message: format!("two things are to be mounted at {path}") })
    })
}

#[cfg(test)]
mod tests {
    use super::super::Capability;
    use super::*;
    use crate::domain::name::Slug;

    struct Case {
        runtime: Runtime,
        administrator: bool,
        rootless: bool,
        real: Vec<Option<PathBuf>>,
        before: Option<Runtime>,
    }

    fn runtime(publish: &[&str], capabilities: &[&str], mounts: &[&str]) -> Runtime {
        Runtime {
            publish: publish.iter().map(|text| PublishedPort::parse(text).unwrap()).collect(),
            capabilities: capabilities.iter().map(|text| Capability::parse(text).unwrap()).collect(),
            mounts: mounts.iter().map(|text| Mount::parse(text).unwrap()).collect(),
            ..Runtime::default()
        }
    }

    fn asks(runtime: Runtime) -> Case {
        let path = |mount: &Mount| mount.host_path().map(|path| Some(PathBuf::from(path.as_str())));
        let real = runtime.mounts.iter().filter_map(path).collect();
        Case { runtime, administrator: false, rootless: true, real, before: None }
    }

    #[test]
    fn what_an_app_may_have() {
        let publish = |ports: &[&str]| asks(runtime(ports, &[], &[]));
        let power = || asks(runtime(&[], &["NET_RAW"], &[]));
        let mount = |mounts: &[&str]| asks(runtime(&[], &[], mounts));
        let led_to = |mounts: &[&str], real: Option<&str>| Case {
            real: vec![real.map(PathBuf::from)],
            ..mount(mounts)
        };
        let with_memory =
            Runtime { tmpfs: vec![Tmpfs::parse("/x").unwrap()], ..runtime(&[], &[], &["a:/x"]) };
        let cases: Vec<(Case, Option<&str>)> = vec![
            (asks(Runtime::default()), None),
            (publish(&["8443:443"]), None),
            (publish(&["443:443"]), Some("needs root")),
            (Case { rootless: false, ..publish(&["445:445"]) }, None),
            (publish(&["0.0.0.0:7480:80"]), Some("rivetr itself")),
            (publish(&["5432:5432"]), Some("belongs to app db")),
            (publish(&["192.0.2.1:5432:5432"]), None),
            (publish(&["0.0.0.0:5432:5432"]), Some("belongs to app db")),
            (publish(&["5432:5432/udp"]), None),
            (publish(&["9000:1", "9000:2"]), Some("twice")),
            (power(), Some("an administrator")),
            (Case { administrator: true, ..power() }, None),
            (Case { before: Some(power().runtime), ..power() }, None),
            (
                Case { before: Some(power().runtime), ..asks(runtime(&[], &["NET_RAW", "SYS_ADMIN"], &[])) },
                Some("SYS_ADMIN"),
            ),
            (mount(&["data:/data", "more:/more"]), None),
            (mount(&["data:/data", "more:/data"]), Some("two things")),
            (asks(with_memory), Some("two things")),
            (mount(&["/srv/media/films:/films:ro"]), None),
            (mount(&["/srv/media:/films"]), Some("directly in one of bind_roots")),
            (mount(&["/srv/media/films/new:/films"]), Some("directly in one of bind_roots")),
            (mount(&["/srv/mediation:/films"]), Some("directly in one of bind_roots")),
            (mount(&["/etc:/etc"]), Some("directly in one of bind_roots")),
            (Case { administrator: true, ..mount(&["/run:/run"]) }, Some("directly in one of bind_roots")),
            (led_to(&["/srv/media/link:/x"], Some("/etc")), Some("through a link")),
            (led_to(&["/srv/media/gone:/x"], None), Some("no such directory")),
        ];
        let db = Slug::parse("db").unwrap();
        for (case, words) in cases {
            let circumstances = Circumstances {
                administrator: case.administrator,
                rootless: case.rootless,
                own_ports: &[80, 7480],
                replicas: Replicas::ONE,
                taken: &[(PublishedPort::parse("5432:5432").unwrap(), format!("app {db}"))],
                bind_roots: &[PathBuf::from("/srv/media")],
                real_paths: &case.real,
                before: case.before.as_ref(),
            };
            match (check(&case.runtime, &circumstances), words) {
                (Ok(()), None) => {}
                (Err(refusal), Some(words)) => assert!(refusal.message.contains(words), "{refusal:?}"),
                (outcome, words) => panic!("{:?} gave {outcome:?}, not {words:?}", case.runtime),
            }
        }
    }

    #[test]
    fn a_port_of_the_host_leads_to_one_container() {
        let [published, plain] = [runtime(&["8443:443"], &[], &[]), Runtime::default()];
        let two = Replicas::new(2).unwrap();
        assert_eq!((replicas(&published, Replicas::ONE), replicas(&plain, two)), (Ok(()), Ok(())));
        let refusal = replicas(&published, two).unwrap_err();
        assert_eq!(refusal.field, "runtime.publish");
        assert!(refusal.message.contains("port 8443 of the host"), "{refusal:?}");
    }
}
