//! One deployment: its steps as they go, its log, what is different from the release before, and the way back to it.

mod changes;
mod commits;
mod watch;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde_json::json;

use super::app::{self, Head};
use super::error::PageError;
use super::form::Errors;
use super::logs::made::{self, MadeLog};
use super::moment::{Moment, took};
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Read};
use crate::domain::app::App;
use crate::domain::deployment::{self, Deployment, DeploymentId, State as Step, Trigger};
use crate::domain::name::Slug;
use crate::domain::source::Source;
use crate::domain::time::Timestamp;
use crate::engine::{Engine, EngineError, LogOf};
use crate::store::{Outline, Reader};
use changes::Changes;

#[derive(Template)]
#[template(path = "deployment/show.html")]
struct Page {
    shell: Shell,
    head: Head,
    shown: Shown,
    log: MadeLog,
    changes: Changes,
    wrong: String,
}

/// What changes while a deployment goes on.
#[expect(clippy::struct_excessive_bools, reason = "what its template asks")]
struct Shown {
    id: i64,
    number: u32,
    slug: Slug,
    mark: Mark,
    by: String,
    reason: Option<String>,
    commit: Option<String>,
    origin: Option<String>,
    image: Option<String>,
    at: Moment,
    took: Option<String>,
    steps: Vec<ShownStep>,
    failure: Option<ShownFailure>,
    is_over: bool,
    /// Requests are sent to it now.
    serves: bool,
    may_cancel: bool,
    may_return: bool,
    may_repeat: bool,
    /// The commit that is deployed again; none: whatever the source has.
    repeats: Option<String>,
}

struct ShownStep {
    /// `now`, `ahead`, or empty for what is done.
    class: &'static str,
    icon: &'static str,
    words: &'static str,
    took: Option<String>,
}

struct ShownFailure {
    during: &'static str,
    reason: String,
    hint: &'static str,
}

#[derive(Template)]
#[template(path = "deployment/state.html")]
struct ShownState<'a> {
    shell: &'a Shell,
    head: &'a Head,
    shown: &'a Shown,
}

/// A deployment in a list.
#[derive(Debug, Clone, Hash)]
pub(super) struct Line {
    pub id: i64,
    pub app: Slug,
    pub number: u32,
    pub mark: Mark,
    pub commit: Option<String>,
    pub by: String,
    pub at: Moment,
    pub took: Option<String>,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/deployments/{id}", show),
        Route::get("/deployments/{id}/commits", commits::show),
        Route::get("/deployments/{id}/log", download),
        Route::get("/live/deployments/{id}", watch::watch),
        Route::post("/deployments/{id}/cancel", cancel),
        Route::post("/deployments/{id}/rollback", roll_back),
    ]
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (deployment, app) = find(&reader, &visit.person, &id).await?;
    view::show(&page(&engine, &reader, shell, &deployment, &app, String::new()).await?)
}

/// The log as it is now, whole and as it was written.
async fn download(
    visit: Visit<Read>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (deployment, _) = find(&reader, &visit.person, &id).await?;
    let name = format!("{}-{}", deployment.app_slug, deployment.number);
    made::as_file(&engine, LogOf::Deployment(&deployment), &name).await
}

async fn cancel(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (deployment, app) = find(engine.reader(), &visit.person, &id).await?;
    match engine.cancel(deployment.id).await {
        Ok(_) => {
            let object = format!("deployment {} of app {}", deployment.number, app.slug);
            visit.record(Deed::new("deployment.cancelled", object)).await;
            Ok(view::go(hx, &format!("/deployments/{}", deployment.id.0)))
        }
        Err(error) => refused(&engine, shell, &deployment, &app, error).await,
    }
}

async fn roll_back(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (deployment, app) = find(engine.reader(), &visit.person, &id).await?;
    match engine.roll_back(&app.slug, Some(deployment.number), shell.may_administer()).await {
        Ok(back) => {
            let object = format!("deployment {} of app {}", back.number, app.slug);
            visit.record(Deed::new("app.rolled_back", object).after(json!({ "to": back.back_to }))).await;
            Ok(view::go(hx, &format!("/deployments/{}", back.id.0)))
        }
        Err(error) => refused(&engine, shell, &deployment, &app, error).await,
    }
}

