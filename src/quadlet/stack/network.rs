//! Networks of a stack, and how its containers are on them: names, addresses, published ports.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::super::unit::{Section, Unit};
use super::draft::{Draft, Notes};
use super::{Context, REMARK_END, container, names};
use crate::domain::stack::container::Container;
use crate::domain::stack::network::{
    AddressRange, Attachment, Network, NetworkMode, Protocol, PublishedPort,
};

/// Docker's names for options that Podman has too.
const OPTIONS: [(&str, &str); 4] = [
    ("com.docker.network.driver.mtu", "mtu"),
    ("com.docker.network.bridge.vlan", "vlan"),
    ("macvlan_mode", "mode"),
    ("ipvlan_mode", "mode"),
];

/// Options that Podman takes by these names.
const PODMAN_OPTIONS: [&str; 8] =
    ["mtu", "metric", "vlan", "isolate", "parent", "mode", "no_default_route", "vrf"];

/// The drivers that Podman brings.
const DRIVERS: [&str; 3] = ["bridge", "ipvlan", "macvlan"];

/// What Podman can have hand out addresses.
const IPAM_DRIVERS: [&str; 3] = ["dhcp", "host-local", "none"];

/// Docker's option for the interface of a bridge.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// Docker's option for the name of an interface in the container.
const INTERFACE_NAME: &str = "com.docker.network.endpoint.ifname";

/// The unit of a network.
pub(super) fn unit(context: &Context<'_>, key: &str, network: &Network, notes: &mut Notes) -> Unit {
    let mut draft = Draft::new(Section::Network, format!("networks.{key}"), notes);
    draft.remark(&format!("The network {key} of {}{REMARK_END}", context.naming.origin));
    draft.scalar("name", "NetworkName", &network.name);
    if let Some(service) = context.names.networks.get(key).and_then(|called| called.told.as_ref()) {
        draft.scalar("", "ServiceName", service);
    }
    match network.driver.as_deref() {
        None | Some("default") => {}
        Some("overlay") => {
            draft.note("driver", "Podman has no overlay networks: it is a bridge on this host");
            draft.scalar("driver", "Driver", "bridge");
        }
        Some(driver) => {
            if !DRIVERS.contains(&driver) {
                draft.note("driver", format!("Podman needs a plugin called {driver} for its networks"));
            }
            draft.scalar("driver", "Driver", driver);
        }
    }
    options(&mut draft, network);
    if network.internal {
        draft.scalar("internal", "Internal", "true");
    }
    if network.ipv6 {
        draft.scalar("enable_ipv6", "IPv6", "true");
    }
    match network.ipam_driver.as_deref() {
        None | Some("default") => {}
        Some(driver) if IPAM_DRIVERS.contains(&driver) => draft.scalar("ipam.driver", "IPAMDriver", driver),
        Some(driver) => draft.note("ipam.driver", format!("Podman has no driver {driver}: its own is used")),
    }
    for name in network.ipam_options.keys() {
        draft.note(&format!("ipam.options.{name}"), "Podman has no such option; it is left out");
    }
    ranges(&mut draft, &network.ranges);
    for (name, value) in &network.labels {
        draft.pair("labels", "Label", name, value);
    }
    draft.finish()
}

fn options(draft: &mut Draft<'_>, network: &Network) {
    for (name, value) in &network.driver_opts {
        let of = format!("driver_opts.{name}");
        if name == BRIDGE_NAME {
            draft.podman(&of, &format!("--interface-name={value}"));
            continue;
        }
        let docker = OPTIONS.iter().find(|(docker, _)| docker == name).map(|(_, podman)| *podman);
        match docker.or_else(|| PODMAN_OPTIONS.into_iter().find(|known| known == name)) {
            Some(option) => draft.pair("driver_opts", "Options", option, value),
            None => draft.note(&of, "Podman's networks have no such option; it is left out"),
        }
    }
}

/// Quadlet takes the n-th gateway for the n-th subnet: those that have one come first.
fn ranges(draft: &mut Draft<'_>, ranges: &[AddressRange]) {
    let mut with_subnet = Vec::new();
    for range in ranges {
        let AddressRange { subnet, ip_range, gateway } = range;
        match subnet {
            Some(subnet) => with_subnet.push((subnet, gateway, ip_range)),
            None if ip_range.is_none() && gateway.is_none() => {}
            None => draft.note(
                "ipam.config",
                "a gateway or a range without its subnet is left out: Podman takes none",
            ),
        }
    }
    with_subnet.sort_by_key(|(_, gateway, ip_range)| (gateway.is_none(), ip_range.is_none()));
    let mut range_missing = false;
    for (subnet, gateway, ip_range) in with_subnet {
        draft.scalar("ipam.config", "Subnet", subnet);
        if let Some(gateway) = gateway {
            draft.scalar("ipam.config", "Gateway", gateway);
        }
        match ip_range {
            Some(_) if range_missing => {
                draft.refuse(
                    "ipam.config",
                    "Quadlet cannot say a gateway for one subnet and a range for another",
                );
            }
            Some(ip_range) => draft.scalar("ipam.config", "IPRange", ip_range),
            None => range_missing = true,
        }
    }
}

