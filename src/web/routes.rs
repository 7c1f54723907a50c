//! Routes as the proxy serves them, what would become of a request, and the certificates that it shows.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::certificates::{self, Row as Certificate};
use super::error::PageError;
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::auth::Person;
use crate::auth::gate::Read;
use crate::domain::app::App;
use crate::domain::domain::Domain;
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::route::Asked;
use crate::domain::service::Service;
use crate::engine::{Answers, Engine, Fate, Outcome, ShownRoute};

#[derive(Template)]
#[template(path = "routes/index.html")]
struct Page {
    shell: Shell,
    fate: Question,
    routes: Vec<Row>,
    certificates: Vec<Certificate>,
}

/// The answer to a question alone.
#[derive(Template)]
#[template(path = "routes/fate.html")]
struct FatePart {
    shell: Shell,
    fate: Question,
}

/// What was asked, and what would become of it.
#[derive(Default)]
struct Question {
    url: String,
    wrong: String,
    seen: Option<Seen>,
}

struct Seen {
    mark: Mark,
    words: String,
    route: Option<Row>,
    conditions: Vec<String>,
}

struct Row {
    host: String,
    path: String,
    by: Answers,
    targets: Vec<String>,
    rules: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Asking {
    #[serde(default)]
    url: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/routes", index)]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Query(Asking { url }): Query<Asking>,
) -> Result<Response, PageError> {
    let seen = Sight::of(&engine, &visit.person).await?;
    let fate = question(&engine, &seen, url.trim()).await?;
    if hx.fragment {
        return view::show(&FatePart { shell, fate });
    }
    let routes = engine.routes().await?;
    let routes = routes.iter().filter(|route| seen.route(route)).map(Row::of).collect();
    let certificates = certificates::rows(&engine, &seen).await?;
    view::show(&Page { shell, fate, routes, certificates })
}

async fn question(engine: &Engine, seen: &Sight, url: &str) -> Result<Question, PageError> {
    if url.is_empty() {
        return Ok(Question::default());
    }
    let url = url.to_owned();
    match Asked::parse(&url) {
        Ok(asked) => {
            let fate = engine.fate(&asked).await?;
            let hidden = fate.route.as_ref().is_some_and(|route| !seen.route(route));
            Ok(Question { url, seen: Some(Seen::of(&fate, hidden)), ..Question::default() })
        }
        Err(error) => Ok(Question { url, wrong: error.to_string(), ..Question::default() }),
    }
}

/// The apps and services that a person knows of.
pub(super) struct Sight {
    /// The apps, by name.
    pub apps: BTreeMap<Slug, App>,
    /// The services, by name.
    pub services: BTreeMap<Slug, Service>,
    /// The person sees all there is.
    pub everything: bool,
    /// The host of rivetr itself.
    pub own_host: Option<String>,
}

impl Sight {
    pub async fn of(engine: &Engine, person: &Person) -> Result<Self, PageError> {
        let apps = engine.reader().apps().await?.into_iter();
        let seen = apps.filter(|app| view::sees(person, &app.project));
        let services = engine.reader().services().await?.into_iter();
        let services = services.filter(|service| view::sees(person, &service.project));
        let own = engine.own_url();
        let host = |url: &String| {
            let rest = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
            rest.split(':').next().unwrap_or_default().to_owned()
        };
        Ok(Self {
            apps: seen.map(|app| (app.slug.clone(), app)).collect(),
            services: services.map(|service| (service.slug.clone(), service)).collect(),
            everything: person.reach.allows(Right::Administer),
            own_host: own.as_ref().map(host),
        })
    }

    /// The domains of all of them.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        let of_apps = self.apps.values().flat_map(|app| &app.domains);
        of_apps.chain(self.services.values().flat_map(|service| &service.domains))
    }

    fn route(&self, route: &ShownRoute) -> bool {
        match &route.by {
            // Everybody who is here knows where rivetr itself is.
            Answers::Rivetr => true,
            Answers::App(app, _) => self.apps.contains_key(app),
            Answers::Service(service) => self.services.contains_key(service),
        }
    }
}

impl Row {
    fn of(route: &ShownRoute) -> Self {
        let ShownRoute { host, path, by, targets, rules } = route;
        Self {
            host: host.to_string(),
            path: path.to_string(),
            by: by.clone(),
            targets: targets.iter().map(|(name, address)| format!("{name} at {address}")).collect(),
            rules: rules.clone(),
        }
    }
}

impl Seen {
    /// `hidden`: what answers belongs to a team that the person is not in.
    fn of(Fate { route, outcome, words, conditions }: &Fate, hidden: bool) -> Self {
        let mark = |class, icon, word| Mark { class, icon, word };
        if hidden {
            let words = "Nothing that you know of answers there.".to_owned();
            return Self { mark: mark("", "unknown", "unknown"), words, route: None, conditions: Vec::new() };
        }
        let mark = match outcome {
            Outcome::Served => mark("good", "ok", "served"),
            Outcome::Redirected => mark("moving", "link", "redirected"),
            Outcome::Refused => mark("warn", "warn", "refused"),
            Outcome::Unknown => mark("bad", "failed", "nothing there"),
        };
        let route = route.as_ref().map(Row::of);
        Self { mark, words: words.clone(), route, conditions: conditions.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::domain::{PathPrefix, Pattern};

    #[test]
    fn an_app_of_another_team_is_not_named() {
        let secret = Slug::parse("secret-app").unwrap();
        let route = ShownRoute {
            host: Pattern::parse("hidden.example").unwrap(),
            path: PathPrefix::root(),
            by: Answers::App(secret.clone(), 7),
            targets: Vec::new(),
            rules: vec!["password of ada".to_owned()],
        };
        let fate = Fate {
            route: Some(route.clone()),
            outcome: Outcome::Served,
            words: "secret-app answers".to_owned(),
            conditions: vec!["401 without the password of ada".to_owned()],
        };
        let render = |hidden| {
            let fate = Question { seen: Some(Seen::of(&fate, hidden)), ..Question::default() };
            FatePart { shell: Shell::default(), fate }.render().unwrap()
        };
        assert!(render(false).contains("secret-app answers"));
        let html = render(true);
        assert!(!html.contains("secret-app") && !html.contains("ada"), "{html}");
        let (apps, services) = (BTreeMap::new(), BTreeMap::new());
        let sight = Sight { apps, services, everything: false, own_host: None };
        assert!(!sight.route(&route));
        assert!(!sight.route(&ShownRoute { by: Answers::Service(secret), ..route.clone() }));
        assert!(sight.route(&ShownRoute { by: Answers::Rivetr, ..route }));
    }
}
