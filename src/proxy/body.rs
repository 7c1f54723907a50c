//! Bodies on their way through: never gathered, each wait with a deadline, each end noticed.

mod piece;

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;
use tokio::time::Instant;

pub(super) use self::piece::Piece;
use super::deadline::Deadline;
use super::drain::InFlight;
use super::fields::trailers;
use super::http1::{Exchange, Front};
use super::http2::Busy;
use super::limits::{BODY_RATE, Limits};
use super::pool::Lease;
use super::record::Record;
use super::refusal::Refusal;
use super::scratch;
use super::upgrade::Tunnel;

type Polled<T> = Poll<Option<Result<T, BodyError>>>;

/// The next piece of what hyper reads.
fn poll_incoming(body: &mut Incoming, cx: &mut Context<'_>) -> Polled<Piece> {
    Pin::new(body).poll_frame(cx).map(|frame| {
        frame.map(|frame| {
            Ok(frame?.into_data().map_or_else(
                |other| Piece::Trailers(other.into_trailers().unwrap_or_default()),
                Piece::Bytes,
            ))
        })
    })
}

/// Why a body ended before its end.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
    #[error("the connection ended: {0}")]
    Ended(io::Error),
    #[error("the client's body was refused: {0}")]
    Refused(Refusal),
    #[error("nothing came from the target for {0:?}")]
    Idle(Duration),
}

/// How the client's body is doing, for whoever waits for the answer.
#[derive(Debug)]
pub(super) struct Upload {
    moved: Cell<Instant>,
    whole: Cell<bool>,
    read: Cell<u64>,
    refusal: Cell<Option<Refusal>>,
}

impl Upload {
    /// When the client's body last moved.
    pub(super) fn moved(&self) -> Instant {
        self.moved.get()
    }

    /// Whether all of it has been read.
    pub(super) fn whole(&self) -> bool {
        self.whole.get()
    }

    /// How many bytes of it have been read.
    pub(super) fn read(&self) -> u64 {
        self.read.get()
    }

    /// Why it was not read to its end.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.get()
    }
}

/// Where a request's body comes from.
pub(super) enum ClientSource {
    /// Nowhere: it has none, or is sent a second time.
    Nothing,
    /// From a connection that speaks HTTP/1.1.
    Http1(Front),
    /// From a stream of HTTP/2.
    Http2(Incoming),
}

impl ClientSource {
    /// Whether there is nothing left of it.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Http1(front) => front.has_heard_all(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Nothing => SizeHint::with_exact(0),
            Self::Http1(front) => front.body_left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::Http2(body) => body.size_hint(),
        }
    }
}

/// The body of a request on its way to the target.
pub(super) struct ClientBody {
    source: ClientSource,
    upload: Rc<Upload>,
    limits: Arc<Limits>,
    left: u64,
    read: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    deadline: Deadline,
}

impl ClientBody {
    /// Refuses at once what says that it is larger than `limit` bytes. The request has `begun` then.
    pub(super) fn new(
        source: ClientSource,
        limit: u64,
        limits: Arc<Limits>,
        begun: Instant,
    ) -> Result<(Self, Rc<Upload>), Refusal> {
        if source.size_hint().lower() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        let upload = Rc::new(Upload {
            moved: Cell::new(begun),
            whole: Cell::new(source.is_over()),
            read: Cell::new(0),
            refusal: Cell::new(None),
        });
        let shared = Rc::clone(&upload);
        Ok((Self::over(source, limit, shared, limits), upload))
    }

    /// The same again, if there is nothing of it.
    pub(super) fn again(&self) -> Option<Self> {
        let (upload, limits) = (Rc::clone(&self.upload), Arc::clone(&self.limits));
        self.source.is_over().then(|| Self::over(ClientSource::Nothing, 0, upload, limits))
    }

