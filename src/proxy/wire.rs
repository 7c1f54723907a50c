//! The client's side of a connection, beneath hyper: one request head at a time, vetted before hyper sees it,
//! and a deadline on every wait for the client.
//!
//! hyper drops a Content-Length that stands beside a Transfer-Encoding and merges repeated ones before anyone
//! can see them. So heads are read here first. What hyper refuses by itself is left to hyper.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};
use tokio_util::io::poll_read_buf;

use super::head::{After, Scan, Scanner};
use super::limits::{HEAD_BYTES, Limits};
use super::patient::Patient;
use super::refusal::Refusal;

/// What the bytes say about a connection, for whoever answers its requests.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// The number of the request after which nothing more is read, and why it is refused if it is.
    last: OnceLock<(u32, Option<Refusal>)>,
    /// Requests that are being answered.
    busy: AtomicU32,
    /// Grows whenever one begins or ends.
    turns: AtomicU32,
    /// Set once the connection is a tunnel.
    raw: AtomicBool,
    touched: AtomicBool,
    /// Set once no first request is waited for any more.
    closing: AtomicBool,
}

/// What is known of one request from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another request may follow.
    Keep,
    /// It is well-formed, and the last of its connection.
    Last,
    /// It must be refused, and the connection closed.
    Refuse(Refusal),
}

impl Wire {
    /// The verdict on the request with this number; the first is 1.
    pub(super) fn verdict(&self, number: u32) -> Verdict {
        match self.last.get() {
            Some((last, refusal)) if *last == number => refusal.map_or(Verdict::Last, Verdict::Refuse),
            Some(_) | None => Verdict::Keep,
        }
    }

    /// Counts a request as being answered until the guard is dropped; meanwhile the client may be silent.
    pub(super) fn enter(self: &Arc<Self>) -> Busy {
        self.busy.fetch_add(1, Ordering::Relaxed);
        self.turns.fetch_add(1, Ordering::Relaxed);
        Busy(Arc::clone(self))
    }

    /// From here on bytes pass as they come: the upgrade was agreed to.
    pub(super) fn tunnel(&self) {
        self.raw.store(true, Ordering::Relaxed);
    }

    /// Whether any byte has come.
    pub(super) fn touched(&self) -> bool {
        self.touched.load(Ordering::Relaxed)
    }

