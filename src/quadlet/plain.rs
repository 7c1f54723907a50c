//! What rivetr runs as plain Quadlets, for a host that never had it: readable names, no addresses of rivetr's choice, a
//! port where its proxy led.
//!
//! Pure: texts of units in, texts of units out. What a person wrote, such as the value of a variable, is not changed.

mod names;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::names::{Names, swap};
use super::QuadletError;
use super::path::{Owner, Place, UnitPath};
use super::unit::{Edit, Section, Unit};
use crate::domain::name::Slug;

/// The first port that is given to an app.
const FIRST_PORT: u16 = 8001;
/// What stands in front of a label of rivetr's own.
const LABELS: &str = "io.rivetr.";
/// Keys of `[Unit]` that name other units.
const RELATIONS: [&str; 9] =
    ["After", "Before", "BindsTo", "PartOf", "Requires", "Requisite", "Upholds", "Wants", "Conflicts"];
/// Who runs a command in a container, on a host without rivetr.
const PODMAN: &str = "/usr/bin/podman";

/// A unit as it lies on this machine.
#[derive(Debug, Clone)]
pub struct Found {
    /// Whose it is.
    pub owner: Owner,
    /// The project that it is in.
    pub project: Slug,
    /// Its file.
    pub path: UnitPath,
    /// What stands in it.
    pub text: String,
    /// What a person put beside it, by the name of the file.
    pub drop_ins: Vec<(String, String)>,
}

/// The image of a container, as a plain unit names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainImage {
    /// Its name.
    pub reference: String,
    /// It is loaded from a file; else it is pulled.
    pub local: bool,
}

/// A port of a container that rivetr's proxy led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The port in the container.
    pub port: u16,
    /// Where it was found: hosts, with a path where it was not all of one.
    pub hosts: Vec<String>,
}

/// What is known besides the units.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Images by what stands behind `Image=`.
    pub images: BTreeMap<String, PlainImage>,
    /// What is reached from outside, by the name of the container.
    pub reached: BTreeMap<String, Vec<Reach>>,
}

/// A port of the new host that stands where the proxy stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The container.
    pub container: String,
    /// The port on the host, on its loopback.
    pub port: u16,
    /// Where it was found before.
    pub hosts: Vec<String>,
}

/// Plain units.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plain {
    /// Quadlets by the names of their files.
    pub quadlets: BTreeMap<String, String>,
    /// Units of systemd's own, likewise.
    pub systemd: BTreeMap<String, String>,
    /// Containers by the names they had.
    pub containers: BTreeMap<String, String>,
    /// Podman's secrets by the names they had.
    pub secrets: BTreeMap<String, String>,
    /// Volumes by the names they had.
    pub volumes: BTreeMap<String, String>,
    /// Ports that are published.
    pub published: Vec<Published>,
    /// Services that come up at boot, to be started once.
    pub starts: Vec<String>,
    /// Services that do not: somebody stopped them.
    pub stopped: Vec<String>,
    /// Timers.
    pub timers: Vec<String>,
}

/// Makes plain units of these.
pub fn plain(found: &[Found], known: &Known) -> Result<Plain, QuadletError> {
    let mut plain = Plain::default();
    let mut names = Names::default();
    let units: Vec<(&Found, Unit)> = found
        .iter()
        .map(|one| Ok((one, Unit::parse(&one.text)?)))
        .collect::<Result<_, super::unit::UnitParseError>>()?;
    for (one, unit) in &units {
        names.add(one, unit);
    }
    let mut ports = Ports::beside(units.iter().map(|(_, unit)| unit));
    for (one, unit) in units {
        write(one, unit, known, &names, &mut ports, &mut plain)?;
    }
    plain.secrets = names.secrets;
    plain.volumes = names.volumes;
    Ok(plain)
}

fn write(
    found: &Found,
    mut unit: Unit,
    known: &Known,
    names: &Names,
    ports: &mut Ports,
    plain: &mut Plain,
) -> Result<(), QuadletError> {
    let file = names.file(&found.path);
    let (stem, kind) = file.rsplit_once('.').unwrap_or((file.as_str(), ""));
    unit.drop_remarks();
    unit.edit(|section, key, text| edited(found, known, names, section, key, text));
    unit.remark(&format!("{}, exported from rivetr. README.md tells how it is run.", found.owner));
    if found.path.is_container() {
        let old = names::stem(&found.path);
        if !found.path.is_task() {
            plain.containers.insert(old.to_owned(), stem.to_owned());
        }
        for Reach { port, hosts } in known.reached.get(old).into_iter().flatten() {
            let host = ports.next();
            unit.section(Section::Container).scalar("PublishPort", &format!("127.0.0.1:{host}:{port}"))?;
            let (container, hosts) = (stem.to_owned(), hosts.clone());
            plain.published.push(Published { container, port: host, hosts });
        }
        let service = format!("{stem}.service");
        let at_boot = unit.texts(Section::Install, "WantedBy").next().is_some();
        match (found.path.is_task(), at_boot) {
            (true, _) => {}
            (false, true) => plain.starts.push(service),
            (false, false) => plain.stopped.push(service),
        }
    }
    if kind == "timer" {
        plain.timers.push(file.clone());
    }
    let files = match found.path.place() {
        Place::Quadlet => &mut plain.quadlets,
        Place::Systemd => &mut plain.systemd,
    };
    for (name, text) in &found.drop_ins {
        files.insert(format!("{file}.d/{name}"), swap(text, &names.units));
    }
    files.insert(file, unit.to_string());
    Ok(())
}

