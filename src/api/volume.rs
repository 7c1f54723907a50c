//! Volumes over the API: list, show, delete.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;

use super::error::ApiError;
use super::input::Params;
use super::seen::Seen;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage, Read};
use crate::engine::{Engine, Volume};

/// How much is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detail {
    #[serde(default)]
    size: bool,
}

pub(super) async fn list(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    Params(Detail { size }): Params<Detail>,
) -> Result<Json<wire::List<wire::Volume>>, ApiError> {
    let seen = Seen::apps(engine.reader(), &by.caller).await?;
    let volumes = engine.volumes(size).await?.into_iter();
    let items = volumes.filter(|volume| seen.has(Some(volume.app.as_str()))).map(shown).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Json<wire::Volume>, ApiError> {
    Ok(Json(shown(engine.volume(&name).await?)))
}

pub(super) async fn delete(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    engine.delete_volume(&name).await?;
    by.record(Deed::new("volume.deleted", format!("volume {name}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

fn shown(volume: Volume) -> wire::Volume {
    let Volume { name, app, volume, orphaned, size, created } = volume;
    wire::Volume {
        name,
        app: app.to_string(),
        volume: volume.to_string(),
        orphaned,
        size,
        created: created.map(wire::time),
    }
}
