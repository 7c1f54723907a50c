//! Archives over the API: taken in as they arrive, never whole in memory, and deployed.

use std::io;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use futures_util::TryStreamExt;
use http::StatusCode;
use serde_json::json;
use tokio_util::io::StreamReader;

use super::error::ApiError;
use super::{app, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy};
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn deploy(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    body: Body,
) -> Result<impl IntoResponse, ApiError> {
    let app = app::find(&reader, &id).await?;
    let archive = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let deployment = engine.deploy_upload(&app, archive).await?;
    let number = deployment.number;
    by.record(
        Deed::new("app.deployed", app::of_deployment(&app.slug, number)).after(json!({ "upload": true })),
    )
    .await;
    Ok((StatusCode::ACCEPTED, Json(wire::Deployment::from(&deployment))))
}
