//! Certificates over the API: list, show, hand in, take back, renew. Keys come in and never go out.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde_json::json;

use super::error::ApiError;
use super::input::Input;
use super::seen::Seen;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Authorized, Manage, Read};
use crate::domain::certificate::CertName;
use crate::domain::name::HostName;
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn list(
    by: Authorized<Read>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::Certificate>>, ApiError> {
    let seen = Seen::hosts(&reader, &by.caller).await?;
    let mut items = all(&reader).await?;
    items.retain(|certificate| seen.has(Some(certificate.name.as_str())));
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn add(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Input(new): Input<wire::AddCertificate>,
) -> Result<impl IntoResponse, ApiError> {
    let (chain, key) = new.parse()?;
    let own = engine.add_certificate(chain, key).await?;
    by.record(Deed::new("certificate.added", format!("certificate {}", own.name))).await;
    Ok((StatusCode::CREATED, Json(wire::Certificate::from(&own))))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(reader): State<Reader>,
    Path(name): Path<String>,
) -> Result<Json<wire::Certificate>, ApiError> {
    find(&reader, &name).await.map(Json)
}

pub(super) async fn remove(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    let parsed = CertName::parse(&name).map_err(|_| ApiError::not_found("certificate", &name))?;
    engine.remove_certificate(&parsed).await?;
    by.record(Deed::new("certificate.removed", format!("certificate {parsed}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn renew(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(name): Path<String>,
    Input(wire::RenewCertificate { revoke }): Input<wire::RenewCertificate>,
) -> Result<impl IntoResponse, ApiError> {
    let parsed = HostName::parse(&name).map_err(|_| ApiError::not_found("certificate", &name))?;
    engine.renew_certificate(&parsed, revoke).await?;
    by.record(
        Deed::new("certificate.renewed", format!("certificate {parsed}")).after(json!({ "revoke": revoke })),
    )
    .await;
    Ok((StatusCode::ACCEPTED, Json(find(&reader, parsed.as_str()).await?)))
}

pub(super) async fn change_account_key(
    by: Authorized<Administer>,
    State(engine): State<Engine>,
) -> Result<StatusCode, ApiError> {
    engine.change_account_key().await?;
    by.record(Deed::new("acme_account.key_changed", "ACME account")).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn all(reader: &Reader) -> Result<Vec<wire::Certificate>, ApiError> {
    let own = reader.own_certificates().await?;
    let ordered = reader.certificates().await?;
    let own = own.iter().map(wire::Certificate::from);
    let mut all: Vec<_> = own.chain(ordered.iter().map(wire::Certificate::from)).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(all)
}

/// One that was handed in comes before one that is ordered for the same name.
async fn find(reader: &Reader, name: &str) -> Result<wire::Certificate, ApiError> {
    let folded = name.to_ascii_lowercase();
    let found = all(reader).await?.into_iter().find(|one| one.name == folded);
    found.ok_or_else(|| ApiError::not_found("certificate", name))
}
