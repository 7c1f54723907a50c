//! Mounted files and the master key over the API. What stands in a file goes in and never comes out.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::app::find;
use super::error::ApiError;
use super::input::{Input, Params};
use super::wire::{self, FieldErrors};
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized, Manage, Read};
use crate::domain::mount::MountPath;
use crate::engine::{Engine, Rotated};

pub(super) async fn files(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::List<wire::File>>, ApiError> {
    let app = find(engine.reader(), &id).await?;
    let files = engine.reader().files(app.id).await?;
    let items = files.iter().map(|file| wire::File { path: file.path.to_string() }).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn set_file(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::SetFile>,
) -> Result<StatusCode, ApiError> {
    let (path, content) = wish.parse()?;
    let app = find(engine.reader(), &id).await?;
    engine.set_file(app.id, path.clone(), content).await?;
    by.record(Deed::new("file.set", format!("file {path} of app {}", app.slug))).await;
    Ok(StatusCode::NO_CONTENT)
}

/// Which file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    path: String,
}

pub(super) async fn unset_file(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(At { path }): Params<At>,
) -> Result<StatusCode, ApiError> {
    let path = MountPath::parse(&path).map_err(|error| FieldErrors::one("path", error.to_string()))?;
    let app = find(engine.reader(), &id).await?;
    engine.unset_file(app.id, &path).await?;
    by.record(Deed::new("file.removed", format!("file {path} of app {}", app.slug))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn rotate_key(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
) -> Result<Json<wire::Rotated>, ApiError> {
    let Rotated { key, resealed, by_hand } = engine.rotate_key().await?;
    by.record(Deed::new("master_key.changed", "master key").after(json!({ "key": key }))).await;
    Ok(Json(wire::Rotated { key, resealed: resealed.values, unreadable: resealed.left, by_hand }))
}
