//! Server-sent events that end when they should: with what they tell of, when the caller's token ends, or when the
//! daemon stops.

use std::time::Duration;

use axum::BoxError;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Sse};
use futures_util::{Stream, StreamExt, stream};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use super::wire;
use crate::auth::{Auth, Caller};
use crate::engine::{EngineError, LogEntry};

/// How often a comment tells the client that the stream lives.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a stream ends after its token was revoked.
const RECHECK: Duration = Duration::from_secs(5);

/// Answers with `events`, as long as the caller may read them.
pub fn answer<S>(
    events: S,
    auth: Auth,
    caller: Caller,
    stopping: CancellationToken,
) -> impl IntoResponse + use<S>
where
    S: Stream<Item = Result<Event, BoxError>> + Send + 'static,
{
    let over = async move {
        tokio::select! {
            () = stopping.cancelled_owned() => (),
            () = no_longer_good(auth, caller) => (),
        }
    };
    Sse::new(events.take_until(Box::pin(over))).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}

/// An event of `data` as JSON, which has no line breaks to trip over.
pub fn event<T: Serialize>(event: Event, data: &T) -> Result<Event, BoxError> {
    event.json_data(data).map_err(Into::into)
}

/// The lines of a log, each an event whose id is the offset after it; at the end one event `end` with what it is of.
pub fn of_log<T: Serialize>(
    lines: impl Stream<Item = Result<LogEntry, EngineError>> + Send + 'static,
    end: impl Future<Output = Result<T, EngineError>> + Send + 'static,
) -> impl Stream<Item = Result<Event, BoxError>> + Send + 'static {
    let lines = lines.map(|entry| {
        let entry = entry?;
        let id = Event::default().id(entry.offset_after.to_string());
        event(id, &wire::LogLine { text: entry.text })
    });
    let end = stream::once(async move { event(Event::default().event("end"), &end.await?) });
    lines.chain(end).inspect(|event: &Result<Event, BoxError>| {
        if let Err(error) = event {
            tracing::warn!(%error, "a log broke off");
        }
    })
}

/// Where a client of [`of_log`] that was cut off goes on.
pub(super) fn offset(headers: &HeaderMap) -> Result<u64, ApiError> {
    let Some(last) = headers.get("last-event-id") else { return Ok(0) };
    let offset = last.to_str().ok().and_then(|text| text.parse().ok());
    let message = "Last-Event-ID must be the id of an event of this log: a number";
    offset.ok_or_else(|| ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message))
}

/// Returns when the caller's token is worth nothing any more.
pub async fn no_longer_good(auth: Auth, caller: Caller) {
    loop {
        tokio::time::sleep(RECHECK).await;
        match auth.is_still_good(&caller).await {
            Ok(true) => (),
            Ok(false) => return,
            Err(error) => {
                tracing::warn!(%caller, %error, "a stream ends: its caller could not be checked again");
                return;
            }
        }
    }
}
