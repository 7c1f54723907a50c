//! Which release answers for which requests, and which route is meant where several would do.

use std::net::SocketAddrV4;

use super::domain::{PathPrefix, Pattern, Site};
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
    /// The path.
    pub path: String,
    /// What stands behind the question mark.
    pub query: Option<String>,
}

impl Asked {
    /// Takes an address as people type it: scheme and path may be missing, a port and a fragment say nothing.
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
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        let (path, query) = whole.split_once('?').map_or((whole, None), |(path, query)| (path, Some(query)));
        if port.parse::<u16>().is_err() || !whole.chars().all(|c| c.is_ascii_graphic()) {
            return Err(refused());
        }
        let path = if path.is_empty() { "/" } else { path };
        Ok(Self {
            https,
            host: HostName::parse(host).map_err(|_| refused())?,
            path: path.to_owned(),
            query: query.map(str::to_owned),
        })
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

/// The one of several routes that a request for `host` and `path` is meant for: the one with the longest path, of those
/// that name the host, or if none does of those that cover it with `*.`.
pub fn meant<'a, T>(
    routes: &'a [T],
    of: impl Fn(&T) -> (&Pattern, &PathPrefix),
    host: &str,
    path: &str,
) -> Option<&'a T> {
    let covers = |route: &&T| of(route).0.matches(host);
    let named = routes.iter().filter(covers).any(|route| of(route).0.exact().is_some());
    let near = routes.iter().filter(covers).filter(|route| of(route).0.exact().is_some() == named);
    near.filter(|route| of(route).1.holds(path)).max_by_key(|route| of(route).1.as_str().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_people_type_them() {
        for (typed, https, host, whole) in [
            ("https://Blog.example/a/b?x=1#y", true, "blog.example", "/a/b?x=1"),
            ("http://blog.example:8080", false, "blog.example", "/"),
            ("blog.example?x", false, "blog.example", "/?x"),
            ("blog.example/", false, "blog.example", "/"),
        ] {
            let asked = Asked::parse(typed).unwrap();
            assert_eq!((asked.https, asked.host.as_str(), asked.whole().as_str()), (https, host, whole));
        }
        for bad in ["", "/path", "ftp://a", "http://", "http://a:b/", "http://u@a/", "http://a/ b", "*.a.org"]
        {
            assert!(Asked::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_nearest_host_and_the_longest_path_are_meant() {
        let routes: Vec<(Pattern, PathPrefix)> = [
            ("*.a.org", "/"),
            ("www.a.org", "/api/v2"),
            ("www.a.org", "/api"),
            ("www.a.org", "/"),
            ("only.a.org", "/api"),
            ("*.a.org", "/api"),
        ]
        .map(|(host, path)| (Pattern::parse(host).unwrap(), PathPrefix::parse(path).unwrap()))
        .into();
        for (host, path, expect) in [
            ("www.a.org", "/", Some(3)),
            ("www.a.org", "/apis", Some(3)),
            ("www.a.org", "/api", Some(2)),
            ("www.a.org", "/api/v1", Some(2)),
            ("www.a.org", "/api/v2/x", Some(1)),
            ("b.a.org", "/x", Some(0)),
            ("b.a.org", "/api/v2", Some(5)),
            ("only.a.org", "/api", Some(4)),
            ("only.a.org", "/x", None),
            ("a.org", "/", None),
            ("c.b.a.org", "/", None),
        ] {
            let found = meant(&routes, |(host, path)| (host, path), host, path);
            assert_eq!(found, expect.map(|index: usize| &routes[index]), "{host}{path}");
        }
    }
}
