//! Sign-ins at registries over the API: list, hand in, remove. Passwords come in and never go out.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::error::ApiError;
use super::input::Input;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized, Read};
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
    by.record(Deed::new("registry.put", format!("registry {}", registry.host))).await;
    Ok((StatusCode::CREATED, Json(wire::Registry::from(&registry))))
}

pub(super) async fn remove(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(host): Path<String>,
) -> Result<StatusCode, ApiError> {
    let host = RegistryHost::parse(&host).map_err(|_| ApiError::not_found("registry", &host))?;
    engine.remove_registry(&host).await?;
    by.record(Deed::new("registry.removed", format!("registry {host}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

impl From<&Registry> for wire::Registry {
    fn from(registry: &Registry) -> Self {
        let Registry { host, user, password: _, changed } = registry;
        Self { host: host.to_string(), user: user.clone(), changed: wire::time(*changed) }
    }
}
