//! What the proxy does with the requests of an app, over the API. Passwords come in and never go out.

use axum::Json;
use axum::extract::{Path, State};

use super::app::{self, find};
use super::error::ApiError;
use super::input::Input;
use super::wire::{self, TrafficOptions};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage, Read};
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
    let before = wire::value(&TrafficOptions::of(&engine.traffic(&app.slug).await?));
    let change = |before| Ok::<_, ApiError>(wish.lay_over(before)?);
    let traffic = engine.change_traffic(&app.slug, change).await?;
    let shown = TrafficOptions::of(&traffic);
    by.record(Deed::new("app.traffic_changed", app::of_app(&app)).before(before).after(wire::value(&shown)))
        .await;
    Ok(Json(shown))
}
