//! The rules of a route, checked when its table is made, and the order in which a request meets them:
//!
//! 1. a challenge of ACME is answered before any route is looked for (`Table::challenge`);
//!    what is written in a way that cannot be followed lets nobody in;
//! 2. `allow`: a stranger learns nothing else about the site;
//! 3. `https_only`, then `to_host`, then `redirects`: no password is asked for where the visitor should not be, least
//!    of all over plain HTTP;
//! 4. `maintenance`: whoever is sent elsewhere finds another site open;
//! 5. `basic_auth`;
//! 6. the target, which `sticky` chooses among several, and what it answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderMap, LOCATION, SET_COOKIE, STRICT_TRANSPORT_SECURITY};
use http::{HeaderValue, Request, Response, StatusCode, Uri};
use ipnet::IpNet;
use thiserror::Error;

use super::super::fields::Origin;
use super::super::limits::Limits;
use super::super::path::canonical;
use super::super::refusal::Refusal;
use super::super::table::{Backend, Entry, is_challenge};
use super::changes::Changes;
use super::password::{Guard, Users};
use super::redirect::Redirect;
use super::{Hsts, Rules, sticky};
use crate::domain::name::HostName;

/// The longest that an answer may be waited for, in milliseconds: a day.
const ANSWER_MS: u64 = 86_400_000;
/// The longest notice, in bytes: a page, not a book.
const NOTICE_BYTES: usize = 4096;

/// A rule that cannot be followed.
#[derive(Debug, Error)]
#[error("{rule} {shown:?}: {why}")]
pub struct RuleError {
    rule: &'static str,
    /// What was written, cut to a readable length.
    shown: String,
    why: String,
}

impl RuleError {
    pub(super) fn new(rule: &'static str, shown: &str, why: String) -> Self {
        Self { rule, shown: shown.chars().take(80).collect(), why }
    }
}

/// The checked rules of a route.
#[derive(Debug)]
pub(in crate::proxy) struct Policy {
    allow: Vec<IpNet>,
    https_only: bool,
    to_host: Option<HostName>,
    redirects: Vec<Redirect>,
    maintenance: Option<Arc<str>>,
    users: Option<Users>,
    hsts: Option<HeaderValue>,
    request_fields: Changes,
    response_fields: Changes,
    answer: Option<Duration>,
}

/// What is known of a request when its rules are asked.
#[derive(Debug, Clone, Copy)]
pub(in crate::proxy) struct Asked<'a> {
    pub(in crate::proxy) origin: &'a Origin,
    /// The host without port.
    pub(in crate::proxy) host: &'a str,
    /// The host with the port, if the request names one.
    pub(in crate::proxy) authority: &'a str,
    /// Where visitors find HTTPS.
    pub(in crate::proxy) https_port: u16,
}

/// What the rules of a route add to any answer, also to a page of our own.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Marks {
    hsts: Option<HeaderValue>,
    /// What is said while nobody is let through.
    pub(in crate::proxy) notice: Option<Arc<str>>,
}

impl Marks {
    /// Puts them on an answer.
    pub(in crate::proxy) fn put(self, fields: &mut HeaderMap) {
        if let Some(hsts) = self.hsts {
            fields.insert(STRICT_TRANSPORT_SECURITY, hsts);
        }
    }
}

/// A request that was let through, until it is answered.
#[derive(Debug)]
pub(in crate::proxy) struct Visit {
    policy: Option<Arc<Policy>>,
    /// The mark of the target that the visitor stays with.
    visitor: Option<String>,
    secure: bool,
}

