//! What an app writes while it runs, and the lines of logs as every page shows them.

mod database;
mod service;

use std::pin::Pin;
use std::time::Duration;

use askama::Template;
use axum::BoxError;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use super::ansi::{Run, runs};
use super::app::{self, Head};
use super::error::PageError;
use super::live::{self, Live};
use super::shell::{Shell, Visit};
use super::{Route, Web, view};
use crate::api::{is_cursor, wire};
use crate::auth::gate::Read;
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::engine::{Engine, EngineError, RuntimeLine};

/// How many lines people may choose to begin with; the second is taken if they do not.
const CHOICES: [usize; 4] = [100, 300, 1000, 5000];
/// Lines in a download.
const DOWNLOAD: usize = 50_000;
/// The most lines that one event carries.
const AT_ONCE: usize = 200;
/// How long is waited before the journal is asked again after it had no more to say.
const AGAIN: Duration = Duration::from_millis(300);
/// How many colours tell containers apart.
const HUES: u64 = 6;

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// When it was written, exactly; empty: not known.
    #[serde(rename = "at", skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// The same as people read it.
    #[serde(rename = "clock", skip_serializing_if = "String::is_empty")]
    pub clock: String,
    /// The container that wrote it, without what all of the app's have in common; empty: nothing to tell apart.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// The number of the container's colour.
    pub hue: u64,
    /// It was written to standard error.
    pub stderr: bool,
    /// The text.
    pub runs: Vec<Run>,
}

#[derive(Template)]
#[template(path = "logs/index.html")]
struct Page {
    shell: Shell,
    head: Head,
    rows: Vec<Row>,
    lines: usize,
    choices: [usize; 4],
    /// Where the lines of the page end, as it stands in a query.
    after: String,
    by_hand: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Wanted {
    lines: Option<usize>,
    #[serde(default)]
    after: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let own = vec![
        Route::get("/apps/{id}/logs", index),
        Route::get("/apps/{id}/logs/text", download),
        Route::get("/live/apps/{id}/logs", watch),
    ];
    [own, database::routes(), service::routes()].into_iter().flatten().collect()
}

impl Wanted {
    fn lines(&self) -> usize {
        self.lines.filter(|lines| CHOICES.contains(lines)).unwrap_or(CHOICES[1])
    }

    /// Where a stream goes on: where the browser was cut off, or else where the lines of the page end.
    fn after(&self, headers: &HeaderMap) -> Option<String> {
        let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
        Some(last.unwrap_or(&self.after).to_owned()).filter(|cursor| is_cursor(cursor))
    }
}

impl Row {
    /// A line of which nothing else is known.
    pub fn plain(line: &str) -> Self {
        let (at, clock, unit) = (String::new(), String::new(), String::new());
        Self { at, clock, unit, hue: 0, stderr: false, runs: runs(line) }
    }

    /// A line with its time, whichever container wrote it.
    fn clocked(line: &RuntimeLine) -> Self {
        let at = wire::time(line.at);
        let clock = at.split_once('T').map_or("", |(_, clock)| clock).trim_end_matches('Z');
        let clock = clock.split('.').next().unwrap_or_default().to_owned();
        Self { at, clock, unit: String::new(), hue: 0, stderr: line.stderr, runs: runs(&line.text) }
    }

