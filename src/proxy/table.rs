//! Which host is answered by which targets: the file `routes.json`, and the table that workers read.
//!
//! A table never changes; a new one takes its place whole. Nothing here knows what an app is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::drain::{Gauge, Registry};
use super::metrics::Tally;
use super::rules::{Protocol, Rules};
use crate::domain::name::{HostName, InvalidName};
use crate::files;

/// How a target is reached from the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Via {
    /// By a socket made in the network namespace of rootless Podman.
    Namespace,
    /// By a socket of the host.
    Host,
}

/// One release, or the control plane, as something to connect to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// What the target is called in `status` and `drain`; another release has another key.
    pub key: String,
    /// How it is reached.
    pub via: Via,
    /// Where it listens.
    pub address: SocketAddr,
}

/// A host, or a part of it, and who answer for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The host of the request, lower-case, without port; `*.example.org` for all with one label more.
    pub host: String,
    /// Only paths that are this one or below it: it begins with a slash and, but for `/` itself, ends without.
    #[serde(default = "root", skip_serializing_if = "is_root")]
    pub path: String,
    /// Whether targets see the path without that part.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strip: bool,
    /// Who answer, each as good as any other; none: nobody does for now.
    pub targets: Vec<Target>,
    /// The largest request body in bytes; without it the proxy's own limit holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_limit: Option<u64>,
    /// The name under which its requests are counted and logged: that of the app. Several routes may share it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// What else is done with its requests.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub rules: Rules,
}

impl Route {
    /// A whole host and nothing special.
    #[must_use]
    pub fn plain(host: &str, targets: Vec<Target>) -> Self {
        Self {
            host: host.to_owned(),
            path: root(),
            strip: false,
            targets,
            body_limit: None,
            label: None,
            rules: Rules::default(),
        }
    }
}

fn root() -> String {
    "/".to_owned()
}

fn is_root(path: &str) -> bool {
    path == "/"
}

fn is_plain(rules: &Rules) -> bool {
    *rules == Rules::default()
}

/// The content of `routes.json`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Routes {
    /// The number of this state of the routes.
    pub generation: u64,
    /// One row a host and path.
    pub routes: Vec<Route>,
    /// What is answered to an ACME server: the key authorization of each token (RFC 8555, 8.3).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub challenges: BTreeMap<String, String>,
}

/// A table that cannot be written, read or used.
#[derive(Debug, Error)]
pub enum TableError {
    /// The file cannot be read.
    #[error("cannot read the routes in {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file cannot be written.
    #[error("cannot write the routes: {0}")]
    Write(#[from] files::FileError),
    /// The file is not what `write` makes.
    #[error("{path} is not a file of routes: {source}; start the control plane, it writes the file anew")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A host that no request could carry.
    #[error("the routes name a host that no request can carry: {0}")]
    Host(#[from] InvalidName),
    /// One host, two rows.
    #[error("the routes name the host {0} twice")]
    Twice(String),
}

/// Writes `routes` whole, readable by the owner alone.
pub fn write(path: &Path, routes: &Routes) -> Result<(), TableError> {
    let mut text = serde_json::to_vec_pretty(routes)
        .map_err(|source| TableError::Parse { path: path.to_owned(), source })?;
    text.push(b'\n');
    Ok(files::write_whole(path, &text, 0o600)?)
}

/// Reads what `write` wrote; a file that is not there yet is a table without routes.
pub fn read(path: &Path) -> Result<Routes, TableError> {
    let text = match std::fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Routes::default()),
        Err(source) => return Err(TableError::Read { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&text).map_err(|source| TableError::Parse { path: path.to_owned(), source })
}

/// What a worker finds for a host.
#[derive(Debug)]
pub(super) struct Entry {
    backends: Vec<Arc<Backend>>,
    pub(super) body_limit: Option<u64>,
    /// What is spoken with all of them.
    pub(super) protocol: Protocol,
    /// Where its requests are counted.
    pub(super) tally: Arc<Tally>,
}

/// A target, and its counters.
#[derive(Debug)]
pub(super) struct Backend {
    pub(super) target: Target,
    pub(super) gauge: Arc<Gauge>,
}

impl Entry {
    /// The target with the fewest requests under way, of those whose keys are not among `tried`; one that has just
    /// refused comes last. Among equals it is their turn, one after the other.
    pub(super) fn pick(&self, turn: usize, tried: &[String]) -> Option<&Arc<Backend>> {
        let count = self.backends.len();
        let all = self.backends.iter().cycle().skip(turn.checked_rem(count)?).take(count);
        let left = all.filter(|backend| !tried.contains(&backend.target.key));
        left.min_by_key(|backend| (backend.gauge.is_resting(), backend.gauge.in_flight()))
    }

    /// How many targets there are.
    pub(super) fn count(&self) -> usize {
        self.backends.len()
    }
}

/// The routes as workers read them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) generation: u64,
    /// Grows with each table of this process, also when the generation does not.
    pub(super) sequence: u64,
    hosts: HashMap<String, Arc<Entry>>,
    targets: HashSet<Target>,
}

impl Table {
    /// A table without routes.
    pub(super) fn empty(sequence: u64) -> Self {
        Self { generation: 0, sequence, hosts: HashMap::new(), targets: HashSet::new() }
    }

