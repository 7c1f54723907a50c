//! Deployments over the API: show, follow the log, cancel.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::HeaderMap;

use super::error::ApiError;
use super::events;
use super::{Streams, app, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Read};
use crate::domain::deployment::{Deployment, DeploymentId};
use crate::engine::{Engine, LogOf};
use crate::store::Reader;

pub(super) async fn show(
    _: Authorized<Read>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::Deployment>, ApiError> {
    let deployment = find(&reader, &id).await?;
    let events = reader.events(deployment.id).await?;
    Ok(Json(wire::Deployment::from(&deployment).with_steps(&events)))
}

pub(super) async fn cancel(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::Deployment>, ApiError> {
    let found = find(&reader, &id).await?;
    let deployment = engine.cancel(found.id).await?;
    by.record(Deed::new("deployment.cancelled", app::of_deployment(&deployment.app_slug, deployment.number)))
        .await;
    Ok(Json(wire::Deployment::from(&deployment)))
}

/// Each line as an event whose id is the offset after it; at the end one event `end` with the deployment.
pub(super) async fn log(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    State(Streams { auth, stopping, .. }): State<Streams>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let from = events::offset(&headers)?;
    let deployment = find(&reader, &id).await?;
    let lines = engine.log(LogOf::Deployment(&deployment), from);
    let end = async move { engine.ended(deployment.id).await.map(|ended| wire::Deployment::from(&ended)) };
    Ok(events::answer(events::of_log(lines, end), auth, by.caller, stopping))
}

pub(super) async fn find(reader: &Reader, id: &str) -> Result<Deployment, ApiError> {
    let found = match id.parse() {
        Ok(number) => reader.deployment(DeploymentId(number)).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ApiError::not_found("deployment", id))
}
