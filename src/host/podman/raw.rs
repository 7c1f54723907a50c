//! The calls that podman-api gets wrong or does not have: one request a connection, over the same socket.

use std::fmt::Display;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyDataStream, BodyExt, Full, Limited, StreamBody};
use hyper::body::{Body as HttpBody, Frame, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::UnixStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{LIMIT, PodmanError};

/// The version of the API that is spoken: every Podman from 4.0 on takes it (FACTS 10).
const API: &str = "/v5.0.0";
/// How long an image may take to come or go: gigabytes, which Podman writes to its disk first.
const LONG_LIMIT: Duration = Duration::from_hours(2);
/// How often a request is sent that nobody answered. Podman's service ends once it has been idle for 5 s, and drops
/// what comes at that very moment; whoever comes next is answered by a new one, which its socket starts.
pub(super) const TRIES: usize = 3;
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

/// What a request is about.
#[derive(Clone)]
struct Body {
    media: Option<&'static str>,
    bytes: Bytes,
}

impl Body {
    fn none() -> Self {
        Self { media: None, bytes: Bytes::new() }
    }

    fn json(what: &str, body: &impl Serialize) -> Result<Self, PodmanError> {
        let bytes = serde_json::to_vec(body).map_err(|error| unread(what, &error))?;
        Ok(Self { media: Some("application/json"), bytes: bytes.into() })
    }
}

impl Socket {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Sends one request without a body and reads the whole answer.
    pub(super) async fn ask(&self, what: &str, method: Method, path: &str) -> Result<Answer, PodmanError> {
        in_time(what, self.exchange(what, method, path, Body::none())).await
    }

    /// Sends one request with the bytes that it is about and reads the whole answer.
    pub(super) async fn send(
        &self,
        what: &str,
        method: Method,
        path: &str,
        bytes: Bytes,
    ) -> Result<Answer, PodmanError> {
        in_time(what, self.exchange(what, method, path, Body { media: None, bytes })).await
    }

    /// Sends a JSON document and reads the whole answer.
    pub(super) async fn post(
        &self,
        what: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer, PodmanError> {
        let body = Body::json(what, body)?;
        in_time(what, self.exchange(what, Method::POST, path, body)).await
    }

    /// Sends a JSON document and takes the connection over for what comes then.
    pub(super) async fn take_over(
        &self,
        what: &str,
        path: &str,
        body: &impl Serialize,
    ) -> Result<TokioIo<Upgraded>, PodmanError> {
        let body = Body::json(what, body)?;
        let exchange = async {
            let mut tasks = JoinSet::new();
            let response = self.request(what, Method::POST, path, body, true, &mut tasks).await?;
            if response.status() != StatusCode::SWITCHING_PROTOCOLS {
                let answer = read(what, response).await?;
                let (what, status) = (what.to_owned(), answer.status.as_u16());
                return Err(PodmanError::Refused { what, status, said: answer.message() });
            }
            hyper::upgrade::on(response).await.map(TokioIo::new).map_err(|error| self.unreachable(&error))
        };
        in_time(what, exchange).await
    }

    pub(super) fn unreachable(&self, why: &impl Display) -> PodmanError {
        PodmanError::Unreachable { socket: self.path.clone(), why: why.to_string() }
    }

    /// For what may be asked twice: all but the start of a command.
    async fn exchange(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Answer, PodmanError> {
        let mut tries = 1;
        loop {
            // Boxed, as it is a part of many larger futures.
            match Box::pin(self.exchange_once(what, method.clone(), path, body.clone())).await {
                Err(PodmanError::Unreachable { .. }) if tries < TRIES => tries += 1,
                answered => return answered,
            }
        }
    }

    async fn exchange_once(
        &self,
        what: &str,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Answer, PodmanError> {
        let mut tasks = JoinSet::new();
        let response = self.request(what, method, path, body, false, &mut tasks).await?;
        read(what, response).await
    }

    async fn request(
        &self,
        what: &str,
        method: Method,
        path: &str,
        Body { media, bytes }: Body,
        upgrade: bool,
        tasks: &mut JoinSet<()>,
    ) -> Result<Response<Incoming>, PodmanError> {
        let mut request =
            Request::builder().method(method).uri(format!("{API}{path}")).header(header::HOST, "podman");
        if let Some(media) = media {
            request = request.header(header::CONTENT_TYPE, media);
        }
        if upgrade {
            request = request.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, "tcp");
        }
        let request = request.body(Full::new(bytes)).map_err(|error| unread(what, &error))?;
        let mut sender = self.connect(tasks).await?;
        sender.send_request(request).await.map_err(|error| self.unreachable(&error))
    }

    /// A connection that lasts as long as `tasks`.
    async fn connect<B>(&self, tasks: &mut JoinSet<()>) -> Result<SendRequest<B>, PodmanError>
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let stream = UnixStream::connect(&self.path).await.map_err(|error| self.unreachable(&error))?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| self.unreachable(&error))?;
        // Its errors reach the request as well.
        tasks.spawn(async move { drop(connection.with_upgrades().await) });
        Ok(sender)
    }

    /// Asks for something of any length, which is handed over as it comes.
    pub(super) async fn fetch(&self, what: &str, path: &str) -> Result<Fetched, PodmanError> {
        let mut tasks = JoinSet::new();
        let asked = self.request(what, Method::GET, path, Body::none(), false, &mut tasks);
        let response = timeout(LONG_LIMIT, asked).await;
        let response = response.unwrap_or_else(|_| Err(PodmanError::Slow { what: what.to_owned() }))?;
        if !response.status().is_success() {
            read(what, response).await?.accepted(what)?;
            return Err(unread(what, &"it answers with nothing"));
        }
        Ok(Fetched { body: response.into_body().into_data_stream(), _tasks: tasks })
    }

    /// Sends something of any length as it is read, and reads the whole answer.
    pub(super) async fn give<S, E>(&self, what: &str, path: &str, from: S) -> Result<Answer, PodmanError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let mut tasks = JoinSet::new();
        let body = StreamBody::new(from.map_ok(Frame::data));
        let request = Request::post(format!("{API}{path}")).header(header::HOST, "podman");
        let request = request.header(header::CONTENT_TYPE, "application/x-tar").body(body);
        let request = request.map_err(|error| unread(what, &error))?;
        let exchange = async {
            let mut sender = self.connect(&mut tasks).await?;
            let response = sender.send_request(request).await.map_err(|error| self.unreachable(&error))?;
            read(what, response).await
        };
        let given = timeout(LONG_LIMIT, exchange).await;
        given.unwrap_or_else(|_| Err(PodmanError::Slow { what: what.to_owned() }))
    }
}

/// What Podman hands over, piece by piece.
pub(super) struct Fetched {
    body: BodyDataStream<Incoming>,
    _tasks: JoinSet<()>,
}

impl Stream for Fetched {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.body.poll_next_unpin(context).map_err(io::Error::other)
    }
}

async fn in_time<T>(
    what: &str,
    exchange: impl Future<Output = Result<T, PodmanError>>,
) -> Result<T, PodmanError> {
    timeout(LIMIT, exchange).await.unwrap_or_else(|_| Err(PodmanError::Slow { what: what.to_owned() }))
}

async fn read(what: &str, response: Response<Incoming>) -> Result<Answer, PodmanError> {
    let status = response.status();
    let body = Limited::new(response.into_body(), ANSWER_MAX).collect().await;
    Ok(Answer { status, body: body.map_err(|error| unread(what, &error))?.to_bytes() })
}

fn unread(what: &str, why: &dyn Display) -> PodmanError {
    PodmanError::Answer { what: what.to_owned(), why: why.to_string() }
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
        serde_json::from_slice(&self.body).map_err(|error| unread(what, &error))
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
