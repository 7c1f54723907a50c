//! From one tree to a stack: services, networks and volumes with their names, and whether it all fits together.

use std::collections::{BTreeMap, BTreeSet};

use super::field::Field;
use super::keys;
use super::log::Log;
use super::node::Node;
use super::service::{self, Context, Link};
use super::yaml::ITEMS_MAX;
use crate::domain::stack::Stack;
use crate::domain::stack::container::Container;
use crate::domain::stack::mount::{FileKind, Mount, MountSource, Volume};
use crate::domain::stack::network::{AddressRange, Network};

/// The network of services that name none.
const DEFAULT: &str = "default";
/// The driver of volumes that are folders of the host.
const LOCAL: &str = "local";

/// The most services of one project.
const SERVICES_MAX: usize = ITEMS_MAX;

/// Reads the tree of a project.
pub fn read(project: &str, tree: &Node, profiles: &[String], context: &mut Context<'_>) -> Stack {
    let root = Field::new(tree, "");
    root.known(&mut context.log, keys::TOP);
    let services = root.get("services").map(|field| named_services(&field, context)).unwrap_or_default();
    if services.is_empty() && context.log.problems.is_empty() {
        let message = "this file has no services: a compose file has them under the key services";
        context.log.problem(tree.place, "services", message);
    }
    if services.len() > SERVICES_MAX {
        context.log.problem(tree.place, "services", format!("there are more than {SERVICES_MAX} services"));
        return Stack::default();
    }
    let mut networks = section(&root, "networks", context, |name, field, context| {
        network(project, name, field, &mut context.log)
    });
    let mut volumes =
        section(&root, "volumes", context, |name, field, context| volume(project, name, field, context));
    context.networks = networks.keys().cloned().collect();
    context.volumes = volumes.keys().cloned().collect();
    context.secrets = origins(&root, "secrets", FileKind::Secret, context);
    context.configs = origins(&root, "configs", FileKind::Config, context);
    context.services = services.iter().map(|(name, _)| (*name).to_owned()).collect();
    let is_enabled = |field: &Field<'_>, log: &mut Log| {
        let of = field.get("profiles").map(|field| field.texts(log)).unwrap_or_default();
        of.is_empty()
            || of.iter().any(|profile| profiles.contains(profile))
            || profiles.iter().any(|asked| asked == "*")
    };
    let enabled: Vec<_> =
        services.into_iter().filter(|(_, field)| is_enabled(field, &mut context.log)).collect();
    context.enabled = enabled.iter().map(|(name, _)| (*name).to_owned()).collect();
    let mut containers = BTreeMap::new();
    for (name, field) in &enabled {
        containers.insert((*name).to_owned(), service::read(name, field, context));
    }
    check(&mut containers, &enabled, &mut context.log);
    let links = std::mem::take(&mut context.links);
    link(&mut containers, &links, &root, &mut context.log);
    networks
        .entry(DEFAULT.to_owned())
        .or_insert_with(|| Network { name: format!("{project}_{DEFAULT}"), ..Network::default() });
    let used: BTreeSet<&String> = containers
        .values()
        .flat_map(|container| container.networks.iter().map(|attachment| &attachment.network))
        .collect();
    networks.retain(|name, _| used.contains(name));
    let mounted: BTreeSet<&String> =
        containers.values().flat_map(|container| container.mounts.iter().filter_map(volume_of)).collect();
    volumes.retain(|name, _| mounted.contains(name));
    Stack { name: project.to_owned(), containers, networks, volumes }
}

fn volume_of(mount: &Mount) -> Option<&String> {
    match &mount.source {
        MountSource::Volume { key, .. } => Some(key),
        MountSource::Anonymous
        | MountSource::Bind { .. }
        | MountSource::Tmpfs { .. }
        | MountSource::Image { .. } => None,
    }
}

fn named_services<'a>(field: &Field<'a>, context: &mut Context<'_>) -> Vec<(&'a str, Field<'a>)> {
    let mut services = field.named(&mut context.log);
    services.retain(|(name, field)| {
        let is_name = !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if !is_name {
            field.problem(
                &mut context.log,
                format!("{name:?} cannot name a service: use letters, digits, dots, dashes and underscores"),
            );
        }
        if !field.is_map() {
            field.problem(&mut context.log, "a service is a mapping: say at least its image");
        }
        is_name && field.is_map()
    });
    services
}

