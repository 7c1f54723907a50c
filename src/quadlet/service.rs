//! A service as units: those of its stack, in the network and slice of its project, with nothing secret in them.
//!
//! [`adapt`] makes of a stack as it was read the one that runs here, before anybody judges what it may have; [`render`]
//! writes that. What is secret becomes Podman's secrets, which are named after what is in them, so that a unit is another
//! one when its secret is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::path::Path;

use super::features::PodmanFeatures;
use super::path::{Owner, UnitPath};
use super::project;
use super::stack::{self, Naming, Note, Owned, Refused};
use super::unit::{Section, Unit};
use super::{QuadletError, UnitFiles};
use crate::domain::name::Slug;
use crate::domain::project::Project;
use crate::domain::service::{Files, Part, unit_prefix};
use crate::domain::stack::Stack;
use crate::domain::stack::container::{Container, ImageSource, Pull};
use crate::domain::stack::health::Health;
use crate::domain::stack::mount::{FileKind, FileOrigin, GrantedFile, Mount, MountSource};
use crate::domain::stack::policy;
use crate::domain::stack::resources::Resources;

/// Where people look for a container engine's socket.
const SOCKETS: [&str; 4] =
    ["/var/run/docker.sock", "/run/docker.sock", "/var/run/podman/podman.sock", "/run/podman/podman.sock"];
/// Words in the name of a variable whose value is a secret.
const SECRET_WORDS: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "PRIVATE", "SALT"];
/// A shorter value is found in too much that is no secret.
const SECRET_MIN: usize = 4;
/// What the container's label says is the service.
pub const LABEL: &str = "io.rivetr.service";

/// Whose the units are, and what is known of where they will run.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    /// The name of the service.
    pub slug: &'a Slug,
    /// Its project.
    pub project: &'a Project,
    /// The addresses of its containers, by their names.
    pub addresses: &'a BTreeMap<String, Ipv4Addr>,
    /// What the installed Podman can read.
    pub features: PodmanFeatures,
    /// The name of the compose file.
    pub origin: &'a str,
    /// The variables of its `.env`.
    pub variables: &'a BTreeMap<String, String>,
    /// A name for a secret, which tells nothing of it.
    pub name: &'a (dyn Fn(&str) -> String + Sync),
}

/// A service as it is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rendered {
    /// Its units.
    pub files: UnitFiles,
    /// Podman's secrets that they name, with what is in each.
    pub secrets: BTreeMap<String, String>,
    /// Its containers.
    pub parts: Vec<Part>,
    /// The names of those containers that are on the project's network.
    pub joined: BTreeSet<String>,
    /// What is not quite as it was said.
    pub notes: Vec<Note>,
}

/// Why a service cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RenderError {
    /// Something in it cannot be said; never empty.
    #[error("the stack cannot be written")]
    Refused(Vec<Note>),
    /// A unit cannot carry it.
    #[error(transparent)]
    Text(#[from] QuadletError),
}

/// The stack as it runs here: with rivetr's names, and with the files that were handed in where it names files of
/// `folder`.
#[must_use]
pub fn adapt(
    mut stack: Stack,
    slug: &Slug,
    folder: &Path,
    files: &Files,
    socket: &Path,
) -> (Stack, Vec<Note>) {
    let mut notes = Vec::new();
    slug.as_str().clone_into(&mut stack.name);
    for (key, volume) in &mut stack.volumes {
        if !volume.external {
            volume.name = volume_name(slug, key);
        }
    }
    for (key, network) in &mut stack.networks {
        if !network.external {
            network.name = format!("{}-network", unit(slug, key));
        }
    }
    for (name, container) in &mut stack.containers {
        if let Some(asked) = container.container_name.take() {
            for at in &mut container.networks {
                at.aliases.push(asked.clone());
            }
            let key = format!("services.{name}.container_name");
            let message =
                format!("the container is called {}; the others also reach it as {asked}", unit(slug, name));
            notes.push(Note { key, message });
        }
        if container.logging.take().is_some() {
            let message = "it is left out: what a container writes goes to the journal".to_owned();
            notes.push(Note { key: format!("services.{name}.logging"), message });
        }
        take_in(container, folder, files, socket);
    }
    (stack, notes)
}

