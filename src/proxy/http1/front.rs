//! A client's side of a connection: one head at a time, its body as it is asked for, and a deadline on every wait.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::AsyncWrite;

use super::coding::{BadCoding, Decoder};
use super::head::{After, Scan, Scanner};
use super::message::{self, Heard};
use super::outgoing::{Outgoing, Unwritten};
use super::pipe::{Outlet, Pipe};
use super::stream::{Stream, poll_next, poll_read, put_back};
use crate::proxy::body::{BodyError, Piece};
use crate::proxy::deadline::Deadline;
use crate::proxy::limits::{HEAD_BYTES, LINGER, Limits};
use crate::proxy::patient::Patient;
use crate::proxy::refusal::Refusal;
use crate::proxy::scratch;

/// One read of what a client says.
const READ: usize = 64 * 1024;
/// The same while nothing large is expected.
const SMALL_READ: usize = 16 * 1024;
/// What a client waits for that has announced a body (RFC 9110, 15.2.1).
const GO_ON: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A client's side of a connection, shared by whoever reads a body and whoever writes an answer.
#[derive(Clone)]
pub(in crate::proxy) struct Front(Rc<RefCell<Inner>>);

struct Inner {
    stream: Patient<Stream>,
    /// Read and not used yet.
    early: BytesMut,
    scanner: Scanner,
    /// The body of the present request.
    body: Decoder,
    /// What is left of [`GO_ON`] to be said before the body is read.
    promise: &'static [u8],
    /// Whether a request has come.
    asked: bool,
    waiting: Deadline,
    /// Which wait `waiting` is for: it starts anew when another begins.
    awaited: Option<Wait>,
    limits: Arc<Limits>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    FirstByte,
    NextRequest,
    RestOfHead,
    Farewell,
}

impl Front {
    pub(super) fn new(stream: Stream, limits: Arc<Limits>) -> Self {
        Self(Rc::new(RefCell::new(Inner {
            stream: Patient::new(stream, limits.write_stall),
            early: BytesMut::new(),
            scanner: Scanner::new(HEAD_BYTES),
            body: Decoder::length(0),
            promise: b"",
            asked: false,
            waiting: Deadline::default(),
            awaited: None,
            limits,
        })))
    }

    /// Reads the next head; none where there is no other: the client has left, or was too slow.
    pub(super) fn poll_head(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Heard>>> {
        self.0.borrow_mut().poll_head(cx)
    }

    /// Whether what is written goes to the client as it is.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self.0.borrow().stream.inner(), Stream::Plain(_))
    }

    /// Whether the client has said nothing that was not used.
    pub(super) fn is_quiet(&self) -> bool {
        let inner = self.0.borrow();
        inner.body.is_over() && inner.early.is_empty()
    }

    /// Ends the writing side.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0.borrow_mut().stream).poll_shutdown(cx)
    }

    /// Ready once the client has left. Meanwhile it may say what it wants next, within bounds.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let inner = &mut *self.0.borrow_mut();
        while inner.body.is_done() && inner.early.len() < HEAD_BYTES {
            if !matches!(ready!(inner.poll_more(cx)), Ok(1..)) {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }

    /// The next piece of the present request's body.
    pub(in crate::proxy) fn poll_body(
        &self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Option<Result<Piece, BodyError>>> {
        self.0.borrow_mut().poll_body(cx, scratch).map(|piece| {
            piece
                .transpose()
                .map(|piece| piece.map_err(|_| BodyError::Refused(Refusal::Malformed("the body broke off"))))
        })
    }

    /// How much of the body is left, if that is known.
    pub(in crate::proxy) fn body_left(&self) -> Option<u64> {
        self.0.borrow().body.left()
    }

    /// Whether all of the body was read.
    pub(in crate::proxy) fn has_heard_all(&self) -> bool {
        self.0.borrow().body.is_over()
    }

    /// Writes on at an answer.
    pub(super) fn poll_answer<E>(
        &self,
        cx: &mut Context<'_>,
        answer: &mut Outgoing,
        body: impl FnMut(&mut Context<'_>, &mut [u8]) -> Poll<Option<Result<Piece, E>>>,
    ) -> Poll<Result<(), Unwritten<E>>> {
        let mut stream = Lent { inner: &self.0 };
        scratch::with(|scratch| answer.poll(cx, &mut stream, scratch, body))
    }

    /// Ends the writing side, and waits until the client has ended its own: to close at once would take from it what
    /// it has not read yet.
    pub(super) fn poll_farewell(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0.borrow_mut();
        if inner.awaited != Some(Wait::Farewell) {
            ready!(Pin::new(&mut inner.stream).poll_shutdown(cx))?;
            inner.awaited = Some(Wait::Farewell);
            inner.waiting.disarm();
        }
        loop {
            let read = scratch::with(|scratch| poll_read(&mut inner.stream, cx, scratch));
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(())),
                Poll::Ready(read) => drop(read?),
                Poll::Pending => return inner.waiting.poll(cx, LINGER).map(Ok),
            }
        }
    }

    /// Takes the connection for other uses, with what was read of it; nothing else can be done with it here.
    pub(super) fn take(self) -> Option<(Patient<Stream>, BytesMut)> {
        let inner = Rc::into_inner(self.0)?.into_inner();
        Some((inner.stream, inner.early))
    }
}

