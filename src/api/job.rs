//! The jobs of apps over the API: make, change, delete, run, and see what became of them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;
use serde::Deserialize;

use super::app::{self, Page};
use super::error::ApiError;
use super::input::{Input, Params};
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Manage, Read};
use crate::domain::job::{Job, Run, RunId};
use crate::engine::{Engine, ShownJob};

/// How many lines of a run there are unless the client says otherwise.
const LINES: usize = 200;

pub(super) async fn list(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::List<wire::Job>>, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    let jobs = engine.shown_jobs(&app).await?;
    Ok(Json(wire::List { items: jobs.iter().map(shown).collect(), next: None }))
}

pub(super) async fn create(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(new): Input<wire::CreateJob>,
) -> Result<impl IntoResponse, ApiError> {
    let plan = new.parse()?;
    let app = app::find(engine.reader(), &id).await?;
    let job = engine.create_job(&app, plan).await?;
    let shown = shown(&engine.shown_job(&app, &job).await?);
    by.record(Deed::new("job.created", of_job(&job)).after(wire::value(&shown))).await;
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
) -> Result<Json<wire::Job>, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    let job = engine.job(&app, &job).await?;
    Ok(Json(shown(&engine.shown_job(&app, &job).await?)))
}

pub(super) async fn change(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
    Input(change): Input<wire::JobOptions>,
) -> Result<Json<wire::Job>, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    let job = engine.job(&app, &job).await?;
    let before = shown(&engine.shown_job(&app, &job).await?);
    let job = engine.change_job(&app, &job, change.parse(&job.plan)?).await?;
    let after = shown(&engine.shown_job(&app, &job).await?);
    let deed = Deed::new("job.changed", of_job(&job));
    by.record(deed.before(wire::value(&before)).after(wire::value(&after))).await;
    Ok(Json(after))
}

pub(super) async fn delete(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    let job = engine.job(&app, &job).await?;
    engine.delete_job(&app, &job).await?;
    by.record(Deed::new("job.deleted", of_job(&job))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn run(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
) -> Result<impl IntoResponse, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    let job = engine.job(&app, &job).await?;
    engine.run_job(&app, &job).await?;
    by.record(Deed::new("job.run", of_job(&job))).await;
    Ok((StatusCode::ACCEPTED, Json(shown(&engine.shown_job(&app, &job).await?))))
}

pub(super) async fn runs(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
    Params(page): Params<Page>,
) -> Result<Json<wire::List<wire::JobRun>>, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    let job = engine.job(&app, &job).await?;
    let (before, limit) = page.bounds();
    let found = engine.reader().runs(job.id, before.map(RunId), limit + 1).await?;
    let (items, next) = Page::cut(found, limit, |run| run.id.0);
    Ok(Json(wire::List { items: items.iter().map(wire::JobRun::from).collect(), next }))
}

pub(super) async fn cancel(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path((id, job, run)): Path<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let (job, run) = find_run(&engine, &id, &job, &run).await?;
    engine.cancel_run(&job, &run).await?;
    by.record(Deed::new("job.cancelled", of_job(&job))).await;
    Ok(StatusCode::NO_CONTENT)
}

/// How much of a log.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lines {
    lines: Option<usize>,
}

pub(super) async fn log(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path((id, job, run)): Path<(String, String, String)>,
    Params(Lines { lines }): Params<Lines>,
) -> Result<Json<wire::JobLog>, ApiError> {
    let (_, run) = find_run(&engine, &id, &job, &run).await?;
    let lines = engine.run_lines(&run, lines.unwrap_or(LINES)).await?;
    Ok(Json(wire::JobLog { run: wire::JobRun::from(&run), lines }))
}

async fn find_run(engine: &Engine, id: &str, job: &str, run: &str) -> Result<(Job, Run), ApiError> {
    let app = app::find(engine.reader(), id).await?;
    let job = engine.job(&app, job).await?;
    let number = run.parse().map(RunId).map_err(|_| ApiError::not_found("run", run))?;
    let run = engine.job_run(&job, number).await?;
    Ok((job, run))
}

/// What was done, is done to this.
#[must_use]
pub fn of_job(job: &Job) -> String {
    format!("job {} of app {}", job.plan.name, job.app_slug)
}

/// A job as the API tells it.
#[must_use]
pub fn shown(shown: &ShownJob) -> wire::Job {
    let ShownJob { job, state, next, last } = shown;
    let plan = &job.plan;
    wire::Job {
        name: plan.name.to_string(),
        app: job.app_slug.to_string(),
        schedule: plan.schedule.to_string(),
        calendars: plan.schedule.calendars(plan.zone.as_ref()),
        timezone: plan.zone.as_ref().map(ToString::to_string),
        command: plan.command.to_string(),
        place: plan.place.as_str().to_owned(),
        timeout: plan.limit.as_secs(),
        catch_up: plan.catch_up,
        enabled: plan.enabled,
        state: state.as_str().to_owned(),
        next: next.map(wire::time),
        last: last.as_ref().map(wire::JobRun::from),
        timer: job.timer(),
        created: wire::time(job.created),
    }
}
