//! Reads on where a request was answered before it was read: a connection that is closed on somebody who still writes
//! loses them the answer, and with it what was wrong. What is read is thrown away.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::timeout;

/// How long is read on. Whoever needs longer loses the answer, and holds a connection no longer than that.
const LINGER: Duration = Duration::from_secs(5);

/// The body of a request, as who answers it reads it.
pub(super) struct Read<B>(Arc<Mutex<State<B>>>);

/// The same body, for what is left of it then.
pub(super) struct Rest<B>(Arc<Mutex<State<B>>>);

struct State<B> {
    body: B,
    /// Whether anything of it was asked for.
    begun: bool,
}

/// Splits a request's body for who answers it and for what comes after.
pub(super) fn split<B>(body: B) -> (Read<B>, Rest<B>) {
    let state = Arc::new(Mutex::new(State { body, begun: false }));
    (Read(state.clone()), Rest(state))
}

impl<B: Body<Data = Bytes> + Unpin> Rest<B> {
    /// Reads what is left, for a while. A caller who `waits` to be asked for the body is not asked now; and where
    /// somebody still reads while the answer is on its way, the rest is theirs.
    pub(super) async fn discard(self, waits: bool) {
        let Some(state) = Arc::into_inner(self.0) else { return };
        let mut state = state.into_inner().unwrap_or_else(PoisonError::into_inner);
        if waits && !state.begun {
            return;
        }
        let end = async { while let Some(Ok(_)) = state.body.frame().await {} };
        if timeout(LINGER, end).await.is_err() {
            tracing::debug!("a caller went on sending what is not read");
        }
    }
}

impl<B> Read<B> {
    fn state(&self) -> MutexGuard<'_, State<B>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Read<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let mut state = self.state();
        state.begun = true;
        Pin::new(&mut state.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.state().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.state().body.size_hint()
    }
}
