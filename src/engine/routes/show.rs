//! The routes as people read them: what there is, and what would become of a request.

use std::net::SocketAddr;

use super::{Known, OWN_KEY};
use crate::domain::deployment::replica_name;
use crate::domain::domain::{PathPrefix, Pattern, Site};
use crate::domain::name::Slug;
use crate::domain::route::{Asked, Route, ServiceRoute};
use crate::domain::traffic::{Protocol, Traffic};
use crate::engine::{Engine, EngineError};
use crate::proxy::foresight::{Ending, Foresight, Question, flaws, foresee};
use crate::proxy::table::Routes;

/// A route, in words where it says more than where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRoute {
    /// The host, or hosts.
    pub host: Pattern,
    /// Only paths that are this one or below it.
    pub path: PathPrefix,
    /// What answers.
    pub by: Answers,
    /// What is connected to, and where; none: it is stopped.
    pub targets: Vec<(String, SocketAddr)>,
    /// What else is done.
    pub rules: Vec<String>,
}

/// What answers for a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answers {
    /// rivetr itself.
    Rivetr,
    /// A release of an app, by its number.
    App(Slug, u32),
    /// A service.
    Service(Slug),
}

/// What would become of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// The route that is meant; none: there is none.
    pub route: Option<ShownRoute>,
    /// How it ends.
    pub outcome: Outcome,
    /// The same in words.
    pub words: String,
    /// What is asked of whoever sends it, before it comes so far.
    pub conditions: Vec<String>,
}

/// How a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// An app answers it, or rivetr.
    Served,
    /// It is sent elsewhere.
    Redirected,
    /// The proxy answers that it cannot be served now.
    Refused,
    /// Nothing is there.
    Unknown,
}

impl Outcome {
    /// A stable word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Served => "served",
            Self::Redirected => "redirected",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }
}

impl Fate {
    /// What becomes of a request to a host that nobody answers at.
    #[must_use]
    pub fn unknown(asked: &Asked) -> Self {
        let (outcome, words) = judged(&Ending::UnknownHost, asked, &Answers::Rivetr);
        Self { route: None, outcome, words, conditions: Vec::new() }
    }
}

impl Engine {
    /// Every route, rivetr's own first.
    pub async fn routes(&self) -> Result<Vec<ShownRoute>, EngineError> {
        let (told, known) = self.told().await?;
        Ok(self.shown_routes(&told, &known))
    }

    /// What would become of a request, as the routes are now: the proxy's own code says it.
    pub async fn fate(&self, asked: &Asked) -> Result<Fate, EngineError> {
        let (told, known) = self.told().await?;
        let question = Question {
            https: asked.https,
            authority: asked.authority(),
            address: asked.whole(),
            https_port: self.0.settings.public_tls_port,
        };
        let seen = foresee(&told, &question);
        let route = seen.row.and_then(|row| self.shown_routes(&told, &known).into_iter().nth(row));
        let certified = route.as_ref().is_none_or(|route| self.has_certificate(&route.host));
        let by = route.as_ref().map_or(&Answers::Rivetr, |route| &route.by);
        let (outcome, words) = judged(&seen.ending, asked, by);
        let conditions = conditions(&seen, asked, certified);
        Ok(Fate { route, outcome, words, conditions })
    }

    /// The routes in the order in which the proxy is told them.
    fn shown_routes(&self, told: &Routes, known: &Known) -> Vec<ShownRoute> {
        let own = self.own_site().map(|site| self.shown_own(site));
        let apps = known.apps.iter().map(|route| self.shown_route(route));
        let services = known.services.iter().map(|route| self.shown_service_route(route));
        let mut shown: Vec<_> = own.into_iter().chain(apps).chain(services).collect();
        for (row, flaw) in flaws(told) {
            if let Some(route) = shown.get_mut(row) {
                route.rules.insert(0, flaw);
            }
        }
        shown
    }

    fn shown_own(&self, site: Site) -> ShownRoute {
        ShownRoute {
            rules: in_words(&site, &Traffic::default(), self.has_certificate(&site.host)),
            host: site.host,
            path: site.path,
            by: Answers::Rivetr,
            targets: vec![(OWN_KEY.to_owned(), self.0.settings.own_address)],
        }
    }