/// What becomes of one line.
fn edited(found: &Found, known: &Known, names: &Names, section: Section, key: &str, text: &str) -> Edit {
    let swapped = |text: &str| Edit::Text(swap(text, &names.units));
    match (section, key) {
        (Section::Unit, key) if RELATIONS.contains(&key) => relation(names, text),
        (Section::Install, "WantedBy" | "RequiredBy") => Edit::Text(wanted_by(names, text)),
        (Section::Service, "Slice") | (Section::Network | Section::Volume, "ServiceName") => Edit::Drop,
        (Section::Service, "ExecStart") => Edit::Text(command(names, text)),
        // The new host has networks of its own, with which those of rivetr's pool might collide.
        (Section::Network, "Subnet" | "Gateway") if matches!(found.owner, Owner::Project(_)) => Edit::Drop,
        (Section::Network, "NetworkName") | (Section::Container, "ContainerName") => {
            Edit::Text(names.bare(&found.path))
        }
        (Section::Volume, "VolumeName") => {
            names.volumes.get(text).map_or(Edit::Keep, |name| Edit::Text(name.clone()))
        }
        (_, "Label") if text.trim_start_matches('"').starts_with(LABELS) => Edit::Drop,
        (Section::Container, "Network") => Edit::Text(network(names, text)),
        (Section::Container, "Volume" | "Mount") => swapped(text),
        (Section::Container, "Secret") => Edit::Text(names.secret_of(text)),
        (Section::Container, "Image") => {
            known.images.get(text).map_or(Edit::Keep, |image| Edit::Text(image.reference.clone()))
        }
        (Section::Container, "Pull") if text == "never" && pulled(found, known) => Edit::Drop,
        // The journal finds what a job printed by its unit, with or without rivetr.
        _ => Edit::Keep,
    }
}

/// Whether the image of a container comes from a registry.
fn pulled(found: &Found, known: &Known) -> bool {
    let image = found.text.lines().find_map(|line| line.strip_prefix("Image="));
    image.and_then(|image| known.images.get(image)).is_some_and(|image| !image.local)
}

/// Units that are exported too, by their new names; none of rivetr's own.
fn relation(names: &Names, text: &str) -> Edit {
    let swapped = swap(text, &names.units);
    let words: Vec<&str> = swapped.split_whitespace().filter(|word| !word.starts_with("rivetr")).collect();
    if words.is_empty() { Edit::Drop } else { Edit::Text(words.join(" ")) }
}

fn wanted_by(names: &Names, text: &str) -> String {
    let swapped = swap(text, &names.units);
    let plain = |word: &str| if word.starts_with("rivetr") { "default.target" } else { word }.to_owned();
    let words: BTreeSet<String> = swapped.split_whitespace().map(plain).collect();
    words.into_iter().collect::<Vec<_>>().join(" ")
}

/// A network without an address of rivetr's choice.
fn network(names: &Names, text: &str) -> String {
    let swapped = swap(text, &names.units);
    let Some((name, options)) = swapped.split_once(':') else { return swapped };
    let ours = text.starts_with("rivetr-net-");
    let kept: Vec<&str> = options.split(',').filter(|option| !ours || !option.starts_with("ip=")).collect();
    if kept.is_empty() { name.to_owned() } else { format!("{name}:{}", kept.join(",")) }
}

/// A job in the container of an app: Podman itself runs it there.
fn command(names: &Names, text: &str) -> String {
    let inside = text.split_once(" in-container ").and_then(|(_, rest)| {
        let (container, rest) = rest.split_once(' ')?;
        let (_, words) = rest.split_once(" -- ")?;
        Some(format!("{PODMAN} exec {} {words}", swap(container, &names.units)))
    });
    inside.unwrap_or_else(|| text.to_owned())
}

/// Ports of the new host that nothing else of what is exported has.
struct Ports {
    taken: BTreeSet<u16>,
    next: u16,
}

impl Ports {
    fn beside<'a>(units: impl Iterator<Item = &'a Unit>) -> Self {
        let mut taken = BTreeSet::new();
        for unit in units {
            for text in unit.texts(Section::Container, "PublishPort") {
                // [ADDRESS:]PORT:CONTAINER[/udp]
                let mut parts = text.trim_matches('"').rsplit(':');
                taken.extend(parts.nth(1).and_then(|port| port.parse::<u16>().ok()));
            }
        }
        Self { taken, next: FIRST_PORT }
    }

    fn next(&mut self) -> u16 {
        while self.taken.contains(&self.next) {
            self.next += 1;
        }
        let port = self.next;
        self.next += 1;
        port
    }
}