    /// Makes a table whose targets count in the gauges of `registry`.
    pub(super) fn new(routes: Routes, sequence: u64, registry: &Registry) -> Result<Self, TableError> {
        let Routes { generation, routes, challenges: _ } = routes;
        let mut hosts = HashMap::with_capacity(routes.len());
        let targets = routes.iter().flat_map(|route| route.targets.iter().cloned()).collect();
        for Route { host, path: _, strip: _, targets, body_limit, label, rules } in routes {
            let host = HostName::parse(&host)?.to_string();
            let backend = |target: Target| Arc::new(Backend { gauge: registry.gauge(&target.key), target });
            let entry = Arc::new(Entry {
                backends: targets.into_iter().map(backend).collect(),
                body_limit,
                protocol: rules.protocol,
                tally: registry.metrics.tally(label),
            });
            if hosts.insert(host.clone(), entry).is_some() {
                return Err(TableError::Twice(host));
            }
        }
        Ok(Self { generation, sequence, hosts, targets })
    }

    /// Who answers for `host`, which is lower-case and without port.
    pub(super) fn find(&self, host: &str) -> Option<&Arc<Entry>> {
        self.hosts.get(host)
    }

    /// Whether any host leads to this target, key and address.
    pub(super) fn leads_to(&self, target: &Target) -> bool {
        self.targets.contains(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(host: &str) -> Route {
        let target = Target {
            key: "rivetr-app-blog-7".into(),
            via: Via::Namespace,
            address: "10.90.0.5:8080".parse().unwrap(),
        };
        Route::plain(host, vec![target])
    }

    #[test]
    fn what_is_written_is_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        assert_eq!(read(&path).unwrap(), Routes::default());
        let routes = Routes { generation: 9, routes: vec![route("blog.example.org")], ..Routes::default() };
        write(&path, &routes).unwrap();
        assert_eq!(read(&path).unwrap(), routes);
    }

    #[test]
    fn a_table_finds_hosts_and_refuses_what_is_wrong() {
        let registry = Registry::default();
        let make = |hosts: &[&str]| {
            let routes = hosts.iter().map(|host| route(host)).collect();
            Table::new(Routes { generation: 1, routes, ..Routes::default() }, 1, &registry)
        };
        let table = make(&["Blog.Example.org", "b.example.org"]).unwrap();
        assert_eq!(
            table.find("blog.example.org").unwrap().pick(0, &[]).unwrap().target.key,
            "rivetr-app-blog-7"
        );
        assert!(table.find("c.example.org").is_none());
        assert!(matches!(make(&["a.org", "A.org."]), Err(TableError::Twice(host)) if host == "a.org"));
        assert!(matches!(make(&["a b"]), Err(TableError::Host(_))));
    }

    #[test]
    fn requests_go_where_the_fewest_are_and_not_where_they_were_refused() {
        let registry = Registry::default();
        let target =
            |key: &str| Target { key: key.into(), via: Via::Host, address: "127.0.0.1:80".parse().unwrap() };
        let targets = ["a", "b", "c"].map(target).to_vec();
        let routes = vec![Route::plain("a.org", targets)];
        let table = Table::new(Routes { generation: 1, routes, ..Routes::default() }, 1, &registry).unwrap();
        let entry = table.find("a.org").unwrap();
        let key = |turn, tried: &[String]| entry.pick(turn, tried).map(|found| found.target.key.clone());
        let picked: Vec<_> = (0..4).map(|turn| key(turn, &[]).unwrap()).collect();
        assert_eq!(picked, ["a", "b", "c", "a"], "equals take turns");

        let busy = registry.gauge("a").enter();
        assert_eq!(key(0, &[]).as_deref(), Some("b"));
        registry.gauge("b").rest();
        assert_eq!(key(0, &[]).as_deref(), Some("c"));
        assert_eq!(key(0, &["c".into()]).as_deref(), Some("a"));
        assert_eq!(key(0, &["c".into(), "a".into()]).as_deref(), Some("b"), "better than nobody");
        assert_eq!(key(0, &["a".into(), "b".into(), "c".into()]), None);
        drop(busy);

        let nobody = vec![Route::plain("a.org", vec![])];
        let table =
            Table::new(Routes { generation: 2, routes: nobody, ..Routes::default() }, 2, &registry).unwrap();
        assert!(table.find("a.org").unwrap().pick(7, &[]).is_none());
    }

    #[test]
    fn a_broken_file_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        files::write_whole(&path, b"{\"generation\":1,\"routes\":[],\"x\":1}", 0o600).unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("routes.json") && error.contains("unknown field `x`"), "{error}");
    }
}
