//! One HTTP/1.1 connection for one exchange. Connecting to the local socket costs microseconds, so none is kept.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::error::ClientError;
use super::target::Target;
use crate::remote::tls::believing;

/// How long connecting may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// What a request carries: a document, or a file as it is read.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A connection that ends when it is dropped.
pub(super) struct Connection {
    target: Target,
    sender: http1::SendRequest<Body>,
    /// Moves the bytes; its errors also reach whoever waits for the answer.
    _driver: JoinSet<hyper::Result<()>>,
}

impl Connection {
    /// Connects; a server over HTTPS has to lead to the roots in `ca`, or if none are named to those of this machine.
    pub(super) async fn open(target: &Target, ca: Option<&Path>) -> Result<Self, ClientError> {
        match target {
            Target::Socket(path) => {
                let stream = within_limit(target, UnixStream::connect(path)).await?;
                Self::shake_hands(target, stream).await
            }
            Target::Http { secure, host, port } => {
                let connecting = TcpStream::connect((host.as_str(), *port));
                if !secure {
                    return Self::shake_hands(target, within_limit(target, connecting).await?).await;
                }
                let greeting = async {
                    let config = believing(ca).map_err(io::Error::other)?;
                    let name = ServerName::try_from(host.clone()).map_err(io::Error::other)?;
                    TlsConnector::from(Arc::new(config)).connect(name, connecting.await?).await
                };
                Self::shake_hands(target, within_limit(target, greeting).await?).await
            }
        }
    }

    pub(super) async fn send(
        &mut self,
        request: http::Result<http::Request<Body>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let request = request.map_err(ClientError::NotHttp)?;
        self.sender.send_request(request).await.map_err(|source| ClientError::broken(&self.target, source))
    }

    async fn shake_hands(
        target: &Target,
        stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    ) -> Result<Self, ClientError> {
        let handshake = http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|source| ClientError::broken(target, source))?;
        let mut driver = JoinSet::new();
        driver.spawn(connection.with_upgrades());
        Ok(Self { target: target.clone(), sender, _driver: driver })
    }
}

async fn within_limit<S>(
    target: &Target,
    connecting: impl Future<Output = io::Result<S>>,
) -> Result<S, ClientError> {
    let limited = tokio::time::timeout(CONNECT_LIMIT, connecting).await;
    let timed_out = |_| ClientError::TimedOut { target: target.clone(), limit: CONNECT_LIMIT };
    let unreachable = |source| ClientError::Unreachable { target: target.clone(), source };
    limited.map_err(timed_out)?.map_err(unreachable)
}
