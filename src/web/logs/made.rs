//! The log of a deployment or of a revision as pages show it: its last lines, those that come, and all of it as a file.
//! `templates/logs/made.html` shows it.

use axum::BoxError;
use axum::body::Body;
use axum::response::sse::Event;
use axum::response::{IntoResponse as _, Response};
use futures_util::{Stream, StreamExt as _, stream};
use http::HeaderMap;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use serde::Deserialize;
use tokio_util::io::ReaderStream;

use super::{AT_ONCE, Row, rows_event};
use crate::engine::{Engine, EngineError, LogEntry, LogOf};
use crate::web::error::PageError;

/// The most lines that stand in the page itself.
const LINES_MAX: usize = 2000;

/// A log in its page.
pub(in crate::web) struct MadeLog {
    /// What stands above it.
    pub title: String,
    /// What it is of: `blog #7`.
    pub of: String,
    /// Where all of it is to be had.
    pub download: String,
    pub rows: Vec<Row>,
    /// There are lines before these.
    pub cut: bool,
    /// Where the next line begins.
    pub until: u64,
    /// Nothing more comes.
    pub is_over: bool,
}

impl MadeLog {
    /// A log as it is now, with what is said of it.
    pub async fn read(
        engine: &Engine,
        log: LogOf<'_>,
        [title, of, download]: [String; 3],
    ) -> Result<Self, PageError> {
        let tail = engine.log_tail(log, LINES_MAX).await?;
        let rows = tail.lines.iter().map(|line| Row::plain(line)).collect();
        Ok(Self { title, of, download, rows, cut: tail.cut, until: tail.until, is_over: log.is_over() })
    }
}

/// Where the log that stands in a page ends.
#[derive(Debug, Deserialize)]
pub(in crate::web) struct After {
    #[serde(default)]
    after: u64,
}

impl After {
    /// Where a stream goes on: where the browser was cut off, or else where the lines of the page end.
    pub fn place(&self, headers: &HeaderMap) -> u64 {
        let last =
            headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
        last.unwrap_or(self.after)
    }
}

/// The lines of a log from a place on, as many at a time as there are, beside what else of a page changes; at the end of
/// both one event that says so.
pub(in crate::web) fn beside<S>(
    engine: &Engine,
    log: LogOf<'_>,
    from: u64,
    states: S,
) -> impl Stream<Item = Result<Event, BoxError>> + Send + 'static + use<S>
where
    S: Stream<Item = Result<Event, BoxError>> + Send + 'static,
{
    let lines = Box::pin(engine.log(log, from)).ready_chunks(AT_ONCE).map(move |entries| {
        let entries = entries.into_iter().collect::<Result<Vec<LogEntry>, EngineError>>()?;
        let after = entries.last().map_or(from, |entry| entry.offset_after);
        let rows: Vec<_> = entries.iter().map(|entry| Row::plain(&entry.text)).collect();
        rows_event(&rows, &after.to_string())
    });
    let end = stream::once(async { Ok(Event::default().event("end").data("over")) });
    stream::select(lines, states).chain(end)
}

/// A log as it is now, whole and as it was written, as a file of this name.
pub(in crate::web) async fn as_file(
    engine: &Engine,
    log: LogOf<'_>,
    name: &str,
) -> Result<Response, PageError> {
    let disposition = format!("attachment; filename=\"{name}.log\"");
    let fields = [(CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()), (CONTENT_DISPOSITION, disposition)];
    let body = match engine.log_file(log).await? {
        Some(file) => Body::from_stream(ReaderStream::new(file)),
        None => Body::empty(),
    };
    Ok((fields, body).into_response())
}
