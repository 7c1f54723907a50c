//! Deployments over the API: show, follow the log, cancel.

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::response::sse::Event;
use axum::{BoxError, Json};
use futures_util::{StreamExt, stream};
use http::{HeaderMap, StatusCode};

use super::error::ApiError;
use super::events;
use super::{Streams, app, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Read};
use crate::domain::deployment::{Deployment, DeploymentId};
use crate::engine::Engine;
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
    let from = offset(&headers)?;
    let deployment = find(&reader, &id).await?;
    let lines = engine.log(&deployment, from).map(|entry| {
        let entry = entry?;
        events::event(
            Event::default().id(entry.offset_after.to_string()),
            &wire::DeploymentLine { text: entry.text },
        )
    });
    let end = stream::once(async move {
        let ended = engine.ended(deployment.id).await?;
        events::event(Event::default().event("end"), &wire::Deployment::from(&ended))
    });
    let events = lines.chain(end).inspect(|event: &Result<Event, BoxError>| {
        if let Err(error) = event {
            tracing::warn!(%error, "the log of a deployment broke off");
        }
    });
    Ok(events::answer(events, auth, by.caller, stopping))
}

/// Where a client that was cut off goes on.
fn offset(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(last) = headers.get("last-event-id") else { return Ok(0) };
    let offset = last.to_str().ok().and_then(|text| text.parse().ok());
    let message = "Last-Event-ID must be the id of an event of this log: a number";
    offset.ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message))
}

pub(super) async fn find(reader: &Reader, id: &str) -> Result<Deployment, ApiError> {
    let found = match id.parse() {
        Ok(number) => reader.deployment(DeploymentId(number)).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ApiError::not_found("deployment", id))
}
