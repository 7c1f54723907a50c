//! Which host and path are answered by which targets: the file `routes.json`, and the table that workers read.
//!
//! A table never changes; a new one takes its place whole. Nothing here knows what an app is.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use foldhash::fast::RandomState;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::uri::PathAndQuery;
use http::{Method, Response, Uri};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::checks::{Check, Checked};
use super::drain::{Gauge, Registry};
use super::metrics::Tally;
use super::path;
use super::ports::Port;
use super::refusal::Refusal;
use super::rules::policy::{Policy, RuleError};
use super::rules::sticky::Mark;
use super::rules::{Protocol, Rules};
use super::site::{Site, is_route_path};
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
    /// How its targets are asked whether they are well, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<Check>,
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
            check: None,
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
    /// Ports that lead to a target whatever is spoken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<Port>,
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
}

/// What a table cannot do as it is written. The rest of it is served, and what the flaw is about stays shut: nobody
/// comes in because something was written wrongly.
#[derive(Debug, Error)]
pub(super) enum Flaw {
    #[error("a row is left out, for no request can carry its host: {0}")]
    Host(#[from] InvalidName),
    /// Nobody can say which requests are meant.
    #[error(
        "all of {host} answers 503, for the routes name its path {path}; write it as /api or /a/b, without escapes and \
         without a slash at its end"
    )]
    Path { host: String, path: String },
    /// Nobody can say which of them is meant.
    #[error("{0} answers 503, for the routes name it twice")]
    Twice(String),
    #[error("{route} answers 503, for its rules cannot be followed: {rule}")]
    Rule { route: String, rule: RuleError },
    #[error("a challenge is left out that is none of ACME: {0:?}")]
    Challenge(String),
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

/// What a worker finds for a host and path.
#[derive(Debug)]
pub(super) struct Entry {
    /// Which row of the routes it is.
    pub(super) row: usize,
    /// What was written cannot be followed: nobody comes in.
    pub(super) shut: bool,
    backends: Vec<Arc<Backend>>,
    pub(super) body_limit: Option<u64>,
    /// What targets do not see of a path; empty if they see all of it.
    stripped: Box<str>,
    /// None where the route has no rules.
    pub(super) policy: Option<Arc<Policy>>,
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
    /// How a visitor who stays with it is known; none where nobody stays.
    pub(super) mark: Option<Mark>,
}

impl Entry {
    fn new(route: Route, row: usize, registry: &Registry) -> Result<Self, RuleError> {
        let Route { host: _, path, strip, targets, body_limit, label, check: _, rules } = route;
        let backend = |target: Target| {
            let mark = rules.sticky.then(|| Mark::new(&target.key, &path));
            Arc::new(Backend { gauge: registry.gauge(&target.key), target, mark })
        };
        let backends = targets.into_iter().map(backend).collect();
        let stripped = if strip { path.trim_end_matches('/').into() } else { Box::default() };
        let policy = registry.book.policy(&rules)?;
        let tally = registry.metrics.tally(label);
        let protocol = rules.protocol;
        Ok(Self { row, shut: false, backends, body_limit, stripped, policy, protocol, tally })
    }

    /// One that lets nobody in and leads nowhere.
    fn shut(row: usize, label: Option<String>, registry: &Registry) -> Self {
        Self {
            row,
            shut: true,
            backends: Vec::new(),
            body_limit: None,
            stripped: Box::default(),
            policy: None,
            protocol: Protocol::default(),
            tally: registry.metrics.tally(label),
        }
    }

    /// The target with the fewest requests under way, of those whose keys are not among `tried`; one that has just
    /// refused or is unwell comes last. Among equals it is their turn, one after the other.
    pub(super) fn pick(&self, turn: usize, tried: &[String]) -> Option<&Arc<Backend>> {
        let count = self.backends.len();
        let all = self.backends.iter().cycle().skip(turn.checked_rem(count)?).take(count);
        let left = all.filter(|backend| !tried.contains(&backend.target.key));
        left.min_by_key(|backend| (backend.gauge.is_resting(), backend.gauge.in_flight()))
    }

    /// The target that a visitor stays with, while it is there and takes requests.
    pub(super) fn known(&self, visitor: &str, tried: &[String]) -> Option<&Arc<Backend>> {
        let known = |backend: &&Arc<Backend>| backend.mark.as_ref().is_some_and(|mark| mark.is(visitor));
        let left =
            |backend: &&Arc<Backend>| !tried.contains(&backend.target.key) && !backend.gauge.is_resting();
        self.backends.iter().find(known).filter(left)
    }