/// Puts a container on its networks; the first replica has index 0.
pub(super) fn attach(draft: &mut Draft<'_>, context: &Context<'_>, container: &Container, index: usize) {
    let mode = container.network_mode.clone().or_else(|| common(context, container));
    match &mode {
        Some(mode) => {
            enter(draft, context, mode);
            if let (Some(mac), NetworkMode::Bridge) = (&container.mac_address, mode) {
                draft.podman("mac_address", &format!("--mac-address={mac}"));
            }
        }
        None => join(draft, context, container, index),
    }
    publish(draft, container, mode.as_ref(), index);
    for port in &container.expose {
        expose(draft, port);
    }
    let (without_hosts, without_dns) = match mode {
        Some(NetworkMode::Of(_)) => (true, true),
        Some(NetworkMode::None) => (false, true),
        Some(NetworkMode::Host | NetworkMode::Bridge | NetworkMode::Other(_)) | None => (false, false),
    };
    for (of, is_said) in [
        ("extra_hosts", without_hosts && !container.extra_hosts.is_empty()),
        ("dns", without_dns && !container.dns.is_empty()),
        ("dns_opt", without_dns && !container.dns_options.is_empty()),
        ("dns_search", without_dns && !container.dns_search.is_empty()),
    ] {
        if is_said {
            draft.note(of, "it is left out: with this network_mode the container has none of its own");
        }
    }
    if !without_hosts {
        hosts(draft, container);
    }
    if !without_dns {
        resolve(draft, container);
    }
}

fn hosts(draft: &mut Draft<'_>, container: &Container) {
    for host in &container.extra_hosts {
        draft.option("extra_hosts", "AddHost", "--add-host", &format!("{}:{}", host.name, host.address));
    }
}

fn resolve(draft: &mut Draft<'_>, container: &Container) {
    for server in &container.dns {
        draft.option("dns", "DNS", "--dns", server);
    }
    for option in &container.dns_options {
        draft.option("dns_opt", "DNSOption", "--dns-option", option);
    }
    for domain in &container.dns_search {
        draft.option("dns_search", "DNSSearch", "--dns-search", domain);
    }
}

/// A network that every host has, which Docker names like one of its own.
fn common(context: &Context<'_>, container: &Container) -> Option<NetworkMode> {
    let [Attachment { network, .. }] = container.networks.as_slice() else { return None };
    let Network { name, external, driver, .. } = context.stack.networks.get(network)?;
    match driver.as_deref() {
        Some("host") => Some(NetworkMode::Host),
        Some("none" | "null") => Some(NetworkMode::None),
        _ if !external => None,
        _ => match name.as_str() {
            "host" => Some(NetworkMode::Host),
            "none" => Some(NetworkMode::None),
            "bridge" => Some(NetworkMode::Bridge),
            _ => None,
        },
    }
}

fn enter(draft: &mut Draft<'_>, context: &Context<'_>, mode: &NetworkMode) {
    let of = "network_mode";
    match mode {
        NetworkMode::Host => draft.scalar(of, "Network", "host"),
        NetworkMode::None => draft.scalar(of, "Network", "none"),
        NetworkMode::Bridge => draft.scalar(of, "Network", "bridge"),
        NetworkMode::Other(words) => draft.scalar(of, "Network", words),
        NetworkMode::Of(peer) => match container::peer(draft, context, of, peer) {
            Some((name, None)) => draft.scalar(of, "Network", &format!("container:{name}")),
            // Quadlet makes it depend on the other: when that is made anew, so is this one.
            Some((name, Some(_))) => {
                draft.scalar(of, "Network", context.names.quadlet_of(name).unwrap_or(name));
            }
            None => {}
        },
    }
}

/// `--network-alias` would put all that `alias=` says out of force (measured on 5.4.2), so that only one of the two
/// is written.
fn join(draft: &mut Draft<'_>, context: &Context<'_>, container: &Container, index: usize) {
    let besides = besides(context, container, index);
    let apart = besides.is_some() || container.networks.iter().any(|at| !at.aliases.is_empty());
    for (position, at) in container.networks.iter().enumerate() {
        let Some(name) = network_name(draft, context, &at.network) else { continue };
        let mut options = Vec::new();
        if apart {
            let own = std::iter::once(&container.service);
            let aliases: BTreeSet<_> = own.clone().chain(&at.aliases).collect();
            // The service's own name first, for those who read it.
            let others = aliases.into_iter().filter(|alias| **alias != container.service);
            options.extend(own.chain(others).map(|alias| format!("alias={alias}")));
        }
        options.extend(at.ipv4.iter().map(|ip| format!("ip={ip}")));
        options.extend(at.ipv6.iter().map(|ip| format!("ip6={ip}")));
        let mac = at.mac_address.as_ref().or(container.mac_address.as_ref().filter(|_| position == 0));
        options.extend(mac.map(|mac| format!("mac={mac}")));
        let interface = at.interface.as_ref().or_else(|| at.driver_opts.get(INTERFACE_NAME));
        options.extend(interface.map(|name| format!("interface_name={name}")));
        if let Some(odd) = options.iter().find(|option| option.contains([',', ' '])) {
            draft.refuse(&format!("networks.{}", at.network), format!("Podman cannot be told {odd:?}"));
        }
        let text = if options.is_empty() { name } else { format!("{name}:{}", options.join(",")) };
        draft.option("networks", "Network", "--network", &text);
        unsaid(draft, at);
    }
    if let Some(text) = besides {
        draft.scalar("networks", "Network", &text);
    }
    if !apart && !container.networks.is_empty() {
        draft.option("networks", "NetworkAlias", "--network-alias", &container.service);
    }
}