/// The stream of a connection, borrowed for each call alone: what is written may come from an exchange that reads it.
struct Lent<'a> {
    inner: &'a RefCell<Inner>,
}

impl AsyncWrite for Lent<'_> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner.borrow_mut().stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner.borrow_mut().stream).poll_write_vectored(cx, slices)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner.borrow_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner.borrow_mut().stream).poll_shutdown(cx)
    }
}

impl Outlet for Lent<'_> {
    fn poll_drain(&mut self, cx: &mut Context<'_>, pipe: &Pipe) -> Poll<io::Result<usize>> {
        self.inner.borrow_mut().stream.poll_drain(cx, pipe)
    }
}

impl Inner {
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Heard>>> {
        loop {
            self.scanner.skip_empty_lines(&mut self.early);
            match self.scanner.scan(&self.early) {
                Scan::Whole(length) => return Poll::Ready(Ok(Some(self.begin(length)))),
                Scan::TooLong => {
                    return Poll::Ready(Ok(Some(Heard::refused(Refusal::HeadTooLarge))));
                }
                Scan::Partial => {}
            }
            match self.poll_more(cx) {
                // Half a head is of no use to anyone.
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(None)),
                Poll::Ready(read) => drop(read?),
                Poll::Pending => return self.poll_patience(cx).map(|()| Ok(None)),
            }
        }
    }

    /// Reads what is used later.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self { stream, early, .. } = self;
        scratch::with(|scratch| {
            let room = scratch::first(scratch, SMALL_READ);
            let read = ready!(poll_read(stream, cx, room))?;
            early.extend_from_slice(room.get(..read).unwrap_or_default());
            Poll::Ready(Ok(read))
        })
    }

    /// Waits no longer than the limits say; ready means that time is over.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (wait, limit) = match (self.early.is_empty(), self.asked) {
            (false, _) => (Wait::RestOfHead, self.limits.header),
            (true, false) => (Wait::FirstByte, self.limits.first_byte),
            (true, true) => (Wait::NextRequest, self.limits.idle),
        };
        if self.awaited != Some(wait) {
            self.awaited = Some(wait);
            self.waiting.disarm();
        }
        ready!(self.waiting.poll(cx, limit));
        tracing::debug!(?wait, "a client was too slow");
        Poll::Ready(())
    }

    fn begin(&mut self, length: usize) -> Heard {
        let bytes = if length == self.early.len() {
            std::mem::take(&mut self.early)
        } else {
            self.early.split_to(length)
        };
        let mut heard = message::request(&bytes.freeze());
        if self.scanner.is_loose() && heard.after.is_ok() {
            heard.after = Err(Refusal::Malformed("a line does not end with CR LF"));
        }
        self.scanner = Scanner::new(HEAD_BYTES);
        (self.awaited, self.asked) = (None, true);
        self.body = match heard.after {
            Ok(After::Body(length)) => Decoder::length(length),
            Ok(After::Chunks) => Decoder::chunks(),
            Ok(After::Upgrade) | Err(_) => Decoder::length(0),
        };
        self.promise = if heard.expects() && !self.body.is_done() { GO_ON } else { b"" };
        heard
    }

    fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Result<Option<Piece>, BadBody>> {
        while !self.promise.is_empty() {
            let said = ready!(Pin::new(&mut self.stream).poll_write(cx, self.promise))?;
            self.promise = self.promise.get(said..).unwrap_or_default();
            if self.promise.is_empty() {
                // What is held back for want of room goes with whatever is written next.
                let _flushed = Pin::new(&mut self.stream).poll_flush(cx)?;
            }
        }
        while !self.body.is_done() {
            let room = scratch::first(scratch, READ);
            let read = ready!(poll_next(&mut self.early, &mut self.stream, cx, room))?;
            if read == 0 {
                self.body.close()?;
            }
            let decoded = self.body.decode(room.get_mut(..read).unwrap_or_default())?;
            put_back(&mut self.early, room.get(decoded.read..read).unwrap_or_default());
            if decoded.data > 0 {
                return Poll::Ready(Ok(Some(Piece::Scratch(decoded.data))));
            }
        }
        Poll::Ready(Ok(self.body.trailers()?.map(Piece::Trailers)))
    }
}

/// Why no more of a body comes.
struct BadBody;

impl From<io::Error> for BadBody {
    fn from(error: io::Error) -> Self {
        tracing::debug!(%error, "a client's body broke off");
        Self
    }
}

impl From<BadCoding> for BadBody {
    fn from(error: BadCoding) -> Self {
        tracing::debug!(%error, "a client's body is malformed");
        Self
    }
}