fn section<T>(
    root: &Field<'_>,
    key: &str,
    context: &mut Context<'_>,
    read: impl Fn(&str, &Field<'_>, &mut Context<'_>) -> T,
) -> BTreeMap<String, T> {
    let Some(field) = root.get(key) else { return BTreeMap::new() };
    let mut all = BTreeMap::new();
    for (name, field) in field.entries(&mut context.log) {
        all.insert(name.to_owned(), read(name, &field, context));
    }
    all
}

fn origins(
    root: &Field<'_>,
    key: &str,
    kind: FileKind,
    context: &mut Context<'_>,
) -> BTreeMap<String, crate::domain::stack::mount::FileOrigin> {
    let all = section(root, key, context, |name, field, context| service::origin(name, field, kind, context));
    all.into_iter().filter_map(|(name, origin)| Some((name, origin?))).collect()
}

/// What somebody else made, with the name that the old form may say.
#[derive(Debug)]
pub struct External(pub Option<String>);

/// Whether somebody else made it.
pub fn external(field: &Field<'_>, log: &mut Log) -> Option<External> {
    let external = external_name(field, log)?;
    for (key, other) in field.entries(log) {
        if !matches!(key, "external" | "name") && !other.node.is_null() {
            other.problem(log, "what is external has these settings already: remove this, or external");
        }
    }
    Some(external)
}

fn external_name(field: &Field<'_>, log: &mut Log) -> Option<External> {
    let external = field.get("external")?;
    if external.is_map() {
        external.known(log, keys::EXTERNAL);
        return Some(External(external.get("name").and_then(|field| field.filled(log))));
    }
    external.boolean(log).filter(|external| *external).map(|_| External(None))
}

/// What it is called: what is said, its own key where it is somebody else's, or the project's name and its key.
fn called(project: &str, key: &str, said: Option<String>, external: Option<&External>) -> String {
    match external {
        Some(External(older)) => older.clone().or(said).unwrap_or_else(|| key.to_owned()),
        None => said.unwrap_or_else(|| format!("{project}_{key}")),
    }
}

fn network(project: &str, key: &str, field: &Field<'_>, log: &mut Log) -> Network {
    field.entries(log);
    field.known(log, keys::NETWORK);
    let external = external(field, log);
    let text = |key: &str, log: &mut Log| field.get(key).and_then(|field| field.filled(log));
    let flag = |key: &str, log: &mut Log| field.get(key).and_then(|field| field.boolean(log));
    let pairs =
        |key: &str, log: &mut Log| field.get(key).map(|field| field.filled_pairs(log)).unwrap_or_default();
    let mut network = Network {
        name: called(project, key, text("name", log), external.as_ref()),
        external: external.is_some(),
        driver: text("driver", log),
        driver_opts: pairs("driver_opts", log),
        internal: flag("internal", log).unwrap_or_default(),
        ipv6: flag("enable_ipv6", log).unwrap_or_default(),
        labels: pairs("labels", log),
        ..Network::default()
    };
    if flag("enable_ipv4", log) == Some(false) {
        field.warn(
            log,
            "enable_ipv4: false: Podman gives every network IPv4 unless its ranges are of IPv6 alone",
        );
    }
    if let Some(ipam) = field.get("ipam") {
        ipam.entries(log);
        ipam.known(log, keys::IPAM);
        network.ipam_driver =
            ipam.get("driver").and_then(|field| field.filled(log)).filter(|driver| driver != "default");
        network.ipam_options = ipam.get("options").map(|field| field.filled_pairs(log)).unwrap_or_default();
        let ranges = ipam.get("config").map(|field| field.items(log)).unwrap_or_default();
        network.ranges = ranges
            .iter()
            .map(|item| range(item, log))
            .filter(|range| *range != AddressRange::default())
            .collect();
    }
    network
}

fn range(item: &Field<'_>, log: &mut Log) -> AddressRange {
    item.entries(log);
    item.known(log, keys::IPAM_RANGE);
    let text = |key: &str, log: &mut Log| item.get(key).and_then(|field| field.filled(log));
    AddressRange {
        subnet: text("subnet", log),
        ip_range: text("ip_range", log),
        gateway: text("gateway", log),
    }
}

