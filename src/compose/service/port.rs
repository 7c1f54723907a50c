//! Ports that a container publishes, and those that it says it listens on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Context, text};
use crate::compose::field::{Field, once};
use crate::compose::keys;
use crate::compose::log::Log;
use crate::domain::stack::container::Container;
use crate::domain::stack::network::{Protocol, PublishedPort};

pub fn read(field: &Field<'_>, container: &mut Container, context: &mut Context<'_>) {
    let log = &mut context.log;
    let mut seen = BTreeSet::new();
    for item in field.get("ports").map(|field| field.items(log)).unwrap_or_default() {
        let port = if item.is_map() { long(&item, log) } else { short(&item, log) };
        if let Some(port) = port
            && seen.insert((port.host_ip, port.host, port.container, port.protocol))
        {
            container.ports.push(port);
        }
    }
    for item in field.get("expose").map(|field| field.items(log)).unwrap_or_default() {
        let Some(text) = item.filled(log) else { continue };
        let port = text.rsplit_once(':').map_or(text.as_str(), |(_, port)| port);
        let (ports, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        if range(ports).is_none() || self::protocol(protocol).is_none() {
            item.problem(log, format!("{text:?} is no port: write 80, 80/udp or 3000-3005"));
            continue;
        }
        if port.len() < text.len() {
            item.warn(
                log,
                format!("{text:?} publishes nothing: expose tells the port of the container alone"),
            );
        }
        container.expose.push(port.to_owned());
    }
    container.expose = once(std::mem::take(&mut container.expose));
}

/// `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`
fn short(item: &Field<'_>, log: &mut Log) -> Option<PublishedPort> {
    let text = item.filled(log)?;
    match parse(text.trim()) {
        Ok(port) => Some(port),
        Err(message) => {
            item.problem(log, format!("{text:?} {message}"));
            None
        }
    }
}

fn parse(text: &str) -> Result<PublishedPort, &'static str> {
    let (before, container) = text.rsplit_once(':').unwrap_or(("", text));
    let (address, host) = before.rsplit_once(':').unwrap_or(("", before));
    let (container, protocol) = container.split_once('/').unwrap_or((container, "tcp"));
    let protocol = self::protocol(protocol).ok_or("names no protocol: write tcp, udp or sctp")?;
    let host_ip = if address.is_empty() {
        None
    } else {
        Some(ip(address).ok_or("begins with no address of this host")?)
    };
    if container.is_empty() {
        return Err("says no port of the container: look for a variable that is not set");
    }
    let container = range(container).filter(|(first, _)| *first > 0);
    let container = container.ok_or("says no port of the container between 1 and 65535")?;
    let host = if host.is_empty() || host == "0" {
        None
    } else {
        Some(range(host).ok_or("says no port of the host between 1 and 65535")?)
    };
    fit(PublishedPort { host_ip, host, container, protocol })
}

/// A range of the host must be as long as the container's, unless that is one port.
fn fit(port: PublishedPort) -> Result<PublishedPort, &'static str> {
    let length = |(first, last): (u16, u16)| last - first;
    let fits =
        port.host.is_none_or(|host| length(host) == length(port.container) || length(port.container) == 0);
    if fits { Ok(port) } else { Err("has ranges of different lengths") }
}

fn ip(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok()
}

fn protocol(text: &str) -> Option<Protocol> {
    match text.to_ascii_lowercase().as_str() {
        "" | "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        "sctp" => Some(Protocol::Sctp),
        _ => None,
    }
}

/// `80` or `80-90`.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    (first <= last).then_some((first, last))
}

fn long(item: &Field<'_>, log: &mut Log) -> Option<PublishedPort> {
    item.known(log, keys::PORT);
    if let Some(field) = item.get("mode")
        && let Some(mode) = field.filled(log)
        && !matches!(mode.as_str(), "host" | "ingress")
    {
        field.problem(log, format!("{mode:?} is neither host nor ingress"));
    }
    let container = text(item, "target", log).and_then(|text| range(&text)).filter(|(first, _)| *first > 0);
    let Some(container) = container else {
        item.problem(log, "this must say a port of the container: target: PORT");
        return None;
    };
    let published = text(item, "published", log).filter(|published| published != "0");
    let host = published.as_deref().and_then(range);
    if let (Some(published), None) = (&published, host) {
        item.problem(log, format!("{published:?} is no port of the host"));
        return None;
    }
    let protocol = text(item, "protocol", log).unwrap_or_default();
    let Some(protocol) = self::protocol(&protocol) else {
        item.problem(log, format!("{protocol:?} is none of tcp, udp and sctp"));
        return None;
    };
    let address = text(item, "host_ip", log);
    let host_ip = address.as_deref().and_then(ip);
    if let (Some(address), None) = (&address, host_ip) {
        item.problem(log, format!("{address:?} is no address of this host"));
        return None;
    }
    fit(PublishedPort { host_ip, host, container, protocol })
        .map_err(|message| item.problem(log, format!("this {message}")))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        text: &str,
        ip: Option<&str>,
        host: Option<(u16, u16)>,
        container: (u16, u16),
        protocol: Protocol,
    ) {
        let host_ip = ip.map(|ip| ip.parse().unwrap());
        assert_eq!(parse(text), Ok(PublishedPort { host_ip, host, container, protocol }), "{text:?}");
    }

    #[test]
    fn short_form() {
        use Protocol::{Sctp, Tcp, Udp};
        check("80", None, None, (80, 80), Tcp);
        check("8080:80", None, Some((8080, 8080)), (80, 80), Tcp);
        check("8080:80/udp", None, Some((8080, 8080)), (80, 80), Udp);
        check("80/SCTP", None, None, (80, 80), Sctp);
        check("127.0.0.1:8080:80", Some("127.0.0.1"), Some((8080, 8080)), (80, 80), Tcp);
        check("127.0.0.1::80", Some("127.0.0.1"), None, (80, 80), Tcp);
        check("[::1]:8080:80", Some("::1"), Some((8080, 8080)), (80, 80), Tcp);
        check("::1:8080:80", Some("::1"), Some((8080, 8080)), (80, 80), Tcp);
        check("0.0.0.0:53:53/udp", Some("0.0.0.0"), Some((53, 53)), (53, 53), Udp);
        check("3000-3005", None, None, (3000, 3005), Tcp);
        check("9090-9091:8080-8081", None, Some((9090, 9091)), (8080, 8081), Tcp);
        check("0:80", None, None, (80, 80), Tcp);
        check("8000-9000:80", None, Some((8000, 9000)), (80, 80), Tcp);
    }

    #[test]
    fn refused() {
        for text in [
            "",
            ":",
            "80:",
            "a",
            "80:a",
            "99999",
            "90-80",
            "80-81:80-82",
            "x:80:80",
            "80/abc",
            "80:81:82:83:84",
            "80:0",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }
}
