//! Server-sent events that end when they should: with what they tell of, when the caller's token ends, or when the
//! daemon stops.

use std::time::Duration;

use axum::BoxError;
use axum::response::sse::{Event, KeepAlive};
use axum::response::{IntoResponse, Sse};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::auth::{Auth, Caller};

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
