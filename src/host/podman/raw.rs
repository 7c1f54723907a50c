//! The calls that podman-api gets wrong or does not have: one request a connection, over the same socket.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{LIMIT, PodmanError};

/// The version of the API that is spoken: every Podman from 4.0 on takes it (FACTS 10).
const API: &str = "/v5.0.0";
/// The longest answer that is read, in bytes: thousands of containers.
const ANSWER_MAX: usize = 32 << 20;

/// Podman's socket.
#[derive(Debug, Clone)]
pub(super) struct Socket {
    path: PathBuf,
}

/// What Podman answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Bytes,
}

impl Socket {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Sends one request without a body and reads the whole answer.
    pub(super) async fn ask(&self, what: &str, method: Method, path: &str) -> Result<Answer, PodmanError> {
        self.send(what, method, path, Bytes::new()).await
    }

    /// Sends one request with the bytes that it is about and reads the whole answer.
    pub(super) async fn send(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, PodmanError> {
        match timeout(LIMIT, self.exchange(what, method, path, body)).await {
            Ok(answer) => answer,
            Err(_) => Err(PodmanError::Slow { what: what.to_owned() }),
        }
    }

    pub(super) fn unreachable(&self, why: &impl Display) -> PodmanError {
        PodmanError::Unreachable { socket: self.path.clone(), why: why.to_string() }
    }

    async fn exchange(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer, PodmanError> {
        let unread = |why: &dyn Display| PodmanError::Answer { what: what.to_owned(), why: why.to_string() };
        let request = Request::builder().method(method).uri(format!("{API}{path}"));
        let request = request.header(header::HOST, "podman").body(Full::new(body));
        let request = request.map_err(|error| unread(&error))?;
        let stream = UnixStream::connect(&self.path).await.map_err(|error| self.unreachable(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = handshake.map_err(|error| self.unreachable(&error))?;
        let mut tasks = JoinSet::new();
        // Its errors reach the request as well.
        tasks.spawn(async move { drop(connection.await) });
        let response = sender.send_request(request).await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
        Ok(Answer { status, body: body.map_err(|error| unread(&error))?.to_bytes() })
    }
}

impl Answer {
    /// The answer if it is one of success.
    pub(super) fn accepted(self, what: &str) -> Result<Self, PodmanError> {
        if self.status.is_success() {
            return Ok(self);
        }
        let (what, status) = (what.to_owned(), self.status.as_u16());
        Err(PodmanError::Refused { what, status, said: self.message() })
    }

    /// The answer's JSON.
    pub(super) fn read<T: DeserializeOwned>(&self, what: &str) -> Result<T, PodmanError> {
        serde_json::from_slice(&self.body)
            .map_err(|error| PodmanError::Answer { what: what.to_owned(), why: error.to_string() })
    }

    /// What an answer of failure says, in Podman's words.
    pub(super) fn message(&self) -> String {
        #[derive(Deserialize)]
        struct Failure {
            message: String,
        }
        serde_json::from_slice::<Failure>(&self.body)
            .map_or_else(|_| String::from_utf8_lossy(&self.body).into_owned(), |failure| failure.message)
    }
}

/// A name as it may stand in the path of a request: slashes and colons are part of image names.
pub(super) fn encode(name: &str) -> String {
    use std::fmt::Write as _;

    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~/:".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").unwrap_or_default();
        }
        text
    })
}
