//! The API as the command line calls it: JSON and event streams over the Unix socket, or over HTTPS or HTTP with a
//! token. It decides nothing about commands and prints nothing.

mod connection;
mod error;
mod events;
mod sse;
mod target;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use futures_util::TryStreamExt;
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited, StreamBody};
use hyper::body::Frame;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::connection::{Body, Connection};
pub use self::error::ClientError;
pub use self::events::{Ends, Events};
pub use self::sse::Event;
pub use self::target::{BadServer, Target};

/// How long an answer may take in full. Reads and queueing take milliseconds; a loaded host is given its time.
const ANSWER_LIMIT: Duration = Duration::from_mins(1);
/// How long what waits for containers may take, such as a deletion: it answers when nothing is left, after requests
/// in flight and a stop.
const PATIENT_LIMIT: Duration = Duration::from_mins(10);
/// How long an upload may take in full: gigabytes over a slow line.
const UPLOAD_LIMIT: Duration = Duration::from_hours(2);
/// The largest answer that is read, in bytes; a page of a list stays far below.
const ANSWER_MAX: usize = 32 << 20;

/// The API of one rivetr.
#[derive(Clone)]
pub struct Client {
    target: Target,
    token: Option<String>,
    ca: Option<PathBuf>,
}

/// A successful answer: the JSON document as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(String);

impl Client {
    /// The API at `target`; a token is needed everywhere but on the socket.
    #[must_use]
    pub fn new(target: Target, token: Option<String>) -> Self {
        Self { target, token, ca: None }
    }

    /// Believes a server over HTTPS that leads to the roots in a file of PEM, and no other.
    #[must_use]
    pub fn with_roots(mut self, ca: Option<PathBuf>) -> Self {
        self.ca = ca;
        self
    }