    fn shown_route(&self, route: &Route) -> ShownRoute {
        let Route { site, app, number, targets, traffic, health: _ } = route;
        let target =
            |(replica, address): &(u8, _)| (replica_name(app, *number, *replica), SocketAddr::V4(*address));
        ShownRoute {
            host: site.host.clone(),
            path: site.path.clone(),
            by: Answers::App(app.clone(), *number),
            targets: targets.iter().map(target).collect(),
            rules: in_words(site, traffic, self.has_certificate(&site.host)),
        }
    }

    fn shown_service_route(&self, route: &ServiceRoute) -> ShownRoute {
        let ServiceRoute { site, service, targets, traffic } = route;
        ShownRoute {
            host: site.host.clone(),
            path: site.path.clone(),
            by: Answers::Service(service.clone()),
            targets: targets.iter().map(|(name, at)| (name.clone(), SocketAddr::V4(*at))).collect(),
            rules: in_words(site, traffic, self.has_certificate(&site.host)),
        }
    }
}

/// How a request ends that is let in, which is for `by` to answer.
fn judged(ending: &Ending, asked: &Asked, by: &Answers) -> (Outcome, String) {
    let host = &asked.host;
    match ending {
        Ending::Served(seen) => {
            let who = match by {
                Answers::Rivetr => "rivetr itself",
                Answers::App(slug, _) | Answers::Service(slug) => slug.as_str(),
            };
            let seen = if *seen == asked.whole() { String::new() } else { format!(" as {seen}") };
            (Outcome::Served, format!("{who} answers{seen}"))
        }
        Ending::Proof => (Outcome::Served, "the proof that an ACME server asks for".to_owned()),
        Ending::Moved { status, to } => (Outcome::Redirected, format!("{status} to {to}")),
        Ending::Closed(notice) => (Outcome::Refused, format!("503: maintenance, {notice:?}")),
        Ending::Stopped => {
            let (who, command) = match by {
                Answers::Rivetr => ("APP", "start"),
                Answers::App(slug, _) => (slug.as_str(), "start"),
                Answers::Service(slug) => (slug.as_str(), "services start"),
            };
            (Outcome::Refused, format!("503: {who} is stopped; `rivetr {command} {who}` brings it back"))
        }
        Ending::UnknownHost => {
            let cure = format!("`rivetr domains add APP {host}` gives it to one");
            (Outcome::Unknown, format!("404: no app answers at {host}; {cure}"))
        }
        Ending::UnknownPath => (Outcome::Unknown, format!("404: {host} has nothing at {}", asked.path)),
        Ending::Refused { status, why } => (Outcome::Refused, format!("{status}: {why}")),
    }
}

/// What is asked of whoever sends a request.
fn conditions(Foresight { allowed, users, .. }: &Foresight, asked: &Asked, certified: bool) -> Vec<String> {
    let mut conditions = Vec::new();
    if asked.https && !certified {
        conditions.push("there is no certificate for this host yet".to_owned());
    }
    if !allowed.is_empty() {
        conditions.push(format!("403 for all but {}", joined(allowed)));
    }
    if !users.is_empty() {
        conditions.push(format!("401 without the password of {}", joined(users)));
    }
    conditions
}

