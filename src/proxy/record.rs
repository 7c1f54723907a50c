//! What is noted of one request, from its head to the last byte of its answer or tunnel: its name, its numbers, and
//! its line in the log.
//!
//! A record ends when the last who holds it lets it go: the body of the answer, or the tunnel behind it.

use std::cell::{Cell, OnceCell, RefCell};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use http::header::{HOST, USER_AGENT};
use http::{HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version};
use jiff::fmt::rfc2822::DateTimePrinter;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::access_log::{Line, Log, cleaned};
use super::body::Upload;
use super::fields::Origin;
use super::metrics::{Ended, Metrics, Tally};
use super::refusal::Refusal;
use super::table::Backend;
use super::worker::Client;
use crate::domain::time::Timestamp;

/// Where a request's name stands, for its target and for its client.
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The bytes from which names are cut: some forty names an allocation. A tunnel keeps them for as long as it lasts.
const NAMES: usize = 1024;
/// The longest name.
const NAME: usize = 64;
/// The bytes of what a client wrote that the log repeats, for a host, an address and a program's name.
const HOST_MAX: usize = 255;
const PATH_MAX: usize = 2048;
const AGENT_MAX: usize = 256;

/// What the records of one worker share.
pub(super) struct Recorder {
    /// What the names of its requests begin with.
    prefix: String,
    worker: usize,
    requests: Cell<u64>,
    names: RefCell<BytesMut>,
    /// The second that it is, and how answers name it.
    date: RefCell<(Timestamp, HeaderValue)>,
    clock: fn() -> Timestamp,
    pub(super) metrics: Arc<Metrics>,
    log: Option<Log>,
}

impl Recorder {
    /// `nonce` makes the names of one process differ from those of another.
    pub(super) fn new(
        nonce: u32,
        worker: usize,
        metrics: Arc<Metrics>,
        log: Option<Log>,
        clock: fn() -> Timestamp,
    ) -> Self {
        let prefix = format!("{nonce:08x}-{worker}-");
        Self {
            prefix,
            worker,
            requests: Cell::new(0),
            names: RefCell::default(),
            date: RefCell::new((Timestamp(0), HeaderValue::from_static(""))),
            clock,
            metrics,
            log,
        }
    }

    /// What time it is, for answers that do not say so (RFC 9110, 6.6.1).
    pub(super) fn date(&self) -> HeaderValue {
        let now = (self.clock)();
        let mut date = self.date.borrow_mut();
        if date.1.is_empty() || date.0.0 / 1000 != now.0 / 1000 {
            *date = (now, named(now).unwrap_or_else(|| HeaderValue::from_static("")));
        }
        date.1.clone()
    }

    /// Counts a request, and gives it a name that a visitor can tell and the log can find.
    fn name(&self) -> (u64, HeaderValue) {
        let number = self.requests.get() + 1;
        self.requests.set(number);
        let mut names = self.names.borrow_mut();
        if names.capacity() < NAME {
            *names = BytesMut::with_capacity(NAMES);
        }
        names.extend_from_slice(self.prefix.as_bytes());
        names.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
        let name = HeaderValue::from_maybe_shared(names.split().freeze());
        (number, name.unwrap_or_else(|_| HeaderValue::from_static("")))
    }
}

/// A time as fields write it.
fn named(time: Timestamp) -> Option<HeaderValue> {
    let time = jiff::Timestamp::from_millisecond(time.0).ok()?;
    HeaderValue::try_from(DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok()?).ok()
}

/// What is noted of one request.
pub(super) struct Record {
    client: Rc<Client>,
    origin: Origin,
    begun: Instant,
    name: HeaderValue,
    /// The app that it is for, once that is known.
    owner: OnceCell<Arc<Tally>>,
    upload: OnceCell<Rc<Upload>>,
    status: Cell<Option<StatusCode>>,
    refusal: Cell<Option<Refusal>>,
    end: Cell<End>,
    retries: Cell<u32>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    /// What only the log tells; none where nothing is logged.
    noted: Option<Box<Noted>>,
}

/// What the log tells of the request's head, and of where it went.
struct Noted {
    /// Whether it is logged however it goes.
    chosen: bool,
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    agent: Option<HeaderValue>,
    target: RefCell<Option<Arc<Backend>>>,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The client did not wait for it.
    Left,
    /// The target did not send all of it.
    Broken,
    /// As it should.
    Whole,
    /// It was the beginning of a tunnel.
    Tunnel,
}

impl Record {
    /// Begins the record of a request that comes from there.
    pub(super) fn begin<B>(client: &Rc<Client>, origin: &Origin, request: &Request<B>) -> Rc<Self> {
        let recorder = &client.worker.recorder;
        let (number, name) = recorder.name();
        let noted = recorder.log.as_ref().map(|log| {
            let field = |name| request.headers().get(name).cloned();
            Box::new(Noted {
                chosen: log.takes(number),
                method: request.method().clone(),
                uri: request.uri().clone(),
                version: request.version(),
                host: field(HOST),
                agent: field(USER_AGENT),
                target: RefCell::default(),
            })
        });
        Rc::new(Self {
            client: Rc::clone(client),
            origin: *origin,
            begun: Instant::now(),
            name,
            owner: OnceCell::new(),
            upload: OnceCell::new(),
            status: Cell::new(None),
            refusal: Cell::new(None),
            end: Cell::new(End::Left),
            retries: Cell::new(0),
            bytes_in: Cell::new(0),
            bytes_out: Cell::new(0),
            noted,
        })
    }

    /// When its head was there.
    pub(super) fn begun(&self) -> Instant {
        self.begun
    }

