//! Services over the API: list, create, show, their files, a preview, start and stop, what they write, revisions.

use std::time::Duration;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::app::{bounded, cursor, written};
use super::error::ApiError;
use super::input::{Input, Params};
use super::{Streams, app, domain, events, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Manage, Read};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::service::{Revision, Service};
use crate::engine::{DomainHolder, Engine, EngineError, LogOf, ServicePreview, ServiceStatus, Submitted};
use crate::store::ServiceError;

/// How long an answer waits for a revision to reach its end.
const WAIT: Duration = Duration::from_secs(15);

pub(super) async fn list(
    by: Authorized<Read>,
    State(engine): State<Engine>,
) -> Result<Json<wire::List<wire::Service>>, ApiError> {
    let mut items = Vec::new();
    for service in engine.reader().services().await? {
        if by.caller.sees(service.project.team) {
            items.push(shown(&engine, &service).await?);
        }
    }
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Input(new): Input<wire::CreateService>,
) -> Result<impl IntoResponse, ApiError> {
    let (template, said) = (new.template.clone(), new.variables.clone());
    let mut new = new.parse()?;
    if let Some(name) = &template {
        let found = Slug::parse(name).map_err(|_| ApiError::not_found("template", name))?;
        new.files = engine.files_of_template(&engine.template(&found)?, &said)?;
    }
    let follows = new.repository.as_ref().map(|one| one.followed.git.url.to_string());
    let project = engine.reader().project(&new.project).await?;
    // One of another team is as little there as any other.
    let seen = project.filter(|project| by.caller.sees(project.team));
    let project = seen.ok_or_else(|| EngineError::from(ServiceError::NoProject(new.project.clone())))?;
    by.caller.require_in(Right::Manage, project.team, "project", project.slug.as_str())?;
    let submitted = engine.create_service(new, by.caller.may(Right::Administer)).await?;
    let deed = Deed::new("service.created", named(&submitted.service.slug)).of(project.team);
    by.record(deed.after(json!({
        "project": project.slug.as_str(), "template": template, "repository": follows
    })))
    .await;
    Ok((StatusCode::CREATED, Json(told(&submitted))))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::ServiceStatus>, ApiError> {
    let status = engine.service_status(&slug(&id)?).await?;
    let service = shown(&engine, &status.service).await?;
    let ServiceStatus { service: found, parts, .. } = status;
    let containers = parts.into_iter().map(|part| wire::ServiceContainer {
        name: part.part.name,
        image: part.part.image,
        unit_names: part.part.units,
        units: part.units.into_iter().map(app::unit).collect(),
        ports: part.part.ports,
        published: part.part.published.iter().map(ToString::to_string).collect(),
        checked: part.part.checked,
    });
    let holder = DomainHolder::Service(Box::new(found));
    Ok(Json(wire::ServiceStatus {
        service,
        containers: containers.collect(),
        domains: holder.domains().iter().map(|one| domain::shown(&engine, &holder, one, None)).collect(),
    }))
}

/// What goes with a service.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deletion {
    #[serde(default)]
    volumes: bool,
}

