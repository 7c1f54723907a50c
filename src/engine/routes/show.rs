//! The routes as people read them: what there is, and what would become of a request.

use std::net::SocketAddr;

use super::OWN_KEY;
use crate::domain::deployment::replica_name;
use crate::domain::domain::{PathPrefix, Pattern, Site};
use crate::domain::name::Slug;
use crate::domain::route::{Asked, Route, meant};
use crate::domain::traffic::{Protocol, Traffic};
use crate::engine::{Engine, EngineError};

/// A route, in words where it says more than where it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRoute {
    /// The host, or hosts.
    pub host: Pattern,
    /// Only paths that are this one or below it.
    pub path: PathPrefix,
    /// The app that answers, and the number of its release; none: rivetr itself.
    pub app: Option<(Slug, u32)>,
    /// What is connected to, and where; none: the app is stopped.
    pub targets: Vec<(String, SocketAddr)>,
    /// What else is done.
    pub rules: Vec<String>,
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

impl Engine {
    /// Every route, rivetr's own first.
    pub async fn routes(&self) -> Result<Vec<ShownRoute>, EngineError> {
        let apps = self.table().await?.routes;
        Ok(self.own_route().into_iter().chain(apps.iter().map(|route| self.shown_route(route))).collect())
    }

    /// What would become of a request, as the routes are now.
    pub async fn fate(&self, asked: &Asked) -> Result<Fate, EngineError> {
        if let Some(route) = self.own_route().filter(|route| route.host.matches(asked.host.as_str())) {
            return Ok(Fate {
                route: Some(route),
                outcome: Outcome::Served,
                words: "rivetr itself answers".to_owned(),
                conditions: Vec::new(),
            });
        }
        let apps = self.table().await?.routes;
        let Some(route) = meant(&apps, place, asked.host.as_str(), &asked.path) else {
            return Ok(Fate {
                route: None,
                outcome: Outcome::Unknown,
                words: unknown(&apps, asked),
                conditions: Vec::new(),
            });
        };
        let certified = self.has_certificate(&route.site.host);
        let (outcome, words) = judge(route, asked, certified);
        Ok(Fate {
            route: Some(self.shown_route(route)),
            outcome,
            words,
            conditions: conditions(route, asked, certified),
        })
    }

    fn own_route(&self) -> Option<ShownRoute> {
        self.0.settings.own_host.clone().map(|host| ShownRoute {
            host: Pattern::Exact(host),
            path: PathPrefix::root(),
            app: None,
            targets: vec![(OWN_KEY.to_owned(), self.0.settings.own_address)],
            rules: Vec::new(),
        })
    }

    fn shown_route(&self, route: &Route) -> ShownRoute {
        let Route { site, app, number, targets, traffic } = route;
        let target =
            |(replica, address): &(u8, _)| (replica_name(app, *number, *replica), SocketAddr::V4(*address));
        ShownRoute {
            host: site.host.clone(),
            path: site.path.clone(),
            app: Some((app.clone(), *number)),
            targets: targets.iter().map(target).collect(),
            rules: in_words(site, traffic, self.has_certificate(&site.host)),
        }
    }
}

fn place(route: &Route) -> (&Pattern, &PathPrefix) {
    (&route.site.host, &route.site.path)
}

/// What is not there: the host, or only this path of it.
fn unknown(routes: &[Route], asked: &Asked) -> String {
    let host = &asked.host;
    if routes.iter().any(|route| route.site.host.matches(host.as_str())) {
        return format!("404: {host} has nothing at {}", asked.path);
    }
    format!("404: no app answers at {host}; `rivetr domains add APP {host}` gives it to one")
}

/// How a request ends that is let in: in the order in which the proxy asks.
fn judge(
    Route { site, app, targets, traffic, .. }: &Route,
    asked: &Asked,
    certified: bool,
) -> (Outcome, String) {
    let Asked { https, host, path, query } = asked;
    let whole = asked.whole();
    let scheme = if *https { "https" } else { "http" };
    if site.https_redirect && certified && !https {
        return (Outcome::Redirected, format!("308 to https://{host}{whole}"));
    }
    if let Some(to) = site.redirect_to.as_ref().filter(|to| *to != host) {
        return (Outcome::Redirected, format!("308 to {scheme}://{to}{whole}"));
    }
    let redirect = traffic.redirects.iter().find_map(|rule| Some((rule.status(), rule.target(path)?)));
    if let Some((status, mut to)) = redirect {
        if let Some(query) = query.as_ref().filter(|_| !to.contains(['?', '#'])) {
            to = format!("{to}?{query}");
        }
        return (Outcome::Redirected, format!("{status} to {to}"));
    }
    if let Some(notice) = &traffic.maintenance {
        return (Outcome::Refused, format!("503: maintenance, {notice:?}", notice = notice.as_str()));
    }
    if targets.is_empty() {
        return (Outcome::Refused, format!("503: {app} is stopped; `rivetr start {app}` brings it back"));
    }
    let inside = site.path.rest_of(path).filter(|_| site.strip);
    let seen = inside.map(|rest| format!(" as {rest}")).unwrap_or_default();
    (Outcome::Served, format!("{app} answers{seen}"))
}

