//! How a container is found: ports of the host, names in its project's network, names that it knows itself.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroU16;

use crate::domain::name::{HostName, InvalidName, Slug};

/// A port of the host that leads to one of the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublishedPort {
    /// The address of the host that it is bound to.
    pub address: IpAddr,
    /// The port of the host.
    pub host: NonZeroU16,
    /// The port of the container.
    pub container: NonZeroU16,
    /// What is spoken over it.
    pub protocol: Protocol,
}

/// What is spoken over a published port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// One more name by which the apps of a project find a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Alias(Slug);

/// A name that a container finds, and its address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    name: HostName,
    address: HostAddress,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HostAddress {
    Fixed(IpAddr),
    Gateway,
}

/// Podman's word for the machine itself.
const GATEWAY: &str = "host-gateway";

impl PublishedPort {
    /// Takes `[address:]host:container[/tcp|/udp]`; an IPv6 address stands in brackets. Without an address the
    /// port is bound to 127.0.0.1 alone.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = || {
            let rule = "write it as 127.0.0.1:5432:5432, [::1]:5432:5432 or 5432:5432/udp: address, port of the host, \
                        port of the container";
            InvalidName::new("published port", text, rule)
        };
        let (ports, protocol) = match text.split_once('/') {
            None | Some((_, "tcp")) => (text.strip_suffix("/tcp").unwrap_or(text), Protocol::Tcp),
            Some((ports, "udp")) => (ports, Protocol::Udp),
            Some(_) => return Err(refused()),
        };
        let (rest, container) = ports.rsplit_once(':').ok_or_else(refused)?;
        let (address, host) = match rest.rsplit_once(':') {
            None => (IpAddr::V4(Ipv4Addr::LOCALHOST), rest),
            Some((address, host)) => (parse_address(address).ok_or_else(refused)?, host),
        };
        let port = |text: &str| text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        match (port(host), port(container)) {
            (Some(host), Some(container)) => Ok(Self { address, host, container, protocol }),
            _ => Err(refused()),
        }
    }

    /// Whether both cannot be bound at once.
    #[must_use]
    pub fn collides_with(&self, other: &Self) -> bool {
        let same_address =
            self.address == other.address || self.address.is_unspecified() || other.address.is_unspecified();
        same_address && self.host == other.host && self.protocol == other.protocol
    }
}

/// An IPv6 address stands in brackets, and no other does.
fn parse_address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(inner) => inner.parse().ok().map(IpAddr::V6),
        None => text.parse().ok().map(IpAddr::V4),
    }
}

impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            IpAddr::V4(address) => write!(f, "{address}")?,
            IpAddr::V6(address) => write!(f, "[{address}]")?,
        }
        write!(f, ":{}:{}", self.host, self.container)?;
        match self.protocol {
            Protocol::Tcp => Ok(()),
            Protocol::Udp => f.write_str("/udp"),
        }
    }
}

impl Alias {
    /// Takes what the name of an app may be, but for rivetr's own names.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let slug = Slug::parse(text).map_err(|error| InvalidName { what: "alias", ..error })?;
        if text.starts_with("rivetr-") {
            return Err(InvalidName::new(
                "alias",
                text,
                "names that begin with rivetr- are those of containers",
            ));
        }
        Ok(Self(slug))
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl ExtraHost {
    /// Takes `name:address` or `name:host-gateway`, which is the machine itself.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = || {
            let rule = "write it as name:address, such as db.example.org:192.0.2.7, or name:host-gateway";
            InvalidName::new("extra host", text, rule)
        };
        let (name, address) = text.split_once(':').ok_or_else(refused)?;
        let name = HostName::parse(name).map_err(|_| refused())?;
        let address = match address {
            GATEWAY => HostAddress::Gateway,
            fixed => HostAddress::Fixed(fixed.parse().map_err(|_| refused())?),
        };
        Ok(Self { name, address })
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            HostAddress::Fixed(address) => write!(f, "{}:{address}", self.name),
            HostAddress::Gateway => write!(f, "{}:{GATEWAY}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::*;

    #[test]
    fn published_ports() {
        let good = [
            ("5432:5432", "127.0.0.1:5432:5432"),
            ("0.0.0.0:8443:443/tcp", "0.0.0.0:8443:443"),
            ("192.0.2.7:53:5353/udp", "192.0.2.7:53:5353/udp"),
            ("[::1]:80:8080", "[::1]:80:8080"),
        ];
        let bad = [
            "",
            "80",
            ":80",
            "80:",
            "0:80",
            "80:0",
            "a:80:80",
            "::1:80:80",
            "[127.0.0.1]:80:80",
            "80:80/sctp",
            "80:80/tcp/udp",
            "80-90:80-90",
            "65536:80",
            "+80:80",
            "80:80 ",
            "80:80\n",
            "127.0.0.1::80",
            "%n:80:80",
        ];
        check(PublishedPort::parse, &good, &bad);
        let port = |text| PublishedPort::parse(text).unwrap();
        for (one, other, collide) in [
            ("80:80", "80:81", true),
            ("80:80", "0.0.0.0:80:1", true),
            ("80:80", "192.0.2.7:80:80", false),
            ("80:80", "80:80/udp", false),
            ("[::]:80:80", "127.0.0.1:80:80", true),
        ] {
            assert_eq!(port(one).collides_with(&port(other)), collide, "{one} {other}");
            assert_eq!(port(other).collides_with(&port(one)), collide, "{other} {one}");
        }
    }

    #[test]
    fn names() {
        check(Alias::parse, &[("db", "db")], &["", "DB", "a.b", "a b", "rivetr-app-blog-1", "a\n"]);
        let good = [
            ("db.test:192.0.2.7", "db.test:192.0.2.7"),
            ("DB:::1", "db:::1"),
            ("host:host-gateway", "host:host-gateway"),
        ];
        check(
            ExtraHost::parse,
            &good,
            &["", "db", "db:", ":1.2.3.4", "db:x", "a b:1.2.3.4", "db:1.2.3.4\n", "$x:1.2.3.4"],
        );
    }
}