/// The page as it is, with why it was not done.
async fn refused(
    engine: &Engine,
    mut shell: Shell,
    deployment: &Deployment,
    app: &App,
    error: EngineError,
) -> Result<Response, PageError> {
    let wrong = Errors::of_engine(error)?.others(&[]).join(". ");
    // Where the switch of the theme leads back to.
    shell.path = format!("/deployments/{}", deployment.id.0);
    view::wrong(&page(engine, engine.reader(), shell, deployment, app, wrong).await?)
}

/// The deployment of a number over all apps, if the person may know of it.
pub(super) async fn find(reader: &Reader, person: &Person, id: &str) -> Result<(Deployment, App), PageError> {
    let number = id.parse().map_err(|_| PageError::NotFound)?;
    let deployment = reader.deployment(DeploymentId(number)).await?.ok_or(PageError::NotFound)?;
    let app = app::find(reader, person, deployment.app_slug.as_str()).await?;
    Ok((deployment, app))
}

async fn page(
    engine: &Engine,
    reader: &Reader,
    shell: Shell,
    deployment: &Deployment,
    app: &App,
    wrong: String,
) -> Result<Page, PageError> {
    let head = app::head(engine, app, "deployments").await?;
    let events = reader.events(deployment.id).await?;
    let shown = Shown::of(deployment, app, &events, head.may_deploy(&shell), engine.now());
    let (slug, number, id) = (&deployment.app_slug, deployment.number, deployment.id.0);
    let said = ["Log".to_owned(), format!("{slug} #{number}"), format!("/deployments/{id}/log")];
    let log = MadeLog::read(engine, LogOf::Deployment(deployment), said).await?;
    let before = reader.live_before(deployment.app, deployment.number).await?;
    let changes = Changes::of(engine, before.as_ref(), deployment);
    Ok(Page { shell, head, shown, log, changes, wrong })
}

impl Shown {
    fn of(
        deployment: &Deployment,
        app: &App,
        events: &[(Step, Timestamp)],
        may: bool,
        now: Timestamp,
    ) -> Self {
        let state = deployment.state;
        let is_live = app.live == Some(deployment.id);
        let is_over = state.is_end();
        let ended = deployment.ended.filter(|_| is_over);
        let repeats = matches!(app.source, Source::Git(_) | Source::Push { .. })
            .then(|| deployment.commit.as_ref().map(ToString::to_string))
            .flatten();
        Self {
            id: deployment.id.0,
            number: deployment.number,
            slug: deployment.app_slug.clone(),
            mark: mark(state, is_live),
            by: by(deployment.trigger, deployment.back_to),
            reason: deployment.reason.clone(),
            commit: deployment.commit.as_ref().map(ToString::to_string),
            origin: deployment.digest.as_ref().map(ToString::to_string),
            image: deployment.image.as_ref().map(|image| image.as_str().to_owned()),
            at: Moment::of(deployment.created, now),
            took: ended.map(|ended| took(ended.millis_since(deployment.created))),
            steps: steps(deployment, app, events, now),
            failure: deployment.failure.as_ref().map(|failure| ShownFailure {
                during: words(failure.during),
                reason: failure.reason.clone(),
                hint: hint(failure.during),
            }),
            is_over,
            serves: is_live && is_over,
            may_cancel: may && state <= Step::Checking,
            may_return: may && state == Step::Live && !is_live && !app.deleting,
            may_repeat: may && is_over && !app.deleting && !matches!(app.source, Source::Upload),
            repeats,
        }
    }
}

