//! Serves the router on the Unix socket and on a loopback port until it is told to stop.
//!
//! Each connection carries its peer to the handlers. Waits have limits, the number of connections too, and each
//! socket has its own, so that whoever holds the port cannot keep root off the Unix socket.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::{Api, Handles};
use crate::auth::Peer;

/// How long the head of a request may take, and how long a connection may idle before one.
const HEAD_TIME: Duration = Duration::from_secs(30);
/// What one connection buffers of a request's head, in bytes.
const HEAD_MAX: usize = 64 * 1024;
/// Connections on one socket at a time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 256;
/// How long requests in flight may take after the stop was asked for.
const GRACE: Duration = Duration::from_secs(10);
/// How long accepting rests after it failed: for want of descriptors, most likely.
const ACCEPT_REST: Duration = Duration::from_millis(200);

/// Why the API cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The port is open to other machines.
    #[error(
        "the API listens on {0}, which other machines can reach: use 127.0.0.1 or [::1], and the proxy for the rest"
    )]
    NotLoopback(SocketAddr),
    /// A socket cannot be used.
    #[error("a socket of the API cannot be used: {0}")]
    Socket(#[from] io::Error),
}

/// Serves until `stopping`, then lets requests in flight and pushes end.
pub async fn serve(
    handles: Handles,
    unix: std::os::unix::net::UnixListener,
    tcp: Vec<std::net::TcpListener>,
    stopping: CancellationToken,
) -> Result<(), ServeError> {
    unix.set_nonblocking(true)?;
    let unix = UnixListener::from_std(unix)?;
    let tcp = tcp.into_iter().map(on_loopback).collect::<Result<Vec<_>, _>>()?;
    let pushes = TaskTracker::new();
    // Seconds tell this run of the daemon from the one before.
    let run = u32::try_from((handles.clock)().0 / 1000 % i64::from(u32::MAX)).unwrap_or(0);
    let router = Api::new(handles, stopping.clone(), pushes.clone()).router(run);
    let ports = tcp.into_iter().map(|port| door(port, router.clone(), stopping.clone()));
    tokio::join!(door(unix, router.clone(), stopping.clone()), futures_util::future::join_all(ports));
    pushes.close();
    if timeout(GRACE, pushes.wait()).await.is_err() {
        tracing::warn!(left = pushes.len(), "pushes were cut off: they did not end in time");
    }
    Ok(())
}

fn on_loopback(port: std::net::TcpListener) -> Result<TcpListener, ServeError> {
    let address = port.local_addr()?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    port.set_nonblocking(true)?;
    Ok(TcpListener::from_std(port)?)
}

/// A socket that people connect to.
trait Door {
    type Connection: AsyncRead + AsyncWrite + Send + Unpin + 'static;

    async fn open(&self) -> io::Result<(Self::Connection, Peer)>;
}

impl Door for UnixListener {
    type Connection = tokio::net::UnixStream;

    async fn open(&self) -> io::Result<(Self::Connection, Peer)> {
        let (connection, _) = self.accept().await?;
        let uid = connection.peer_cred()?.uid();
        Ok((connection, Peer::Unix { uid }))
    }
}

impl Door for TcpListener {
    type Connection = tokio::net::TcpStream;

    async fn open(&self) -> io::Result<(Self::Connection, Peer)> {
        let (connection, _) = self.accept().await?;
        // Lines of a log are small, and each is wanted at once.
        connection.set_nodelay(true)?;
        Ok((connection, Peer::Tcp))
    }
}

async fn door<D: Door>(door: D, router: Router, stopping: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            Some(ended) = connections.join_next() => report(ended),
            opened = door.open(), if connections.len() < CONNECTIONS_MAX => match opened {
                Ok((connection, peer)) => {
                    connections.spawn(talk(connection, peer, router.clone(), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            },
        }
    }
    drop(door);
    let ended = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if timeout(GRACE, ended).await.is_err() {
        tracing::warn!(left = connections.len(), "connections were cut: their requests did not end in time");
        connections.shutdown().await;
    }
}

async fn talk<C>(connection: C, peer: Peer, router: Router, stopping: CancellationToken)
where
    C: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        router.clone().oneshot(request.map(Body::new))
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(connection), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection ended in a panic");
    }
}