    /// The request's name.
    pub(super) fn id(&self) -> &str {
        self.name.to_str().unwrap_or_default()
    }

    /// The same as a header field carries it.
    pub(super) fn name(&self) -> HeaderValue {
        self.name.clone()
    }

    /// It is known whose request it is.
    pub(super) fn belongs_to(&self, owner: &Arc<Tally>) {
        self.owner.get_or_init(|| {
            owner.enter(self.worker());
            Arc::clone(owner)
        });
    }

    /// Its body is on its way.
    pub(super) fn uploads(&self, upload: &Rc<Upload>) {
        self.upload.get_or_init(|| Rc::clone(upload));
    }

    /// It goes to this target.
    pub(super) fn goes_to(&self, backend: &Arc<Backend>) {
        if let Some(noted) = &self.noted {
            noted.target.replace(Some(Arc::clone(backend)));
        }
    }

    /// It is sent once more.
    pub(super) fn tries_again(&self) {
        self.retries.set(self.retries.get().saturating_add(1));
    }

    /// The proxy answers by itself.
    pub(super) fn refused(&self, refusal: Refusal) {
        self.refusal.set(Some(refusal));
    }

    /// The head of the answer is there.
    pub(super) fn answered(&self, status: StatusCode) {
        self.status.set(Some(status));
    }

    /// All of the answer has been handed over.
    pub(super) fn is_whole(&self) {
        if self.end.get() == End::Left {
            self.end.set(End::Whole);
        }
    }

    /// The answer was the beginning of a tunnel.
    pub(super) fn is_tunnel(&self) {
        self.end.set(End::Tunnel);
    }

    /// The target did not send all of the answer.
    pub(super) fn is_broken(&self) {
        self.end.set(End::Broken);
    }

    /// So many bytes of the answer, or of a tunnel, went to the client.
    pub(super) fn passed_out(&self, bytes: usize) {
        self.bytes_out.set(self.bytes_out.get() + u64::try_from(bytes).unwrap_or(0));
    }

    fn passed_in(&self, bytes: usize) {
        self.bytes_in.set(self.bytes_in.get() + u64::try_from(bytes).unwrap_or(0));
    }

    fn worker(&self) -> usize {
        self.client.worker.recorder.worker
    }

    /// Whether whoever looks after the app or the proxy wants to know of it.
    fn went_wrong(&self) -> bool {
        let failed = self.status.get().is_some_and(|status| status.is_server_error());
        failed || self.refusal.get().is_some() || self.end.get() == End::Broken
    }

    fn count(&self, ended: Ended) {
        let worker = self.worker();
        let Some(owner) = self.owner.get() else {
            let nobody = self.client.worker.recorder.metrics.nobody();
            nobody.enter(worker);
            return nobody.leave(worker, ended);
        };
        owner.leave(worker, ended);
    }

    fn log(&self, log: &Log, noted: &Noted, duration: Duration, ended: Ended) {
        let Noted { chosen: _, method, uri, version, host, agent, target } = noted;
        let host = host.as_ref().map(HeaderValue::as_bytes);
        let host = host.or_else(|| uri.authority().map(|authority| authority.as_str().as_bytes()));
        let query = uri.query().filter(|_| log.with_query());
        let target = target.borrow();
        log.put(&Line {
            time: log.now(),
            id: self.id(),
            client: self.origin.client,
            method: method.as_str(),
            host: host.map(|host| cleaned(host, HOST_MAX)),
            path: cleaned(uri.path().as_bytes(), PATH_MAX),
            query: query.map(|query| cleaned(query.as_bytes(), PATH_MAX)),
            status: ended.status.map(|status| status.as_u16()),
            bytes: ended.bytes_out,
            bytes_in: ended.bytes_in,
            duration,
            app: self.owner.get().and_then(|owner| owner.label()),
            target: target.as_ref().map(|backend| backend.target.key.as_str()),
            protocol: protocol(*version),
            tls: self.origin.scheme == "https",
            user_agent: agent.as_ref().map(|agent| cleaned(agent.as_bytes(), AGENT_MAX)),
            retries: ended.retries,
            refusal: self.refusal.get().map(|refusal| refusal.to_string()),
            end: match self.end.get() {
                End::Left => Some("the client left"),
                End::Broken => Some("the target broke off"),
                End::Whole | End::Tunnel => None,
            },
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let took = self.begun.elapsed();
        let uploaded = self.upload.get().map_or(0, |upload| upload.read());
        let ended = Ended {
            status: self.status.get(),
            took: (self.end.get() != End::Tunnel).then_some(took),
            bytes_in: self.bytes_in.get() + uploaded,
            bytes_out: self.bytes_out.get(),
            retries: self.retries.get(),
        };
        self.count(ended);
        if let (Some(log), Some(noted)) = (&self.client.worker.recorder.log, &self.noted)
            && (noted.chosen || self.went_wrong())
        {
            self.log(log, noted, took, ended);
        }
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        _ => "HTTP/1.1",
    }
}

/// The client's side of a tunnel, whose bytes are counted.
pub(super) struct Counted<S> {
    pub(super) stream: S,
    pub(super) record: Rc<Record>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = out.filled().len();
        ready!(Pin::new(&mut this.stream).poll_read(cx, out))?;
        this.record.passed_in(out.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes))?;
        this.record.passed_out(written);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_one_name() {
        let recorder = Recorder::new(0xbeef, 3, Arc::default(), None, || Timestamp(0));
        let names: Vec<_> = (0..500).map(|_| recorder.name()).collect();
        for (at, (number, name)) in names.iter().enumerate() {
            assert_eq!(*number, at as u64 + 1);
            assert_eq!(name, &format!("0000beef-3-{number}"));
        }
    }
}
