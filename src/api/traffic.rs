//! What the proxy does with the requests of an app or a service, over the API. Passwords come in and never go out.

use axum::Json;
use axum::extract::{Path, State};

use super::app::{self, find};
use super::error::ApiError;
use super::input::Input;
use super::service;
use super::wire::{self, TrafficOptions};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage, Read};
use crate::domain::domain::Behind;
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<TrafficOptions>, ApiError> {
    shown(&engine, Behind::App(find(&reader, &id).await?.id)).await
}

pub(super) async fn show_of_service(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<TrafficOptions>, ApiError> {
    let service = service::one(&engine, &service::slug(&id)?).await?;
    shown(&engine, Behind::Service(service.id)).await
}

async fn shown(engine: &Engine, of: Behind) -> Result<Json<TrafficOptions>, ApiError> {
    Ok(Json(TrafficOptions::of(&engine.traffic(of).await?)))
}

pub(super) async fn change(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(wish): Input<TrafficOptions>,
) -> Result<Json<TrafficOptions>, ApiError> {
    let app = find(&reader, &id).await?;
    let deed = Deed::new("app.traffic_changed", app::of_app(&app));
    changed(&engine, &by, Behind::App(app.id), deed, wish).await
}

pub(super) async fn change_of_service(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<TrafficOptions>,
) -> Result<Json<TrafficOptions>, ApiError> {
    let service = service::one(&engine, &service::slug(&id)?).await?;
    let deed = Deed::new("service.traffic_changed", service::named(&service.slug));
    changed(&engine, &by, Behind::Service(service.id), deed, wish).await
}

async fn changed(
    engine: &Engine,
    by: &Authorized<Manage>,
    of: Behind,
    deed: Deed,
    wish: TrafficOptions,
) -> Result<Json<TrafficOptions>, ApiError> {
    let before = wire::value(&TrafficOptions::of(&engine.traffic(of).await?));
    let traffic = engine.change_traffic(of, |before| Ok::<_, ApiError>(wish.lay_over(before)?)).await?;
    let shown = TrafficOptions::of(&traffic);
    by.record(deed.before(before).after(wire::value(&shown))).await;
    Ok(Json(shown))
}