fn volume(project: &str, key: &str, field: &Field<'_>, context: &mut Context<'_>) -> Volume {
    let log = &mut context.log;
    field.entries(log);
    field.known(log, keys::VOLUME);
    let external = external(field, log);
    let text = |key: &str, log: &mut Log| field.get(key).and_then(|field| field.filled(log));
    let pairs =
        |key: &str, log: &mut Log| field.get(key).map(|field| field.filled_pairs(log)).unwrap_or_default();
    let mut volume = Volume {
        name: called(project, key, text("name", log), external.as_ref()),
        external: external.is_some(),
        driver: text("driver", log),
        driver_opts: pairs("driver_opts", log),
        labels: pairs("labels", log),
    };
    // A folder of the host under the name of a volume: relative to the file, as docker compose has it.
    let is_local = volume.driver.as_deref().is_none_or(|driver| driver == LOCAL);
    let is_bind = volume
        .driver_opts
        .get("o")
        .is_some_and(|options| options.split(',').any(|option| matches!(option, "bind" | "rbind")));
    if is_local
        && is_bind
        && let Some(device) = volume.driver_opts.get_mut("device")
    {
        *device = device_path(device, field, context);
    }
    volume
}

fn device_path(device: &str, field: &Field<'_>, context: &Context<'_>) -> String {
    let base = context.log.base(field.place());
    super::load::at_home(context.home.as_deref(), base, device).display().to_string()
}

/// Whether containers wait for each other in a circle, or want the same name.
fn check(containers: &mut BTreeMap<String, Container>, fields: &[(&str, Field<'_>)], log: &mut Log) {
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for (service, field) in fields {
        let Some(container) = containers.get(*service) else { continue };
        if let Some(name) = &container.container_name
            && let Some(other) = names.insert(name, service)
        {
            field.problem(
                log,
                format!(
                    "the container of the service {other:?} is called {name} too: give each its own name"
                ),
            );
        }
    }
    let circle = circle(containers);
    if let Some((_, field)) = fields.iter().find(|(service, _)| circle.first() == Some(service)) {
        let message = format!("services wait for each other in a circle: {}", circle.join(" -> "));
        field.problem(log, message);
    }
}

/// Services of which each waits for the next, and the last for the first; none where there is no such circle.
fn circle(containers: &BTreeMap<String, Container>) -> Vec<&str> {
    let needs = |service: &str| {
        let container = containers.get(service);
        container.into_iter().flat_map(|container| &container.depends_on).map(|need| need.service.as_str())
    };
    // Those who wait for nobody who is left are taken away, one after another.
    let mut open: BTreeMap<&str, usize> =
        containers.keys().map(|name| (name.as_str(), needs(name).count())).collect();
    let mut waiting: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for name in containers.keys() {
        for need in needs(name) {
            waiting.entry(need).or_default().push(name);
        }
    }
    let mut ready: Vec<&str> = open.iter().filter(|(_, count)| **count == 0).map(|(name, _)| *name).collect();
    while let Some(name) = ready.pop() {
        open.remove(name);
        for other in waiting.remove(name).unwrap_or_default() {
            let Some(count) = open.get_mut(other) else { continue };
            *count -= 1;
            if *count == 0 {
                ready.push(other);
            }
        }
    }
    // Who is left waits for one who is left: following them leads into a circle.
    let mut way: Vec<&str> = open.keys().copied().take(1).collect();
    while let Some(next) = way.last().and_then(|last| needs(last).find(|need| open.contains_key(need))) {
        let met = way.iter().position(|name| *name == next);
        way.push(next);
        if let Some(met) = met {
            return way.split_off(met);
        }
    }
    Vec::new()
}

/// Links give a service another name on the networks that both are on.
fn link(containers: &mut BTreeMap<String, Container>, links: &[Link], root: &Field<'_>, log: &mut Log) {
    for Link { from, to, alias } in links.iter().filter(|link| link.alias != link.to) {
        if containers.contains_key(alias) {
            let message =
                format!("{from} links {to} as {alias}, which is a service itself: the link gives no name");
            log.warn(root.place(), &format!("services.{from}.links"), message);
            continue;
        }
        let Some(shared) = containers.get(from) else { continue };
        let shared: BTreeSet<String> =
            shared.networks.iter().map(|attachment| attachment.network.clone()).collect();
        let Some(target) = containers.get_mut(to) else { continue };
        for attachment in target.networks.iter_mut().filter(|attachment| shared.contains(&attachment.network))
        {
            if !attachment.aliases.contains(alias) {
                attachment.aliases.push(alias.clone());
            }
        }
    }
}
