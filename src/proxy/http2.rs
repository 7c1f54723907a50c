//! One client's connection that speaks HTTP/2, and its end.

use std::cell::Cell;
use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::sleep;
use tokio_util::task::TaskTracker;

use super::body::ClientSource;
use super::forward::{self, Verdict};
use super::limits::{
    CONNECTION_WINDOW, FIELDS_BYTES, FRAME_BYTES, PING_EVERY, PING_WAIT, STREAM_BUFFER, STREAM_WINDOW,
    STREAMS,
};
use super::patient::Patient;
use super::worker::Client;

/// What happens on a connection with many requests at a time.
#[derive(Debug, Default)]
pub(super) struct Activity {
    /// Requests that are being answered.
    busy: Cell<u32>,
    /// Grows whenever one begins or ends.
    turns: Cell<u32>,
}

impl Activity {
    /// Counts a request as being answered until the guard is dropped.
    pub(super) fn enter(self: &Rc<Self>) -> Busy {
        self.busy.set(self.busy.get() + 1);
        self.turns.set(self.turns.get().wrapping_add(1));
        Busy(Rc::clone(self))
    }

    /// Waits until nothing was asked or answered for at least `limit`, and at most twice that.
    async fn quiet(&self, limit: Duration) {
        loop {
            let turns = self.turns.get();
            sleep(limit).await;
            if self.busy.get() == 0 && self.turns.get() == turns {
                return;
            }
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Rc<Activity>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.set(self.0.busy.get() - 1);
        self.0.turns.set(self.0.turns.get().wrapping_add(1));
    }
}

/// Serves many requests at a time.
pub(super) async fn serve<S>(client: Rc<Client>, stream: S) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = Arc::clone(&client.worker.limits);
    let server = {
        let client = Rc::clone(&client);
        let streams = Beside(client.worker.tasks.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let client = Rc::clone(&client);
            let request = request.map(ClientSource::Http2);
            // Whoever carries it moves it several times.
            Box::pin(async move { Ok::<_, Infallible>(forward::serve(client, request, Verdict::Keep).await) })
        });
        http2::Builder::new(streams)
            .timer(TokioTimer::new())
            .max_concurrent_streams(STREAMS)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME_BYTES)
            .max_header_list_size(FIELDS_BYTES)
            .max_send_buf_size(STREAM_BUFFER)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WAIT)
            .serve_connection(TokioIo::new(Patient::new(stream, limits.write_stall)), service)
    };
    tokio::pin!(server);
    let silence = async {
        sleep(limits.first_byte).await;
        if !client.is_new() {
            client.activity.quiet(limits.idle).await;
        }
    };
    let enough = async {
        tokio::select! {
            () = silence => {}
            () = client.worn.notified() => {}
            () = client.worker.stop.cancelled() => {}
        }
    };
    let stalled = client.stalled(limits.write_stall);
    tokio::pin!(stalled);
    tokio::select! {
        ended = server.as_mut() => return ended,
        () = stalled.as_mut() => return Ok(()),
        () = enough => server.as_mut().graceful_shutdown(),
    }
    // A client may open streams until it has heard of the end, and then has nothing left to say.
    tokio::select! {
        ended = server => ended,
        () = stalled => Ok(()),
        () = client.activity.quiet(PING_WAIT) => Ok(()),
    }
}

/// Runs the streams of a connection beside it.
#[derive(Clone)]
pub(super) struct Beside(pub(super) TaskTracker);

impl<F: Future<Output = ()> + 'static> Executor<F> for Beside {
    fn execute(&self, future: F) {
        self.0.spawn_local(future);
    }
}
