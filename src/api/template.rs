//! Templates over the API: what there is, and what one wants to be told.

use axum::Json;
use axum::extract::{Path, State};

use super::error::ApiError;
use super::wire;
use crate::auth::gate::{Authorized, Read};
use crate::domain::name::Slug;
use crate::engine::Engine;

pub(super) async fn list(
    _: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Template>>, ApiError> {
    let items = engine.templates()?.iter().map(wire::Template::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<wire::Template>, ApiError> {
    let slug = Slug::parse(&name).map_err(|_| ApiError::not_found("template", &name))?;
    Ok(Json(wire::Template::from(&engine.template(&slug)?)))
}
