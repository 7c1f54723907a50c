//! What sends requests on a connection to a target, whichever protocol is spoken there.
//!
//! Requests come in the form of HTTP/1.1 and go out in that of the connection.

use futures_util::TryFutureExt;
use futures_util::future::Either;
use http::header::HOST;
use http::{HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_util::task::TaskTracker;

use super::body::ClientBody;
use super::conversation::Beside;
use super::last_words::LastWords;
use super::limits::{
    CONNECTION_WINDOW, PING_EVERY, PING_WAIT, STREAM_BUFFER, STREAM_WINDOW, UPSTREAM_BUFFER,
};
use super::rules::Protocol;

/// One connection to a target.
pub(super) enum Sender {
    /// One request at a time.
    Http1(http1::SendRequest<ClientBody>),
    /// Many at a time; the connection ends with the last of its senders.
    H2c(http2::SendRequest<ClientBody>),
}

impl Sender {
    /// Speaks HTTP on a new connection; `upgradable` if it may become a tunnel.
    pub(super) async fn begin(
        tasks: &TaskTracker,
        stream: TcpStream,
        protocol: Protocol,
        upgradable: bool,
    ) -> Result<Self, hyper::Error> {
        // How a connection ends is known to whoever waits for its answer.
        let quiet = |error: hyper::Error| tracing::debug!(%error, "a connection to a target ended");
        if protocol == Protocol::H2c {
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
            return Ok(Self::H2c(sender));
        }
        let mut builder = http1::Builder::new();
        builder.max_buf_size(UPSTREAM_BUFFER);
        if upgradable {
            let (sender, connection) = builder.handshake(TokioIo::new(stream)).await?;
            tasks.spawn_local(connection.with_upgrades().unwrap_or_else(quiet));
            return Ok(Self::Http1(sender));
        }
        let (sender, connection) = builder.handshake(TokioIo::new(LastWords(stream))).await?;
        tasks.spawn_local(connection.unwrap_or_else(quiet));
        Ok(Self::Http1(sender))
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
            Self::Http1(sender) => sender.is_ready(),
            Self::H2c(sender) => sender.is_ready(),
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_closed(),
            Self::H2c(sender) => sender.is_closed(),
        }
    }

    /// Sends a request; it comes back with the error if not a byte of it left.
    pub(super) fn try_send(
        &mut self,
        mut request: Request<ClientBody>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<ClientBody>>>> {
        match self {
            Self::Http1(sender) => {
                to_http1(&mut request);
                Either::Left(sender.try_send_request(request))
            }
            Self::H2c(sender) => {
                to_http2(&mut request);
                Either::Right(sender.try_send_request(request))
            }
        }
    }
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
    let parts = std::mem::take(request.uri_mut()).into_parts();
    let host = parts.authority.and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(host) = host {
        request.headers_mut().insert(HOST, host);
    }
    *request.uri_mut() = parts.path_and_query.map(Uri::from).unwrap_or_default();
    *request.version_mut() = Version::HTTP_11;
}
