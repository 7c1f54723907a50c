//! The jobs of an app, and one job: when it runs, what became of its runs, what they wrote.
//!
//! The form has the names, the limits and the messages of the API, which reads it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::app::{self, Head};
use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::moment::{Moment, took};
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::api::job::{of_job, shown};
use crate::api::wire::{self, CreateJob, JobOptions};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Manage, Read};
use crate::domain::app::App;
use crate::domain::job::{Job, JobPlan, Outcome, Run, RunId};
use crate::domain::time::Timestamp;
use crate::engine::{Engine, JobState, ShownJob};

/// Runs on the page of a job.
const RUNS: u32 = 50;
/// Lines of a run on its job's page.
const LINES: usize = 200;

/// The jobs of an app.
#[derive(Template)]
#[template(path = "jobs/app.html")]
struct Page {
    shell: Shell,
    head: Head,
    part: &'static str,
    rows: Vec<Row>,
    wish: Wish,
    errors: Errors,
}

/// One job.
#[derive(Template)]
#[template(path = "jobs/one.html")]
struct OnePage {
    shell: Shell,
    head: Head,
    part: &'static str,
    row: Row,
    calendars: Vec<String>,
    why_not: Option<&'static str>,
    runs: Vec<RunRow>,
    log: Option<(i64, Vec<String>)>,
    wish: Wish,
    errors: Errors,
}

/// A job in a list.
struct Row {
    job: String,
    schedule: String,
    command: String,
    mark: Mark,
    enabled: bool,
    next: Option<String>,
    last: Option<RunRow>,
    timer: String,
}

/// A run in a list.
struct RunRow {
    id: i64,
    mark: Mark,
    words: String,
    began: Moment,
    took: Option<String>,
    by: &'static str,
}

/// A job as a form says it.
#[derive(Debug, Default, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    job: String,
    #[serde(default)]
    schedule: String,
    #[serde(default)]
    timezone: String,
    #[serde(default)]
    command: String,
    #[serde(default)]
    place: String,
    #[serde(default)]
    timeout: String,
    #[serde(default)]
    catch_up: bool,
    #[serde(default)]
    enabled: bool,
}

/// Which run's log is shown.
#[derive(Debug, Deserialize)]
struct Told {
    run: Option<i64>,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/apps/{id}/jobs", index),
        Route::post("/apps/{id}/jobs", create),
        Route::get("/apps/{id}/jobs/{job}", one),
        Route::post("/apps/{id}/jobs/{job}", change),
        Route::post("/apps/{id}/jobs/{job}/run", run),
        Route::post("/apps/{id}/jobs/{job}/pause", pause),
        Route::post("/apps/{id}/jobs/{job}/resume", resume),
        Route::post("/apps/{id}/jobs/{job}/delete", delete),
        Route::post("/apps/{id}/jobs/{job}/runs/{run}/cancel", cancel),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    view::show(&page(&engine, shell, &app, Wish::new(), Errors::default()).await?)
}

async fn create(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(wish): Form<Wish>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let made = match wish.options().map(|rest| CreateJob { name: wish.job.trim().to_owned(), rest }.parse()) {
        Ok(Ok(plan)) => match engine.create_job(&app, plan).await {
            Ok(job) => Ok(job),
            Err(error) => Err(Errors::of_engine(error)?),
        },
        Ok(Err(errors)) => Err(errors.into()),
        Err(errors) => Err(errors),
    };
    match made {
        Ok(job) => {
            let after = wire::value(&shown(&engine.shown_job(&app, &job).await?));
            visit.record(Deed::new("job.created", of_job(&job)).after(after)).await;
            Ok(view::go(hx, &address(&job)))
        }
        Err(errors) => view::wrong(&page(&engine, shell, &app, wish, errors).await?),
    }
}

async fn one(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
    Query(Told { run }): Query<Told>,
) -> Result<Response, PageError> {
    let (app, job) = find(&engine, &visit.person, &id, &job).await?;
    let wish = Wish::of(&job);
    view::show(&one_page(&engine, shell, (&app, &job), run, (wish, Errors::default())).await?)
}