/// The images of a stack, and whether each is fetched although it is there.
#[must_use]
pub fn images(stack: &Stack) -> BTreeMap<String, bool> {
    let mut images = BTreeMap::new();
    for container in stack.containers.values().filter(|container| container.replicas > 0) {
        if let ImageSource::Reference(reference) = &container.image
            && container.pull != Some(Pull::Never)
        {
            let always = matches!(container.pull, Some(Pull::Always | Pull::Newer));
            *images.entry(reference.clone()).or_insert(false) |= always;
        }
    }
    images
}

/// The name of a volume to Podman. No name of a service has `_`, so that it is of this one alone.
#[must_use]
pub fn volume_name(slug: &Slug, key: &str) -> String {
    format!("rivetr-svc-{slug}_{key}")
}

/// The volume, by its name to Podman, that a unit of a service makes; none: it makes none.
#[must_use]
pub fn volume_of_unit(slug: &Slug, unit: &str) -> Option<String> {
    // A number stands behind the name where another unit has it already.
    let (key, number) = unit.strip_prefix(&unit_prefix(slug))?.rsplit_once("-volume")?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let fine = number.is_empty() || number.strip_prefix('_').is_some_and(is_number);
    fine.then(|| volume_name(slug, key))
}

fn unit(slug: &Slug, name: &str) -> String {
    format!("{}{name}", unit_prefix(slug))
}

/// Puts the files that were handed in where a container would look for them beside its compose file.
fn take_in(container: &mut Container, folder: &Path, files: &Files, socket: &Path) {
    let text = |path: &Path| {
        let below = path.strip_prefix(folder).ok()?;
        files.iter().find(|(name, _)| Path::new(name.as_str()) == below).map(|(_, text)| text.clone())
    };
    for file in &mut container.files {
        if let FileOrigin::Path(path) = &file.origin
            && let Some(text) = text(path)
        {
            file.origin = FileOrigin::Content(text);
        }
    }
    let mut mounts = Vec::new();
    for mut mount in std::mem::take(&mut container.mounts) {
        if let MountSource::Bind { path, .. } = &mut mount.source {
            if SOCKETS.iter().any(|known| path == Path::new(known)) {
                socket.clone_into(path);
            }
            let granted = granted(path, &mount.target, folder, files);
            if !granted.is_empty() {
                container.files.extend(granted);
                continue;
            }
        }
        mounts.push(mount);
    }
    container.mounts = mounts;
}

/// The files at a path, or below it, as files of the container.
fn granted(path: &Path, target: &str, folder: &Path, files: &Files) -> Vec<GrantedFile> {
    let Ok(below) = path.strip_prefix(folder) else { return Vec::new() };
    let at = |name: &str| {
        let rest = Path::new(name).strip_prefix(below).ok()?.to_str()?;
        let end = target.trim_end_matches('/');
        Some(if rest.is_empty() { target.to_owned() } else { format!("{end}/{rest}") })
    };
    let found = files.iter().filter_map(|(name, text)| {
        Some(GrantedFile {
            kind: FileKind::Config,
            key: name.as_str().to_owned(),
            origin: FileOrigin::Content(text.clone()),
            target: at(name.as_str())?,
            uid: None,
            gid: None,
            mode: Some(if text.starts_with("#!") { 0o555 } else { 0o444 }),
        })
    });
    found.collect()
}

