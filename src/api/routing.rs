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
use crate::engine::{Engine, Fate, ShownRoute};

pub(super) async fn list(
    by: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Route>>, ApiError> {
    let seen = Seen::apps(engine.reader(), &by.caller).await?;
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
    let seen = Seen::apps(engine.reader(), &by.caller).await?;
    let fate = engine.fate(&asked).await?;
    // What is another team's is as little there as nothing.
    let hosts = Seen::hosts(engine.reader(), &by.caller).await?;
    let hidden = match &fate.route {
        Some(route) => !is_seen(&seen, route),
        None => !hosts.has(Some(asked.host.as_str())),
    };
    let Fate { route, outcome, words, conditions } = if hidden { Fate::unknown(&asked) } else { fate };
    let route = route.as_ref().map(wire::Route::from);
    Ok(Json(wire::RouteMatch { route, outcome: outcome.as_str().to_owned(), detail: words, conditions }))
}

fn is_seen(seen: &Seen, route: &ShownRoute) -> bool {
    seen.has(route.app.as_ref().map(|(app, _)| app.as_str()))
}

impl From<&ShownRoute> for wire::Route {
    fn from(ShownRoute { host, path, app, targets, rules }: &ShownRoute) -> Self {
        let target = |(name, address): &(String, std::net::SocketAddr)| wire::RouteTarget {
            name: name.clone(),
            address: address.to_string(),
        };
        Self {
            host: host.to_string(),
            path: path.to_string(),
            app: app.as_ref().map(|(app, _)| app.to_string()),
            release: app.as_ref().map(|(_, number)| *number),
            targets: targets.iter().map(target).collect(),
            rules: rules.clone(),
        }
    }
}
