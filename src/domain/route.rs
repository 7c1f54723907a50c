//! Which release answers for which requests, and what somebody may ask for.

use std::net::SocketAddrV4;

use super::domain::Site;
use super::health::HealthCheck;
use super::name::{HostName, InvalidName, Slug};
use super::traffic::Traffic;

/// A domain and the release that answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Which requests it is about.
    pub site: Site,
    /// The app it belongs to.
    pub app: Slug,
    /// The number of the deployment that serves.
    pub number: u32,
    /// Its containers that take requests, by number, and where they listen in their network; none: the app is stopped.
    pub targets: Vec<(u8, SocketAddrV4)>,
    /// What the app wants done with its requests.
    pub traffic: Traffic,
    /// How to tell that its containers are well.
    pub health: HealthCheck,
}

/// A domain and the service that answers for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRoute {
    /// Which requests it is about.
    pub site: Site,
    /// The service it belongs to.
    pub service: Slug,
    /// Its containers that answer, by name, and where they listen; none: it is stopped.
    pub targets: Vec<(String, SocketAddrV4)>,
    /// What the service wants done with its requests.
    pub traffic: Traffic,
}

/// Every route, and the number of this state of them: it grows with each change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RouteTable {
    /// Grows with each change.
    pub generation: u64,
    /// One row a host and path.
    pub routes: Vec<Route>,
}

/// What somebody may ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// Over HTTPS.
    pub https: bool,
    /// The host.
    pub host: HostName,
    /// The port, if one is named.
    pub port: Option<u16>,
    /// The path.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Option<String>,
}

impl Asked {
    /// Takes an address as people type it: scheme and path may be missing, a fragment says nothing.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = || InvalidName::new("address", text, "write it as https://blog.example.org/path?query");
        let (https, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some(_) => return Err(refused()),
            None => (false, text),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, whole) = rest.split_at(end);
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| refused())?)),
            None => (authority, None),
        };
        let (path, query) = whole.split_once('?').map_or((whole, None), |(path, query)| (path, Some(query)));
        if !whole.chars().all(|c| c.is_ascii_graphic()) {
            return Err(refused());
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            https,
            host: HostName::parse(host).map_err(|_| refused())?,
            port,
            path: path.to_owned(),
            query: query.map(str::to_owned),
        })
    }

    /// Host and port, as a request has them.
    #[must_use]
    pub fn authority(&self) -> String {
        match self.port {
            Some(port) => format!("{}:{port}", self.host),
            None => self.host.to_string(),
        }
    }

    /// Path and query, as a request has them.
    #[must_use]
    pub fn whole(&self) -> String {
        match &self.query {
            Some(query) => format!("{}?{query}", self.path),
            None => self.path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_type_them() {
        for (typed, https, authority, whole) in [
            ("https://Blog.example/a/b?x=1#y", true, "blog.example", "/a/b?x=1"),
            ("http://blog.example:8080", false, "blog.example:8080", "/"),
            ("blog.example?x", false, "blog.example", "/?x"),
            ("blog.example/", false, "blog.example", "/"),
        ] {
            let asked = Asked::parse(typed).unwrap();
            assert_eq!(
                (asked.https, asked.authority().as_str(), asked.whole().as_str()),
                (https, authority, whole)
            );
        }
        for bad in ["", "/path", "ftp://a", "http://", "http://a:b/", "http://u@a/", "http://a/ b", "*.a.org"]
        {
            assert!(Asked::parse(bad).is_err(), "{bad:?}");
        }
    }
}
