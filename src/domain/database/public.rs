//! A port of the host at which a database answers, and for whom.

use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use ipnet::IpNet;

use crate::domain::name::InvalidName;
use crate::domain::runtime::{Protocol, PublishedPort};
use crate::domain::traffic::parse_network;

/// A port of the host, and who may come in by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicPort {
    /// The port.
    pub port: NonZeroU16,
    /// Whose connections are taken; never empty.
    pub allow: Vec<IpNet>,
}

impl PublicPort {
    /// The lowest: those below are systemd's to open.
    pub const LOWEST: u16 = 1024;
    /// How many networks may be named.
    pub const ALLOW_MAX: usize = 64;

    /// Takes a port from 1024 on, and addresses and networks divided by blanks or commas: `203.0.113.7 10.0.0.0/8`.
    pub fn parse(port: &str, allow: &str) -> Result<Self, InvalidName> {
        let digits = port.chars().all(|c| c.is_ascii_digit());
        let number = port.parse::<NonZeroU16>().ok().filter(|port| digits && port.get() >= Self::LOWEST);
        let port =
            number.ok_or_else(|| InvalidName::new("port", port, "write a number from 1024 to 65535"))?;
        let words = allow.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
        let networks: Vec<IpNet> = words.map(parse_network).collect::<Result<_, _>>()?;
        if networks.is_empty() || networks.len() > Self::ALLOW_MAX {
            let rule = "write at least one address or network, such as 203.0.113.7 or 10.0.0.0/8, and at most 64; \
                        0.0.0.0/0 lets everybody in";
            return Err(InvalidName::new("allow list", allow, rule));
        }
        Ok(Self { port, allow: networks })
    }

    /// It as a port that a container would publish, on each address of the host: what else has it collides with that.
    #[must_use]
    pub fn as_published(&self) -> PublishedPort {
        let address = Ipv4Addr::UNSPECIFIED.into();
        PublishedPort { address, host: self.port, container: self.port, protocol: Protocol::Tcp }
    }

    /// Who may come in, as text that [`Self::parse`] takes.
    #[must_use]
    pub fn allowed(&self) -> String {
        let networks: Vec<String> = self.allow.iter().map(ToString::to_string).collect();
        networks.join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_who_may_come() {
        for (allow, written) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("10.0.0.0/8, 2001:db8::/32\n", "10.0.0.0/8 2001:db8::/32"),
            ("0.0.0.0/0 ::/0", "0.0.0.0/0 ::/0"),
        ] {
            let public = PublicPort::parse("5432", allow).unwrap();
            assert_eq!((public.port.get(), public.allowed().as_str()), (5432, written));
            assert_eq!(PublicPort::parse("5432", written).unwrap(), public);
        }
        for bad in ["", " ", "10.0.0.0/33", "host"] {
            assert!(PublicPort::parse("5432", bad).is_err(), "{bad:?}");
        }
        for bad in ["", "0", "80", "65536", "+5432", "x"] {
            assert!(PublicPort::parse(bad, "::/0").is_err(), "{bad:?}");
        }
    }
}
