//! Domains: which hosts lead to an app or a service, or which part of one, and what happens there besides serving.

use std::fmt;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use super::app::AppId;
use super::name::{HostName, InvalidName};
use super::service::ServiceId;

/// The most domains one app or service may have.
pub const DOMAINS_MAX: usize = 100;
/// The longest path of a domain, in bytes.
const PATH_MAX: usize = 200;

/// A domain's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DomainId(pub i64);

/// A domain of an app or a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Domain {
    /// Its number in the store.
    pub id: DomainId,
    /// What it belongs to.
    pub behind: Behind,
    /// Which container of a service answers; none: an app does.
    pub inlet: Option<Inlet>,
    /// rivetr gave it to the app, and changes it with its own configuration.
    pub automatic: bool,
    /// Which requests it is about, and what happens to them.
    pub site: Site,
}

/// What stands behind a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behind {
    /// An app.
    App(AppId),
    /// A service.
    Service(ServiceId),
}

/// Where requests enter a service: an app has one way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inlet {
    /// The container, by its name in the compose file.
    pub container: String,
    /// The port that it listens on.
    pub port: NonZeroU16,
}

/// Which requests a domain is about, and what happens to them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The host, or hosts.
    pub host: Pattern,
    /// Only paths that are this one or below it.
    pub path: PathPrefix,
    /// Who answers sees the path without that part.
    pub strip: bool,
    /// Requests are sent on to this host of the same app or service.
    pub redirect_to: Option<HostName>,
    /// Plain HTTP is redirected to HTTPS, once there is a certificate.
    pub https_redirect: bool,
}

/// The hosts that a domain is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pattern {
    /// This one.
    Exact(HostName),
    /// All that have one label more than this one: `*.example.org`.
    Below(HostName),
}

/// The beginning of a path, in whole segments: `/`, `/api`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPrefix(String);

/// What a domain cannot be, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contradiction {
    /// The field of it.
    pub field: &'static str,
    /// Why, and what to do.
    pub why: &'static str,
}

impl Site {
    /// A host that something answers at, and nothing special.
    #[must_use]
    pub fn plain(host: HostName) -> Self {
        Self {
            host: Pattern::Exact(host),
            path: PathPrefix::root(),
            strip: false,
            redirect_to: None,
            https_redirect: true,
        }
    }

    /// Whether what is said of it can be done together.
    pub fn check(&self) -> Result<(), Contradiction> {
        let Self { host, path, strip, redirect_to, https_redirect: _ } = self;
        let wrong = |field, why| Err(Contradiction { field, why });
        if *strip && path.is_root() {
            return wrong("strip", "there is nothing to leave out of the path: name a path such as /api");
        }
        match redirect_to {
            Some(_) if *strip => wrong("strip", "a domain that redirects keeps the path"),
            Some(to) if host.matches(to.as_str()) => wrong("redirect_to", "it would redirect to itself"),
            Some(_) | None => Ok(()),
        }
    }

    /// Whether it is about this host, and all of it.
    #[must_use]
    pub fn is_all_of(&self, host: &HostName) -> bool {
        self.path.is_root() && self.host.exact() == Some(host)
    }

    /// The host that the app answers at, whole; none: a part of one, many, or one that redirects.
    #[must_use]
    pub fn whole_host(&self) -> Option<&HostName> {
        match &self.host {
            Pattern::Exact(host) if self.path.is_root() && self.redirect_to.is_none() => Some(host),
            Pattern::Exact(_) | Pattern::Below(_) => None,
        }
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = if self.path.is_root() { "" } else { self.path.as_str() };
        write!(f, "{}{path}", self.host)
    }
}