/// What is asked of whoever sends a request.
fn conditions(Route { traffic, .. }: &Route, asked: &Asked, certified: bool) -> Vec<String> {
    let Traffic { allow, users, .. } = traffic;
    let mut conditions = Vec::new();
    if asked.https && !certified {
        conditions.push("there is no certificate for this host yet".to_owned());
    }
    if !allow.is_empty() {
        conditions.push(format!("403 for all but {}", joined(allow)));
    }
    if !users.is_empty() {
        let names: Vec<_> = users.iter().map(|user| &user.name).collect();
        conditions.push(format!("401 without the password of {}", joined(&names)));
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
    use crate::domain::traffic::{Notice, Redirect, User, UserName, parse_network};

    fn route(host: &str) -> Route {
        Route {
            site: Site::plain(HostName::parse(host).unwrap()),
            app: Slug::parse("blog").unwrap(),
            number: 7,
            targets: vec![(1, "10.90.0.2:8080".parse().unwrap())],
            traffic: Traffic::default(),
        }
    }

    fn check(route: &Route, asked: &str, certified: bool, outcome: Outcome, words: &str) {
        let asked = Asked::parse(asked).unwrap();
        assert_eq!(judge(route, &asked, certified), (outcome, words.to_owned()), "{asked:?}");
    }

    #[test]
    fn what_becomes_of_a_request() {
        let mut blog = route("a.org");
        check(&blog, "http://a.org/x", false, Outcome::Served, "blog answers");
        check(&blog, "http://a.org/x?y", true, Outcome::Redirected, "308 to https://a.org/x?y");
        check(&blog, "https://a.org/x", true, Outcome::Served, "blog answers");
        blog.site.path = PathPrefix::parse("/api").unwrap();
        blog.site.strip = true;
        check(&blog, "a.org/api/x", false, Outcome::Served, "blog answers as /x");
        blog.traffic.redirects = vec![Redirect::parse("/api/old/(.*)=/api/$1 301").unwrap()];
        check(&blog, "a.org/api/old/x?y", false, Outcome::Redirected, "301 to /api/x?y");
        blog.targets.clear();
        check(
            &blog,
            "a.org/api",
            false,
            Outcome::Refused,
            "503: blog is stopped; `rivetr start blog` brings it back",
        );
        blog.traffic.maintenance = Some(Notice::parse("Back at noon").unwrap());
        check(&blog, "a.org/api", false, Outcome::Refused, "503: maintenance, \"Back at noon\"");

        let mut www = route("www.a.org");
        www.site.redirect_to = Some(HostName::parse("a.org").unwrap());
        www.traffic = blog.traffic;
        check(&www, "https://www.a.org/x", false, Outcome::Redirected, "308 to https://a.org/x");
        let asked = |text| Asked::parse(text).unwrap();
        assert_eq!(unknown(&[www.clone()], &asked("www.a.org/y")), "404: www.a.org has nothing at /y");
        assert!(unknown(&[www], &asked("b.org")).starts_with("404: no app answers at b.org"));
    }

    #[test]
    fn rules_and_conditions_in_words() {
        let mut blog = route("a.org");
        assert_eq!(in_words(&blog.site, &blog.traffic, false), [""; 0]);
        assert_eq!(in_words(&blog.site, &blog.traffic, true), ["HTTPS only"]);
        blog.traffic.allow = vec![parse_network("192.0.2.0/24").unwrap()];
        blog.traffic.users = vec![User { name: UserName::parse("ada").unwrap(), hash: "$x".to_owned() }];
        blog.traffic.protocol = Protocol::H2c;
        blog.traffic.redirects = ["/a=/b", "/c=/d"].map(|rule| Redirect::parse(rule).unwrap()).into();
        assert_eq!(
            in_words(&blog.site, &blog.traffic, false),
            ["2 redirects", "only from 192.0.2.0/24", "password of ada", "h2c"]
        );
        assert_eq!(
            conditions(&blog, &Asked::parse("https://a.org").unwrap(), false),
            [
                "there is no certificate for this host yet",
                "403 for all but 192.0.2.0/24",
                "401 without the password of ada"
            ]
        );
    }
}
