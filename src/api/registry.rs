//! Sign-ins at registries over the API: list, hand in, remove. Passwords come in and never go out.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::error::ApiError;
use super::gate::{Administer, Authorized, Read};
use super::input::Input;
use super::wire;
use crate::domain::image::RegistryHost;
use crate::engine::Engine;
use crate::store::{Reader, Registry};

pub(super) async fn list(
    _: Authorized<Read>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::Registry>>, ApiError> {
    let items = reader.registries().await?.iter().map(wire::Registry::from).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn put(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Input(new): Input<wire::PutRegistry>,
) -> Result<impl IntoResponse, ApiError> {
    let (host, user, password) = new.parse()?;
    let registry = engine.put_registry(host, user, password).await?;
    tracing::info!(target: "rivetr::audit", registry = %registry.host, by = %by.caller, "sign-in handed in");
    Ok((StatusCode::CREATED, Json(wire::Registry::from(&registry))))
}

pub(super) async fn remove(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(host): Path<String>,
) -> Result<StatusCode, ApiError> {
    let host = RegistryHost::parse(&host).map_err(|_| ApiError::not_found("registry", &host))?;
    engine.remove_registry(&host).await?;
    tracing::info!(target: "rivetr::audit", registry = %host, by = %by.caller, "sign-in removed");
    Ok(StatusCode::NO_CONTENT)
}

impl From<&Registry> for wire::Registry {
    fn from(registry: &Registry) -> Self {
        let Registry { host, user, password: _, changed } = registry;
        Self { host: host.to_string(), user: user.clone(), changed: wire::time(*changed) }
    }
}
