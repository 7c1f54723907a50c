//! The first tab of an app: what serves, in which containers, and how to look at them without rivetr.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::response::sse::Event;

use crate::auth::gate::Read;
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::domain::source::Source;
use crate::engine::metrics::AppCounts;
use crate::engine::{ByHand, Engine, UnitSummary};
use crate::web::app::{Head, ShownHead, find, head};
use crate::web::backups::{self, Alarm};
use crate::web::deployment::Line;
use crate::web::error::PageError;
use crate::web::live::{Live, Look, Sent, Viewer};
use crate::web::moment::Moment;
use crate::web::shell::{Shell, Visit};
use crate::web::usage::{InUse, ShownUsage};
use crate::web::view::{self, Mark};
use crate::web::{Route, Web};

/// How many of the newest deployments are shown.
const RECENT: u32 = 5;

#[derive(Template)]
#[template(path = "app/overview.html")]
pub(super) struct Page {
    shell: Shell,
    head: Head,
    about: About,
    standing: Standing,
    alarms: Vec<Alarm>,
    lines: Vec<Line>,
    wrong: String,
}

/// What does not change by itself.
struct About {
    /// What it comes from, in a word, and where that is.
    source: (&'static str, String),
    push_url: Option<String>,
    urls: Vec<String>,
    port: u16,
    replicas: u8,
}

/// What does.
struct Standing {
    live: Option<Release>,
    containers: Vec<Container>,
    in_use: Vec<InUse>,
    requests: Option<Requests>,
}

struct Release {
    id: i64,
    number: u32,
    commit: Option<String>,
    image: Option<String>,
    since: Option<Moment>,
}

struct Container {
    name: String,
    mark: Mark,
    sub_state: String,
    since: Option<Moment>,
    restarts: u32,
    out_of_memory: Option<Moment>,
    by_hand: ByHand,
}

struct Requests {
    count: u64,
    errors: u64,
    in_flight: u64,
    median: Option<String>,
    slow: Option<String>,
}

#[derive(Template)]
#[template(path = "app/standing.html")]
struct ShownStanding<'a> {
    shell: &'a Shell,
    standing: &'a Standing,
}

#[derive(Template)]
#[template(path = "app/recent.html")]
struct ShownRecent<'a> {
    shell: &'a Shell,
    head: &'a Head,
    lines: &'a [Line],
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/apps/{id}", index), Route::get("/live/apps/{id}", watch)]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let app = find(engine.reader(), &visit.person, &id).await?;
    view::show(&page(&engine, shell, &app, String::new()).await?)
}

/// The tab, with what could not be done.
pub(super) async fn page(engine: &Engine, shell: Shell, app: &App, wrong: String) -> Result<Page, PageError> {
    let (head, standing, lines, alarms) = tokio::try_join!(
        head(engine, app, "overview"),
        Standing::of(engine, app),
        lines(engine, app),
        backups::alarms_of_app(engine, &app.slug)
    )?;
    Ok(Page { shell, head, about: About::of(engine, app), standing, alarms, lines, wrong })
}

async fn lines(engine: &Engine, app: &App) -> Result<Vec<Line>, PageError> {
    let found = engine.reader().deployments_of(app.id, None, RECENT).await?;
    Ok(found.iter().map(|one| Line::of(one, app.live, engine.now())).collect())
}

impl About {
    fn of(engine: &Engine, app: &App) -> Self {
        let branch =
            |source: &Source| source.branch().map(|branch| format!(" ({branch})")).unwrap_or_default();
        let source = match &app.source {
            Source::Push { .. } => ("git push", branch(&app.source).trim().to_owned()),
            Source::Git(git) => ("Git", format!("{} ({})", git.url, git.reference)),
            Source::Image { image } => ("Image", image.to_string()),
            Source::Upload => ("Uploads", "rivetr deploy --from".to_owned()),
            Source::Inline { .. } => ("Containerfile", "written in its settings".to_owned()),
        };
        let push_url = matches!(app.source, Source::Push { .. })
            .then(|| engine.own_url().map(|own| format!("{own}/git/{}.git", app.slug)))
            .flatten();
        Self {
            source,
            push_url,
            urls: engine.urls(app),
            port: app.settings.port.get(),
            replicas: app.settings.replicas.get(),
        }
    }
}

