//! Keys of SSH over the API, and the servers that are known by theirs. A private half comes in and never goes out.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::error::ApiError;
use super::input::Input;
use super::seen::team_for_new;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized, Lead, Read};
use crate::domain::key::SshHost;
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn list(
    by: Authorized<Read>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::Key>>, ApiError> {
    let keys = reader.keys().await?;
    let seen = keys.iter().filter(|key| by.caller.sees(key.team));
    let items = seen.map(|key| wire::Key::of(key, &[])).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Lead>,
    State(engine): State<Engine>,
    Input(new): Input<wire::CreateKey>,
) -> Result<impl IntoResponse, ApiError> {
    let team = team_for_new(engine.reader(), &by.caller, new.team.as_deref(), Right::Lead).await?;
    let (name, given) = new.parse()?;
    let key = engine.create_key(team, name, given).await?;
    let fingerprint = key.public.fingerprint();
    by.record(
        Deed::new("key.kept", format!("key {}", key.name))
            .of(team)
            .after(json!({ "fingerprint": fingerprint })),
    )
    .await;
    Ok((StatusCode::CREATED, Json(wire::Key::of(&key, &[]))))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(reader): State<Reader>,
    Path(name): Path<String>,
) -> Result<Json<wire::Key>, ApiError> {
    let known = match Slug::parse(&name) {
        Ok(slug) => reader.key(&slug).await?,
        Err(_) => None,
    };
    let (key, apps) = known.ok_or_else(|| ApiError::not_found("key", &name))?;
    Ok(Json(wire::Key::of(&key, &apps)))
}

pub(super) async fn delete(
    by: Authorized<Lead>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let slug = Slug::parse(&name).map_err(|_| ApiError::not_found("key", &name))?;
    engine.delete_key(slug).await?;
    by.record(Deed::new("key.deleted", format!("key {name}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn hosts(
    _: Authorized<Read>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::KnownHost>>, ApiError> {
    let items = reader.known_hosts().await?.iter().map(wire::KnownHost::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn forget(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let host = SshHost::parse(&name).map_err(|_| ApiError::not_found("known host", &name))?;
    engine.forget_host(host).await?;
    by.record(Deed::new("known_host.forgotten", format!("known host {name}"))).await;
    Ok(StatusCode::NO_CONTENT)
}
