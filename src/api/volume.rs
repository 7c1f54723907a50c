//! Volumes over the API: list, show, delete.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;

use super::error::ApiError;
use super::input::Params;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage, Read};
use crate::domain::volume::VolumeOf;
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
    let sees = |volume: &Volume| by.caller.sees_all() || volume.team.is_some_and(|team| by.caller.sees(team));
    let items = engine.volumes(size).await?.into_iter().filter(sees).map(shown).collect();
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
    let Volume { id, team: _, orphaned, size, created } = volume;
    let (app, service) = match id.of() {
        VolumeOf::App(app) => (Some(app.to_string()), None),
        VolumeOf::Service(service) => (None, Some(service.to_string())),
    };
    wire::Volume {
        name: id.to_string(),
        app,
        service,
        volume: id.own().to_owned(),
        orphaned,
        size,
        created: created.map(wire::time),
    }
}