/// The units of a stack that was adapted.
pub fn render(stack: &Stack, place: &Place<'_>) -> Result<Rendered, RenderError> {
    let mut secrets = BTreeMap::new();
    let mut given = BTreeMap::new();
    let mut stack = stack.clone();
    let bridge = |driver: Option<&str>| matches!(driver, None | Some("bridge" | "default" | "overlay"));
    for network in stack.networks.values_mut().filter(|network| bridge(network.driver.as_deref())) {
        network.driver_opts.insert("isolate".to_owned(), "true".to_owned());
    }
    let mut refused = Vec::new();
    for (name, container) in &mut stack.containers {
        container.pull = None;
        harden(container);
        given.insert(name.clone(), hide(container, place, &mut secrets));
        for file in &mut container.files {
            let FileOrigin::Content(text) = &file.origin else { continue };
            if text.is_empty() {
                let message = "an empty file cannot be given to a container: write a blank line".to_owned();
                refused.push(Note {
                    key: format!("services.{name}"),
                    message: format!("{}: {message}", file.key),
                });
                continue;
            }
            let secret = (place.name)(text);
            secrets.insert(secret.clone(), text.clone());
            file.origin = FileOrigin::External(secret);
            file.mode = file.mode.or(Some(0o444));
        }
    }
    if !refused.is_empty() {
        return Err(RenderError::Refused(refused));
    }
    let naming = naming(&stack, place);
    let written = stack::units(&stack, &naming, place.features);
    let written = written.map_err(|Refused { problems, .. }| RenderError::Refused(problems))?;
    let owner = Owner::Service(place.slug.clone());
    let mut rendered = Rendered { secrets, notes: written.notes, ..Rendered::default() };
    let mut units: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, written) in written.files {
        let path = UnitPath::quadlet(&owner, &file).map_err(QuadletError::from)?;
        let mut unit = Unit::parse(&written.text).map_err(QuadletError::from)?;
        let name = path.unit().trim_end_matches(".service").to_owned();
        let part = stack.containers.keys().find(|part| is_of(&name, place.slug, part, &stack));
        if let Some(part) = part.filter(|_| path.is_container()) {
            units.entry(part.clone()).or_default().push(name);
            own(&mut unit, place, part, given.get(part).map_or(&[], Vec::as_slice))?;
        }
        for (ending, section) in [("volume", Section::Volume), ("network", Section::Network)] {
            if path.file().ends_with(&format!(".{ending}")) {
                let labelled = unit.section(section).assignment("Label", LABEL, place.slug.as_str());
                labelled.map_err(QuadletError::from)?;
            }
        }
        unit.section(Section::Quadlet).raw("DefaultDependencies", "false").map_err(QuadletError::from)?;
        rendered.files.insert(path, unit.to_string());
    }
    for (name, container) in &stack.containers {
        let units = units.remove(name).unwrap_or_default();
        if joins(&stack, container) {
            rendered.joined.extend(units.iter().cloned());
        }
        if !units.is_empty() {
            rendered.parts.push(part(name, container, units, place.addresses));
        }
    }
    Ok(rendered)
}

/// Whether a unit of this name is a replica of this container.
fn is_of(name: &str, slug: &Slug, part: &str, stack: &Stack) -> bool {
    let own = unit(slug, part);
    let replicas = stack.containers.get(part).map_or(0, |container| container.replicas);
    name == own || (2..=replicas).any(|number| name == format!("{own}-{number}"))
}

fn naming(stack: &Stack, place: &Place<'_>) -> Naming {
    let joined = stack.containers.iter().filter(|(_, container)| joins(stack, container));
    let joined: Vec<&String> = joined.map(|(name, _)| name).collect();
    let aliases = joined.iter().map(|name| {
        let whole =
            (joined.len() == 1 || name.as_str() == place.slug.as_str()).then(|| place.slug.to_string());
        ((*name).clone(), std::iter::once(format!("{name}.{}", place.slug)).chain(whole).collect())
    });
    Naming {
        prefix: format!("rivetr-svc-{}", place.slug),
        origin: place.origin.to_owned(),
        owned: Some(Owned {
            network: project::network_file(&place.project.slug),
            addresses: place.addresses.clone(),
            aliases: aliases.collect(),
        }),
    }
}

/// Whether a container is on the project's network too: one whose own networks lead nowhere is not.
fn joins(stack: &Stack, container: &Container) -> bool {
    let internal = |key: &str| stack.networks.get(key).is_some_and(|network| network.internal);
    container.replicas > 0
        && container.network_mode.is_none()
        && !container.networks.is_empty()
        && !container.networks.iter().all(|at| internal(&at.network))
}

/// What every container of rivetr's has.
fn harden(container: &mut Container) {
    if !container.privileged
        && !container.security_opt.iter().any(|option| option.starts_with("no-new-privileges"))
    {
        container.security_opt.push("no-new-privileges:true".to_owned());
    }
    if container.network_mode.is_none() {
        // An ordinary user in the container may listen on port 80, as with Docker.
        let port = "net.ipv4.ip_unprivileged_port_start".to_owned();
        container.sysctls.entry(port).or_insert_with(|| "0".to_owned());
    }
    // Nobody asked for a port of the host where only that of the container is named.
    container.ports.retain(|port| port.host.is_some());
}