async fn change(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
    Form(wish): Form<Wish>,
) -> Result<Response, PageError> {
    let (app, job) = find(&engine, &visit.person, &id, &job).await?;
    let changed = match wish.options().map(|options| options.parse(&job.plan)) {
        Ok(Ok(plan)) => {
            let before = wire::value(&shown(&engine.shown_job(&app, &job).await?));
            match engine.change_job(&app, &job, plan).await {
                Ok(job) => Ok((before, job)),
                Err(error) => Err(Errors::of_engine(error)?),
            }
        }
        Ok(Err(errors)) => Err(errors.into()),
        Err(errors) => Err(errors),
    };
    match changed {
        Ok((before, job)) => {
            let after = wire::value(&shown(&engine.shown_job(&app, &job).await?));
            visit.record(Deed::new("job.changed", of_job(&job)).before(before).after(after)).await;
            Ok(view::go(hx, &address(&job)))
        }
        Err(errors) => view::wrong(&one_page(&engine, shell, (&app, &job), None, (wish, errors)).await?),
    }
}

async fn run(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let (app, job) = find(&engine, &visit.person, &id, &job).await?;
    if let Err(error) = engine.run_job(&app, &job).await {
        let errors = Errors::of_engine(error)?;
        return view::wrong(&one_page(&engine, shell, (&app, &job), None, (Wish::of(&job), errors)).await?);
    }
    visit.record(Deed::new("job.run", of_job(&job))).await;
    Ok(view::go(hx, &address(&job)))
}

async fn pause(
    visit: Visit<Manage>,
    hx: Hx,
    State(engine): State<Engine>,
    Path(of): Path<(String, String)>,
) -> Result<Response, PageError> {
    enable(&visit, hx, &engine, &of, false).await
}

async fn resume(
    visit: Visit<Manage>,
    hx: Hx,
    State(engine): State<Engine>,
    Path(of): Path<(String, String)>,
) -> Result<Response, PageError> {
    enable(&visit, hx, &engine, &of, true).await
}

async fn enable(
    visit: &Visit<Manage>,
    hx: Hx,
    engine: &Engine,
    (id, job): &(String, String),
    enabled: bool,
) -> Result<Response, PageError> {
    let (app, job) = find(engine, &visit.person, id, job).await?;
    engine.change_job(&app, &job, JobPlan { enabled, ..job.plan.clone() }).await?;
    let action = if enabled { "job.resumed" } else { "job.paused" };
    visit.record(Deed::new(action, of_job(&job))).await;
    Ok(view::go(hx, &address(&job)))
}

async fn delete(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path((id, job)): Path<(String, String)>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let (app, job) = find(&engine, &visit.person, &id, &job).await?;
    if let Err(errors) = confirm.is(job.plan.name.as_str()) {
        return view::wrong(&one_page(&engine, shell, (&app, &job), None, (Wish::of(&job), errors)).await?);
    }
    engine.delete_job(&app, &job).await?;
    visit.record(Deed::new("job.deleted", of_job(&job))).await;
    Ok(view::go(hx, &format!("/apps/{}/jobs", app.slug)))
}

async fn cancel(
    visit: Visit<Deploy>,
    hx: Hx,
    State(engine): State<Engine>,
    Path((id, job, run)): Path<(String, String, String)>,
) -> Result<Response, PageError> {
    let (_, job) = find(&engine, &visit.person, &id, &job).await?;
    let number = run.parse().map(RunId).map_err(|_| PageError::NotFound)?;
    let run = engine.job_run(&job, number).await?;
    engine.cancel_run(&job, &run).await?;
    visit.record(Deed::new("job.cancelled", of_job(&job))).await;
    Ok(view::go(hx, &address(&job)))
}

async fn find(engine: &Engine, person: &Person, id: &str, job: &str) -> Result<(App, Job), PageError> {
    let app = app::find(engine.reader(), person, id).await?;
    let job = engine.job(&app, job).await?;
    Ok((app, job))
}

fn address(job: &Job) -> String {
    format!("/apps/{}/jobs/{}", job.app_slug, job.plan.name)
}

async fn page(
    engine: &Engine,
    shell: Shell,
    app: &App,
    wish: Wish,
    errors: Errors,
) -> Result<Page, PageError> {
    let now = engine.now();
    let rows = engine.shown_jobs(app).await?.iter().map(|job| Row::of(job, now)).collect();
    let head = app::head(engine, app, "settings").await?;
    Ok(Page { shell, head, part: "jobs", rows, wish, errors })
}