pub(super) async fn delete(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(Deletion { volumes }): Params<Deletion>,
) -> Result<StatusCode, ApiError> {
    let slug = slug(&id)?;
    by.record(Deed::new("service.deleted", named(&slug)).before(json!({ "volumes": volumes }))).await;
    engine.delete_service(&slug, volumes).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Which revision.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfRevision {
    revision: Option<u32>,
}

/// Files hold secrets: whoever may change them sees them, and that is written down.
pub(super) async fn files(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(OfRevision { revision }): Params<OfRevision>,
) -> Result<Json<wire::ServiceFiles>, ApiError> {
    let slug = slug(&id)?;
    let files = engine.service_files(&slug, revision).await?;
    by.record(Deed::new("service.files_shown", named(&slug))).await;
    Ok(Json(wire::ServiceFiles::of(&files)))
}

pub(super) async fn update(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(files): Input<wire::ServiceFiles>,
) -> Result<impl IntoResponse, ApiError> {
    let (slug, files) = (slug(&id)?, files.parse()?);
    let submitted = engine.update_service(&slug, files, by.caller.may(Right::Administer)).await?;
    let what = json!({ "revision": submitted.revision.number });
    by.record(Deed::new("service.updated", named(&slug)).after(what)).await;
    Ok((StatusCode::ACCEPTED, Json(told(&submitted))))
}

pub(super) async fn set_source(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(source): Input<wire::SetServiceSource>,
) -> Result<Json<wire::Service>, ApiError> {
    let (slug, source) = (slug(&id)?, source.parse()?);
    let before = one(&engine, &slug).await?.followed.as_ref().map(wire::FollowedRepository::from);
    let service = engine.set_service_source(&slug, source).await?;
    let after = service.followed.as_ref().map(wire::FollowedRepository::from);
    let deed = Deed::new("service.source_changed", named(&slug));
    by.record(deed.before(wire::value(&before)).after(wire::value(&after))).await;
    found(&engine, &slug).await
}

pub(super) async fn deploy(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<impl IntoResponse, ApiError> {
    let slug = slug(&id)?;
    let submitted = engine.deploy_service(&slug, by.caller.may(Right::Administer)).await?;
    let what = json!({ "revision": submitted.revision.number });
    by.record(Deed::new("service.deployed", named(&slug)).after(what)).await;
    Ok((StatusCode::ACCEPTED, Json(told(&submitted))))
}

pub(super) async fn revision_log(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path((id, number)): Path<(String, u32)>,
) -> Result<Json<wire::RevisionLog>, ApiError> {
    let text = engine.revision_log(&slug(&id)?, number).await?.unwrap_or_default();
    Ok(Json(wire::RevisionLog { text }))
}

/// The same as it comes.
pub(super) async fn follow_revision_log(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    State(Streams { auth, stopping, .. }): State<Streams>,
    Path((id, number)): Path<(String, u32)>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let from = events::offset(&headers)?;
    let service = one(&engine, &slug(&id)?).await?;
    let revision = numbered(&engine, &service, number).await?;
    let lines = engine.log(LogOf::Revision(&service.slug, &revision), from);
    let end = async move {
        engine.revision_ended(&service, &revision).await.map(|ended| wire::Revision::from(&ended))
    };
    Ok(events::answer(events::of_log(lines, end), auth, by.caller, stopping))
}

pub(super) async fn preview(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(of): Input<wire::PreviewService>,
) -> Result<Json<wire::ServicePreview>, ApiError> {
    let (slug, files) = (slug(&id)?, of.parse()?);
    let preview = engine.preview_service(&slug, files.as_ref(), by.caller.may(Right::Administer)).await?;
    let ServicePreview { commit, units, steps, warnings } = preview;
    let commit = commit.map(|commit| commit.to_string());
    Ok(Json(wire::ServicePreview { commit, units, steps, warnings }))
}

pub(super) async fn start(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Service>, ApiError> {
    let slug = slug(&id)?;
    by.record(Deed::new("service.started", named(&slug))).await;
    engine.start_service(&slug).await?;
    found(&engine, &slug).await
}

pub(super) async fn stop(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Service>, ApiError> {
    let slug = slug(&id)?;
    by.record(Deed::new("service.stopped", named(&slug))).await;
    engine.stop_service(&slug).await?;
    found(&engine, &slug).await
}

/// Which container.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfContainer {
    container: Option<String>,
}

pub(super) async fn restart(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(OfContainer { container }): Params<OfContainer>,
) -> Result<Json<wire::Service>, ApiError> {
    let slug = slug(&id)?;
    by.record(Deed::new("service.restarted", named(&slug)).after(json!({ "container": container }))).await;
    engine.restart_service(&slug, container.as_deref()).await?;
    found(&engine, &slug).await
}

/// How much of a log, and of which container.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tail {
    lines: Option<usize>,
    container: Option<String>,
    #[serde(default)]
    follow: bool,
}

/// Each line as an event whose id is the line's place in the journal.
pub(super) async fn log(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    State(Streams { auth, stopping, .. }): State<Streams>,
    Path(id): Path<String>,
    Params(Tail { lines, container, follow }): Params<Tail>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let after = cursor(&headers)?;
    let log = engine.service_log(&slug(&id)?, container.as_deref(), bounded(lines), follow, after).await?;
    Ok(events::answer(written(log), auth, by.caller, stopping))
}

pub(super) async fn revisions(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::List<wire::Revision>>, ApiError> {
    let service = one(&engine, &slug(&id)?).await?;
    let found = engine.reader().revisions(service.id).await?;
    Ok(Json(wire::List { items: found.iter().map(wire::Revision::from).collect(), next: None }))
}

/// Whether to wait.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    #[serde(default)]
    wait: bool,
}

pub(super) async fn revision(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path((id, number)): Path<(String, u32)>,
    Params(Waiting { wait }): Params<Waiting>,
) -> Result<Json<wire::Revision>, ApiError> {
    let service = one(&engine, &slug(&id)?).await?;
    let revision = numbered(&engine, &service, number).await?;
    if !wait {
        return Ok(Json(wire::Revision::from(&revision)));
    }
    match tokio::time::timeout(WAIT, engine.revision_ended(&service, &revision)).await {
        Ok(ended) => Ok(Json(wire::Revision::from(&ended?))),
        Err(_) => Ok(Json(wire::Revision::from(&numbered(&engine, &service, number).await?))),
    }
}

pub(super) async fn roll_back(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path((id, number)): Path<(String, u32)>,
) -> Result<impl IntoResponse, ApiError> {
    let slug = slug(&id)?;
    let submitted = engine.roll_service_back(&slug, number, by.caller.may(Right::Administer)).await?;
    let what = json!({ "back_to": number, "revision": submitted.revision.number });
    by.record(Deed::new("service.rolled_back", named(&slug)).after(what)).await;
    Ok((StatusCode::ACCEPTED, Json(told(&submitted))))
}

/// A service, in the words of the audit.
pub(super) fn named(slug: &Slug) -> String {
    format!("service {slug}")
}

/// The name in an address; one that is none names nothing.
pub(super) fn slug(id: &str) -> Result<Slug, ApiError> {
    Slug::parse(id).map_err(|_| ApiError::not_found("service", id))
}

pub(super) async fn one(engine: &Engine, slug: &Slug) -> Result<Service, ApiError> {
    let found = engine.reader().service(slug).await?;
    found.ok_or_else(|| ApiError::not_found("service", slug.as_str()))
}

async fn numbered(engine: &Engine, service: &Service, number: u32) -> Result<Revision, ApiError> {
    let found = engine.reader().revision_numbered(service.id, number).await?;
    found.ok_or_else(|| ApiError::not_found("revision", &number.to_string()))
}

async fn found(engine: &Engine, slug: &Slug) -> Result<Json<wire::Service>, ApiError> {
    Ok(Json(shown(engine, &one(engine, slug).await?).await?))
}

async fn shown(engine: &Engine, service: &Service) -> Result<wire::Service, ApiError> {
    let live = match service.live {
        Some(live) => engine.reader().revision(live).await?,
        None => None,
    };
    let latest = engine.reader().newest_revision(service.id).await?;
    Ok(wire::Service {
        name: service.slug.to_string(),
        project: service.project.slug.to_string(),
        stopped: service.stopped,
        deleting: service.deleting,
        revision: live.map(|one| one.number),
        latest: latest.as_ref().map(wire::Revision::from),
        repository: service.followed.as_ref().map(wire::FollowedRepository::from),
        urls: engine.service_urls(service),
        created: wire::time(service.created),
    })
}

fn told(submitted: &Submitted) -> wire::SubmittedRevision {
    let Submitted { service, revision, warnings } = submitted;
    wire::SubmittedRevision {
        service: service.slug.to_string(),
        revision: wire::Revision::from(revision),
        warnings: warnings.clone(),
    }
}
