//! What is done with an app that runs: back to an earlier release, new containers, more of them, none.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::app::{find, of_app, of_deployment, shown};
use super::error::ApiError;
use super::input::Input;
use super::{deployment, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Manage};
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
    by.record(rolled_back(&deployment)).await;
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
    by.record(rolled_back(&deployment)).await;
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
    by.record(Deed::new("app.restarted", of_deployment(&app.slug, deployment.number))).await;
    Ok(accepted(&deployment))
}

pub(super) async fn start(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::App>, ApiError> {
    let app = find(&reader, &id).await?;
    by.record(Deed::new("app.started", of_app(&app))).await;
    Ok(Json(shown(&engine, &engine.start_app(&app.slug).await?)))
}

pub(super) async fn stop(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::App>, ApiError> {
    let app = find(&reader, &id).await?;
    by.record(Deed::new("app.stopped", of_app(&app))).await;
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
    by.record(
        Deed::new("app.scaled", of_app(&app))
            .before(json!({ "replicas": app.settings.replicas.get() }))
            .after(json!({ "replicas": replicas.get() })),
    )
    .await;
    Ok(Json(shown(&engine, &engine.scale(&app.slug, replicas).await?)))
}

fn rolled_back(deployment: &Deployment) -> Deed {
    Deed::new("app.rolled_back", of_deployment(&deployment.app_slug, deployment.number))
        .after(json!({ "to": deployment.back_to }))
}

fn accepted(deployment: &Deployment) -> (StatusCode, Json<wire::Deployment>) {
    (StatusCode::ACCEPTED, Json(wire::Deployment::from(deployment)))
}
