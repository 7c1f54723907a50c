//! What sends requests on a connection to a target, whichever protocol is spoken there.
//!
//! Requests come in the form of HTTP/1.1 and go out in that of the connection.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::TryFutureExt;
use http::header::HOST;
use http::{Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;

use super::body::{ClientBody, TargetSource};
use super::deadline::Deadline;
use super::fields::{Introduction, unmake};
use super::http1::{Exchange, Idle, NoAnswer};
use super::http2::Beside;
use super::limits::{
    CONNECTION_WINDOW, PING_EVERY, PING_WAIT, STREAM_BUFFER, STREAM_WINDOW, UPSTREAM_BUFFER,
};
use super::rules::Protocol;
use super::scratch;

/// One connection to a target.
pub(super) enum Sender {
    /// One request at a time.
    Http1(Idle),
    /// Many at a time; the connection ends with the last of its senders.
    H2c(http2::SendRequest<ClientBody>),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(super) enum SendError {
    #[error(transparent)]
    Http1(#[from] NoAnswer),
    #[error(transparent)]
    H2c(#[from] hyper::Error),
}

/// A request that was not answered.
pub(super) struct Unsent {
    /// The request again, if it has no body or not a byte of it left.
    pub(super) request: Option<Box<Request<ClientBody>>>,
    /// Whether any byte of it has left, so that the target may have taken it.
    pub(super) begun: bool,
    pub(super) error: SendError,
}

impl Sender {
    /// Speaks HTTP on a new connection.
    pub(super) async fn begin(
        tasks: &TaskTracker,
        stream: TcpStream,
        protocol: Protocol,
    ) -> Result<Self, hyper::Error> {
        if protocol == Protocol::Http1 {
            return Ok(Self::Http1(Idle::new(stream)));
        }
        // How a connection ends is known to whoever waits for its answer.
        let quiet = |error: hyper::Error| tracing::debug!(%error, "a connection to a target ended");
        let mut builder = http2::Builder::new(Beside(tasks.clone()));
        builder
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(u32::try_from(UPSTREAM_BUFFER).unwrap_or(u32::MAX))
            .max_send_buf_size(STREAM_BUFFER)
            .keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_WAIT);
        let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
        tasks.spawn_local(connection.unwrap_or_else(quiet));
        Ok(Self::H2c(sender))
    }

    /// Another sender on the same connection, if it takes many requests at a time.
    pub(super) fn share(&self) -> Option<Self> {
        match self {
            Self::Http1(_) => None,
            Self::H2c(sender) => Some(Self::H2c(sender.clone())),
        }
    }

    pub(super) fn protocol(&self) -> Protocol {
        match self {
            Self::Http1(_) => Protocol::Http1,
            Self::H2c(_) => Protocol::H2c,
        }
    }

    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(_) => true,
            Self::H2c(sender) => sender.is_ready(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(connection) => connection.is_closed(),
            Self::H2c(sender) => sender.is_closed(),
        }
    }

    /// Sends a request, and who asks.
    pub(super) fn send(self, mut request: Request<ClientBody>, introduction: &Introduction) -> Sending {
        match self {
            Self::Http1(connection) => {
                to_http1(&mut request);
                Sending::Http1(Some(Box::new(Exchange::new(connection, request, introduction))))
            }
            Self::H2c(mut sender) => {
                introduction.make(request.headers_mut());
                to_http2(&mut request);
                let spare = copy(&request).map(Box::new);
                Sending::H2c(Box::pin(sender.try_send_request(request)), spare, Deadline::default())
            }
        }
    }
}

/// A request on its way.
pub(super) enum Sending {
    /// None once it was answered.
    Http1(Option<Box<Exchange>>),
    /// With the request again, if it has no body.
    H2c(Pin<Box<dyn Future<Output = SentH2c>>>, Option<Box<Request<ClientBody>>>, Deadline),
}

type SentH2c = Result<Response<Incoming>, TrySendError<Request<ClientBody>>>;

impl Sending {
    /// Waits for the head of the answer; none once it is `due`, which may move.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        due: impl FnOnce() -> Instant,
    ) -> Poll<Option<Result<Response<TargetSource>, Unsent>>> {
        match self {
            Self::Http1(exchange) => {
                let Some(asking) = exchange else { return Poll::Pending };
                match scratch::with(|scratch| asking.poll_answer(cx, scratch)) {
                    Poll::Ready(answer) => Poll::Ready(exchange.take().map(|exchange| match answer {
                        Ok(answer) => Ok(answer.map(|()| TargetSource::Http1(exchange))),
                        Err(error) => {
                            let begun = exchange.has_begun();
                            Err(Unsent {
                                request: exchange.unsent().map(Box::new),
                                begun,
                                error: error.into(),
                            })
                        }
                    })),
                    Poll::Pending => asking.waiting().poll_until(cx, due()).map(|()| None),
                }
            }
            Self::H2c(sent, spare, deadline) => match sent.as_mut().poll(cx) {
                Poll::Ready(Ok(response)) => Poll::Ready(Some(Ok(response.map(TargetSource::H2c)))),
                Poll::Ready(Err(mut failed)) => {
                    let unsent = failed.take_message().map(Box::new);
                    let begun = unsent.is_none();
                    let request = unsent.or_else(|| spare.take());
                    Poll::Ready(Some(Err(Unsent { request, begun, error: failed.into_error().into() })))
                }
                Poll::Pending => deadline.poll_until(cx, due()).map(|()| None),
            },
        }
    }
}

/// The same request again, for one that has no body.
fn copy(request: &Request<ClientBody>) -> Option<Request<ClientBody>> {
    let mut copy = Request::new(request.body().again()?);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// The host moves into the address.
fn to_http2(request: &mut Request<ClientBody>) {
    let host = request.headers_mut().remove(HOST);
    let mut parts = std::mem::take(request.uri_mut()).into_parts();
    parts.authority = host.and_then(|host| host.as_bytes().try_into().ok()).or(parts.authority);
    parts.scheme = Some(http::uri::Scheme::HTTP);
    // A host and a path were taken from a request that had both; without them it is refused by whoever sends it.
    *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
    *request.version_mut() = Version::HTTP_2;
}

/// And back again, for a request that comes from a connection it was not sent on.
fn to_http1(request: &mut Request<ClientBody>) {
    if request.version() != Version::HTTP_2 {
        return;
    }
    unmake(request.headers_mut());
    let parts = std::mem::take(request.uri_mut()).into_parts();
    *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
}
