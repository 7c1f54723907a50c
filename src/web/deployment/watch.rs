//! A deployment as it goes on: its steps and state, and the lines of its log, in one stream.

use axum::BoxError;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::Event;
use futures_util::{Stream, StreamExt as _, stream};
use http::HeaderMap;
use serde::Deserialize;

use super::{Shown, ShownState, find};
use crate::auth::gate::Read;
use crate::domain::deployment::Deployment;
use crate::engine::{Engine, EngineError, LogEntry};
use crate::web::app::{self, ShownHead};
use crate::web::error::PageError;
use crate::web::live::{Live, Look, Sent, Viewer};
use crate::web::logs::{Row, rows_event};
use crate::web::shell::{Shell, Visit};

/// The most lines that one event carries.
const AT_ONCE: usize = 200;

/// Where the log that stands in the page ends.
#[derive(Debug, Deserialize)]
pub(super) struct After {
    #[serde(default)]
    after: u64,
}

pub(super) async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
    Query(After { after }): Query<After>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let (deployment, _) = find(&live.reader, &visit.person, &id).await?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).and_then(|id| id.parse().ok());
    let log = log(&live.engine, &deployment, last.unwrap_or(after));
    let of = Viewer { live: live.clone(), shell, person: visit.person.clone(), id };
    let states = live.follow(Watching { of, is_over: false });
    let end = stream::once(async { Ok(Event::default().event("end").data("over")) });
    Ok(live.answer(visit.person, stream::select(log, states).chain(end)))
}

/// The lines of the log from a place on, as many at a time as there are.
fn log(
    engine: &Engine,
    deployment: &Deployment,
    from: u64,
) -> impl Stream<Item = Result<Event, BoxError>> + Send + 'static + use<> {
    Box::pin(engine.log(deployment, from)).ready_chunks(AT_ONCE).map(move |entries| {
        let entries = entries.into_iter().collect::<Result<Vec<LogEntry>, EngineError>>()?;
        let after = entries.last().map_or(from, |entry| entry.offset_after);
        let rows: Vec<_> = entries.iter().map(|entry| Row::plain(&entry.text)).collect();
        rows_event(&rows, &after.to_string())
    })
}

/// Steps and state as they change; it is over with the deployment.
struct Watching {
    of: Viewer,
    is_over: bool,
}

impl Look for Watching {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, reader, .. }, shell, person, id } = &self.of;
        let (deployment, app) = find(reader, person, id).await?;
        let events = reader.events(deployment.id).await?;
        let head = app::head(engine, &app, "deployments").await?;
        let shown = Shown::of(&deployment, &app, &events, head.may_deploy(shell), engine.now());
        self.is_over = shown.is_over;
        let mut found = Vec::new();
        found.extend(sent.event("head", &ShownHead { shell, head: &head })?);
        found.extend(sent.event("state", &ShownState { shell, head: &head, shown: &shown })?);
        Ok(found)
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}
