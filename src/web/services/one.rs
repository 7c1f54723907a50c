//! One service: its containers as they stand, its revisions, and what can be done with it.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::backups::{self, Alarm};
use super::super::error::PageError;
use super::super::form::{Confirm, Errors, Form};
use super::super::live::{Live, Viewer};
use super::super::moment::Moment;
use super::super::operate::{self, Act, Operated, Operation};
use super::super::shell::{Hx, Shell, Visit};
use super::super::usage::InUse;
use super::super::view::{self, Mark};
use super::super::{Route, Web};
use super::{Following, Head, find, revision_mark};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::service::{Revision, Service};
use crate::domain::volume::VolumeOf;
use crate::engine::{Engine, EngineError, PartStatus, ServiceStatus};

#[derive(Template)]
#[template(path = "services/one.html")]
struct Page {
    shell: Shell,
    head: Head,
    /// Unit files of it that somebody changed by hand.
    edited: Vec<String>,
    alarms: Vec<Alarm>,
    parts: Vec<PartStatus>,
    in_use: Vec<InUse>,
    revisions: Vec<RevisionRow>,
    /// Where people find it.
    urls: Vec<String>,
    errors: Errors,
}

/// The containers as they stand, as a fragment of its own.
#[derive(Template)]
#[template(path = "services/containers.html")]
pub(super) struct ShownContainers<'a> {
    pub shell: &'a Shell,
    pub head: &'a Head,
    pub parts: &'a [PartStatus],
}

/// The table of the revisions, as a fragment of its own.
#[derive(Template)]
#[template(path = "services/revisions.html")]
pub(super) struct ShownRevisions<'a> {
    pub shell: &'a Shell,
    pub head: &'a Head,
    pub revisions: &'a [RevisionRow],
}

/// One revision.
pub(super) struct RevisionRow {
    number: u32,
    mark: Mark,
    back_to: Option<u32>,
    commit: Option<String>,
    warnings: Vec<String>,
    created: Moment,
    /// It can be brought back: it is known what it was made of, and it does not serve.
    may_return: bool,
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
    let own = vec![
        Route::get("/services/{id}", show),
        Route::get("/live/services/{id}", watch),
        Route::post("/services/{id}/revisions/{number}/rollback", roll_back),
        Route::post("/services/{id}/delete", delete).asking_again(),
    ];
    own.into_iter().chain(operate::routes::<Service>()).collect()
}

async fn page(engine: &Engine, shell: Shell, slug: &Slug) -> Result<Page, PageError> {
    let status = engine.service_status(slug).await?;
    Ok(Page {
        shell,
        head: Head::of(&status, "overview"),
        edited: engine.edited_of_service(slug).await?,
        alarms: backups::alarms_of_volumes(engine, VolumeOf::Service(slug.clone())).await?,
        revisions: revisions(engine, &status),
        in_use: in_use(&status),
        urls: engine.service_urls(&status.service),
        parts: status.parts,
        errors: Errors::default(),
    })
}

/// The revisions as they are shown, the newest first.
pub(super) fn revisions(engine: &Engine, status: &ServiceStatus) -> Vec<RevisionRow> {
    let row = |revision: &Revision| RevisionRow {
        number: revision.number,
        mark: revision_mark(revision.state),
        back_to: revision.back_to,
        commit: revision.commit.as_ref().map(|commit| commit.short().to_owned()),
        warnings: revision.warnings.clone(),
        created: Moment::of(revision.created, engine.now()),
        may_return: status.service.live != Some(revision.id) && revision.content.is_some(),
    };
    status.revisions.iter().map(row).collect()
}

/// What the containers use.
pub(super) fn in_use(status: &ServiceStatus) -> Vec<InUse> {
    status.parts.iter().flat_map(|part| &part.units).filter_map(InUse::of).collect()
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
    let of = Viewer { live: live.clone(), shell, person: visit.person.clone(), id };
    let events = live.follow(Following { of, tab: "overview" });
    Ok(live.answer(visit.person, events))
}

impl Operated for Service {
    const OPERATIONS: &'static [Operation] = &[
        ("/services/{id}/start", Act::Start, "service.started"),
        ("/services/{id}/stop", Act::Stop, "service.stopped"),
        ("/services/{id}/restart", Act::Restart, "service.restarted"),
    ];

    async fn find(engine: &Engine, person: &Person, id: &str) -> Result<Self, PageError> {
        find(engine, person, id).await
    }

    fn object(&self) -> String {
        format!("service {}", self.slug)
    }

    fn path(&self) -> String {
        format!("/services/{}", self.slug)
    }

    async fn operate(&self, engine: &Engine, act: Act) -> Result<(), EngineError> {
        match act {
            Act::Start => engine.start_service(&self.slug).await,
            Act::Stop => engine.stop_service(&self.slug).await,
            Act::Restart => engine.restart_service(&self.slug, None).await,
        }
    }

    async fn refused(&self, engine: &Engine, shell: Shell, errors: Errors) -> Result<Response, PageError> {
        view::wrong(&Page { errors, ..page(engine, shell, &self.slug).await? })
    }
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