    fn over(source: ClientSource, left: u64, upload: Rc<Upload>, limits: Arc<Limits>) -> Self {
        Self {
            source,
            upload,
            limits,
            left,
            read: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            deadline: Deadline::default(),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Polled<Piece> {
        self.upload.refusal.set(Some(refusal));
        Poll::Ready(Some(Err(BodyError::Refused(refusal))))
    }

    /// Counts what was read; waits for the target do not count against the client.
    fn account(&mut self, bytes: u64) -> Result<(), Refusal> {
        let now = Instant::now();
        self.upload.moved.set(now);
        self.deadline.disarm();
        if let Some(since) = self.waiting_since.take() {
            self.waited += now - since;
        }
        self.read = self.read.saturating_add(bytes);
        self.upload.read.set(self.read);
        self.left = self.left.checked_sub(bytes).ok_or(Refusal::BodyTooLarge)?;
        let due = self.waited.as_secs().saturating_mul(BODY_RATE);
        if self.waited > self.limits.body_idle && self.read < due {
            return Err(Refusal::BodyTooSlow);
        }
        Ok(())
    }

    /// The next piece; what passes through the buffer that is lent stands in front of it.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Polled<Piece> {
        let polled = match &mut self.source {
            ClientSource::Nothing => Poll::Ready(None),
            ClientSource::Http1(front) => front.poll_body(cx, scratch),
            ClientSource::Http2(body) => poll_incoming(body, cx),
        };
        match polled {
            Poll::Ready(Some(Ok(mut piece))) => {
                if let Piece::Trailers(fields) = &mut piece {
                    trailers(fields);
                }
                match self.account(u64::try_from(piece.len()).unwrap_or(u64::MAX)) {
                    Ok(()) => {
                        self.upload.whole.set(self.source.is_over());
                        Poll::Ready(Some(Ok(piece)))
                    }
                    Err(refusal) => self.refuse(refusal),
                }
            }
            Poll::Ready(Some(Err(_broken))) => self.refuse(Refusal::Malformed("the body broke off")),
            Poll::Ready(None) => {
                self.upload.moved.set(Instant::now());
                self.upload.whole.set(true);
                Poll::Ready(None)
            }
            Poll::Pending => {
                self.waiting_since.get_or_insert_with(Instant::now);
                ready!(self.deadline.poll(cx, self.limits.body_idle));
                self.refuse(Refusal::BodyTooSlow)
            }
        }
    }
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Frame<Bytes>> {
        let this = self.get_mut();
        scratch::with(|scratch| {
            let piece = ready!(this.poll_piece(cx, scratch));
            Poll::Ready(piece.map(|piece| piece?.into_frame(scratch)))
        })
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

/// The bytes of one frame of an answer: what HTTP/2 may have on its way of one stream.
const FRAME: usize = 64 * 1024;

/// Since when the last piece of an answer waits to be taken by the client.
#[derive(Debug, Default)]
pub(super) struct Handed(Cell<Option<Instant>>);

impl Handed {
    /// None if no piece waits.
    pub(super) fn since(&self) -> Option<Instant> {
        self.0.get()
    }
}

/// The body of an answer: the target's, or a page of our own.
pub(super) struct AnswerBody {
    source: Source,
    busy: Option<Busy>,
    record: Option<Rc<Record>>,
    handed: Option<Rc<Handed>>,
}

enum Source {
    /// A page of our own; none once it was handed over.
    Page(Option<Bytes>),
    Target(Box<TargetBody>),
    /// Nothing but what follows an upgrade.
    Tunnel(Option<Box<Tunnel>>),
}

impl AnswerBody {
    /// A page of the proxy itself.
    pub(super) fn page(bytes: Bytes) -> Self {
        Self::over(Source::Page(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// How long a page of the proxy itself is; none: this is none. Of one whose `head_alone` is asked for the rest is left out.
    pub(super) fn page_length(&mut self, head_alone: bool) -> Option<usize> {
        let Source::Page(page) = &mut self.source else { return None };
        let length = page.as_ref().map_or(0, Bytes::len);
        page.take_if(|_| head_alone);
        Some(length)
    }

    /// What the target sends.
    pub(super) fn target(body: TargetBody) -> Self {
        Self::over(Source::Target(Box::new(body)))
    }

    /// No body, and behind it a tunnel.
    pub(super) fn tunnel(tunnel: Tunnel) -> Self {
        Self::over(Source::Tunnel(Some(Box::new(tunnel))))
    }

    /// The tunnel that follows, if one does.
    pub(super) fn take_tunnel(&mut self) -> Option<Box<Tunnel>> {
        match &mut self.source {
            Source::Tunnel(tunnel) => tunnel.take(),
            Source::Page(_) | Source::Target(_) => None,
        }
    }

    /// From now on a piece may come in a pipe.
    pub(super) fn let_pipe(&mut self) {
        if let Source::Target(body) = &mut self.source
            && let TargetSource::Http1(exchange) = &mut body.source
        {
            exchange.let_pipe();
        }
    }

    /// Keeps the client's connection counted as busy until the body is gone.
    pub(super) fn hold(&mut self, busy: Busy) {
        self.busy = Some(busy);
    }

    fn over(source: Source) -> Self {
        Self { source, busy: None, record: None, handed: None }
    }

    /// Notes what becomes of the body.
    pub(super) fn note(&mut self, record: Rc<Record>) {
        // A body that is at its end, or must not be sent, is not asked for.
        if self.is_end_stream() || matches!(self.source, Source::Page(_)) {
            record.is_whole();
        }
        self.record = Some(record);
    }

    /// Notes there how the client takes it.
    pub(super) fn watch(&mut self, handed: Rc<Handed>) {
        self.handed = Some(handed);
    }

    /// The next piece; what passes through the buffer that is lent stands in front of it.
    pub(super) fn poll_piece(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Polled<Piece> {
        let polled = match &mut self.source {
            Source::Page(page) => Poll::Ready(page.take().map(|page| Ok(Piece::Bytes(page)))),
            Source::Target(body) => body.poll_piece(cx, scratch),
            Source::Tunnel(_) => Poll::Ready(None),
        };
        if let Some(record) = &self.record {
            match &polled {
                Poll::Ready(Some(Ok(piece))) => record.passed_out(piece.len()),
                Poll::Ready(Some(Err(_))) => record.is_broken(),
                Poll::Ready(None) | Poll::Pending => {}
            }
            if self.is_end_stream() {
                record.is_whole();
            }
        }
        if let Some(Handed(since)) = self.handed.as_deref() {
            // Who asks for the next piece has taken the one before.
            since.set(matches!(polled, Poll::Ready(Some(Ok(_)))).then(Instant::now));
        }
        polled
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled<Frame<Bytes>> {
        let this = self.get_mut();
        scratch::with(|scratch| {
            let room = scratch::first(scratch, FRAME);
            let piece = ready!(this.poll_piece(cx, room));
            Poll::Ready(piece.map(|piece| piece?.into_frame(room)))
        })
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Page(page) => page.is_none(),
            Source::Target(body) => body.source.is_read(),
            Source::Tunnel(_) => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Page(page) => SizeHint::with_exact(page.as_ref().map_or(0, |page| page.len() as u64)),
            Source::Target(body) => body.source.size_hint(),
            Source::Tunnel(_) => SizeHint::with_exact(0),
        }
    }
}

/// Where an answer's body comes from.
pub(super) enum TargetSource {
    /// From a connection that speaks HTTP/1.1.
    Http1(Box<Exchange>),
    /// From a stream of HTTP/2.
    H2c(Incoming),
    /// Nowhere any more.
    Over,
}

impl TargetSource {
    /// Whether all of it was read.
    fn is_read(&self) -> bool {
        match self {
            Self::Http1(exchange) => exchange.is_read(),
            Self::H2c(body) => body.is_end_stream(),
            Self::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Http1(exchange) => exchange.left().map_or_else(SizeHint::default, SizeHint::with_exact),
            Self::H2c(body) => body.size_hint(),
            Self::Over => SizeHint::with_exact(0),
        }
    }
}

/// The body that a target sends, with what ends when it ends.
pub(super) struct TargetBody {
    pub(super) source: TargetSource,
    pub(super) upload: Rc<Upload>,
    pub(super) lease: Option<Lease>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) idle: Duration,
    pub(super) deadline: Deadline,
}

impl TargetBody {
    fn poll_piece(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Polled<Piece> {
        let polled = match &mut self.source {
            TargetSource::Http1(exchange) => exchange.poll_piece(cx, scratch),
            TargetSource::H2c(body) => poll_incoming(body, cx),
            TargetSource::Over => Poll::Ready(None),
        };
        match polled {
            Poll::Ready(mut piece) => {
                self.deadline.disarm();
                if let Some(Ok(Piece::Trailers(fields))) = &mut piece {
                    trailers(fields);
                }
                if piece.is_none() {
                    self.finish();
                }
                Poll::Ready(piece)
            }
            Poll::Pending => {
                ready!(self.deadline.poll(cx, self.idle));
                Poll::Ready(Some(Err(BodyError::Idle(self.idle))))
            }
        }
    }

    /// After a clean end of both bodies the connection may serve again.
    fn finish(&mut self) {
        let source = std::mem::replace(&mut self.source, TargetSource::Over);
        if let Some(lease) = self.lease.take().filter(|_| self.upload.whole()) {
            match source {
                TargetSource::Http1(exchange) => lease.give_back(exchange.retire()),
                TargetSource::H2c(_) | TargetSource::Over => lease.give_back(None),
            }
        }
        self.in_flight = None;
    }
}

impl Drop for TargetBody {
    fn drop(&mut self) {
        // A body that is at its end is not asked whether it is.
        if self.source.is_read() {
            self.finish();
        }
    }
}
