//! Apps over the API: list, create, show, delete, deploy, status, what they write.

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::response::sse::Event;
use axum::{BoxError, Json};
use futures_util::{Stream, StreamExt};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::json;

use super::error::ApiError;
use super::events;
use super::input::{Input, Params};
use super::{Streams, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Manage, Read};
use crate::domain::app::{App, AppId};
use crate::domain::deployment::{DeploymentId, Trigger};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::source::Source;
use crate::engine::{Bound, Engine, EngineError, RuntimeLine, UnitSummary, Usage};
use crate::store::{CreateAppError, Reader};

/// Deployments on one page unless the client says otherwise, and at most.
const PAGE: (u32, u32) = (20, 100);
/// The most lines of history that a runtime log begins with.
const LINES_MAX: usize = 10_000;
/// The longest place in the journal, in bytes: six numbers in hexadecimal are below 150.
const CURSOR_MAX: usize = 200;

pub(super) async fn list(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::App>>, ApiError> {
    let apps = reader.apps().await?;
    let seen = apps.iter().filter(|app| by.caller.sees(app.project.team));
    let items = seen.map(|app| shown(&engine, app)).collect();
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Input(new): Input<wire::CreateApp>,
) -> Result<impl IntoResponse, ApiError> {
    let new = new.parse()?;
    let project = engine.reader().project(&new.project).await?;
    // One of another team is as little there as any other.
    let seen = project.filter(|project| by.caller.sees(project.team));
    let project = seen.ok_or_else(|| EngineError::from(CreateAppError::NoProject(new.project.clone())))?;
    by.caller.require_in(Right::Manage, project.team, "project", project.slug.as_str())?;
    let app = engine.create_app(new, by.caller.may(Right::Administer)).await?;
    let shown = shown(&engine, &app);
    by.record(Deed::new("app.created", of_app(&app)).of(project.team).after(wire::value(&shown))).await;
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::App>, ApiError> {
    Ok(Json(shown(&engine, &find(&reader, &id).await?)))
}

/// What goes with an app.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Deletion {
    #[serde(default)]
    volumes: bool,
}

pub(super) async fn delete(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Params(Deletion { volumes }): Params<Deletion>,
) -> Result<StatusCode, ApiError> {
    let app = find(&reader, &id).await?;
    by.record(Deed::new("app.deleted", of_app(&app)).before(json!({ "volumes": volumes }))).await;
    engine.delete_app(&app.slug, volumes).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn set_source(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(source): Input<wire::SetSource>,
) -> Result<Json<wire::App>, ApiError> {
    let (source, token) = source.parse()?;
    let app = find(&reader, &id).await?;
    let before = wire::value(&shown(&engine, &app).source);
    let app = engine.set_source(&app.slug, source, token).await?;
    let shown = shown(&engine, &app);
    by.record(Deed::new("app.source_changed", of_app(&app)).before(before).after(wire::value(&shown.source)))
        .await;
    Ok(Json(shown))
}

pub(super) async fn deploy(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Input(wish): Input<wire::Deploy>,
) -> Result<impl IntoResponse, ApiError> {
    let (commit, no_cache) = wish.parse()?;
    let app = find(&reader, &id).await?;
    let deployment = engine.deploy_built(&app.slug, Trigger::Request, commit, !no_cache).await?;
    let number = deployment.number;
    by.record(Deed::new("app.deployed", of_deployment(&app.slug, number))).await;
    Ok((StatusCode::ACCEPTED, Json(wire::Deployment::from(&deployment))))
}

/// Which page of a list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    limit: Option<u32>,
    before: Option<i64>,
}

impl Page {
    /// The page that these parameters say.
    pub(super) fn new(limit: Option<u32>, before: Option<i64>) -> Self {
        Self { limit, before }
    }

    /// Where it begins, and how many it has.
    pub(super) fn bounds(&self) -> (Option<i64>, u32) {
        (self.before, self.limit.unwrap_or(PAGE.0).clamp(1, PAGE.1))
    }

    /// Of one item more than is shown: the items, and where the next page begins if there is one.
    pub(super) fn cut<T>(mut found: Vec<T>, limit: u32, id: impl Fn(&T) -> i64) -> (Vec<T>, Option<i64>) {
        let more = found.len() > usize::try_from(limit).unwrap_or(usize::MAX);
        if more {
            found.pop();
        }
        let next = found.last().filter(|_| more).map(id);
        (found, next)
    }
}

pub(super) async fn deployments(
    _: Authorized<Read>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
    Params(page): Params<Page>,
) -> Result<Json<wire::List<wire::Deployment>>, ApiError> {
    let app = find(&reader, &id).await?;
    let (before, limit) = page.bounds();
    let found = reader.deployments(Some(app.id), before.map(DeploymentId), limit + 1).await?;
    let (found, next) = Page::cut(found, limit, |deployment| deployment.id.0);
    let mut items = Vec::new();
    for deployment in &found {
        items.push(wire::Deployment::from(deployment).with_steps(&reader.events(deployment.id).await?));
    }
    Ok(Json(wire::List { items, next }))
}

pub(super) async fn status(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::AppStatus>, ApiError> {
    let app = find(&reader, &id).await?;
    let status = engine.measured_status(&app.slug).await?;
    let unit = |unit: UnitSummary| wire::Unit {
        name: unit.name,
        active_state: unit.active_state.to_owned(),
        sub_state: unit.sub_state,
        restarts: unit.restarts,
        since: unit.since.map(wire::time),
        out_of_memory: unit.out_of_memory.map(wire::time),
        usage: unit.usage.into(),
    };
    let units: Vec<_> = status.units.into_iter().map(unit).collect();
    Ok(Json(wire::AppStatus {
        app: shown(&engine, &status.app),
        live: status.live.as_ref().map(wire::Deployment::from),
        latest: status.latest.as_ref().map(wire::Deployment::from),
        unit: units.first().cloned(),
        units,
    }))
}

/// How much of a runtime log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tail {
    pub(super) lines: Option<usize>,
    #[serde(default)]
    pub(super) follow: bool,
}

pub(super) async fn log(
    by: Authorized<Read>,
    State(engine): State<Engine>,
    State(Streams { auth, stopping, .. }): State<Streams>,
    Path(id): Path<String>,
    Params(Tail { lines, follow }): Params<Tail>,
    headers: HeaderMap,
) -> Result<impl IntoResponse, ApiError> {
    let after = cursor(&headers)?;
    let app = find(engine.reader(), &id).await?;
    let log = engine.runtime_log(&app.slug, bounded(lines), follow, after).await?;
    Ok(events::answer(written(log), auth, by.caller, stopping))
}

/// How many lines of history are given to who asks for so many.
pub(super) fn bounded(lines: Option<usize>) -> Option<usize> {
    lines.map(|lines| lines.min(LINES_MAX))
}

/// Each line as an event whose id is the line's place in the journal.
pub(super) fn written(
    log: impl Stream<Item = Result<RuntimeLine, EngineError>>,
) -> impl Stream<Item = Result<Event, BoxError>> {
    log.map(|line| {
        let line = line?;
        let data = wire::RuntimeLine {
            at: wire::time(line.at),
            unit: line.unit,
            stderr: line.stderr,
            text: line.text,
        };
        events::event(Event::default().id(line.cursor), &data)
    })
}

/// Where a client that was cut off goes on. It becomes an argument of journalctl: nothing else may get there.
pub(super) fn cursor(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let Some(last) = headers.get("last-event-id") else { return Ok(None) };
    let message = "Last-Event-ID must be the id of an event of this log";
    let found = last.to_str().ok().filter(|text| is_cursor(text)).map(|text| Some(text.to_owned()));
    found.ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message))
}

