//! Domains of apps and services over the API: list, add, change, remove.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;

use super::app::find;
use super::error::ApiError;
use super::input::{Input, Params};
use super::{service, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage, Read};
use crate::domain::domain::{Domain, DomainId, Site};
use crate::engine::{Dns, DomainHolder, Engine};
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
    Ok(listed(&engine, &DomainHolder::App(Box::new(app)), look).await)
}

pub(super) async fn list_of_service(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(look): Params<Look>,
) -> Result<Json<wire::List<wire::Domain>>, ApiError> {
    let service = service::one(&engine, &service::slug(&id)?).await?;
    Ok(listed(&engine, &DomainHolder::Service(Box::new(service)), look).await)
}

async fn listed(engine: &Engine, holder: &DomainHolder, look: Look) -> Json<wire::List<wire::Domain>> {
    let found = if look.dns { engine.check_dns_of(holder.domains()).await } else { Vec::new() };
    let mut found = found.iter();
    let items = holder.domains().iter().map(|domain| shown(engine, holder, domain, found.next()));
    Json(wire::List { items: items.collect(), next: None })
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
    Ok(added(&engine, &by, &DomainHolder::App(Box::new(app)), &domain).await)
}

pub(super) async fn add_to_service(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(new): Input<wire::CreateServiceDomain>,
) -> Result<impl IntoResponse, ApiError> {
    let new = new.parse()?;
    let service = service::one(&engine, &service::slug(&id)?).await?;
    let domain = engine.add_service_domain(&service.slug, new).await?;
    Ok(added(&engine, &by, &DomainHolder::Service(Box::new(service)), &domain).await)
}

async fn added(
    engine: &Engine,
    by: &Authorized<Manage>,
    holder: &DomainHolder,
    domain: &Domain,
) -> (StatusCode, Json<wire::Domain>) {
    let deed = deed("domain.added", domain, holder);
    by.record(deed.after(wire::value(&shown(engine, holder, domain, None)))).await;
    let dns = engine.check_dns(&domain.site.host).await;
    (StatusCode::CREATED, Json(shown(engine, holder, domain, Some(&dns))))
}

pub(super) async fn change(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::ChangeDomain>,
) -> Result<Json<wire::Domain>, ApiError> {
    let id = parse_id(&id)?;
    let (before, holder) = engine.domain_and_holder(id).await?;
    let before = wire::value(&shown(&engine, &holder, &before, None));
    let domain = engine.change_domain(id, |before| Ok::<_, ApiError>(wish.parse(before)?)).await?;
    let shown = shown(&engine, &holder, &domain, None);
    by.record(deed("domain.changed", &domain, &holder).before(before).after(wire::value(&shown))).await;
    Ok(Json(shown))
}

pub(super) async fn remove(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    let id = parse_id(&id)?;
    let (_, holder) = engine.domain_and_holder(id).await?;
    removed(&engine, &by, &holder, id).await
}

/// Which of the domains of a host is meant.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct At {
    path: Option<String>,
}

pub(super) async fn remove_from_service(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path((id, host)): Path<(String, String)>,
    Params(At { path }): Params<At>,
) -> Result<StatusCode, ApiError> {
    let path = path.unwrap_or_else(|| "/".to_owned());
    let service = service::one(&engine, &service::slug(&id)?).await?;
    let is_meant = |site: &Site| site.host.to_string() == host && site.path.as_str() == path;
    let found = service.domains.iter().find(|domain| is_meant(&domain.site)).map(|domain| domain.id);
    let found = found.ok_or_else(|| ApiError::not_found("domain", &host))?;
    removed(&engine, &by, &DomainHolder::Service(Box::new(service)), found).await
}

async fn removed(
    engine: &Engine,
    by: &Authorized<Manage>,
    holder: &DomainHolder,
    id: DomainId,
) -> Result<StatusCode, ApiError> {
    let domain = engine.remove_domain(id).await?;
    by.record(deed("domain.removed", &domain, holder)).await;
    Ok(StatusCode::NO_CONTENT)
}

fn deed(action: &'static str, domain: &Domain, holder: &DomainHolder) -> Deed {
    Deed::new(action, format!("domain {} of {holder}", domain.site))
}

fn parse_id(text: &str) -> Result<DomainId, ApiError> {
    text.parse().map(DomainId).map_err(|_| ApiError::not_found("domain", text))
}

/// A domain as JSON has it.
pub(super) fn shown(
    engine: &Engine,
    holder: &DomainHolder,
    domain: &Domain,
    dns: Option<&Dns>,
) -> wire::Domain {
    let Domain { id, behind: _, inlet, automatic, site } = domain;
    let Site { host, path, strip, redirect_to, https_redirect } = site;
    let (app, service) = match holder {
        DomainHolder::App(app) => (Some(app.slug.to_string()), None),
        DomainHolder::Service(service) => (None, Some(service.slug.to_string())),
    };
    wire::Domain {
        id: id.0,
        app,
        service,
        container: inlet.as_ref().map(|inlet| inlet.container.clone()),
        port: inlet.as_ref().map(|inlet| inlet.port.get()),
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
