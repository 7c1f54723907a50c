//! A storage that speaks S3: objects put there whole or in parts, read as a stream, listed and removed.
//!
//! It keeps nothing and decides nothing. At most one part is in memory, so that what is put there may be of any length.

mod error;
mod sign;
mod upload;
mod xml;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, stream};
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, HeaderValue};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{sleep, timeout};

pub use self::error::S3Error;
use self::sign::{Signed, Signer};
pub use self::upload::{PART, Upload};
use super::tls;
use crate::domain::s3::Location;
use crate::domain::secret::Secret;
use crate::domain::time::Timestamp;

/// How long a connection may take to be there.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long an answer without an object may take; with a part of 8 MiB to send, 15 kB/s are still enough.
const ANSWER_LIMIT: Duration = Duration::from_mins(10);
/// How long an object may bring nothing.
const SILENCE_LIMIT: Duration = Duration::from_mins(1);
/// How long a connection is kept that nobody uses.
const IDLE_LIMIT: Duration = Duration::from_secs(20);
/// The longest answer that is no object, in bytes; a list of a thousand names is 300 KiB.
const ANSWER_MAX: usize = 2 << 20;
/// How long to wait before each further try.
const AGAIN: [Duration; 4] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(5), Duration::from_secs(15)];

/// One bucket, and who comes to it. Cheap to clone.
#[derive(Clone)]
pub struct Storage(Arc<Inner>);

struct Inner {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    location: Location,
    key_id: String,
    secret: Secret,
    clock: fn() -> Timestamp,
}

/// An object that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Its key, without the prefix of the location.
    pub key: String,
    /// Its length in bytes.
    pub bytes: u64,
}

/// What is asked.
#[derive(Clone, Copy)]
struct Wish<'a> {
    /// In words, as in "it did not …".
    what: &'a str,
    method: &'a Method,
    /// The object; none: the bucket.
    key: Option<&'a str>,
    query: &'a [(&'a str, &'a str)],
    body: &'a Bytes,
}

struct Answer {
    fields: HeaderMap,
    body: Bytes,
}

