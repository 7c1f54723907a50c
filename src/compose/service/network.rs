//! Where a container is on networks, and which names it knows.

use super::{Context, Link, peer, text};
use crate::compose::field::Field;
use crate::compose::keys;
use crate::compose::log::Log;
use crate::domain::stack::container::Container;
use crate::domain::stack::network::{Attachment, ExtraHost, NetworkMode};

/// The network of services that name none.
pub const DEFAULT: &str = "default";

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    container.network_mode = mode(field, &mut context.log);
    let networks = field.get("networks");
    let attachments = networks.as_ref().map(|field| attachments(field, context)).unwrap_or_default();
    if let (Some(_), Some(networks), false) = (&container.network_mode, networks, attachments.is_empty()) {
        networks
            .problem(&mut context.log, "network_mode and networks cannot both be said: remove one of them");
    } else if container.network_mode.is_none() && attachments.is_empty() {
        container.networks = vec![Attachment { network: DEFAULT.to_owned(), ..Attachment::default() }];
    } else {
        container.networks = attachments;
    }
    let log = &mut context.log;
    container.extra_hosts =
        field.get("extra_hosts").map(|field| extra_hosts(&field, log)).unwrap_or_default();
    let texts =
        |key: &str, log: &mut Log| field.get(key).map(|field| field.text_or_texts(log)).unwrap_or_default();
    container.dns = texts("dns", log);
    container.dns_options = texts("dns_opt", log);
    container.dns_search = texts("dns_search", log);
    container.mac_address = text(field, "mac_address", log);
    if let Some(field) = field.get("links") {
        links(&field, &container.service, context);
    }
}

fn mode(field: &Field<'_>, log: &mut Log) -> Option<NetworkMode> {
    let text = text(field, "network_mode", log)?;
    Some(match text.as_str() {
        "host" => NetworkMode::Host,
        "none" => NetworkMode::None,
        "bridge" | "default" => NetworkMode::Bridge,
        _ => match peer(&text) {
            Some(peer) => NetworkMode::Of(peer),
            None => NetworkMode::Other(text),
        },
    })
}

/// The networks, most important first: by priority, then by name.
fn attachments(field: &Field<'_>, context: &mut Context<'_>) -> Vec<Attachment> {
    let mut all: Vec<(i64, i64, Attachment)> = Vec::new();
    if field.is_list() {
        for item in field.items(&mut context.log) {
            if let Some(network) = item.filled(&mut context.log) {
                declared(&network, &item, context);
                all.push((0, 0, Attachment { network, ..Attachment::default() }));
            }
        }
    } else {
        for (network, entry) in field.named(&mut context.log) {
            declared(network, &entry, context);
            all.push(attachment(network, &entry, &mut context.log));
        }
    }
    all.sort_by(|(gateway_a, a, x), (gateway_b, b, y)| {
        gateway_b.cmp(gateway_a).then(b.cmp(a)).then_with(|| x.network.cmp(&y.network))
    });
    all.dedup_by(|(_, _, x), (_, _, y)| x.network == y.network);
    all.into_iter().map(|(_, _, attachment)| attachment).collect()
}

fn declared(network: &str, field: &Field<'_>, context: &mut Context<'_>) {
    if network != DEFAULT && !context.networks.contains(network) {
        let message = format!("no network {network:?} is declared: add it under networks: at the top level");
        field.problem(&mut context.log, message);
    }
}

fn attachment(network: &str, field: &Field<'_>, log: &mut Log) -> (i64, i64, Attachment) {
    field.entries(log);
    field.known(log, keys::ATTACHMENT);
    let number =
        |key: &str, log: &mut Log| field.get(key).and_then(|field| field.integer(log)).unwrap_or_default();
    let (gateway, priority) = (number("gw_priority", log), number("priority", log));
    let texts = |key: &str, log: &mut Log| field.get(key).map(|field| field.texts(log)).unwrap_or_default();
    let attachment = Attachment {
        network: network.to_owned(),
        aliases: texts("aliases", log),
        ipv4: text(field, "ipv4_address", log),
        ipv6: text(field, "ipv6_address", log),
        link_local: texts("link_local_ips", log),
        mac_address: text(field, "mac_address", log),
        interface: text(field, "interface_name", log),
        driver_opts: field.get("driver_opts").map(|field| field.filled_pairs(log)).unwrap_or_default(),
    };
    (gateway, priority, attachment)
}

/// `name=address`, `name:address`, or a mapping with an address or several.
pub fn extra_hosts(field: &Field<'_>, log: &mut Log) -> Vec<ExtraHost> {
    let mut hosts: Vec<ExtraHost> = Vec::new();
    let mut add = |name: &str, address: &str| {
        let address = address.trim().trim_start_matches('[').trim_end_matches(']').to_owned();
        let host = ExtraHost { name: name.trim().to_owned(), address };
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    };
    if field.is_list() {
        for item in field.items(log) {
            let Some(text) = item.filled(log) else { continue };
            match text.split_once('=').or_else(|| text.split_once(':')) {
                Some((name, "")) => item.warn(log, format!("{name:?} has no address, and is left out")),
                Some((name, address)) if !name.is_empty() => add(name, address),
                Some(_) | None => item.problem(log, format!("{text:?} must be written as NAME:ADDRESS")),
            }
        }
    } else {
        for (name, entry) in field.named(log) {
            for address in entry.text_or_texts(log) {
                add(name, &address);
            }
        }
    }
    hosts
}

fn links(field: &Field<'_>, from: &str, context: &mut Context<'_>) {
    for item in field.items(&mut context.log) {
        let Some(text) = item.filled(&mut context.log) else { continue };
        let (to, alias) = text.split_once(':').unwrap_or((&text, &text));
        context.links.push(Link { from: from.to_owned(), to: to.to_owned(), alias: alias.to_owned() });
    }
}
