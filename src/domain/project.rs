//! A project: apps that share one network and one slice, apart from those of other projects.

use std::net::Ipv4Addr;

use super::name::Slug;
use super::person::TeamId;

/// A project's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProjectId(pub i64);

/// A project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its number in the store.
    pub id: ProjectId,
    /// Its name.
    pub slug: Slug,
    /// The team it belongs to.
    pub team: TeamId,
    /// The network its containers share.
    pub subnet: Subnet,
}

/// An IPv4 network of 256 addresses; `.1` is the gateway, `.0` and `.255` are not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet([u8; 3]);

impl Subnet {
    /// The first host number given to a container: `.1` is the gateway.
    pub const FIRST_HOST: u8 = 2;
    /// The last host number given to a container.
    pub const LAST_HOST: u8 = 254;

    /// The /24 that `address` lies in.
    #[must_use]
    pub fn around(address: Ipv4Addr) -> Self {
        let [a, b, c, _] = address.octets();
        Self([a, b, c])
    }

    /// The address of a host number in this network.
    #[must_use]
    pub fn host(self, number: u8) -> Ipv4Addr {
        let [a, b, c] = self.0;
        Ipv4Addr::new(a, b, c, number)
    }

    /// The network as `10.90.3.0/24`.
    #[must_use]
    pub fn cidr(self) -> String {
        format!("{}/24", self.host(0))
    }
}
