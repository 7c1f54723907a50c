//! Apps are changed over the API: what they are set to, and which hosts lead to them.

use axum::Json;
use axum::extract::{Path, State};

use super::app::{find, of_app, shown};
use super::error::ApiError;
use super::input::Input;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage};
use crate::domain::right::Right;
use crate::engine::{Changed, Engine};
use crate::store::Reader;

pub(super) async fn change(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(wish): Input<wire::ChangeApp>,
) -> Result<Json<wire::ChangedApp>, ApiError> {
    let app = find(&reader, &id).await?;
    let before = wire::value(&shown(&engine, &app));
    let administrator = by.caller.may(Right::Administer);
    let changed =
        engine.change_app(&app.slug, administrator, |before| Ok::<_, ApiError>(wish.parse(before)?));
    let Changed { app, hosts, limits, needs_deployment } = changed.await?;
    let shown = shown(&engine, &app);
    by.record(Deed::new("app.changed", of_app(&app)).before(before).after(wire::value(&shown))).await;
    let applied = [("hosts", hosts), ("limits", limits)];
    let applied = applied.into_iter().filter(|(_, done)| *done).map(|(what, _)| what.to_owned()).collect();
    Ok(Json(wire::ChangedApp { app: shown, applied, needs_deployment }))
}