impl Storage {
    /// A storage that is not spoken to yet.
    pub fn new(
        location: Location,
        key_id: String,
        secret: Secret,
        clock: fn() -> Timestamp,
    ) -> Result<Self, S3Error> {
        let config = match &location.ca {
            Some(pem) => tls::believing_pem(pem.as_bytes()),
            None => tls::believing(None),
        };
        let config = config.map_err(S3Error::Here)?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT_LIMIT));
        http.set_nodelay(true);
        let builder = HttpsConnectorBuilder::new().with_tls_config(config);
        let builder = if location.endpoint.tls { builder.https_only() } else { builder.https_or_http() };
        let connector = builder.enable_http1().wrap_connector(http);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_LIMIT);
        let client = builder.build(connector);
        Ok(Self(Arc::new(Inner { client, location, key_id, secret, clock })))
    }

    /// Begins an object, which is there once the upload is finished.
    #[must_use]
    pub fn upload(&self, key: &str) -> Upload {
        Upload::new(self.clone(), key)
    }

    /// Puts a short object there.
    pub async fn put(&self, key: &str, body: Bytes) -> Result<(), S3Error> {
        let what = "keep an object";
        self.ask(Wish { what, method: &Method::PUT, key: Some(key), query: &[], body: &body }).await.map(drop)
    }

    /// An object, as it comes, with its length.
    pub async fn get(
        &self,
        key: &str,
    ) -> Result<(Option<u64>, impl Stream<Item = io::Result<Bytes>> + Send + use<>), S3Error> {
        let wish = Wish {
            what: "give an object",
            method: &Method::GET,
            key: Some(key),
            query: &[],
            body: &Bytes::new(),
        };
        let answer = self.answered(wish).await?;
        let length = length(answer.headers());
        let pieces = stream::try_unfold(answer.into_body(), |mut body| async {
            loop {
                let late =
                    |_| io::Error::new(io::ErrorKind::TimedOut, "the storage has sent nothing for a minute");
                let Some(frame) = timeout(SILENCE_LIMIT, body.frame()).await.map_err(late)? else {
                    return Ok(None);
                };
                let frame = frame.map_err(|error| io::Error::other(error::chain(&error)))?;
                if let Ok(bytes) = frame.into_data() {
                    return Ok(Some((bytes, body)));
                }
            }
        });
        Ok((length, pieces))
    }

    /// How long an object is; none: it is not there.
    pub async fn head(&self, key: &str) -> Result<Option<u64>, S3Error> {
        let wish = Wish {
            what: "look at an object",
            method: &Method::HEAD,
            key: Some(key),
            query: &[],
            body: &Bytes::new(),
        };
        match self.ask(wish).await {
            Ok(answer) => Ok(length(&answer.fields)),
            Err(S3Error::Refused { status: 404, .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes an object; one that is not there is as good as removed.
    pub async fn delete(&self, key: &str) -> Result<(), S3Error> {
        let wish = Wish {
            what: "remove an object",
            method: &Method::DELETE,
            key: Some(key),
            query: &[],
            body: &Bytes::new(),
        };
        match self.ask(wish).await {
            Ok(_) | Err(S3Error::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Every object whose key begins so.
    pub async fn list(&self, beginning: &str) -> Result<Vec<Object>, S3Error> {
        let full = self.key(beginning);
        let own = self.0.location.prefix.as_str();
        let mut found = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let mut query = vec![("list-type", "2"), ("prefix", full.as_str())];
            query.extend(next.as_deref().map(|next| ("continuation-token", next)));
            let wish = Wish {
                what: "list objects",
                method: &Method::GET,
                key: None,
                query: &query,
                body: &Bytes::new(),
            };
            let body = self.ask(wish).await?.text()?;
            for object in xml::elements(&body, "Contents") {
                let key = xml::text(object, "Key").ok_or_else(|| S3Error::answer("an object has no key"))?;
                let bytes = xml::text(object, "Size").and_then(|size| size.parse().ok());
                let bytes = bytes.ok_or_else(|| S3Error::answer("an object has no size"))?;
                found.push(Object { key: key.strip_prefix(own).unwrap_or(&key).to_owned(), bytes });
            }
            next = xml::text(&body, "NextContinuationToken").filter(|token| !token.is_empty());
            if next.is_none() || xml::text(&body, "IsTruncated").as_deref() != Some("true") {
                return Ok(found);
            }
        }
    }

    /// Forgets the parts of uploads of an object that nobody will finish. A storage that does not list them has to
    /// forget them by a rule of its own.
    pub async fn abort_uploads(&self, key: &str) -> Result<(), S3Error> {
        let full = self.key(key);
        let query = [("uploads", ""), ("prefix", full.as_str())];
        let what = "list uploads";
        let wish = Wish { what, method: &Method::GET, key: None, query: &query, body: &Bytes::new() };
        let body = match self.ask(wish).await {
            Err(S3Error::Refused { status: 405 | 501, .. }) => return Ok(()),
            answer => answer?.text()?,
        };
        for upload in xml::elements(&body, "Upload") {
            let (Some(found), Some(id)) = (xml::text(upload, "Key"), xml::text(upload, "UploadId")) else {
                continue;
            };
            if found == full {
                self.abort(key, &id).await?;
            }
        }
        Ok(())
    }

    async fn abort(&self, key: &str, id: &str) -> Result<(), S3Error> {
        let query = [("uploadId", id)];
        let wish = Wish {
            what: "forget an upload",
            method: &Method::DELETE,
            key: Some(key),
            query: &query,
            body: &Bytes::new(),
        };
        match self.ask(wish).await {
            Ok(_) | Err(S3Error::Refused { status: 404, .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn key(&self, key: &str) -> String {
        format!("{}{key}", self.0.location.prefix.as_str())
    }

    /// Asks and reads the whole answer.
    async fn ask(&self, wish: Wish<'_>) -> Result<Answer, S3Error> {
        let (parts, body) = self.answered(wish).await?.into_parts();
        let body = timeout(ANSWER_LIMIT, Limited::new(body, ANSWER_MAX).collect()).await;
        let body = body.map_err(|_| self.unreachable("its answer did not end in time"))?;
        let body = body.map_err(|error| self.unreachable(&error))?.to_bytes();
        Ok(Answer { fields: parts.headers, body })
    }

    /// Asks until it is answered with a yes or a no that will not change.
    async fn answered(&self, wish: Wish<'_>) -> Result<Response<Incoming>, S3Error> {
        let mut pauses = AGAIN.iter();
        loop {
            let error = match self.once(wish).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.is_passing()) else { return Err(error) };
            tracing::info!(%error, "the storage is asked again");
            sleep(*pause).await;
        }
    }

    async fn once(&self, wish: Wish<'_>) -> Result<Response<Incoming>, S3Error> {
        let request = self.request(wish)?;
        let answer = timeout(ANSWER_LIMIT, self.0.client.request(request)).await;
        let answer = answer.map_err(|_| self.unreachable("it did not answer in time"))?;
        let answer = answer.map_err(|error| self.unreachable(&error::chain(&error)))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let status = answer.status();
        let body = timeout(SILENCE_LIMIT, Limited::new(answer.into_body(), ANSWER_MAX).collect()).await;
        let body =
            body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes).unwrap_or_default();
        Err(self.refused(wish.what, status, &String::from_utf8_lossy(&body)))
    }

    fn request(&self, wish: Wish<'_>) -> Result<Request<Full<Bytes>>, S3Error> {
        let Inner { location, key_id, secret, clock, .. } = &*self.0;
        let mut path = location.path();
        if let Some(key) = wish.key {
            path = format!("{path}/{}", self.key(key));
        }
        let (host, moment, body) = (location.host(), sign::moment(clock()), sign::sha256(wish.body));
        let fields = [("host", host.as_str()), ("x-amz-content-sha256", &body), ("x-amz-date", &moment)];
        let signer = Signer { key_id, secret, region: location.region.as_str(), moment: &moment };
        let request = Signed {
            method: wish.method.as_str(),
            path: &path,
            query: wish.query,
            fields: &fields,
            body: &body,
        };
        let mut authorization = HeaderValue::try_from(signer.authorization(&request)).map_err(|_| {
            S3Error::Here(
                "the name of the access key cannot be sent: write it as the storage shows it".to_owned(),
            )
        })?;
        authorization.set_sensitive(true);
        let scheme = if location.endpoint.tls { "https" } else { "http" };
        let mut address = format!("{scheme}://{host}{}", sign::path(&path));
        if !wish.query.is_empty() {
            address = format!("{address}?{}", sign::query(wish.query));
        }
        let request = Request::builder()
            .method(wish.method)
            .uri(address)
            .header(HOST, &host)
            .header("x-amz-content-sha256", &body)
            .header("x-amz-date", &moment)
            .header(AUTHORIZATION, authorization)
            .body(Full::new(wish.body.clone()));
        request.map_err(|error| S3Error::Here(error.to_string()))
    }

    fn unreachable(&self, why: &(impl ToString + ?Sized)) -> S3Error {
        S3Error::Unreachable { storage: self.0.location.endpoint.to_string(), why: why.to_string() }
    }

    fn refused(&self, what: &str, status: StatusCode, body: &str) -> S3Error {
        let code = xml::text(body, "Code").unwrap_or_default();
        let message = xml::text(body, "Message").unwrap_or_default();
        S3Error::refused(what, &self.0.location, status.as_u16(), &code, &message)
    }
}

impl Answer {
    fn text(&self) -> Result<String, S3Error> {
        String::from_utf8(self.body.to_vec()).map_err(|_| S3Error::answer("it is not UTF-8"))
    }
}

fn length(fields: &HeaderMap) -> Option<u64> {
    fields.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