impl Standing {
    async fn of(engine: &Engine, app: &App) -> Result<Self, PageError> {
        let (status, counts) = tokio::join!(engine.app_status(&app.slug), engine.request_counts());
        let status = status?;
        let now = engine.now();
        let counts = counts.inspect_err(|error| tracing::debug!(%error, "the proxy was not asked")).ok();
        let requests =
            counts.map(|mut counts| Requests::of(&counts.apps.remove(app.slug.as_str()).unwrap_or_default()));
        let in_use = status.units.iter().filter_map(InUse::of).collect();
        let containers = status.units.into_iter().map(|unit| Container::of(engine, unit)).collect();
        let live = status.live.map(|live| Release::of(live, now));
        Ok(Self { live, containers, in_use, requests })
    }
}

impl Release {
    fn of(live: Deployment, now: crate::domain::time::Timestamp) -> Self {
        Self {
            id: live.id.0,
            number: live.number,
            commit: live.commit.as_ref().map(|commit| commit.short().to_owned()),
            image: live.image.map(|image| image.as_str().to_owned()),
            since: live.ended.map(|ended| Moment::of(ended, now)),
        }
    }
}

impl Container {
    fn of(engine: &Engine, unit: UnitSummary) -> Self {
        let now = engine.now();
        let (class, icon) = match unit.active_state {
            "active" | "reloading" => ("good", "live"),
            "activating" if unit.sub_state == "auto-restart" => ("warn", "warn"),
            "activating" | "deactivating" => ("moving", "moving"),
            "failed" => ("bad", "failed"),
            "inactive" => ("", "stopped"),
            _ => ("", "unknown"),
        };
        let name = unit.name.trim_end_matches(".service").to_owned();
        Self {
            mark: Mark { class, icon, word: unit.active_state },
            sub_state: unit.sub_state,
            since: unit.since.map(|since| Moment::of(since, now)),
            restarts: unit.restarts,
            out_of_memory: unit.out_of_memory.map(|at| Moment::of(at, now)),
            by_hand: engine.by_hand(&name),
            name,
        }
    }
}

impl Requests {
    fn of(counts: &AppCounts) -> Self {
        let percentile = |percent| {
            let time = counts.percentile(percent)?;
            let micros = time.as_micros();
            Some(format!("{}.{} ms", micros / 1000, micros % 1000 / 100))
        };
        Self {
            count: counts.requests(),
            errors: counts.errors(),
            in_flight: counts.in_flight,
            median: percentile(50),
            slow: percentile(99),
        }
    }
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    find(&live.reader, &visit.person, &id).await?;
    let of = Viewer { live: live.clone(), shell, person: visit.person.clone(), id };
    let events = live.follow(Watching(of));
    Ok(live.answer(visit.person, events))
}

struct Watching(Viewer);

impl Look for Watching {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, reader, .. }, shell, person, id } = &self.0;
        let app = find(reader, person, id).await?;
        let (head, standing, lines) =
            tokio::try_join!(head(engine, &app, ""), Standing::of(engine, &app), lines(engine, &app))?;
        let mut events = Vec::new();
        events.extend(sent.event("head", &ShownHead { shell, head: &head })?);
        events.extend(sent.event("standing", &ShownStanding { shell, standing: &standing })?);
        events.extend(sent.event("usage", &ShownUsage { in_use: &standing.in_use })?);
        events.extend(sent.event("recent", &ShownRecent { shell, head: &head, lines: &lines })?);
        Ok(events)
    }
}
