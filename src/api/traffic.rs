//! What the proxy does with the requests of an app, over the API. Passwords come in and never go out.

use axum::Json;
use axum::extract::{Path, State};

use super::app::find;
use super::error::ApiError;
use super::gate::{Authorized, Manage, Read};
use super::input::Input;
use super::wire::TrafficOptions;
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<TrafficOptions>, ApiError> {
    let app = find(&reader, &id).await?;
    Ok(Json(TrafficOptions::of(&engine.traffic(&app.slug).await?)))
}

pub(super) async fn change(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(wish): Input<TrafficOptions>,
) -> Result<Json<TrafficOptions>, ApiError> {
    let app = find(&reader, &id).await?;
    let change = |before| Ok::<_, ApiError>(wish.lay_over(before)?);
    let traffic = engine.change_traffic(&app.slug, change).await?;
    tracing::info!(target: "rivetr::audit", app = %app.slug, by = %by.caller, "traffic changed");
    Ok(Json(TrafficOptions::of(&traffic)))
}
