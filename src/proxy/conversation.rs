//! One client's connection while it is served: HTTP/1.1 or HTTP/2 over whatever carries it, and its end.
//!
//! Which of the two is spoken was agreed on in the TLS handshake; nothing is guessed from the bytes. Without TLS it is
//! HTTP/1.1.

use std::convert::Infallible;
use std::rc::Rc;
use std::sync::Arc;

use http::Request;
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use super::forward;
use super::limits::{
    CONNECTION_WINDOW, FIELDS_BYTES, FRAME_BYTES, HEAD_BYTES, PING_EVERY, PING_WAIT, STREAM_BUFFER,
    STREAM_WINDOW, STREAMS,
};
use super::patient::Patient;
use super::wire::Intake;
use super::worker::Client;

/// Serves one request after the other.
pub(super) async fn http1<S>(client: Rc<Client>, stream: S) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let limits = Arc::clone(&client.worker.limits);
    let intake = Intake::new(stream, Arc::clone(&client.wire), Arc::clone(&limits));
    let server = {
        let client = Rc::clone(&client);
        let service = service_fn(move |request: Request<Incoming>| {
            let client = Rc::clone(&client);
            async move { Ok::<_, Infallible>(forward::serve(client, request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            // Intake's deadlines come first; this one stands behind them.
            .header_read_timeout(limits.idle.max(limits.first_byte) + limits.header)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(intake), service)
            .with_upgrades()
    };
    tokio::pin!(server);
    tokio::select! {
        ended = server.as_mut() => ended,
        () = client.worker.stop.cancelled() => match timeout(limits.farewell, server.as_mut()).await {
            Ok(ended) => ended,
            // hyper would wait for a first request.
            Err(_over) if !client.wire.touched() => {
                client.wire.close();
                server.await
            }
            Err(_over) => {
                server.as_mut().graceful_shutdown();
                server.await
            }
        },
    }
}

/// Serves many requests at a time.
pub(super) async fn http2<S>(client: Rc<Client>, stream: S) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let limits = Arc::clone(&client.worker.limits);
    let server = {
        let client = Rc::clone(&client);
        let streams = Beside(client.worker.tasks.clone());
        let service = service_fn(move |request: Request<Incoming>| {
            let client = Rc::clone(&client);
            async move { Ok::<_, Infallible>(forward::serve(client, request).await) }
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
            client.wire.quiet(limits.idle).await;
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
        () = client.wire.quiet(PING_WAIT) => Ok(()),
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