    /// Where it is.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Asks for a document.
    pub async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.call(Method::GET, path, document(Bytes::new()), ANSWER_LIMIT).await
    }

    /// Sends a document and takes the answer, which comes once containers have started or ended.
    pub async fn post_patiently(&self, path: &str, body: &impl Serialize) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Unsendable)?;
        self.call(Method::POST, path, document(body.into()), PATIENT_LIMIT).await
    }

    /// Sends a document and takes the answer.
    pub async fn post(&self, path: &str, body: &impl Serialize) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Unsendable)?;
        self.call(Method::POST, path, document(body.into()), ANSWER_LIMIT).await
    }

    /// Sends a file as it is read and takes the answer.
    pub async fn upload(&self, path: &str, file: tokio::fs::File) -> Result<Answer, ClientError> {
        self.upload_from(path, file).await
    }

    /// Sends what is read and takes the answer.
    pub async fn upload_from(
        &self,
        path: &str,
        from: impl tokio::io::AsyncRead + Send + 'static,
    ) -> Result<Answer, ClientError> {
        let pieces = tokio_util::io::ReaderStream::new(from).map_ok(Frame::data);
        self.call(Method::POST, path, StreamBody::new(pieces).boxed_unsync(), UPLOAD_LIMIT).await
    }

    /// Writes what is answered as it comes; an error if it breaks off.
    pub async fn download(
        &self,
        path: &str,
        to: &mut (impl tokio::io::AsyncWrite + Unpin),
    ) -> Result<(), ClientError> {
        let request = self.request(Method::GET, path, "*/*").body(document(Bytes::new()));
        let mut connection = Connection::open(&self.target, self.ca.as_deref()).await?;
        let (head, body) = connection.send(request).await?.into_parts();
        if !head.status.is_success() {
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            let body = body.map_err(|source| ClientError::broken(&self.target, source))?.to_bytes();
            return Err(ClientError::of_status(&self.target, head.status, &body));
        }
        let mut body = body;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|source| ClientError::broken(&self.target, source))?;
            if let Ok(bytes) = frame.into_data() {
                let written = tokio::io::AsyncWriteExt::write_all(to, &bytes).await;
                written.map_err(|source| ClientError::broken(&self.target, source))?;
            }
        }
        let flushed = tokio::io::AsyncWriteExt::flush(to).await;
        flushed.map_err(|source| ClientError::broken(&self.target, source))
    }

    /// Sends a document and takes the connection over for what comes then.
    pub async fn upgrade(
        &self,
        path: &str,
        protocol: &'static str,
        body: &impl Serialize,
    ) -> Result<TokioIo<Upgraded>, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Unsendable)?;
        let exchange = async {
            let request = self.request(Method::POST, path, "application/json");
            let request = request.header(header::CONNECTION, "Upgrade").header(header::UPGRADE, protocol);
            let mut connection = Connection::open(&self.target, self.ca.as_deref()).await?;
            let response = connection.send(request.body(document(body.into()))).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let upgraded = hyper::upgrade::on(response).await;
                return upgraded
                    .map(TokioIo::new)
                    .map_err(|source| ClientError::broken(&self.target, source));
            }
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            let body = body.map_err(|source| ClientError::broken(&self.target, source))?.to_bytes();
            Err(ClientError::of_status(&self.target, head.status, &body))
        };
        let limit = ANSWER_LIMIT;
        let timed_out = |_| ClientError::TimedOut { target: self.target.clone(), limit };
        tokio::time::timeout(limit, exchange).await.map_err(timed_out)?
    }

    /// Makes something be as it is sent, and takes the answer.
    pub async fn put(&self, path: &str, body: &impl Serialize) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Unsendable)?;
        self.call(Method::PUT, path, document(body.into()), ANSWER_LIMIT).await
    }

    /// Sends a change and takes the answer.
    pub async fn patch(&self, path: &str, body: &impl Serialize) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(body).map_err(ClientError::Unsendable)?;
        self.call(Method::PATCH, path, document(body.into()), ANSWER_LIMIT).await
    }

    /// Deletes; returns when it is done.
    pub async fn delete(&self, path: &str) -> Result<Answer, ClientError> {
        self.call(Method::DELETE, path, document(Bytes::new()), PATIENT_LIMIT).await
    }

    /// Follows a stream of events; see [`Events`] for what happens when it breaks.
    pub async fn events(&self, path: &str, ends: Ends) -> Result<Events, ClientError> {
        Events::open(self.clone(), path.to_owned(), ends).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Body,
        limit: Duration,
    ) -> Result<Answer, ClientError> {
        let exchange = async {
            let request = self.request(method, path, "application/json").body(body);
            let mut connection = Connection::open(&self.target, self.ca.as_deref()).await?;
            let response = connection.send(request).await?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, ANSWER_MAX).collect().await;
            let body = body.map_err(|source| ClientError::broken(&self.target, source))?.to_bytes();
            if head.status.is_success() {
                return Answer::parse(&self.target, &body);
            }
            Err(ClientError::of_status(&self.target, head.status, &body))
        };
        let timed_out = |_| ClientError::TimedOut { target: self.target.clone(), limit };
        tokio::time::timeout(limit, exchange).await.map_err(timed_out)?
    }

    fn request(&self, method: Method, path: &str, accept: &str) -> http::request::Builder {
        let request = http::Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::HOST, self.target.authority())
            .header(http::header::ACCEPT, accept)
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::USER_AGENT, concat!("rivetr/", env!("CARGO_PKG_VERSION")));
        match &self.token {
            Some(token) => request.header(http::header::AUTHORIZATION, format!("Bearer {token}")),
            None => request,
        }
    }
}

/// A body that is there already.
fn document(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

/// The token is not shown.
impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("target", &self.target).finish_non_exhaustive()
    }
}

impl Answer {
    /// The document as it came; empty where there is nothing to say.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The document as a type of the wire.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_str(&self.0).map_err(ClientError::NotUnderstood)
    }

    fn parse(target: &Target, body: &[u8]) -> Result<Self, ClientError> {
        let text = str::from_utf8(body).map_err(|_| ClientError::NotRivetr { target: target.clone() })?;
        Ok(Self(text.trim().to_owned()))
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