/// Takes what is secret out of the variables: each with the name of the secret that holds it.
fn hide(
    container: &mut Container,
    place: &Place<'_>,
    secrets: &mut BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let known = place.variables.iter().filter(|(name, value)| is_secret(name) && value.len() >= SECRET_MIN);
    let known: Vec<&String> = known.map(|(_, value)| value).collect();
    let mut hidden = Vec::new();
    container.environment.retain(|name, value| {
        let secret = is_secret(name) || known.iter().any(|known| value.contains(known.as_str()));
        if value.is_empty() || !secret {
            return true;
        }
        let called = (place.name)(value);
        secrets.insert(called.clone(), value.clone());
        hidden.push((name.clone(), called));
        false
    });
    hidden
}

/// Whether a variable of this name holds a secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    // A file, or a link to one, is told where it lies, not what is in it.
    !name.ends_with("_FILE")
        && SECRET_WORDS.iter().any(|word| name.split(['_', '-', '.']).any(|part| part.contains(word)))
}

fn own(
    unit: &mut Unit,
    place: &Place<'_>,
    part: &str,
    hidden: &[(String, String)],
) -> Result<(), QuadletError> {
    let mut container = unit
        .section(Section::Container)
        .raw("LogDriver", "journald")?
        .assignment("Label", LABEL, place.slug.as_str())?
        .assignment("Label", "io.rivetr.container", part)?
        .assignment("Label", "io.rivetr.project", place.project.slug.as_str())?;
    for (variable, secret) in hidden {
        container = container.words("Secret", [format!("{secret},type=env,target={variable}").as_str()])?;
    }
    unit.section(Section::Service).raw("Slice", &project::slice(&place.project.slug))?;
    Ok(())
}

fn part(
    name: &str,
    container: &Container,
    units: Vec<String>,
    addresses: &BTreeMap<String, Ipv4Addr>,
) -> Part {
    let published: Vec<_> =
        container.ports.iter().flat_map(|port| policy::published(port).unwrap_or_default()).collect();
    let exposed = container.expose.iter().filter_map(|port| port.split(['/', '-']).next()?.parse().ok());
    let ports: BTreeSet<u16> = published.iter().map(|port| port.container.get()).chain(exposed).collect();
    Part {
        name: name.to_owned(),
        image: match &container.image {
            ImageSource::Reference(reference) => reference.clone(),
            ImageSource::Build { reference, .. } => reference.clone().unwrap_or_default(),
        },
        addresses: units.iter().filter_map(|unit| addresses.get(unit).copied()).collect(),
        units,
        published,
        ports: ports.into_iter().collect(),
        checked: matches!(container.health, Some(Health::Check(_))),
        memory: container.resources.memory.filter(|bytes| *bytes > 0),
        cpus: cpu_percent(&container.resources),
    }
}

/// What a container may use of processors, in percent of one, rounded up: as the file says it in either way.
fn cpu_percent(resources: &Resources) -> Option<u64> {
    let said = |text: &String| {
        let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        let mut hundredths =
            rest.chars().chain("00".chars()).take(2).collect::<String>().parse::<u64>().ok()?;
        if rest.chars().skip(2).any(|digit| digit != '0') {
            hundredths += 1;
        }
        whole.checked_mul(100)?.checked_add(hundredths)
    };
    let quota = || {
        let quota = u64::try_from(resources.cpu_quota?).ok()?;
        quota.checked_mul(100).map(|quota| quota.div_ceil(resources.cpu_period.unwrap_or(100_000).max(1)))
    };
    resources.cpus.as_ref().and_then(said).or_else(quota).filter(|percent| *percent > 0)
}

/// The units of a service that is stopped: none comes up by itself.
pub fn disabled(files: &UnitFiles) -> Result<UnitFiles, QuadletError> {
    files.iter().map(|(path, text)| Ok((path.clone(), Unit::parse(text)?.disabled()))).collect()
}

/// The mounts that name volumes of the stack, for those who ask which there are.
#[must_use]
pub fn volumes(stack: &Stack) -> BTreeSet<String> {
    let named = |mount: &Mount| match &mount.source {
        MountSource::Volume { key, .. } => stack.volumes.get(key).map(|volume| volume.name.clone()),
        MountSource::Anonymous
        | MountSource::Bind { .. }
        | MountSource::Tmpfs { .. }
        | MountSource::Image { .. } => None,
    };
    stack.containers.values().flat_map(|container| &container.mounts).filter_map(named).collect()
}

#[cfg(test)]
mod tests;
