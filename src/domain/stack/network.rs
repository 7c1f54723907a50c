//! Networks between containers of a stack, and what is published of them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::container::Peer;

/// A network of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// What Podman calls it: `project_key`, or just what the file says.
    pub name: String,
    /// Whether somebody else made it.
    pub external: bool,
    /// `bridge`, `macvlan`, `ipvlan`, `host`, `none`.
    pub driver: Option<String>,
    /// Options of its driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Whether nothing outside can be reached.
    pub internal: bool,
    /// Whether it has IPv6.
    pub ipv6: bool,
    /// Who gives addresses, where not Podman's own.
    pub ipam_driver: Option<String>,
    /// Options of who gives addresses.
    pub ipam_options: BTreeMap<String, String>,
    /// Its ranges of addresses.
    pub ranges: Vec<AddressRange>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

/// A range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressRange {
    /// `10.5.0.0/16`.
    pub subnet: Option<String>,
    /// Which of it containers get: `10.5.1.0/24`.
    pub ip_range: Option<String>,
    /// The gateway's address.
    pub gateway: Option<String>,
}

/// Where a container is on a network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attachment {
    /// The key in [`super::Stack::networks`].
    pub network: String,
    /// Names besides the service's and the container's own, which every network gives.
    pub aliases: Vec<String>,
    /// A fixed address.
    pub ipv4: Option<String>,
    /// A fixed address.
    pub ipv6: Option<String>,
    /// Addresses of the link itself.
    pub link_local: Vec<String>,
    /// The hardware address.
    pub mac_address: Option<String>,
    /// The name of the interface in the container.
    pub interface: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
}

/// What a container is on in place of networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// The host's own.
    Host,
    /// None but the loopback.
    None,
    /// Podman's default network: `bridge`.
    Bridge,
    /// Another container's.
    Of(Peer),
    /// A way of Podman's own, in its words: `pasta:…`, `slirp4netns:…`, the name of a network.
    Other(String),
}

/// A port, or a range of ports, on the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublishedPort {
    /// The address of the host; none for all of them.
    pub host_ip: Option<IpAddr>,
    /// First and last on the host; none for any that is free. Of another length than the container's only where
    /// that is a single port: then one of them is taken.
    pub host: Option<(u16, u16)>,
    /// First and last in the container.
    pub container: (u16, u16),
    /// By which protocol.
    pub protocol: Protocol,
}

/// A protocol with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// A name in the hosts file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// An address, or `host-gateway`.
    pub address: String,
}