/// What is done with the requests of a route.
fn in_words(site: &Site, traffic: &Traffic, certified: bool) -> Vec<String> {
    let Traffic {
        body_limit,
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
    let some = |count: usize, what: &str| match count {
        0 => None,
        1 => Some(format!("1 {what}")),
        many => Some(format!("{many} {what}s")),
    };
    let names: Vec<_> = users.iter().map(|user| &user.name).collect();
    [
        site.strip.then(|| format!("without {}", site.path)),
        site.redirect_to.as_ref().map(|to| format!("redirects to {to}")),
        (site.https_redirect && certified).then(|| "HTTPS only".to_owned()),
        hsts.map(|hsts| format!("HSTS {hsts}")),
        some(redirects.len(), "redirect"),
        some(request_fields.len(), "change of requests"),
        some(response_fields.len(), "change of answers"),
        (!allow.is_empty()).then(|| format!("only from {}", joined(allow))),
        (!names.is_empty()).then(|| format!("password of {}", joined(&names))),
        maintenance.is_some().then(|| "maintenance".to_owned()),
        body_limit.map(|limit| format!("bodies up to {limit}")),
        answer_timeout.map(|timeout| format!("answers within {timeout}")),
        sticky.then(|| "sticky".to_owned()),
        (*protocol != Protocol::default()).then(|| protocol.to_string()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn joined<T: ToString>(items: &[T]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::name::HostName;
    use crate::domain::traffic::{Redirect, User, UserName, parse_network};

    #[test]
    fn what_becomes_of_a_request_in_words() {
        let blog = Answers::App(Slug::parse("blog").unwrap(), 7);
        let shop = Answers::Service(Slug::parse("shop").unwrap());
        let asked = Asked::parse("https://a.org/api/x?y").unwrap();
        let check = |ending: Ending, by: &Answers, outcome: Outcome, words: &str| {
            assert_eq!(judged(&ending, &asked, by), (outcome, words.to_owned()));
        };
        let served = |seen: &str| Ending::Served(seen.to_owned());
        check(served("/api/x?y"), &blog, Outcome::Served, "blog answers");
        check(served("/x?y"), &blog, Outcome::Served, "blog answers as /x?y");
        check(served("/api/x?y"), &Answers::Rivetr, Outcome::Served, "rivetr itself answers");
        check(Ending::Proof, &Answers::Rivetr, Outcome::Served, "the proof that an ACME server asks for");
        let moved = Ending::Moved { status: 308, to: "https://b.org/".to_owned() };
        check(moved, &blog, Outcome::Redirected, "308 to https://b.org/");
        let stopped = "503: blog is stopped; `rivetr start blog` brings it back";
        check(Ending::Stopped, &blog, Outcome::Refused, stopped);
        let stopped = "503: shop is stopped; `rivetr services start shop` brings it back";
        check(Ending::Stopped, &shop, Outcome::Refused, stopped);
        let closed = Ending::Closed("Back at noon".to_owned());
        check(closed, &blog, Outcome::Refused, "503: maintenance, \"Back at noon\"");
        let refused = Ending::Refused { status: 400, why: "the path is odd".to_owned() };
        check(refused, &blog, Outcome::Refused, "400: the path is odd");
        check(Ending::UnknownPath, &Answers::Rivetr, Outcome::Unknown, "404: a.org has nothing at /api/x");
        let unknown = "404: no app answers at a.org; `rivetr domains add APP a.org` gives it to one";
        check(Ending::UnknownHost, &Answers::Rivetr, Outcome::Unknown, unknown);
    }

    #[test]
    fn rules_and_conditions_in_words() {
        let site = Site::plain(HostName::parse("a.org").unwrap());
        let mut traffic = Traffic::default();
        assert_eq!(in_words(&site, &traffic, false), [""; 0]);
        assert_eq!(in_words(&site, &traffic, true), ["HTTPS only"]);
        traffic.allow = vec![parse_network("192.0.2.0/24").unwrap()];
        traffic.users = vec![User { name: UserName::parse("ada").unwrap(), hash: "$x".to_owned() }];
        traffic.protocol = Protocol::H2c;
        traffic.redirects = ["/a=/b", "/c=/d"].map(|rule| Redirect::parse(rule).unwrap()).into();
        assert_eq!(
            in_words(&site, &traffic, false),
            ["2 redirects", "only from 192.0.2.0/24", "password of ada", "h2c"]
        );
        let seen = Foresight {
            row: Some(0),
            ending: Ending::Stopped,
            allowed: vec!["192.0.2.0/24".to_owned()],
            users: vec!["ada".to_owned()],
        };
        assert_eq!(
            conditions(&seen, &Asked::parse("https://a.org").unwrap(), false),
            [
                "there is no certificate for this host yet",
                "403 for all but 192.0.2.0/24",
                "401 without the password of ada"
            ]
        );
    }
}
