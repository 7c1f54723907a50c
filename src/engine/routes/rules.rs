//! What an app says about its requests, as the proxy is told it.

use std::time::Duration;

use crate::domain::domain::Site;
use crate::domain::health::{HealthAsk, HealthCheck};
use crate::domain::name::HostName;
use crate::domain::traffic::{self, Traffic, User};
use crate::proxy::checks::Check;
use crate::proxy::rules::{Credential, FieldChange, Hsts, Protocol, Redirect, Rules};

/// The rules of one domain of an app.
pub(super) fn rules(site: &Site, traffic: &Traffic, certified: bool) -> Rules {
    let Traffic {
        body_limit: _,
        answer_timeout,
        hsts,
        redirects,
        request_fields,
        response_fields,
        users,
        allow,
        maintenance,
        sticky,
        protocol,
    } = traffic;
    Rules {
        https_only: site.https_redirect && certified,
        hsts: hsts.map(|hsts| Hsts {
            max_age_s: hsts.max_age.seconds(),
            subdomains: hsts.subdomains,
            preload: hsts.preload,
        }),
        to_host: site.redirect_to.as_ref().map(ToString::to_string),
        redirects: redirects.iter().map(redirect).collect(),
        request_fields: request_fields.iter().map(field).collect(),
        response_fields: response_fields.iter().map(field).collect(),
        basic_auth: users.iter().map(credential).collect(),
        allow: allow.iter().map(ToString::to_string).collect(),
        maintenance: maintenance.as_ref().map(ToString::to_string),
        sticky: *sticky,
        protocol: spoken(*protocol),
        answer_ms: answer_timeout.map(|timeout| timeout.seconds().saturating_mul(1000)),
    }
}

/// What is spoken with the containers of an app.
pub(in crate::engine) fn spoken(protocol: traffic::Protocol) -> Protocol {
    match protocol {
        traffic::Protocol::Http1 => Protocol::Http1,
        traffic::Protocol::H2c => Protocol::H2c,
    }
}

/// How the proxy tells by itself whether a container is well: by the path of its health check, if it has one. `named`
/// gives a host that the app knows.
pub(super) fn check<'a>(health: &HealthCheck, named: impl FnOnce() -> Option<&'a HostName>) -> Option<Check> {
    let HealthCheck { ask, timeout: _, attempt, interval, retries } = health;
    let HealthAsk::Http { path, statuses } = ask else { return None };
    let millis = |duration: &Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Some(Check {
        path: path.as_str().to_owned(),
        host: named().map(ToString::to_string),
        statuses: statuses.bounds(),
        attempt_ms: millis(attempt),
        interval_ms: millis(interval),
        failures: *retries,
    })
}

fn redirect(rule: &traffic::Redirect) -> Redirect {
    Redirect { from: rule.from().to_owned(), to: rule.to().to_owned(), status: rule.status() }
}

fn field(change: &traffic::FieldChange) -> FieldChange {
    let name = change.name().to_owned();
    match change.value() {
        Some(value) => FieldChange::Set { name, value: value.to_owned() },
        None => FieldChange::Remove { name },
    }
}

fn credential(User { name, hash }: &User) -> Credential {
    Credential { user: name.to_string(), hash: hash.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::health::{HealthPath, Statuses};
    use crate::domain::traffic::{Notice, Span, UserName, parse_network};

    #[test]
    fn a_path_is_asked_for_and_nothing_else() {
        let host = HostName::parse("a.org").unwrap();
        let mut health = HealthCheck::default();
        assert_eq!(check(&health, || Some(&host)), None);
        health.ask = HealthAsk::Http {
            path: HealthPath::parse("/up").unwrap(),
            statuses: Statuses::parse("200-204").unwrap(),
        };
        let expect = Check {
            path: "/up".to_owned(),
            host: Some("a.org".to_owned()),
            statuses: (200, 204),
            attempt_ms: 10_000,
            interval_ms: 10_000,
            failures: 3,
        };
        assert_eq!(check(&health, || Some(&host)), Some(expect.clone()));
        assert_eq!(check(&health, || None), Some(Check { host: None, ..expect }));
    }

    #[test]
    fn the_proxy_is_told_everything() {
        let host = HostName::parse("www.a.org").unwrap();
        let site = Site { redirect_to: Some(HostName::parse("a.org").unwrap()), ..Site::plain(host.clone()) };
        let traffic = Traffic {
            body_limit: None,
            answer_timeout: Some(Span::parse("2s").unwrap()),
            hsts: Some(traffic::Hsts::parse("365d,subdomains").unwrap()),
            redirects: vec![traffic::Redirect::parse("/a=/b 301").unwrap()],
            request_fields: vec![traffic::FieldChange::parse("X-A: b").unwrap()],
            response_fields: vec![traffic::FieldChange::parse("Server:").unwrap()],
            users: vec![User { name: UserName::parse("ada").unwrap(), hash: "$x".to_owned() }],
            allow: vec![parse_network("192.0.2.0/24").unwrap()],
            maintenance: Some(Notice::parse("noon").unwrap()),
            sticky: true,
            protocol: traffic::Protocol::H2c,
        };
        let expect = Rules {
            https_only: true,
            hsts: Some(Hsts { max_age_s: 31_536_000, subdomains: true, preload: false }),
            to_host: Some("a.org".to_owned()),
            redirects: vec![Redirect { from: "/a".to_owned(), to: "/b".to_owned(), status: 301 }],
            request_fields: vec![FieldChange::Set { name: "x-a".to_owned(), value: "b".to_owned() }],
            response_fields: vec![FieldChange::Remove { name: "server".to_owned() }],
            basic_auth: vec![Credential { user: "ada".to_owned(), hash: "$x".to_owned() }],
            allow: vec!["192.0.2.0/24".to_owned()],
            maintenance: Some("noon".to_owned()),
            sticky: true,
            protocol: Protocol::H2c,
            answer_ms: Some(2000),
        };
        assert_eq!(rules(&site, &traffic, true), expect);
        assert!(!rules(&site, &traffic, false).https_only, "there is nothing to redirect to");
        assert!(!rules(&Site { https_redirect: false, ..site }, &traffic, true).https_only);
        assert_eq!(rules(&Site::plain(host), &Traffic::default(), false), Rules::default());
    }
}
