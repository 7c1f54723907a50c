//! The routes of the proxy over the API: all of them, and the one that a request is meant for.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::error::ApiError;
use super::input::Params;
use super::seen::Seen;
use super::wire::{self, FieldErrors};
use crate::auth::gate::{Authorized, Read};
use crate::domain::route::Asked;
use crate::engine::{Answers, Engine, Fate, ShownRoute};

pub(super) async fn list(
    by: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Route>>, ApiError> {
    let seen = Seen::hosts(engine.reader(), &by.caller).await?;
    let routes = engine.routes().await?;
    let items = routes.iter().filter(|route| is_seen(&seen, route)).map(wire::Route::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    url: String,
}

pub(super) async fn find(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    Params(Question { url }): Params<Question>,
) -> Result<Json<wire::RouteMatch>, ApiError> {
    let asked = Asked::parse(&url).map_err(|error| FieldErrors::one("url", error.to_string()))?;
    let fate = engine.fate(&asked).await?;
    // What is another team's is as little there as nothing.
    let seen = Seen::hosts(engine.reader(), &by.caller).await?;
    let hidden = match &fate.route {
        Some(route) => !is_seen(&seen, route),
        None => !seen.has(Some(asked.host.as_str())),
    };
    let Fate { route, outcome, words, conditions } = if hidden { Fate::unknown(&asked) } else { fate };
    let route = route.as_ref().map(wire::Route::from);
    Ok(Json(wire::RouteMatch { route, outcome: outcome.as_str().to_owned(), detail: words, conditions }))
}

/// A host is of one project alone; that of rivetr itself is no team's.
fn is_seen(seen: &Seen, route: &ShownRoute) -> bool {
    match route.by {
        Answers::Rivetr => seen.has(None),
        Answers::App(..) | Answers::Service(_) => seen.has(Some(&route.host.to_string())),
    }
}

impl From<&ShownRoute> for wire::Route {
    fn from(ShownRoute { host, path, by, targets, rules }: &ShownRoute) -> Self {
        let (app, release, service) = match by {
            Answers::Rivetr => (None, None, None),
            Answers::App(app, release) => (Some(app.to_string()), Some(*release), None),
            Answers::Service(service) => (None, None, Some(service.to_string())),
        };
        let target = |(name, address): &(String, std::net::SocketAddr)| wire::RouteTarget {
            name: name.clone(),
            address: address.to_string(),
        };
        Self {
            host: host.to_string(),
            path: path.to_string(),
            app,
            release,
            service,
            targets: targets.iter().map(target).collect(),
            rules: rules.clone(),
        }
    }
}