/// The steps that are done, the one that is under way, and those that are ahead.
fn steps(deployment: &Deployment, app: &App, events: &[(Step, Timestamp)], now: Timestamp) -> Vec<ShownStep> {
    let last = events.len().saturating_sub(1);
    let done = deployment::steps(events).enumerate().map(|(index, (state, since, spent))| {
        let is_now = index == last && !state.is_end();
        let spent = spent.or_else(|| is_now.then(|| now.millis_since(since)));
        let (class, icon) = match state {
            _ if is_now => ("now", "moving"),
            Step::Failed => ("", "failed"),
            Step::Cancelled | Step::Superseded => ("", "stopped"),
            Step::Live => ("", "live"),
            Step::Queued
            | Step::Fetching
            | Step::Building
            | Step::Starting
            | Step::Checking
            | Step::Switching
            | Step::Retiring => ("", "ok"),
        };
        ShownStep { class, icon, words: words(state), took: spent.map(took) }
    });
    let restores = deployment.back_to.is_some();
    let skipped = |state: Step| {
        state == Step::Fetching && restores
            || state == Step::Building && (restores || matches!(app.source, Source::Image { .. }))
            || state > Step::Live
    };
    let ahead = Step::ALL
        .into_iter()
        .filter(|state| !deployment.state.is_end() && *state > deployment.state && !skipped(*state));
    let ahead =
        ahead.map(|state| ShownStep { class: "ahead", icon: "unknown", words: words(state), took: None });
    done.chain(ahead).collect()
}

impl Line {
    /// A deployment of an app whose live one is `live`, as it is seen from now.
    pub fn of(one: &Outline, live: Option<DeploymentId>, now: Timestamp) -> Self {
        Self {
            id: one.id.0,
            app: one.app_slug.clone(),
            number: one.number,
            mark: mark(one.state, live == Some(one.id)),
            commit: one.commit.as_ref().map(|commit| commit.short().to_owned()),
            by: by(one.trigger, one.back_to),
            at: Moment::of(one.created, now),
            took: one.ended.map(|ended| took(ended.millis_since(one.created))),
        }
    }
}

/// Where a deployment stands, as people see it.
pub(super) fn mark(state: Step, is_live: bool) -> Mark {
    let (class, icon, word) = match state {
        Step::Live if is_live => ("good", "live", "live"),
        Step::Live => ("", "ok", "was live"),
        Step::Failed => ("bad", "failed", "failed"),
        Step::Cancelled => ("", "stopped", "cancelled"),
        Step::Superseded => ("", "stopped", "superseded"),
        Step::Queued => ("moving", "unknown", "queued"),
        Step::Fetching
        | Step::Building
        | Step::Starting
        | Step::Checking
        | Step::Switching
        | Step::Retiring => ("moving", "moving", state.as_str()),
    };
    Mark { class, icon, word }
}

/// What asked for a deployment, in words.
fn by(trigger: Trigger, back_to: Option<u32>) -> String {
    match (trigger, back_to) {
        (Trigger::Push, _) => "git push".to_owned(),
        (Trigger::Request, _) => "by hand".to_owned(),
        (Trigger::Webhook, _) => "webhook".to_owned(),
        (Trigger::Rollback, Some(to)) => format!("back to #{to}"),
        (Trigger::Rollback, None) => "rollback".to_owned(),
        (Trigger::AutoRollback, Some(to)) => format!("back to #{to} by itself"),
        (Trigger::AutoRollback, None) => "rollback by itself".to_owned(),
        (Trigger::Restart, _) => "restart".to_owned(),
    }
}

/// A step in words.
fn words(state: Step) -> &'static str {
    match state {
        Step::Queued => "Waiting for its turn",
        Step::Fetching => "Fetching what is deployed",
        Step::Building => "Building the image",
        Step::Starting => "Starting beside the old release",
        Step::Checking => "Checking that it answers",
        Step::Switching => "Sending requests to it",
        Step::Retiring => "Retiring the old release",
        Step::Live => "Live",
        Step::Failed => "Failed",
        Step::Cancelled => "Cancelled",
        Step::Superseded => "A newer one took its place",
    }
}

/// What to try when a step has failed, besides what the failure says itself.
fn hint(during: Step) -> &'static str {
    match during {
        Step::Fetching => {
            "Look at the address, the branch and the access of the repository under Settings. A private repository \
             needs a deploy key or an access token."
        }
        Step::Building => "The end of the log below shows which instruction failed.",
        Step::Starting => "The Logs tab shows what the container wrote. Does its command exist in the image?",
        Step::Checking => {
            "Does the app listen on the port that is set, on all addresses (0.0.0.0)? The Logs tab shows what it \
             wrote; the health check lies under Settings."
        }
        Step::Queued
        | Step::Switching
        | Step::Retiring
        | Step::Live
        | Step::Failed
        | Step::Cancelled
        | Step::Superseded => "",
    }
}

#[cfg(test)]
mod tests;
