//! The routes of the proxy over the API: all of them, and the one that a request is meant for.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;

use super::error::ApiError;
use super::gate::{Authorized, Read};
use super::input::Params;
use super::wire::{self, FieldErrors};
use crate::domain::route::Asked;
use crate::engine::{Engine, Fate, ShownRoute};

pub(super) async fn list(
    _: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Route>>, ApiError> {
    let items = engine.routes().await?.iter().map(wire::Route::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

/// What is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    url: String,
}

pub(super) async fn find(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Params(Question { url }): Params<Question>,
) -> Result<Json<wire::RouteMatch>, ApiError> {
    let asked = Asked::parse(&url).map_err(|error| FieldErrors::one("url", error.to_string()))?;
    let Fate { route, outcome, words, conditions } = engine.fate(&asked).await?;
    let route = route.as_ref().map(wire::Route::from);
    Ok(Json(wire::RouteMatch { route, outcome: outcome.as_str().to_owned(), detail: words, conditions }))
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
