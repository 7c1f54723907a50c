//! Domains over the API: list, add, change, remove.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;

use super::app::find;
use super::error::ApiError;
use super::input::{Input, Params};
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage, Read};
use crate::domain::domain::{Domain, DomainId, Site};
use crate::domain::name::Slug;
use crate::engine::{Dns, Engine};
use crate::store::Reader;

/// Whether names are looked up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Look {
    #[serde(default)]
    dns: bool,
}

pub(super) async fn list(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Params(look): Params<Look>,
) -> Result<Json<wire::List<wire::Domain>>, ApiError> {
    let app = find(&reader, &id).await?;
    let found = if look.dns { engine.check_dns_of(&app.domains).await } else { Vec::new() };
    let mut found = found.iter();
    let shown = |domain| shown(&engine, &app.slug, domain, found.next());
    Ok(Json(wire::List { items: app.domains.iter().map(shown).collect(), next: None }))
}

pub(super) async fn add(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(new): Input<wire::CreateDomain>,
) -> Result<impl IntoResponse, ApiError> {
    let site = new.parse()?;
    let app = find(&reader, &id).await?;
    let domain = engine.add_domain(&app.slug, site).await?;
    by.record(Deed::new("domain.added", format!("domain {} of app {}", domain.site, app.slug))).await;
    let dns = engine.check_dns(&domain.site.host).await;
    Ok((StatusCode::CREATED, Json(shown(&engine, &app.slug, &domain, Some(&dns)))))
}

pub(super) async fn change(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::ChangeDomain>,
) -> Result<Json<wire::Domain>, ApiError> {
    let id = parse_id(&id)?;
    let (before, app) = engine.domain_and_app(id).await?;
    let before = wire::value(&shown(&engine, &app.slug, &before, None));
    let domain = engine.change_domain(id, |before| Ok::<_, ApiError>(wish.parse(before)?)).await?;
    let shown = shown(&engine, &app.slug, &domain, None);
    by.record(
        Deed::new("domain.changed", format!("domain {} of app {}", domain.site, app.slug))
            .before(before)
            .after(wire::value(&shown)),
    )
    .await;
    Ok(Json(shown))
}

pub(super) async fn remove(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = parse_id(&id)?;
    let (_, app) = engine.domain_and_app(id).await?;
    let domain = engine.remove_domain(id).await?;
    by.record(Deed::new("domain.removed", format!("domain {} of app {}", domain.site, app.slug))).await;
    Ok(StatusCode::NO_CONTENT)
}

fn parse_id(text: &str) -> Result<DomainId, ApiError> {
    text.parse().map(DomainId).map_err(|_| ApiError::not_found("domain", text))
}

fn shown(engine: &Engine, app: &Slug, domain: &Domain, dns: Option<&Dns>) -> wire::Domain {
    let Domain { id, app: _, automatic, site } = domain;
    let Site { host, path, strip, redirect_to, https_redirect } = site;
    wire::Domain {
        id: id.0,
        app: app.to_string(),
        host: host.to_string(),
        path: path.to_string(),
        strip: *strip,
        redirect_to: redirect_to.as_ref().map(ToString::to_string),
        https_redirect: *https_redirect,
        automatic: *automatic,
        url: engine.url_of_site(site),
        certificate: engine.has_certificate(host),
        dns: dns.map(|dns| wire::Dns { status: dns.as_str().to_owned(), detail: dns.to_string() }),
    }
}