    /// Whether visitors stay with a target.
    pub(super) fn is_sticky(&self) -> bool {
        self.backends.iter().any(|backend| backend.mark.is_some())
    }

    /// How many targets there are.
    pub(super) fn count(&self) -> usize {
        self.backends.len()
    }

    /// The address that the target sees, of one that this route was found for.
    pub(super) fn inside(&self, uri: Uri) -> Result<Uri, Refusal> {
        if self.stripped.is_empty() {
            return Ok(uri);
        }
        let whole = uri.path();
        let Some(rest) = whole.strip_prefix(&*self.stripped) else { return Ok(uri) };
        let rest = if rest.is_empty() { "/" } else { rest };
        if !path::is_plain(whole) {
            let below = |read: &str, inner: &str| read.strip_prefix(&*self.stripped) == Some(inner);
            let contained = below(&path::canonical(whole)?, &path::canonical(rest)?)
                && below(&path::laxest(whole), &path::laxest(rest));
            if !contained {
                return Err(Refusal::Malformed("the path leads out of its route"));
            }
        }
        let inner = uri.query().map_or_else(|| rest.to_owned(), |query| format!("{rest}?{query}"));
        let inner = PathAndQuery::try_from(inner);
        inner.map(Uri::from).map_err(|_| Refusal::Malformed("the path is not one without its first part"))
    }
}

/// Below this path an ACME server looks for what proves a host to be ours (RFC 8555, 8.3).
const CHALLENGES: &str = "/.well-known/acme-challenge/";

/// Whether an ACME server may be asking: it is never sent elsewhere.
pub(super) fn is_challenge(path: &str) -> bool {
    path.starts_with(CHALLENGES)
}

/// The routes as workers read them.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) generation: u64,
    /// Grows with each table of this process, also when the generation does not.
    pub(super) sequence: u64,
    // Whoever asks cannot put anything in these, so their order need not be a secret.
    hosts: HashMap<String, Site, RandomState>,
    /// By what stands behind `*.`.
    wildcards: HashMap<String, Site, RandomState>,
    targets: HashSet<Target, RandomState>,
    challenges: HashMap<String, Bytes>,
    /// The targets that are asked whether they are well, by key.
    pub(super) checks: BTreeMap<String, Checked>,
    /// Ports that lead to a target whatever is spoken.
    pub(super) ports: Vec<Port>,
    /// What it cannot do, and which row of the routes asks for it.
    pub(super) flaws: Vec<(Option<usize>, Flaw)>,
}

impl Table {
    /// A table without routes.
    pub(super) fn empty(sequence: u64) -> Self {
        Self {
            generation: 0,
            sequence,
            hosts: HashMap::default(),
            wildcards: HashMap::default(),
            targets: HashSet::default(),
            challenges: HashMap::new(),
            checks: BTreeMap::new(),
            ports: Vec::new(),
            flaws: Vec::new(),
        }
    }

    /// Makes a table whose targets count in the gauges of `registry`, and whose rules are those in its book where
    /// they have not changed. What is wrong with it stands in its flaws.
    pub(super) fn new(routes: Routes, sequence: u64, registry: &Registry) -> Self {
        let Routes { generation, routes, challenges, ports } = routes;
        let mut table = Self { generation, ports, ..Self::empty(sequence) };
        table.hosts.reserve(routes.len());
        table.targets.reserve(routes.len());
        table.targets.extend(routes.iter().flat_map(|route| route.targets.iter().cloned()));
        for (row, route) in routes.into_iter().enumerate() {
            if let Err(flaw) = table.add(row, route, registry) {
                table.flaws.push((Some(row), flaw));
            }
        }
        for (token, answer) in challenges {
            if is_token(&token) && answer.bytes().all(|byte| byte.is_ascii_graphic()) {
                table.challenges.insert(token, Bytes::from(answer));
            } else {
                table.flaws.push((None, Flaw::Challenge(token)));
            }
        }
        table
    }

