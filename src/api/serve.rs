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
use http::header;
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
use tower::ServiceExt as _;

use super::linger;
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
    /// The port's address cannot be read.
    #[error("the API's port has no address: {0}")]
    Address(#[source] io::Error),
}

/// Serves until `stopping`, then lets requests in flight end.
pub async fn serve(
    router: Router,
    unix: UnixListener,
    tcp: Option<TcpListener>,
    stopping: CancellationToken,
) -> Result<(), ServeError> {
    if let Some(tcp) = &tcp {
        let address = tcp.local_addr().map_err(ServeError::Address)?;
        if !address.ip().is_loopback() {
            return Err(ServeError::NotLoopback(address));
        }
    }
    let port = async {
        if let Some(tcp) = tcp {
            door(tcp, router.clone(), stopping.clone()).await;
        }
    };
    tokio::join!(door(unix, router.clone(), stopping.clone()), port);
    Ok(())
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
        let waits = request.headers().contains_key(header::EXPECT);
        let (head, body) = request.into_parts();
        let (body, rest) = linger::split(body);
        let answer = router.clone().oneshot(http::Request::from_parts(head, Body::new(body)));
        async move {
            let answer = answer.await;
            rest.discard(waits).await;
            answer
        }
    });
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME).max_buf_size(HEAD_MAX);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(connection), service).with_upgrades());
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

#[cfg(test)]
mod tests {
    use axum::extract::Request;
    use axum::middleware::from_fn_with_state;
    use axum::routing::{get, post};
    use http::StatusCode;
    use http_body_util::BodyExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpStream, UnixStream};

    use super::super::around::{Numbers, around};
    use super::*;

    /// Longer than anything here takes, shorter than [`GRACE`].
    const SOON: Duration = Duration::from_secs(5);

    struct Served {
        folder: tempfile::TempDir,
        port: SocketAddr,
        stopping: CancellationToken,
        server: JoinSet<Result<(), ServeError>>,
    }

    impl Served {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let unix = UnixListener::bind(folder.path().join("api.sock")).unwrap();
            let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let port = tcp.local_addr().unwrap();
            let router = Router::new()
                .route("/peer", get(peer))
                .route("/broken", get(broken))
                .route("/over", post(over))
                .route("/begin", post(begin))
                .route("/refused", post(async || StatusCode::UNPROCESSABLE_ENTITY));
            let router = router.layer(from_fn_with_state(Numbers::new(1), around));
            let stopping = CancellationToken::new();
            let mut server = JoinSet::new();
            server.spawn(serve(router, unix, Some(tcp), stopping.clone()));
            Self { folder, port, stopping, server }
        }

        async fn unix(&self) -> UnixStream {
            UnixStream::connect(self.folder.path().join("api.sock")).await.unwrap()
        }

        async fn stop(mut self) {
            self.stopping.cancel();
            timeout(SOON, self.server.join_next()).await.unwrap().unwrap().unwrap().unwrap();
        }
    }

    async fn peer(request: Request) -> String {
        format!("{:?}", request.extensions().get::<Peer>())
    }

    /// Reads what it is sent, takes the connection over and says it back in capitals.
    async fn over(mut request: Request) -> axum::response::Response {
        let upgrade = request.extensions_mut().remove::<hyper::upgrade::OnUpgrade>().unwrap();
        let body = axum::body::to_bytes(request.into_body(), 100).await.unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let mut connection = TokioIo::new(upgrade.await.unwrap());
                connection.write_all(&body.to_ascii_uppercase()).await.unwrap();
            });
        });
        http::Response::builder()
            .status(101)
            .header("connection", "upgrade")
            .header("upgrade", "test")
            .body(Body::empty())
            .unwrap()
    }

    /// Refuses once it has seen the first of what it is sent.
    async fn begin(request: Request) -> StatusCode {
        let mut body = request.into_body();
        body.frame().await.unwrap().unwrap();
        StatusCode::UNPROCESSABLE_ENTITY
    }

    async fn broken() -> &'static str {
        panic!("a handler of this test")
    }

    async fn ask<C: AsyncRead + AsyncWrite + Unpin>(connection: &mut C, path: &str, end: &str) -> String {
        let request = format!("GET {path} HTTP/1.1\r\nhost: rivetr\r\n\r\n");
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(end.as_bytes()) {
            assert_ne!(
                timeout(SOON, connection.read_buf(&mut answer)).await.unwrap().unwrap(),
                0,
                "{answer:?}"
            );
        }
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn handlers_know_the_peer() {
        let served = Served::new().await;
        let uid = nix::unistd::Uid::current();
        ask(&mut served.unix().await, "/peer", &format!("Some(Unix {{ uid: {uid} }})")).await;
        ask(&mut TcpStream::connect(served.port).await.unwrap(), "/peer", "Some(Tcp)").await;
        served.stop().await;
    }

    #[tokio::test]
    async fn a_connection_is_taken_over_after_a_body() {
        let served = Served::new().await;
        let mut connection = served.unix().await;
        let request = "POST /over HTTP/1.1\r\nhost: rivetr\r\nconnection: upgrade\r\nupgrade: test\r\ncontent-length: 2\r\n\r\nhi";
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, connection.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 101") && answer.ends_with("\r\n\r\nHI"), "{answer}");
        served.stop().await;
    }

    #[tokio::test]
    async fn who_is_refused_while_still_sending_hears_why() {
        let served = Served::new().await;
        for path in ["/begin", "/refused"] {
            let mut connection = served.unix().await;
            let head = format!("POST {path} HTTP/1.1\r\nhost: rivetr\r\ncontent-length: 4000000\r\n\r\n");
            connection.write_all(head.as_bytes()).await.unwrap();
            for _ in 0..4000 {
                timeout(SOON, connection.write_all(&[b'x'; 1000])).await.unwrap().unwrap();
            }
            assert!(ask(&mut connection, "/peer", ")").await.starts_with("HTTP/1.1 422"), "{path}");
        }
        served.stop().await;
    }

    #[tokio::test]
    async fn who_waits_to_be_asked_for_the_body_is_told_that_nobody_wants_it() {
        let served = Served::new().await;
        let mut connection = served.unix().await;
        let head =
            "POST /refused HTTP/1.1\r\nhost: rivetr\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n";
        connection.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        timeout(SOON, connection.read_to_string(&mut answer)).await.unwrap().unwrap();
        assert!(answer.starts_with("HTTP/1.1 422"), "{answer}");
        served.stop().await;
    }

    #[tokio::test]
    async fn a_panic_ends_one_request_alone() {
        let served = Served::new().await;
        let mut connection = served.unix().await;
        let answer = ask(&mut connection, "/broken", "}").await;
        assert!(answer.starts_with("HTTP/1.1 500"), "{answer}");
        assert!(!answer.contains("a handler of this test"), "{answer}");
        ask(&mut connection, "/peer", ")").await;
        served.stop().await;
    }

    #[tokio::test]
    async fn a_stop_closes_connections_that_idle() {
        let served = Served::new().await;
        let mut used = served.unix().await;
        ask(&mut used, "/peer", ")").await;
        let mut silent = TcpStream::connect(served.port).await.unwrap();
        ask(&mut TcpStream::connect(served.port).await.unwrap(), "/peer", ")").await;
        served.stop().await;
        assert_eq!(used.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(silent.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_port_that_others_can_reach_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let unix = UnixListener::bind(folder.path().join("api.sock")).unwrap();
        let tcp = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let error = serve(Router::new(), unix, Some(tcp), CancellationToken::new()).await.unwrap_err();
        assert!(error.to_string().contains("other machines can reach"), "{error}");
    }
}
