//! Bodies on their way through: never gathered, each wait with a deadline, each end noticed.

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use thiserror::Error;
use tokio::time::Instant;

use super::drain::InFlight;
use super::fields::trailers;
use super::limits::{BODY_RATE, Limits};
use super::pool::Lease;
use super::record::Record;
use super::refusal::Refusal;
use super::wire::{Busy, Deadline};

/// Why a body ended before its end.
#[derive(Debug, Error)]
pub(super) enum BodyError {
    #[error(transparent)]
    Broken(#[from] hyper::Error),
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

/// The body of a request on its way to the target.
pub(super) struct ClientBody {
    /// None for the second sending of a request that has no body.
    body: Option<Incoming>,
    upload: Rc<Upload>,
    limits: Arc<Limits>,
    left: u64,
    read: u64,
    waited: Duration,
    waiting_since: Option<Instant>,
    deadline: Deadline,
}

impl ClientBody {
    /// Refuses at once what says that it is larger than `limit` bytes.
    pub(super) fn new(
        body: Incoming,
        limit: u64,
        limits: Arc<Limits>,
    ) -> Result<(Self, Rc<Upload>), Refusal> {
        if body.size_hint().lower() > limit {
            return Err(Refusal::BodyTooLarge);
        }
        let upload = Rc::new(Upload {
            moved: Cell::new(Instant::now()),
            whole: Cell::new(body.is_end_stream()),
            read: Cell::new(0),
            refusal: Cell::new(None),
        });
        let shared = Rc::clone(&upload);
        Ok((Self::over(Some(body), limit, shared, limits), upload))
    }

    /// The body of a request that is sent again and has none.
    pub(super) fn none(upload: Rc<Upload>, limits: Arc<Limits>) -> Self {
        Self::over(None, 0, upload, limits)
    }

    fn over(body: Option<Incoming>, left: u64, upload: Rc<Upload>, limits: Arc<Limits>) -> Self {
        Self {
            body,
            upload,
            limits,
            left,
            read: 0,
            waited: Duration::ZERO,
            waiting_since: None,
            deadline: Deadline::default(),
        }
    }

    fn refuse(&self, refusal: Refusal) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
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
}

impl Body for ClientBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(Some(Ok(mut frame))) => {
                if let Some(fields) = frame.trailers_mut() {
                    trailers(fields);
                }
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match this.account(u64::try_from(bytes).unwrap_or(u64::MAX)) {
                    Ok(()) => {
                        this.upload.whole.set(this.is_end_stream());
                        Poll::Ready(Some(Ok(frame)))
                    }
                    Err(refusal) => this.refuse(refusal),
                }
            }
            Poll::Ready(Some(Err(_broken))) => this.refuse(Refusal::Malformed("the body broke off")),
            Poll::Ready(None) => {
                this.upload.moved.set(Instant::now());
                this.upload.whole.set(true);
                Poll::Ready(None)
            }
            Poll::Pending => {
                this.waiting_since.get_or_insert_with(Instant::now);
                ready!(this.deadline.poll(cx, this.limits.body_idle));
                this.refuse(Refusal::BodyTooSlow)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

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
    Page(Full<Bytes>),
    Target(Box<TargetBody>),
}

impl AnswerBody {
    /// A page of the proxy itself.
    pub(super) fn page(bytes: Bytes) -> Self {
        Self::over(Source::Page(Full::new(bytes)))
    }

    /// What the target sends.
    pub(super) fn target(body: TargetBody) -> Self {
        Self::over(Source::Target(Box::new(body)))
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
        // hyper does not poll a body that is at its end, nor one that must not be sent.
        if self.is_end_stream() || matches!(self.source, Source::Page(_)) {
            record.is_whole();
        }
        self.record = Some(record);
    }

    /// Notes there how the client takes it.
    pub(super) fn watch(&mut self, handed: Rc<Handed>) {
        self.handed = Some(handed);
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let this = self.get_mut();
        let polled = match &mut this.source {
            Source::Page(page) => Pin::new(page)
                .poll_frame(cx)
                .map(|frame| frame.map(|result| result.map_err(|never| match never {}))),
            Source::Target(body) => body.poll_frame(cx),
        };
        if let Some(record) = &this.record {
            record.follow(&polled);
            if this.is_end_stream() {
                record.is_whole();
            }
        }
        if let Some(Handed(since)) = this.handed.as_deref() {
            // Who asks for the next piece has taken the one before.
            since.set(matches!(polled, Poll::Ready(Some(Ok(_)))).then(Instant::now));
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Page(page) => page.is_end_stream(),
            Source::Target(body) => body.body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Page(page) => page.size_hint(),
            Source::Target(body) => body.body.size_hint(),
        }
    }
}

/// The body that a target sends, with what ends when it ends.
pub(super) struct TargetBody {
    pub(super) body: Incoming,
    pub(super) upload: Rc<Upload>,
    pub(super) lease: Option<Lease>,
    pub(super) in_flight: Option<InFlight>,
    pub(super) idle: Duration,
    pub(super) deadline: Deadline,
}

impl TargetBody {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(mut frame) => {
                self.deadline.disarm();
                if let Some(Ok(fields)) = frame.as_mut().map(|frame| frame.as_mut().map(Frame::trailers_mut))
                {
                    fields.map(trailers);
                }
                if frame.is_none() {
                    self.finish();
                }
                Poll::Ready(frame.map(|result| result.map_err(BodyError::from)))
            }
            Poll::Pending => {
                ready!(self.deadline.poll(cx, self.idle));
                Poll::Ready(Some(Err(BodyError::Idle(self.idle))))
            }
        }
    }

    /// After a clean end of both bodies the connection may serve again.
    fn finish(&mut self) {
        if let Some(lease) = self.lease.take().filter(|_| self.upload.whole()) {
            lease.give_back();
        }
        self.in_flight = None;
    }
}

impl Drop for TargetBody {
    fn drop(&mut self) {
        // hyper does not poll a body that says it is at its end.
        if self.body.is_end_stream() {
            self.finish();
        }
    }
}