    /// A line that a container wrote; `prefix` is what the names of all of them begin with.
    pub fn of(line: &RuntimeLine, prefix: &str) -> Self {
        let unit = line.unit.strip_prefix(prefix).unwrap_or(&line.unit).to_owned();
        Self { hue: live::hash(&unit) % HUES, unit, ..Self::clocked(line) }
    }
}

/// What the names of an app's containers begin with.
fn prefix(app: &Slug) -> String {
    format!("rivetr-app-{app}-")
}

/// The event that brings lines; `id` is where whoever was cut off goes on.
pub(super) fn rows_event(rows: &[Row], id: &str) -> Result<Event, BoxError> {
    Event::default().event("log").id(id).json_data(rows).map_err(Into::into)
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let head = app::head(&engine, &app, "logs").await?;
    let log = engine.runtime_log(&app.slug, Some(wanted.lines()), false, None).await?;
    let lines: Vec<RuntimeLine> = log.try_collect().await?;
    let after = lines.last().map(|line| view::in_query(&line.cursor)).unwrap_or_default();
    let rows = lines.iter().map(|line| Row::of(line, &prefix(&app.slug))).collect();
    let by_hand = container(&app).map(|name| engine.by_hand(&name).journal);
    view::show(&Page { shell, head, rows, lines: wanted.lines(), choices: CHOICES, after, by_hand })
}

fn container(app: &App) -> Option<String> {
    app.release.map(|release| crate::domain::deployment::replica_name(&app.slug, release, 1))
}

/// As text, the newest lines of which there may be many.
async fn download(
    visit: Visit<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let log = engine.runtime_log(&app.slug, Some(DOWNLOAD), false, None).await?;
    let text = log.map_ok(|line| format!("{} {} {}\n", wire::time(line.at), line.unit, line.text));
    Ok(file(&app.slug, text.map_err(BoxError::from)))
}

/// What somebody writes, as a file to keep.
fn file(whose: &Slug, text: impl Stream<Item = Result<String, BoxError>> + Send + 'static) -> Response {
    let name = format!("attachment; filename=\"{whose}.log\"");
    let fields = [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    (fields, Body::from_stream(text)).into_response()
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let app = app::find(&live.reader, &visit.person, &id).await?;
    let lines = follow(&live, Whose::App(app.slug), &wanted, &headers);
    let heads = app::heads(&live, shell, visit.person.clone(), id, "logs");
    Ok(live.answer(visit.person, stream::select(lines, heads)))
}

type Lines = Pin<Box<dyn Stream<Item = Vec<Result<RuntimeLine, EngineError>>> + Send>>;

/// Those whose containers come and go.
enum Whose {
    App(Slug),
    Service(Slug),
}

/// What an app or a service writes, over all the releases and revisions that come.
struct Following {
    engine: Engine,
    whose: Whose,
    lines: usize,
    after: Option<String>,
    log: Option<Lines>,
}

fn follow(
    live: &Live,
    whose: Whose,
    wanted: &Wanted,
    headers: &HeaderMap,
) -> impl Stream<Item = Result<Event, BoxError>> + Send + 'static + use<> {
    let (lines, after) = (wanted.lines(), wanted.after(headers));
    let following = Following { engine: live.engine.clone(), whose, lines, after, log: None };
    stream::try_unfold(following, |mut following| async move {
        Ok(following.next().await?.map(|event| (event, following)))
    })
}

impl Following {
    async fn open(&mut self) -> Result<Lines, EngineError> {
        let (lines, after) = (Some(self.lines), self.after.clone());
        Ok(match &self.whose {
            Whose::App(app) => {
                Box::pin(self.engine.runtime_log(app, lines, true, after).await?.ready_chunks(AT_ONCE))
            }
            Whose::Service(service) => {
                let log = self.engine.service_log(service, None, lines, true, after).await?;
                Box::pin(log.ready_chunks(AT_ONCE))
            }
        })
    }

    fn prefix(&self) -> String {
        match &self.whose {
            Whose::App(app) => prefix(app),
            Whose::Service(service) => service::prefix(service),
        }
    }

    async fn next(&mut self) -> Result<Option<Event>, BoxError> {
        loop {
            if self.log.is_none() {
                self.log = Some(self.open().await?);
            }
            let next = match &mut self.log {
                Some(log) => log.next().await,
                None => None,
            };
            let Some(lines) = next else {
                // Another release is there; its lines come with the next question.
                self.log = None;
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let lines = lines.into_iter().collect::<Result<Vec<_>, _>>()?;
            let Some(last) = lines.last() else { continue };
            self.after = Some(last.cursor.clone());
            let prefix = self.prefix();
            let rows: Vec<_> = lines.iter().map(|line| Row::of(line, &prefix)).collect();
            return rows_event(&rows, &last.cursor).map(Some);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    #[test]
    fn a_line_says_who_wrote_it_and_when() {
        let line = RuntimeLine {
            cursor: "s=1".to_owned(),
            at: Timestamp(1_700_000_000_123),
            unit: "rivetr-app-blog-7_2".to_owned(),
            stderr: true,
            text: "\u{1b}[31m<img src=x onerror=alert(1)>".to_owned(),
        };
        let row = Row::of(&line, &prefix(&Slug::parse("blog").unwrap()));
        assert_eq!((row.clock.as_str(), row.unit.as_str(), row.stderr), ("22:13:20", "7_2", true));
        assert_eq!(row.runs[0].class, "a31");
        let html = Shown { row: &row }.render().unwrap();
        assert!(!html.contains("<img") && html.contains("&#60;img"), "{html}");
    }

    #[derive(Template)]
    #[template(path = "logs/row.html")]
    struct Shown<'a> {
        row: &'a Row,
    }
}