    fn add(&mut self, row: usize, route: Route, registry: &Registry) -> Result<(), Flaw> {
        let (sites, star, rest) = match route.host.strip_prefix("*.") {
            Some(rest) => (&mut self.wildcards, "*.", rest),
            None => (&mut self.hosts, "", route.host.as_str()),
        };
        let host = HostName::parse(rest)?;
        let site = sites.entry(host.to_string()).or_default();
        let (path, label, check) = (route.path.clone(), route.label.clone(), route.check.clone());
        if !is_route_path(&path) {
            site.shut();
            return Err(Flaw::Path { host: route.host, path });
        }
        let shown = || format!("{star}{host}{}", if is_root(&path) { "" } else { &path });
        let (entry, flaw) = match Entry::new(route, row, registry) {
            Ok(entry) if !site.has(&path) => (entry, None),
            Ok(_) => (Entry::shut(row, label, registry), Some(Flaw::Twice(shown()))),
            Err(rule) => (Entry::shut(row, label, registry), Some(Flaw::Rule { route: shown(), rule })),
        };
        // Where there is one, it gets every request, well or not.
        for check in check.into_iter().filter(|_| entry.count() > 1) {
            for Backend { target, gauge, .. } in entry.backends.iter().map(AsRef::as_ref) {
                self.checks.entry(target.key.clone()).or_insert_with(|| Checked {
                    target: target.clone(),
                    protocol: entry.protocol,
                    check: check.clone(),
                    gauge: Arc::clone(gauge),
                });
            }
        }
        site.put(&path, Arc::new(entry));
        flaw.map_or(Ok(()), Err)
    }

    /// Who answers for `path` of `host`.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<&Arc<Entry>, Refusal> {
        let site = self.site(host).ok_or(Refusal::UnknownHost)?;
        site.find(path)?.ok_or(Refusal::UnknownPath)
    }

    /// The routes of `host`, which is lower-case and without port. A host of its own comes before a wildcard, also
    /// where it has nothing at some path.
    pub(super) fn site(&self, host: &str) -> Option<&Site> {
        let wild = || self.wildcards.get(host.split_once('.')?.1);
        self.hosts.get(host).or_else(wild)
    }

    /// What an ACME server is told that asks for a token of ours.
    pub(super) fn challenge(&self, method: &Method, path: &str) -> Option<Response<Bytes>> {
        if self.challenges.is_empty() || !matches!(*method, Method::GET | Method::HEAD) {
            return None;
        }
        let answer = self.challenges.get(path.strip_prefix(CHALLENGES)?)?;
        let mut response = Response::new(answer.clone());
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        Some(response)
    }

    /// Whether any host leads to this target, key and address.
    pub(super) fn leads_to(&self, target: &Target) -> bool {
        self.targets.contains(target)
    }
}

