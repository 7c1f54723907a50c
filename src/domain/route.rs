//! Which release answers for which host.

use std::net::SocketAddrV4;

use super::name::{HostName, Slug};

/// A host and the release that answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The host of the request.
    pub host: HostName,
    /// The app it belongs to.
    pub app: Slug,
    /// The number of the deployment that serves.
    pub number: u32,
    /// Its containers that take requests, by number, and where they listen in their network; none: the app is stopped.
    pub targets: Vec<(u8, SocketAddrV4)>,
}

/// Every route, and the number of this state of them: it grows with each change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteTable {
    /// Grows with each change.
    pub generation: u64,
    /// One row a host.
    pub routes: Vec<Route>,
}