/// The network that a container of rivetr's is on besides those of its stack.
fn besides(context: &Context<'_>, container: &Container, index: usize) -> Option<String> {
    let owned = context.naming.owned.as_ref()?;
    let called = context.names.replicas(&container.service).get(index)?;
    let address = owned.addresses.get(&called.name)?;
    let aliases = owned.aliases.get(&container.service).map_or(&[][..], Vec::as_slice);
    let mut options = String::new();
    for alias in aliases {
        options.extend(["alias=", alias.as_str(), ","]);
    }
    Some(format!("{}:{options}ip={address}", owned.network))
}

fn unsaid(draft: &mut Draft<'_>, at: &Attachment) {
    let of = format!("networks.{}", at.network);
    if !at.link_local.is_empty() {
        draft.note(&format!("{of}.link_local_ips"), "Podman gives no such addresses; they are left out");
    }
    for name in at.driver_opts.keys().filter(|name| *name != INTERFACE_NAME) {
        draft.note(&format!("{of}.driver_opts.{name}"), "Podman has no such option; it is left out");
    }
}

/// What `Network=` calls a network of the stack.
fn network_name(draft: &mut Draft<'_>, context: &Context<'_>, key: &str) -> Option<String> {
    let of = format!("networks.{key}");
    let Some(network) = context.stack.networks.get(key) else {
        draft.refuse(&of, "no such network is declared");
        return None;
    };
    match context.names.networks.get(key) {
        Some(called) => Some(called.file.clone()),
        None if names::ends(&network.name, [".network", ".container"]) => {
            draft.refuse(
                &of,
                format!("Quadlet takes {} for a unit; give the network another name", network.name),
            );
            None
        }
        // Docker's own network, by the name that Podman's has.
        None if network.name == "bridge" => Some("podman".to_owned()),
        None => Some(network.name.clone()),
    }
}

fn publish(draft: &mut Draft<'_>, container: &Container, mode: Option<&NetworkMode>, index: usize) {
    let discarded = match mode {
        Some(NetworkMode::Host) => {
            Some("the host's network has all ports already, and Docker publishes none either")
        }
        Some(NetworkMode::None) => Some("without a network nothing can be published"),
        Some(NetworkMode::Of(_)) => Some("the container whose network this is has to publish them"),
        Some(NetworkMode::Bridge | NetworkMode::Other(_)) | None => None,
    };
    if let (Some(why), false) = (discarded, container.ports.is_empty()) {
        draft.note("ports", format!("they are left out: {why}"));
        return;
    }
    for port in &container.ports {
        let text = published(draft, port, container.replicas, index);
        draft.option("ports", "PublishPort", "--publish", &text);
    }
}

fn published(draft: &mut Draft<'_>, port: &PublishedPort, replicas: u32, index: usize) -> String {
    let PublishedPort { host_ip, host, container, protocol } = port;
    let address = match host_ip {
        None => String::new(),
        Some(IpAddr::V4(ip)) => format!("{ip}:"),
        Some(IpAddr::V6(ip)) => format!("[{ip}]:"),
    };
    let host = match host {
        None if address.is_empty() => String::new(),
        None => ":".to_owned(),
        Some(range) if width(*range) == width(*container) => {
            if replicas > 1 {
                draft.note("ports", "only one replica can have a port of the host: the others do not start");
            }
            format!("{}:", range_text(*range))
        }
        Some((first, last)) => {
            draft.note("ports", "of a range for one port, each replica has its own port, from the first on");
            let own = u16::try_from(index).ok().and_then(|index| first.checked_add(index));
            let own = own.filter(|own| own <= last);
            if own.is_none() {
                draft.refuse("ports", "the range has fewer ports than the service has replicas");
            }
            format!("{}:", own.unwrap_or(*first))
        }
    };
    let protocol = match protocol {
        Protocol::Tcp => "",
        Protocol::Udp => "/udp",
        Protocol::Sctp => "/sctp",
    };
    format!("{address}{host}{}{protocol}", range_text(*container))
}

fn width((first, last): (u16, u16)) -> u16 {
    last.saturating_sub(first)
}

fn range_text((first, last): (u16, u16)) -> String {
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

/// Quadlet reads ports of TCP and UDP here, and no others.
fn expose(draft: &mut Draft<'_>, port: &str) {
    let (ports, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    if matches!(protocol, "tcp" | "udp") && digits(first) && digits(last) {
        draft.scalar("expose", "ExposeHostPort", port);
    } else {
        draft.podman("expose", &format!("--expose={port}"));
    }
}