    /// Ends the stream where nothing has come yet; whoever reads it must be made to read once more.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    /// Waits until nothing was asked or answered for at least `limit`, and at most twice that.
    pub(super) async fn quiet(&self, limit: Duration) {
        loop {
            let turns = self.turns.load(Ordering::Relaxed);
            sleep(limit).await;
            if self.busy.load(Ordering::Relaxed) == 0 && self.turns.load(Ordering::Relaxed) == turns {
                return;
            }
        }
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct Busy(Arc<Wire>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
        self.0.turns.fetch_add(1, Ordering::Relaxed);
    }
}

/// What the next bytes are.
#[derive(Debug, Clone, Copy)]
enum State {
    /// The head of a request.
    Head,
    /// This many bytes of a body.
    Body(u64),
    /// Whatever is left of this connection; hyper finds the end of the body.
    Rest,
    /// Nothing that may pass yet: an upgrade was asked for and not answered.
    Held,
    /// Nothing: the client was too slow.
    Over,
}

/// A client's stream as hyper reads and writes it.
pub(super) struct Intake<S> {
    stream: Patient<S>,
    wire: Arc<Wire>,
    state: State,
    heads: u32,
    buffer: BytesMut,
    /// How many bytes at the front of `buffer` may pass.
    passing: usize,
    scanner: Scanner,
    reading: Deadline,
    /// Which wait `reading` is for: it starts anew when another begins.
    awaited: Option<Wait>,
    limits: Arc<Limits>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wait {
    FirstByte,
    NextRequest,
    RestOfHead,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Intake<S> {
    pub(super) fn new(stream: S, wire: Arc<Wire>, limits: Arc<Limits>) -> Self {
        Self {
            stream: Patient::new(stream, limits.write_stall),
            wire,
            state: State::Head,
            heads: 0,
            buffer: BytesMut::new(),
            passing: 0,
            scanner: Scanner::default(),
            reading: Deadline::default(),
            awaited: None,
            limits,
        }
    }

    /// Lets buffered bytes pass that may; says whether there were any.
    fn pass(&mut self, out: &mut ReadBuf<'_>) -> bool {
        let count = self.passing.min(self.buffer.len()).min(out.remaining());
        if count == 0 {
            return false;
        }
        let (front, _) = self.buffer.split_at(count);
        out.put_slice(front);
        self.buffer.advance(count);
        self.passing -= count;
        true
    }

    /// Reads until a whole head is in the buffer and judges it. Ready without progress is the end of the stream.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        loop {
            self.scanner.skip_empty_lines(&mut self.buffer);
            match self.scanner.scan(&self.buffer) {
                Scan::Whole(head) => {
                    let verdict = self.scanner.judge(self.buffer.get(..head).unwrap_or_default());
                    self.begin(head, verdict);
                    return Poll::Ready(Ok(true));
                }
                Scan::TooLong => {
                    // hyper has the same limit and answers 431; should it not, the verdict stands.
                    self.begin(self.buffer.len(), Err(Refusal::HeadTooLarge));
                    return Poll::Ready(Ok(true));
                }
                Scan::Partial => {}
            }
            self.buffer.reserve(2048);
            match poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer) {
                Poll::Pending if !self.wire.touched() && self.wire.closing.load(Ordering::Relaxed) => {
                    return Poll::Ready(Ok(false));
                }
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(false)),
                Poll::Ready(Ok(_)) => self.wire.touched.store(true, Ordering::Relaxed),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return self.poll_patience(cx).map(Ok),
            }
        }
    }

    /// Waits no longer than the limits say; ready means that time is over.
    fn poll_patience(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.wire.busy.load(Ordering::Relaxed) > 0 {
            self.awaited = None;
            self.reading.disarm();
            return Poll::Pending;
        }
        let (wait, limit) = match (self.buffer.is_empty(), self.heads) {
            (false, _) => (Wait::RestOfHead, self.limits.header),
            (true, 0) => (Wait::FirstByte, self.limits.first_byte),
            (true, _) => (Wait::NextRequest, self.limits.idle),
        };
        if self.awaited != Some(wait) {
            self.awaited = Some(wait);
            self.reading.disarm();
        }
        ready!(self.reading.poll(cx, limit));
        tracing::debug!(?wait, "a client was too slow");
        self.state = State::Over;
        Poll::Ready(false)
    }

    /// Takes in what was found out about the next request, whose head is `head` bytes long.
    fn begin(&mut self, head: usize, verdict: Result<After, Refusal>) {
        self.heads = self.heads.saturating_add(1);
        self.awaited = None;
        self.reading.disarm();
        self.scanner = Scanner::default();
        self.passing = head;
        let (state, last) = match verdict {
            Ok(After::Body(0)) => (State::Head, None),
            Ok(After::Body(length)) => (State::Body(length), None),
            Ok(After::Chunks) => (State::Rest, Some(None)),
            Ok(After::Upgrade) => (State::Held, Some(None)),
            // hyper reads on until it has what it takes for a request, and that one is refused.
            Err(refusal) => (State::Rest, Some(Some(refusal))),
        };
        self.state = state;
        if let Some(refusal) = last {
            // Nothing is judged after the last request, so this is set at most once.
            self.wire.last.get_or_init(|| (self.heads, refusal));
        }
    }

    fn poll_through(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.passing = self.buffer.len();
        if self.pass(out) {
            return Poll::Ready(Ok(()));
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, out);
        if read.is_pending() && !self.wire.raw.load(Ordering::Relaxed) {
            return self.poll_patience(cx).map(|_over| Ok(()));
        }
        read
    }

    fn poll_body(&mut self, cx: &mut Context<'_>, out: &mut ReadBuf<'_>, left: u64) -> Poll<io::Result<()>> {
        let before = out.filled().len();
        if self.buffer.is_empty() {
            let mut body = (&mut self.stream).take(left);
            ready!(Pin::new(&mut body).poll_read(cx, out))?;
        } else {
            self.passing = usize::try_from(left).unwrap_or(usize::MAX).min(self.buffer.len());
            self.pass(out);
            self.passing = 0;
        }
        let read = u64::try_from(out.filled().len() - before).unwrap_or(u64::MAX);
        self.state = match left.saturating_sub(read) {
            0 => State::Head,
            left => State::Body(left),
        };
        Poll::Ready(Ok(()))
    }

    /// Keeps what the client sends too early, within bounds, and notices when it leaves.
    fn poll_held(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.buffer.len() < HEAD_BYTES {
            self.buffer.reserve(1024);
            if ready!(poll_read_buf(Pin::new(&mut self.stream), cx, &mut self.buffer))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Intake<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if out.remaining() == 0 || this.pass(out) {
                return Poll::Ready(Ok(()));
            }
            match this.state {
                State::Head => {
                    if !ready!(this.poll_head(cx))? {
                        // No bytes are the end of the stream: half a head is of no use to hyper.
                        this.state = State::Over;
                        return Poll::Ready(Ok(()));
                    }
                }
                State::Body(left) => return this.poll_body(cx, out, left),
                State::Rest => return this.poll_through(cx, out),
                State::Held if this.wire.raw.load(Ordering::Relaxed) => this.state = State::Rest,
                State::Held => return this.poll_held(cx),
                State::Over => return Poll::Ready(Ok(())),
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Intake<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// A wait that may be begun, ended and begun again, with one timer.
#[derive(Default)]
pub(super) struct Deadline {
    sleep: Option<Pin<Box<Sleep>>>,
    armed: bool,
}

impl Deadline {
    /// Begins the wait if it has not begun; ready once `limit` is over.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.armed {
            self.armed = true;
            sleep.as_mut().reset(Instant::now() + limit);
        }
        sleep.as_mut().poll(cx)
    }

    /// Ends the wait.
    pub(super) fn disarm(&mut self) {
        self.armed = false;
    }
}
