//! One service: its containers as they stand, its domains, its revisions, and what can be done with it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::backups::{self, Alarm};
use super::super::error::PageError;
use super::super::form::{Confirm, Errors, Form};
use super::super::live::Live;
use super::super::moment::Moment;
use super::super::shell::{Hx, Shell, Visit};
use super::super::view;
use super::super::{Route, Web};
use super::{Head, find, heads};
use crate::api::wire::{self, CreateServiceDomain};
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Manage, Read};
use crate::domain::name::{HostName, Slug};
use crate::domain::right::Right;
use crate::domain::service::{Revision, Service};
use crate::domain::volume::VolumeOf;
use crate::engine::{Engine, EngineError, PartStatus};

#[derive(Template)]
#[template(path = "services/one.html")]
struct Page {
    shell: Shell,
    service: Service,
    head: Head,
    /// Unit files of it that somebody changed by hand.
    edited: Vec<String>,
    alarms: Vec<Alarm>,
    parts: Vec<PartStatus>,
    revisions: Vec<RevisionRow>,
    domain: DomainFields,
    errors: Errors,
}

struct RevisionRow {
    revision: Revision,
    created: Moment,
    is_live: bool,
}

/// A domain as somebody types it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct DomainFields {
    host: String,
    container: String,
    port: String,
}

#[derive(Debug, Deserialize)]
struct OfHost {
    host: String,
}

/// How a service goes.
#[derive(Debug, Deserialize)]
struct Deletion {
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    volumes: String,
}

/// The routes of this part.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/services/{id}", show),
        Route::get("/live/services/{id}", watch),
        Route::post("/services/{id}/start", start),
        Route::post("/services/{id}/stop", stop),
        Route::post("/services/{id}/restart", restart),
        Route::post("/services/{id}/domains", add_domain),
        Route::post("/services/{id}/domains/remove", remove_domain),
        Route::post("/services/{id}/revisions/{number}/rollback", roll_back),
        Route::post("/services/{id}/delete", delete).asking_again(),
    ]
}

async fn page(engine: &Engine, shell: Shell, slug: &Slug) -> Result<Page, PageError> {
    let status = engine.service_status(slug).await?;
    let head = Head::of(&status, "overview");
    let revisions = engine.reader().revisions(status.service.id).await?;
    let row = |revision: Revision| RevisionRow {
        created: Moment::of(revision.created, engine.now()),
        is_live: status.service.live == Some(revision.id),
        revision,
    };
    Ok(Page {
        shell,
        head,
        edited: engine.edited_of_service(slug).await?,
        alarms: backups::alarms_of_volumes(engine, &VolumeOf::Service(slug.clone())).await?,
        revisions: revisions.into_iter().map(row).collect(),
        service: status.service,
        parts: status.parts,
        domain: DomainFields::default(),
        errors: Errors::default(),
    })
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let service = find(&engine, &visit.person, &id).await?;
    view::show(&page(&engine, shell, &service.slug).await?)
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    find(&live.engine, &visit.person, &id).await?;
    let heads = heads(&live, shell, visit.person.clone(), id, "overview");
    Ok(live.answer(visit.person, heads))
}

async fn start(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    visit.record(Deed::new("service.started", format!("service {slug}"))).await;
    let outcome = engine.start_service(&slug).await;
    back(&engine, shell, hx, &slug, outcome).await
}

async fn stop(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    visit.record(Deed::new("service.stopped", format!("service {slug}"))).await;
    let outcome = engine.stop_service(&slug).await;
    back(&engine, shell, hx, &slug, outcome).await
}

async fn restart(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    visit.record(Deed::new("service.restarted", format!("service {slug}"))).await;
    let outcome = engine.restart_service(&slug, None).await;
    back(&engine, shell, hx, &slug, outcome).await
}

async fn add_domain(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(fields): Form<DomainFields>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    let asked = CreateServiceDomain {
        host: fields.host.trim().to_owned(),
        container: fields.container.clone(),
        port: fields.port.trim().parse().unwrap_or(0),
        https_redirect: None,
    };
    let errors = match asked.parse() {
        Err(errors) => Errors::from(errors),
        Ok(new) => match engine.add_service_domain(&slug, new).await {
            Ok(domain) => {
                let domain = wire::value(&wire::ServiceDomain::from(&domain));
                let deed = Deed::new("service.domain_added", format!("service {slug}"));
                visit.record(deed.after(domain)).await;
                return Ok(view::go(hx, &format!("/services/{slug}")));
            }
            Err(error) => Errors::of_engine(error)?,
        },
    };
    let page = page(&engine, shell, &slug).await?;
    view::wrong(&Page { domain: fields, errors, ..page })
}

async fn remove_domain(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(OfHost { host }): Form<OfHost>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    let host = HostName::parse(&host).map_err(|_| PageError::NotFound)?;
    let outcome = engine.remove_service_domain(&slug, host.clone()).await;
    if outcome.is_ok() {
        let deed = Deed::new("service.domain_removed", format!("service {slug}"));
        visit.record(deed.before(json!({ "host": host.as_str() }))).await;
    }
    back(&engine, shell, hx, &slug, outcome).await
}

async fn roll_back(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path((id, number)): Path<(String, u32)>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    let outcome = engine.roll_service_back(&slug, number, visit.person.reach.allows(Right::Administer)).await;
    if outcome.is_ok() {
        let deed = Deed::new("service.rolled_back", format!("service {slug}"));
        visit.record(deed.after(json!({ "back_to": number }))).await;
    }
    back(&engine, shell, hx, &slug, outcome.map(drop)).await
}

async fn delete(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Deletion { confirm, volumes }): Form<Deletion>,
) -> Result<Response, PageError> {
    let slug = find(&engine, &visit.person, &id).await?.slug;
    if let Err(errors) = (Confirm { confirm }).is(slug.as_str()) {
        return view::wrong(&Page { errors, ..page(&engine, shell, &slug).await? });
    }
    let volumes = !volumes.is_empty();
    let deed = Deed::new("service.deleted", format!("service {slug}"));
    visit.record(deed.before(json!({ "volumes": volumes }))).await;
    match engine.delete_service(&slug, volumes).await {
        Ok(()) => Ok(view::go(hx, "/services")),
        Err(error) => {
            let errors = Errors::of_engine(error)?;
            view::wrong(&Page { errors, ..page(&engine, shell, &slug).await? })
        }
    }
}

/// Back to the page, with what went wrong.
async fn back(
    engine: &Engine,
    shell: Shell,
    hx: Hx,
    slug: &Slug,
    outcome: Result<(), EngineError>,
) -> Result<Response, PageError> {
    match outcome {
        Ok(()) => Ok(view::go(hx, &format!("/services/{slug}"))),
        Err(error) => {
            let errors = Errors::of_engine(error)?;
            view::wrong(&Page { errors, ..page(engine, shell, slug).await? })
        }
    }
}
