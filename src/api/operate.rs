//! What is done with an app that runs: back to an earlier release, new containers, more of them, none.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::app::{find, shown};
use super::error::ApiError;
use super::gate::{Authorized, Deploy, Manage};
use super::input::Input;
use super::{deployment, wire};
use crate::domain::deployment::Deployment;
use crate::domain::right::Right;
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn roll_back(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(wish): Input<wire::RollBack>,
) -> Result<impl IntoResponse, ApiError> {
    let app = find(&reader, &id).await?;
    let deployment = engine.roll_back(&app.slug, wish.number, by.caller.may(Right::Administer)).await?;
    tracing::info!(target: "rivetr::audit", app = %app.slug, deployment = deployment.number, back_to = deployment.back_to, by = %by.caller, "rollback asked for");
    Ok(accepted(&deployment))
}

pub(super) async fn roll_back_to(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let to = deployment::find(&reader, &id).await?;
    let administrator = by.caller.may(Right::Administer);
    let deployment = engine.roll_back(&to.app_slug, Some(to.number), administrator).await?;
    tracing::info!(target: "rivetr::audit", app = %to.app_slug, deployment = deployment.number, back_to = deployment.back_to, by = %by.caller, "rollback asked for");
    Ok(accepted(&deployment))
}

pub(super) async fn restart(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let app = find(&reader, &id).await?;
    let deployment = engine.restart_app(&app.slug).await?;
    tracing::info!(target: "rivetr::audit", app = %app.slug, deployment = deployment.number, by = %by.caller, "restart asked for");
    Ok(accepted(&deployment))
}

pub(super) async fn start(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::App>, ApiError> {
    let app = find(&reader, &id).await?;
    tracing::info!(target: "rivetr::audit", app = %app.slug, by = %by.caller, "app is being started");
    Ok(Json(shown(&engine, &engine.start_app(&app.slug).await?)))
}

pub(super) async fn stop(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::App>, ApiError> {
    let app = find(&reader, &id).await?;
    tracing::info!(target: "rivetr::audit", app = %app.slug, by = %by.caller, "app is being stopped");
    Ok(Json(shown(&engine, &engine.stop_app(&app.slug).await?)))
}

pub(super) async fn scale(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(wish): Input<wire::Scale>,
) -> Result<Json<wire::App>, ApiError> {
    let replicas = wish.parse()?;
    let app = find(&reader, &id).await?;
    tracing::info!(target: "rivetr::audit", app = %app.slug, replicas = replicas.get(), by = %by.caller, "app is being scaled");
    Ok(Json(shown(&engine, &engine.scale(&app.slug, replicas).await?)))
}

fn accepted(deployment: &Deployment) -> (StatusCode, Json<wire::Deployment>) {
    (StatusCode::ACCEPTED, Json(wire::Deployment::from(deployment)))
}