async fn one_page(
    engine: &Engine,
    shell: Shell,
    (app, job): (&App, &Job),
    run: Option<i64>,
    (wish, errors): (Wish, Errors),
) -> Result<OnePage, PageError> {
    let now = engine.now();
    let found = engine.shown_job(app, job).await?;
    let runs = engine.reader().runs(job.id, None, RUNS).await?;
    let told = match run {
        Some(number) => Some(engine.job_run(job, RunId(number)).await?),
        None => runs.first().cloned(),
    };
    let log = match told {
        Some(run) => Some((run.id.0, engine.run_lines(&run, LINES).await?)),
        None => None,
    };
    Ok(OnePage {
        head: app::head(engine, app, "settings").await?,
        shell,
        part: "jobs",
        calendars: job.plan.schedule.calendars(job.plan.zone.as_ref()),
        why_not: found.state.why_not(),
        row: Row::of(&found, now),
        runs: runs.iter().map(|run| RunRow::of(run, now)).collect(),
        log,
        wish,
        errors,
    })
}

impl Wish {
    /// An empty form, as most jobs are.
    fn new() -> Self {
        Self { place: "fresh".to_owned(), timeout: "3600".to_owned(), enabled: true, ..Self::default() }
    }

    /// A job as it is.
    fn of(job: &Job) -> Self {
        let plan = &job.plan;
        Self {
            job: plan.name.to_string(),
            schedule: plan.schedule.to_string(),
            timezone: plan.zone.as_ref().map(ToString::to_string).unwrap_or_default(),
            command: plan.command.to_string(),
            place: plan.place.as_str().to_owned(),
            timeout: plan.limit.as_secs().to_string(),
            catch_up: plan.catch_up,
            enabled: plan.enabled,
        }
    }

    /// What it says, as the API takes it.
    fn options(&self) -> Result<JobOptions, Errors> {
        let timeout = self.timeout.trim().parse();
        let timeout = timeout.map_err(|_| Errors::one("timeout", "use a number of seconds"))?;
        Ok(JobOptions {
            schedule: Some(self.schedule.clone()),
            timezone: Some(self.timezone.clone()),
            command: Some(self.command.clone()),
            place: Some(self.place.clone()),
            timeout: Some(timeout),
            catch_up: Some(self.catch_up),
            enabled: Some(self.enabled),
        })
    }
}

impl Row {
    fn of(shown: &ShownJob, now: Timestamp) -> Self {
        let ShownJob { job, state, next, last } = shown;
        Self {
            job: job.plan.name.to_string(),
            schedule: job.plan.schedule.to_string(),
            command: job.plan.command.to_string(),
            mark: state_mark(*state),
            enabled: job.plan.enabled,
            next: next.map(|next| wire::time(next).replacen('T', " ", 1)),
            last: last.as_ref().map(|run| RunRow::of(run, now)),
            timer: job.timer(),
        }
    }
}

impl RunRow {
    fn of(run: &Run, now: Timestamp) -> Self {
        let mark = |class, icon, word| Mark { class, icon, word };
        let outcome = run.ended.map(|(_, outcome)| outcome);
        Self {
            id: run.id.0,
            mark: match outcome {
                None => mark("moving", "moving", "running"),
                Some(Outcome::Succeeded) => mark("good", "ok", "succeeded"),
                Some(Outcome::Failed(_)) => mark("bad", "failed", "failed"),
                Some(Outcome::Killed) => mark("bad", "failed", "killed"),
                Some(Outcome::TimedOut) => mark("bad", "failed", "timed out"),
                Some(Outcome::NotStarted) => mark("bad", "failed", "not started"),
                Some(Outcome::Cancelled) => mark("", "stopped", "cancelled"),
                Some(Outcome::Unknown) => mark("", "unknown", "unknown"),
            },
            words: outcome.map_or_else(|| "runs".to_owned(), |outcome| outcome.to_string()),
            began: Moment::of(run.began, now),
            took: run.ended.map(|(at, _)| took(at.millis_since(run.began))),
            by: run.trigger.as_str(),
        }
    }
}

/// What a job does, as people see it.
fn state_mark(state: JobState) -> Mark {
    let mark = |class, icon, word| Mark { class, icon, word };
    match state {
        JobState::Waiting => mark("good", "live", "waiting"),
        JobState::Running => mark("moving", "moving", "running"),
        JobState::Paused => mark("", "stopped", "paused"),
        JobState::NotLive => mark("", "unknown", "waits for the first release"),
        JobState::Stopped => mark("", "stopped", "its app is stopped"),
        JobState::Unknown => mark("warn", "unknown", "unknown"),
    }
}