impl Pattern {
    /// Takes a host name, or `*.` and a host name.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let Some(base) = text.strip_prefix("*.") else {
            return HostName::parse(text).map(Self::Exact);
        };
        let refused = || InvalidName::new("host", text, "write *. and a host name, such as *.example.org");
        let host = HostName::parse(base).map_err(|_| refused())?;
        // An address has no names below it.
        if host.as_str().parse::<Ipv4Addr>().is_ok() { Err(refused()) } else { Ok(Self::Below(host)) }
    }

    /// Whether a request for `host`, lower-case and without port, is one of its.
    #[must_use]
    pub fn matches(&self, host: &str) -> bool {
        match self {
            Self::Exact(own) => own.as_str() == host,
            Self::Below(base) => host.split_once('.').is_some_and(|(_, rest)| rest == base.as_str()),
        }
    }

    /// The one host.
    #[must_use]
    pub fn exact(&self) -> Option<&HostName> {
        match self {
            Self::Exact(host) => Some(host),
            Self::Below(_) => None,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(host) => write!(f, "{host}"),
            Self::Below(base) => write!(f, "*.{base}"),
        }
    }
}

impl PathPrefix {
    /// The beginning of every path.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// Takes a path as it stands in requests, with or without a slash at the end.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let path = text.strip_suffix('/').unwrap_or(text);
        if text == "/" {
            return Ok(Self::root());
        }
        // What programs read in more than one way is left out: `%2e`, dots, empty segments, parameters after `;`.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,=:@".contains(c);
        let segment = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(plain);
        let segments = path.strip_prefix('/').filter(|_| path.len() <= PATH_MAX);
        if segments.is_some_and(|segments| segments.split('/').all(segment)) {
            return Ok(Self(path.to_owned()));
        }
        let rule = "write a path such as /api: segments of letters, digits and -._~!$&'()*+,=:@, none of them . or ..";
        Err(InvalidName::new("path", text, rule))
    }

    /// Whether it is the beginning of every path.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0 == "/"
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_those_below_them() {
        for (typed, shown) in [("Example.org.", "example.org"), ("*.Example.org", "*.example.org")] {
            assert_eq!(Pattern::parse(typed).unwrap().to_string(), shown);
        }
        for bad in ["", "*", "*.", "*example.org", "a.*.org", "*.*.org", "*.192.0.2.7", "a_b", "a/b", "a:80"]
        {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
        let below = Pattern::parse("*.example.org").unwrap();
        for (host, expect) in [
            ("a.example.org", true),
            ("example.org", false),
            ("a.b.example.org", false),
            ("aexample.org", false),
            ("a.example.org.evil", false),
        ] {
            assert_eq!(below.matches(host), expect, "{host}");
        }
    }

    #[test]
    fn paths_are_whole_segments() {
        for (typed, shown) in [("/", "/"), ("/api", "/api"), ("/api/", "/api"), ("/a/b.c", "/a/b.c")] {
            assert_eq!(PathPrefix::parse(typed).unwrap().as_str(), shown);
        }
        for bad in
            ["", "api", "//", "/a//b", "/./a", "/a/..", "/a?b", "/a;b", "/a%2fb", "/a b", "/ä", "/a\\b"]
        {
            assert!(PathPrefix::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn contradictions_are_named() {
        let check = |host: &str, path: &str, strip, to: Option<&str>| {
            let site = Site {
                host: Pattern::parse(host).unwrap(),
                path: PathPrefix::parse(path).unwrap(),
                strip,
                redirect_to: to.map(|to| HostName::parse(to).unwrap()),
                https_redirect: true,
            };
            site.check().map_err(|error| error.field)
        };
        assert_eq!(check("a.org", "/api", true, None), Ok(()));
        assert_eq!(check("www.a.org", "/", false, Some("a.org")), Ok(()));
        assert_eq!(check("*.a.org", "/", false, Some("a.org")), Ok(()));
        assert_eq!(check("a.org", "/", true, None), Err("strip"));
        assert_eq!(check("a.org", "/api", true, Some("b.org")), Err("strip"));
        assert_eq!(check("a.org", "/", false, Some("a.org")), Err("redirect_to"));
        assert_eq!(check("*.a.org", "/", false, Some("www.a.org")), Err("redirect_to"));
    }
}