/// Tokens are written in the alphabet of base64url (RFC 8555, 8.3).
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
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
    fn a_table_finds_hosts() {
        let registry = Registry::default();
        let make = |hosts: &[&str]| {
            let routes = hosts.iter().map(|host| route(host)).collect();
            Table::new(Routes { generation: 1, routes, ..Routes::default() }, 1, &registry)
        };
        let table = make(&["Blog.Example.org", "b.example.org"]);
        assert_eq!(
            table.find("blog.example.org", "/").unwrap().pick(0, &[]).unwrap().target.key,
            "rivetr-app-blog-7"
        );
        assert_eq!(table.find("c.example.org", "/").unwrap_err(), Refusal::UnknownHost);
        assert!(table.flaws.is_empty());
    }

    fn table_of(routes: Vec<Route>) -> Table {
        Table::new(Routes { generation: 1, routes, ..Routes::default() }, 1, &Registry::default())
    }

    /// A route whose target is called after it: `a.org/api`, or `a.org/api!` if the path is stripped.
    fn named(name: &str) -> Route {
        let strip = name.ends_with('!');
        let (host, path) = name.trim_end_matches('!').split_once('/').unwrap();
        let address = "127.0.0.1:80".parse().unwrap();
        let target = Target { key: name.to_owned(), via: Via::Host, address };
        Route { path: format!("/{path}"), strip, ..Route::plain(host, vec![target]) }
    }

    #[test]
    fn which_route_answers() {
        let names =
            ["a.org/", "a.org/api", "a.org/api/v2", "b.org/x", "*.a.org/", "*.a.org/api", "w.a.org/only"];
        let table = table_of(names.map(named).to_vec());
        for (host, path, expected) in [
            ("a.org", "/", Ok("a.org/")),
            ("a.org", "/api", Ok("a.org/api")),
            ("a.org", "/api/", Ok("a.org/api")),
            ("a.org", "/api/x", Ok("a.org/api")),
            ("a.org", "/apix", Ok("a.org/")),
            ("a.org", "/API", Ok("a.org/")),
            ("a.org", "/api/v2", Ok("a.org/api/v2")),
            ("a.org", "/api/v2/x/y", Ok("a.org/api/v2")),
            ("a.org", "/api/v20", Ok("a.org/api")),
            ("a.org", "/x/api", Ok("a.org/")),
            ("a.org", "*", Ok("a.org/")),
            ("a.org", "/api/./x", Ok("a.org/api")),
            ("a.org", "/x/../y", Ok("a.org/")),
            ("a.org", "/api/%78", Ok("a.org/api")),
            ("a.org", "/a%20b;c", Ok("a.org/")),
            ("a.org", "/api/../x", Err(400)),
            ("a.org", "/x/../api", Err(400)),
            ("a.org", "/%61pi", Err(400)),
            ("a.org", "/api/%2e%2E/x", Err(400)),
            ("a.org", "/api%2fv2", Err(400)),
            ("a.org", "//api", Err(400)),
            ("a.org", "/api//v2", Err(400)),
            ("a.org", "/api;x/y", Err(400)),
            ("a.org", "/x/%252e%252e/api", Err(400)),
            ("a.org", "/%zz", Err(400)),
            ("b.org", "/x", Ok("b.org/x")),
            ("b.org", "/", Err(404)),
            ("b.org", "*", Err(404)),
            ("c.a.org", "/", Ok("*.a.org/")),
            ("c.a.org", "/api/x", Ok("*.a.org/api")),
            ("d.c.a.org", "/", Err(404)),
            ("w.a.org", "/only", Ok("w.a.org/only")),
            ("w.a.org", "/api", Err(404)),
            ("org", "/", Err(404)),
        ] {
            let found = table.find(host, path);
            let found = found.map(|entry| entry.pick(0, &[]).unwrap().target.key.as_str());
            assert_eq!(found.map_err(|refusal| refusal.status().as_u16()), expected, "{host}{path}");
        }
    }

    #[test]
    fn what_targets_see_of_a_path() {
        let names = ["a.org/", "a.org/api!", "b.org/!"].map(named).to_vec();
        let table = table_of(names);
        for (host, uri, expected) in [
            ("a.org", "/x?y=%20", Ok("/x?y=%20")),
            ("a.org", "/api", Ok("/")),
            ("a.org", "/api?y", Ok("/?y")),
            ("a.org", "/api/", Ok("/")),
            ("a.org", "/api/x/?y=/api", Ok("/x/?y=/api")),
            ("a.org", "/api/api/x", Ok("/api/x")),
            ("a.org", "/api/%7Ex", Ok("/%7Ex")),
            ("a.org", "/api/x/../y", Ok("/x/../y")),
            ("a.org", "/api/../api/x", Err(400)),
            ("a.org", "/api/x/../../api/y", Err(400)),
            ("a.org", "/api/..%2fapi/y", Err(400)),
            ("b.org", "/x", Ok("/x")),
        ] {
            let uri: Uri = uri.parse().unwrap();
            let seen = table.find(host, uri.path()).and_then(|entry| entry.inside(uri.clone()));
            let seen = seen.map(|seen| seen.to_string()).map_err(|refusal| refusal.status().as_u16());
            assert_eq!(seen.as_deref(), expected.as_ref().map(|seen| *seen), "{host}{uri}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_path_reaches_another_route(pieces in proptest::collection::vec(0..11_usize, 0..12)) {
            let words = ["/", ".", "..", "%2e", "a", "api", "%61pi", "%2f", ";x", "//", "%252e"];
            let path: String = std::iter::once("/").chain(pieces.into_iter().map(|at| words[at])).collect();
            let table = table_of(["a.org/", "a.org/api!"].map(named).to_vec());
            let uri: Uri = path.parse().unwrap();
            let seen = table.find("a.org", &path).and_then(|entry| Ok((entry, entry.inside(uri)?)));
            if let Ok((entry, inner)) = seen {
                let key = entry.pick(0, &[]).unwrap().target.key.as_str();
                for read in [path::canonical(&path).unwrap().into_owned(), path::laxest(&path)] {
                    let below = read == "/api" || read.starts_with("/api/");
                    proptest::prop_assert_eq!(key == "a.org/api!", below, "{} is read as {}", path, read);
                }
                if key == "a.org/api!" {
                    let inner = path::laxest(inner.path());
                    let whole = path::laxest(&path);
                    proptest::prop_assert_eq!(whole.strip_prefix("/api").unwrap().trim_start_matches('/'), &inner[1..]);
                }
            }
        }
    }

    /// What is wrong with a table, and what each of these is answered.
    fn check_flaws(routes: Vec<Route>, flaw: &str, expected: &[(&str, Result<&str, u16>)]) {
        let table = table_of(routes);
        let [(Some(_), found)] = table.flaws.as_slice() else { panic!("{flaw}: {:?}", table.flaws) };
        assert!(found.to_string().contains(flaw), "{found}");
        for (asked, expected) in expected {
            let (host, path) = asked.split_once('/').unwrap();
            let found = table
                .find(host, &format!("/{path}"))
                .and_then(|entry| if entry.shut { Err(Refusal::Misconfigured) } else { Ok(entry) });
            let found = found.map(|entry| entry.pick(0, &[]).unwrap().target.key.as_str());
            assert_eq!(found.map_err(|refusal| refusal.status().as_u16()), *expected, "{asked}");
        }
    }

    #[test]
    fn what_is_wrong_stays_shut_and_the_rest_is_served() {
        let with = |names: &[&str]| names.iter().map(|name| named(name)).collect::<Vec<_>>();
        for name in
            ["a.org/api/", "a.org/a//b", "a.org/%61", "a.org/..", "a.org/a/./b", "a.org/a;b", "a.org/a?b"]
        {
            let routes = with(&[name, "a.org/", "b.org/"]);
            let expected = [("a.org/", Err(503)), ("a.org/api", Err(503)), ("b.org/", Ok("b.org/"))];
            check_flaws(routes, "all of a.org answers 503, for the routes name its path", &expected);
        }
        for host in ["*", "*.", "*.*.org", "a.*.org", ".org"] {
            let routes = vec![Route::plain(host, vec![]), named("a.org/")];
            check_flaws(routes, "a row is left out", &[("a.org/", Ok("a.org/"))]);
        }
        for names in [["*.a.org/b", "*.A.org./b!"], ["*.a.org/b", "*.a.org/b"]] {
            let mut routes = with(&names);
            routes.push(named("*.a.org/"));
            let expected = [("x.a.org/b/c", Err(503)), ("x.a.org/", Ok("*.a.org/"))];
            check_flaws(routes, "*.a.org/b answers 503, for the routes name it twice", &expected);
        }
        let mut routes = with(&["a.org/", "a.org/b", "a.org/b/c"]);
        routes[1].rules.allow = vec!["home".into()];
        let expected = [("a.org/b", Err(503)), ("a.org/b/c", Ok("a.org/b/c")), ("a.org/x", Ok("a.org/"))];
        let flaw = "a.org/b answers 503, for its rules cannot be followed: allow \"home\": write";
        check_flaws(routes.clone(), flaw, &expected);
        routes.swap(0, 1);
        check_flaws(routes, flaw, &expected);
    }

    #[test]
    fn one_that_was_shut_stays_shut_whatever_follows() {
        let mut routes = vec![named("a.org/"), named("a.org/"), named("a.org/")];
        routes[0].rules.allow = vec!["home".into()];
        let table = table_of(routes);
        assert_eq!(table.flaws.len(), 3);
        assert!(table.find("a.org", "/").unwrap().shut);
    }

    #[test]
    fn what_is_no_challenge_is_left_out() {
        let challenges = [("a/b", "x"), ("c", "y"), ("d", "y z")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        let routes = Routes { challenges: challenges.into(), ..Routes::default() };
        let table = Table::new(routes, 1, &Registry::default());
        assert_eq!((table.flaws.len(), table.challenges.len()), (2, 1));
    }

    #[test]
    fn ten_thousand_routes_are_each_found() {
        let name = |number: usize| match number % 4 {
            0 => format!("h{number}.test/"),
            1 => format!("h{}.test/p{number}", number % 100),
            2 => format!("many.test/{}/p{number}", number % 100),
            _ => format!("*.w{number}.test/"),
        };
        let table = table_of((0..10_000).map(|number| named(&name(number))).collect());
        for number in 0..10_000 {
            let name = name(number);
            let (host, path) = name.split_once('/').unwrap();
            let (host, path) = (host.replace('*', "x"), format!("/{path}").replace("//", "/"));
            let below = if path == "/" { "/q".to_owned() } else { format!("{path}/q") };
            for asked in [&path, &below] {
                let found = table.find(&host, asked).unwrap().pick(0, &[]).unwrap();
                assert_eq!(found.target.key, name, "{host}{asked}");
            }
        }
        assert_eq!(table.find("many.test", "/1/p").unwrap_err(), Refusal::UnknownPath);
    }

    #[test]
    fn requests_go_where_the_fewest_are_and_not_where_they_were_refused() {
        let registry = Registry::default();
        let target =
            |key: &str| Target { key: key.into(), via: Via::Host, address: "127.0.0.1:80".parse().unwrap() };
        let targets = ["a", "b", "c"].map(target).to_vec();
        let routes = vec![Route::plain("a.org", targets)];
        let table = Table::new(Routes { generation: 1, routes, ..Routes::default() }, 1, &registry);
        let entry = table.find("a.org", "/").unwrap();
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
        let table = Table::new(Routes { generation: 2, routes: nobody, ..Routes::default() }, 2, &registry);
        assert!(table.find("a.org", "/").unwrap().pick(7, &[]).is_none());
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
