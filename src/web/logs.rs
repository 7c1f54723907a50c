//! What apps, databases and services write while they run, and the lines of logs as every page shows them.

pub(super) mod made;
mod whose;

use std::time::Duration;

use axum::BoxError;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream::{self, ReadyChunks};
use futures_util::{StreamExt as _, TryStreamExt as _};
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::{Deserialize, Serialize};

use super::ansi::{Run, runs};
use super::error::PageError;
use super::live::{self, Live, Viewer};
use super::shell::{Shell, Visit};
use super::{Route, Web, view};
use crate::api::{is_cursor, wire};
use crate::auth::gate::Read;
use crate::engine::{Engine, EngineError, RuntimeLine};
use whose::{Kind, Lines, Whose};

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

/// A log on its page.
struct Log {
    /// Where the page is.
    path: String,
    rows: Vec<Row>,
    lines: usize,
    choices: [usize; 4],
    /// Where the lines of the page end, as it stands in a query.
    after: String,
    what_appears: &'static str,
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
    let of = [
        (Kind::App, ["/apps/{id}/logs", "/apps/{id}/logs/text", "/live/apps/{id}/logs"]),
        (Kind::Database, ["/databases/{id}/logs", "/databases/{id}/logs/text", "/live/databases/{id}/logs"]),
        (Kind::Service, ["/services/{id}/logs", "/services/{id}/logs/text", "/live/services/{id}/logs"]),
    ];
    of.into_iter().flat_map(|(kind, paths)| routes_of(kind, paths)).collect()
}

fn routes_of(kind: Kind, [page, text, live]: [&'static str; 3]) -> [Route<Web>; 3] {
    let show =
        move |visit: Visit<Read>,
              shell: Shell,
              engine: State<Engine>,
              id: Path<String>,
              wanted: Query<Wanted>| { index(kind, visit, shell, engine.0, id.0, wanted.0) };
    let download = move |visit: Visit<Read>, engine: State<Engine>, id: Path<String>| {
        download(kind, visit, engine.0, id.0)
    };
    let follow = move |visit: Visit<Read>,
                       shell: Shell,
                       live: State<Live>,
                       id: Path<String>,
                       wanted: Query<Wanted>,
                       headers: HeaderMap| {
        watch(kind, visit, shell, live.0, id.0, wanted.0.lines(), wanted.0.after(&headers))
    };
    [Route::get(page, show), Route::get(text, download), Route::get(live, follow)]
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

/// The event that brings lines; `id` is where whoever was cut off goes on.
pub(super) fn rows_event(rows: &[Row], id: &str) -> Result<Event, BoxError> {
    Event::default().event("log").id(id).json_data(rows).map_err(Into::into)
}

async fn index(
    kind: Kind,
    visit: Visit<Read>,
    shell: Shell,
    engine: Engine,
    id: String,
    wanted: Wanted,
) -> Result<Response, PageError> {
    let whose = kind.find(&engine, &visit.person, &id).await?;
    let lines: Vec<RuntimeLine> = match whose.lines(&engine, wanted.lines(), false, None).await {
        Ok(lines) => lines.try_collect().await?,
        // No revision of a service has containers yet.
        Err(EngineError::NotFound { .. }) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    let log = Log {
        path: kind.path(whose.slug()),
        rows: lines.iter().map(|line| whose.row(line)).collect(),
        lines: wanted.lines(),
        choices: CHOICES,
        after: lines.last().map(|line| view::in_query(&line.cursor)).unwrap_or_default(),
        what_appears: whose.what_appears(),
        by_hand: whose.by_hand(&engine),
    };
    whose.page(&engine, shell, log).await
}

/// As text, the newest lines of which there may be many, to keep.
async fn download(kind: Kind, visit: Visit<Read>, engine: Engine, id: String) -> Result<Response, PageError> {
    let whose = kind.find(&engine, &visit.person, &id).await?;
    let lines = whose.lines(&engine, DOWNLOAD, false, None).await?;
    let name = format!("attachment; filename=\"{}.log\"", whose.slug());
    let text = lines.map_ok(move |line| whose.text(&line));
    let fields = [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, name)];
    Ok((fields, Body::from_stream(text)).into_response())
}

async fn watch(
    kind: Kind,
    visit: Visit<Read>,
    shell: Shell,
    live: Live,
    id: String,
    lines: usize,
    after: Option<String>,
) -> Result<Response, PageError> {
    let whose = kind.find(&live.engine, &visit.person, &id).await?;
    let following = Following { engine: live.engine.clone(), whose, lines, after, log: None };
    let lines = stream::try_unfold(following, |mut following| async move {
        let event = following.next().await?;
        Ok(Some((event, following)))
    });
    let heads = kind.heads(&live, Viewer { live: live.clone(), shell, person: visit.person.clone(), id });
    Ok(live.answer(visit.person, stream::select(lines, heads)))
}

/// What somebody writes, over all the containers that come.
struct Following {
    engine: Engine,
    whose: Whose,
    lines: usize,
    after: Option<String>,
    log: Option<ReadyChunks<Lines>>,
}

impl Following {
    async fn next(&mut self) -> Result<Event, BoxError> {
        loop {
            let Self { engine, whose, lines, after, log } = self;
            let open = if let Some(open) = log {
                open
            } else {
                let lines = whose.lines(engine, *lines, true, after.clone()).await?;
                log.insert(lines.ready_chunks(AT_ONCE))
            };
            let Some(lines) = open.next().await else {
                // Other containers are there; their lines come with the next question.
                *log = None;
                tokio::time::sleep(AGAIN).await;
                continue;
            };
            let lines = lines.into_iter().collect::<Result<Vec<_>, _>>()?;
            let Some(last) = lines.last() else { continue };
            *after = Some(last.cursor.clone());
            let rows: Vec<_> = lines.iter().map(|line| whose.row(line)).collect();
            return rows_event(&rows, &last.cursor);
        }
    }
}

#[cfg(test)]
mod tests {
    use askama::Template;

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
        let row = Row::of(&line, "rivetr-app-blog-");
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