/// Whether a text is a place in the journal, and nothing that journalctl could take for anything else.
#[must_use]
pub fn is_cursor(text: &str) -> bool {
    let field = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | ';');
    text.len() <= CURSOR_MAX && text.starts_with("s=") && text.chars().all(field)
}

/// An app with the addresses that this instance gives it.
pub(super) fn shown(engine: &Engine, app: &App) -> wire::App {
    let push_url = match app.source {
        Source::Push { .. } => engine.own_url().map(|own| format!("{own}/git/{}.git", app.slug)),
        Source::Git(_) | Source::Image { .. } | Source::Upload | Source::Inline { .. } => None,
    };
    wire::App::of(app, engine.urls(app), push_url)
}

/// An app, in the words of the audit.
pub(super) fn of_app(app: &App) -> String {
    format!("app {}", app.slug)
}

/// A deployment, in the words of the audit.
pub(super) fn of_deployment(app: &Slug, number: u32) -> String {
    format!("deployment {number} of app {app}")
}

/// The app of a name or a number. A name made of digits is a name first.
pub(super) async fn find(reader: &Reader, id: &str) -> Result<App, ApiError> {
    if let Ok(slug) = Slug::parse(id)
        && let Some(app) = reader.app(&slug).await?
    {
        return Ok(app);
    }
    if let Ok(number) = id.parse()
        && let Some(app) = reader.app_by_id(AppId(number)).await?
    {
        return Ok(app);
    }
    Err(ApiError::not_found("app", id))
}

impl From<Usage> for wire::InUse {
    fn from(Usage { memory, memory_limit, cpu, cpu_limit }: Usage) -> Self {
        let said = |bound: Bound| match bound {
            Bound::Unlimited => "max".to_owned(),
            Bound::At(most) => most.to_string(),
        };
        Self {
            memory,
            memory_limit: memory_limit.map(said),
            cpu_percent: cpu,
            cpu_percent_limit: cpu_limit.map(said),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(id: &str, taken: bool) {
        let headers = HeaderMap::from_iter([(
            http::header::HeaderName::from_static("last-event-id"),
            id.parse().unwrap(),
        )]);
        match cursor(&headers) {
            Ok(found) => assert!(taken && found.as_deref() == Some(id), "{id}"),
            Err(error) => assert!(!taken && error.status() == StatusCode::BAD_REQUEST, "{id}"),
        }
    }

    #[test]
    fn a_log_goes_on_after_a_place_in_the_journal_and_nothing_else() {
        assert!(cursor(&HeaderMap::new()).unwrap().is_none());
        check("s=0639c0;i=2b1f;b=6bb5a;m=9e1;t=6445;x=d3f", true);
        for id in
            ["", "7", "--follow", "s=1 --since=0", "s=1\u{e4}", &format!("s={}", "1".repeat(CURSOR_MAX))]
        {
            check(id, false);
        }
    }
}
