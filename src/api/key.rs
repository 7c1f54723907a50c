//! Keys of SSH over the API, and the servers that are known by theirs. A private half comes in and never goes out.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::error::ApiError;
use super::gate::{Administer, Authorized, Manage, Read};
use super::input::Input;
use super::wire;
use crate::domain::key::SshHost;
use crate::domain::name::Slug;
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn list(
    _: Authorized<Read>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::Key>>, ApiError> {
    let items = reader.keys().await?.iter().map(|key| wire::Key::of(key, &[])).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Input(new): Input<wire::CreateKey>,
) -> Result<impl IntoResponse, ApiError> {
    let (name, given) = new.parse()?;
    let key = engine.create_key(name, given).await?;
    let fingerprint = key.public.fingerprint();
    tracing::info!(target: "rivetr::audit", key = %key.name, fingerprint, by = %by.caller, "key kept");
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
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let slug = Slug::parse(&name).map_err(|_| ApiError::not_found("key", &name))?;
    engine.delete_key(slug).await?;
    tracing::info!(target: "rivetr::audit", key = name, by = %by.caller, "key deleted");
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
    tracing::info!(target: "rivetr::audit", host = name, by = %by.caller, "known host forgotten");
    Ok(StatusCode::NO_CONTENT)
}