/// What the rules of a route say of a request whose client may come in.
pub(in crate::proxy) enum Ruling<'a> {
    /// It is answered with another address.
    Moved(Response<Bytes>),
    /// Nobody is let through; what the page says.
    Closed(&'a Arc<str>),
    /// It goes to a target, for one of these users if there are any.
    Open(Option<&'a Users>),
}

/// What becomes of a request.
pub(in crate::proxy) enum Gate {
    /// It goes to a target.
    Open(Visit),
    /// It is answered with another address.
    Moved(Response<Bytes>),
}

impl Entry {
    /// Asks the rules of this route about a request, in their order.
    pub(in crate::proxy) async fn gate<B>(
        &self,
        request: &mut Request<B>,
        asked: Asked<'_>,
        marks: &mut Marks,
    ) -> Result<Gate, Refusal> {
        let secure = asked.origin.scheme == "https";
        marks.hsts = self.policy.as_ref().and_then(|policy| policy.hsts.clone()).filter(|_| secure);
        match self.ruling(request.uri(), asked)? {
            Ruling::Moved(moved) => return Ok(Gate::Moved(moved)),
            Ruling::Closed(notice) => {
                marks.notice = Some(Arc::clone(notice));
                return Err(Refusal::Maintenance);
            }
            Ruling::Open(Some(users)) => {
                Box::pin(users.admit(request.headers_mut(), asked.origin.client)).await?;
            }
            Ruling::Open(None) => {}
        }
        let visitor = self.is_sticky().then(|| sticky::visitor(request.headers())).flatten();
        Ok(Gate::Open(Visit { policy: self.policy.clone(), visitor: visitor.map(str::to_owned), secure }))
    }

    /// What the rules of this route say of a request, in their order, until a password is asked for.
    pub(in crate::proxy) fn ruling(&self, uri: &Uri, asked: Asked<'_>) -> Result<Ruling<'_>, Refusal> {
        if self.shut {
            return Err(Refusal::Misconfigured);
        }
        let Some(policy) = &self.policy else { return Ok(Ruling::Open(None)) };
        policy.let_in(asked.origin.client)?;
        if let Some(moved) = policy.moved(uri, asked)? {
            return Ok(Ruling::Moved(moved));
        }
        Ok(policy.maintenance.as_ref().map_or(Ruling::Open(policy.users.as_ref()), Ruling::Closed))
    }

    /// The networks whose addresses may come in; none: every address.
    pub(in crate::proxy) fn allowed(&self) -> &[IpNet] {
        self.policy.as_ref().map_or(&[], |policy| &policy.allow)
    }
}

impl Visit {
    /// The mark of the target that the visitor stays with.
    pub(in crate::proxy) fn visitor(&self) -> Option<&str> {
        self.visitor.as_deref()
    }

    /// From the end of the request to the head of its answer.
    pub(in crate::proxy) fn answer(&self, limits: &Limits) -> Duration {
        self.policy.as_ref().and_then(|policy| policy.answer).unwrap_or(limits.answer)
    }

    /// Changes what the target reads.
    pub(in crate::proxy) fn to_target(&self, fields: &mut HeaderMap) {
        if let Some(policy) = &self.policy {
            policy.request_fields.make(fields);
        }
    }

    /// Changes what the client reads of the answer of `backend`.
    pub(in crate::proxy) fn to_client(&self, fields: &mut HeaderMap, backend: &Backend) {
        if let Some(policy) = &self.policy {
            policy.response_fields.make(fields);
        }
        let Some(mark) = &backend.mark else { return };
        if !self.visitor().is_some_and(|visitor| mark.is(visitor)) {
            fields.extend(mark.cookie(self.secure).map(|cookie| (SET_COOKIE, cookie)));
        }
    }
}

impl Policy {
    /// Takes rules that can be followed, all of them.
    pub(super) fn check(rules: &Rules, guard: &Arc<Guard>) -> Result<Self, RuleError> {
        let Rules {
            https_only,
            hsts,
            to_host,
            redirects,
            request_fields,
            response_fields,
            basic_auth,
            allow,
            maintenance,
            sticky: _,
            protocol: _,
            answer_ms,
        } = rules;
        let to_host = to_host.as_ref().map(|host| {
            HostName::parse(host).map_err(|error| RuleError::new("to_host", host, error.rule.to_owned()))
        });
        let answer = answer_ms.map(|given| match given {
            1..=ANSWER_MS => Ok(Duration::from_millis(given)),
            _ => Err(RuleError::new(
                "answer_ms",
                &given.to_string(),
                format!("use 1 to {ANSWER_MS} milliseconds"),
            )),
        });
        Ok(Self {
            allow: allow.iter().map(|text| network(text)).collect::<Result<_, _>>()?,
            https_only: *https_only,
            to_host: to_host.transpose()?,
            redirects: redirects.iter().map(Redirect::check).collect::<Result<_, _>>()?,
            maintenance: maintenance.as_deref().map(notice).transpose()?,
            users: Users::check(basic_auth, guard)?,
            hsts: hsts.as_ref().map(strict_transport).transpose()?,
            request_fields: Changes::check("request_fields", request_fields)?,
            response_fields: Changes::check("response_fields", response_fields)?,
            answer: answer.transpose()?,
        })
    }

    fn let_in(&self, client: IpAddr) -> Result<(), Refusal> {
        let known = self.allow.is_empty() || self.allow.iter().any(|network| network.contains(&client));
        if known { Ok(()) } else { Err(Refusal::Forbidden) }
    }

    /// Where a request is sent instead.
    fn moved(&self, uri: &Uri, asked: Asked<'_>) -> Result<Option<Response<Bytes>>, Refusal> {
        let path = uri.path();
        // An ACME server has to find out what is here, and `OPTIONS *` is about no address.
        if is_challenge(path) || path == "*" {
            return Ok(None);
        }
        let Asked { origin, host, authority, https_port } = asked;
        let whole = uri.path_and_query().map_or("/", |whole| whole.as_str());
        if self.https_only && origin.scheme != "https" {
            let port = if https_port == 443 { String::new() } else { format!(":{https_port}") };
            return elsewhere(&format!("https://{host}{port}{whole}")).map(Some);
        }
        if let Some(to) = self.to_host.as_ref().map(HostName::as_str).filter(|to| *to != host) {
            let port = authority.strip_prefix(host).unwrap_or_default();
            return elsewhere(&format!("{}://{to}{port}{whole}", origin.scheme)).map(Some);
        }
        if self.redirects.is_empty() {
            return Ok(None);
        }
        let path = canonical(path)?;
        for redirect in &self.redirects {
            if let Some(location) = redirect.location(&path, uri.query()) {
                return Ok(Some(moved(redirect.status, location?)));
            }
        }
        Ok(None)
    }
}

/// 308 for every method: it is kept by browsers as 301 is, and never makes a GET of a POST.
fn elsewhere(address: &str) -> Result<Response<Bytes>, Refusal> {
    let location = HeaderValue::from_bytes(address.as_bytes());
    let location = location.map_err(|_| Refusal::Malformed("the path cannot stand in an address"))?;
    Ok(moved(StatusCode::PERMANENT_REDIRECT, location))
}

/// An answer without a word of the request but where to go.
fn moved(status: StatusCode, location: HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    response
}

/// A network, or one address.
fn network(text: &str) -> Result<IpNet, RuleError> {
    let network =
        text.parse().or_else(|error| text.parse().map(|address: IpAddr| address.into()).map_err(|_| error));
    network.map_err(|_| {
        RuleError::new(
            "allow",
            text,
            "write a network as 192.0.2.0/24 or 2001:db8::/32, or one address".to_owned(),
        )
    })
}

fn notice(words: &str) -> Result<Arc<str>, RuleError> {
    let odd = |c: char| c.is_control() && c != '\n';
    if words.len() > NOTICE_BYTES || words.contains(odd) {
        let why =
            format!("use at most {NOTICE_BYTES} bytes of text, without control characters but line ends");
        return Err(RuleError::new("maintenance", words, why));
    }
    Ok(words.into())
}

fn strict_transport(hsts: &Hsts) -> Result<HeaderValue, RuleError> {
    let Hsts { max_age_s, subdomains, preload } = hsts;
    let mut value = format!("max-age={max_age_s}");
    if *subdomains {
        value.push_str("; includeSubDomains");
    }
    if *preload {
        value.push_str("; preload");
    }
    HeaderValue::from_str(&value).map_err(|error| RuleError::new("hsts", &value, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rules: &Rules) -> Result<Policy, String> {
        Policy::check(rules, &Guard::new()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_followed_says_why() {
        let allow = |text: &str| Rules { allow: vec![text.into()], ..Rules::default() };
        for (rules, words) in [
            (allow("10.0.0.0/33"), "allow \"10.0.0.0/33\": write a network as"),
            (allow("home"), "allow \"home\": write a network as"),
            (Rules { to_host: Some("a b".into()), ..Rules::default() }, "to_host \"a b\": use a host name"),
            (Rules { answer_ms: Some(0), ..Rules::default() }, "answer_ms \"0\""),
            (Rules { answer_ms: Some(u64::MAX), ..Rules::default() }, "use 1 to 86400000 milliseconds"),
            (Rules { maintenance: Some("a\0".into()), ..Rules::default() }, "maintenance"),
            (Rules { maintenance: Some("a".repeat(5000)), ..Rules::default() }, "at most 4096 bytes"),
        ] {
            let error = check(&rules).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn who_is_let_in() {
        let allow = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.7"].map(str::to_owned).to_vec();
        let policy = check(&Rules { allow, ..Rules::default() }).unwrap();
        for (client, known) in [
            ("192.0.2.1", true),
            ("192.0.3.1", false),
            ("198.51.100.7", true),
            ("198.51.100.8", false),
            ("2001:db8:1::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(policy.let_in(client.parse().unwrap()).is_ok(), known, "{client}");
        }
        assert!(check(&Rules::default()).unwrap().let_in("192.0.3.1".parse().unwrap()).is_ok());
    }

    #[test]
    fn where_requests_are_sent() {
        let rules = Rules {
            https_only: true,
            to_host: Some("A.test".into()),
            redirects: vec![super::super::Redirect {
                from: "/~(.*)".into(),
                to: "/u/$1".into(),
                status: 302,
            }],
            ..Rules::default()
        };
        let policy = check(&rules).unwrap();
        for (scheme, host, port, uri, expected) in [
            ("http", "www.a.test", "", "/x?y=1", Some("308 https://www.a.test/x?y=1")),
            ("http", "a.test", ":8080", "/~b", Some("308 https://a.test/~b")),
            ("https", "www.a.test", ":8443", "/%2e/~b?c", Some("308 https://a.test:8443/%2e/~b?c")),
            ("https", "www.a.test", "", "http://www.a.test//b", Some("308 https://a.test//b")),
            ("https", "a.test", "", "/%7Eb?c", Some("302 /u/b?c")),
            ("https", "a.test", "", "/b", None),
            ("http", "a.test", "", "/.well-known/acme-challenge/x", None),
            ("http", "a.test", "", "*", None),
        ] {
            let origin = Origin { client: "192.0.2.1".parse().unwrap(), scheme, port: 80 };
            let asked = Asked { origin: &origin, host, authority: &format!("{host}{port}"), https_port: 443 };
            let moved = policy.moved(&uri.parse().unwrap(), asked).unwrap();
            let got = moved.map(|response| {
                assert!(response.body().is_empty());
                format!("{} {}", response.status().as_str(), response.headers()[LOCATION].to_str().unwrap())
            });
            assert_eq!(got.as_deref(), expected, "{scheme}://{host}{port}{uri}");
        }
        let origin = Origin { client: "192.0.2.1".parse().unwrap(), scheme: "http", port: 8080 };
        let asked = Asked { origin: &origin, host: "a.test", authority: "a.test:8080", https_port: 8443 };
        let moved = policy.moved(&"/x".parse().unwrap(), asked).unwrap().unwrap();
        assert_eq!(moved.headers()[LOCATION], "https://a.test:8443/x");
    }
}
