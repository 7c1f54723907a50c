//! One request to a target and its answer, both at once: the answer may come while the request is still on its way.
//!
//! Who answers early ("too large") closes with bytes unread, and the kernel resets the connection. The answer has
//! arrived by then, so a write that fails hides nothing: how the connection ended shows where it is read.

use std::io;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Body;
use thiserror::Error;
use tokio::net::TcpStream;

use super::coding::{BadCoding, Decoder};
use super::head::{Scan, Scanner};
use super::message::{self, Said};
use super::outgoing::{Coding, Outgoing, Unwritten};
use super::pipe::{self, Pipe};
use super::stream::{Rewound, poll_next, poll_read, put_back};
use crate::proxy::body::{BodyError, ClientBody, Piece};
use crate::proxy::deadline::Deadline;
use crate::proxy::fields::Introduction;
use crate::proxy::limits::{INTERIM_HEADS, UPSTREAM_BUFFER};
use crate::proxy::scratch;

/// The first read of an answer: its head, and all of most bodies.
const FIRST_READ: usize = 16 * 1024;

/// A connection to a target on which nothing is under way.
pub(in crate::proxy) struct Idle {
    stream: TcpStream,
    /// Waits of whoever asks on it; kept, for a timer costs more than a request's other waits.
    waiting: Deadline,
}

impl Idle {
    pub(in crate::proxy) fn new(stream: TcpStream) -> Self {
        Self { stream, waiting: Deadline::default() }
    }

    /// Whether the target has ended it, or said something that nobody asked for.
    pub(in crate::proxy) fn is_closed(&self) -> bool {
        let read = self.stream.try_read(&mut [0; 1]);
        !matches!(read, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub(in crate::proxy) enum NoAnswer {
    #[error(transparent)]
    Body(BodyError),
    #[error("the connection ended: {0}")]
    Ended(io::Error),
    #[error("it closed the connection")]
    Closed,
    #[error("{0}")]
    Malformed(&'static str),
}

/// A request on its way, and its answer.
pub(in crate::proxy) struct Exchange {
    connection: Idle,
    request: Request<ClientBody>,
    bodiless: bool,
    outgoing: Outgoing,
    /// Whether the target takes no more of the request.
    deaf: bool,
    /// Read and not used yet.
    early: BytesMut,
    scanner: Scanner,
    interim: usize,
    /// The body of the answer.
    body: Decoder,
    keeps: bool,
    way: Way,
    /// How much is read at once: more where much comes.
    room: usize,
}

/// How the body of an answer comes.
enum Way {
    /// Through the buffer that is lent.
    Copied,
    /// What is large through a pipe, which is made when it is needed.
    Piped(Option<Rc<Pipe>>),
}

impl Exchange {
    /// Begins to ask on a connection.
    pub(in crate::proxy) fn new(
        connection: Idle,
        mut request: Request<ClientBody>,
        introduction: &Introduction,
    ) -> Self {
        let bodiless = request.body().is_end_stream();
        let length = request.body().size_hint().exact();
        let fields = request.headers_mut();
        let coding = match length {
            _ if bodiless => Coding::Length(0),
            Some(length) => {
                fields.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
                Coding::Length(length)
            }
            None => {
                fields.remove(CONTENT_LENGTH);
                fields.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                Coding::Chunks
            }
        };
        let mut head = BytesMut::with_capacity(1024);
        let (method, uri) = (request.method(), request.uri());
        message::write_request(&mut head, method, uri, introduction.text(), request.headers());
        head.extend_from_slice(b"\r\n");
        let outgoing = Outgoing::new(head, coding, request.headers());
        Self {
            connection,
            request,
            bodiless,
            outgoing,
            deaf: false,
            early: BytesMut::new(),
            scanner: Scanner::new(UPSTREAM_BUFFER),
            interim: 0,
            body: Decoder::length(0),
            keeps: false,
            way: Way::Copied,
            room: FIRST_READ,
        }
    }

    /// The timer for this exchange.
    pub(in crate::proxy) fn waiting(&mut self) -> &mut Deadline {
        &mut self.connection.waiting
    }

    /// Whether any byte of the request has left.
    pub(in crate::proxy) fn has_begun(&self) -> bool {
        self.outgoing.has_begun()
    }

    /// The request again, if it has no body or not a byte of it left.
    pub(in crate::proxy) fn unsent(self) -> Option<Request<ClientBody>> {
        (self.bodiless || !self.has_begun()).then_some(self.request)
    }

    /// Writes on at the request; an error is the client's.
    fn upload(&mut self, cx: &mut Context<'_>, scratch: &mut [u8]) -> Result<(), BodyError> {
        if self.deaf || self.outgoing.is_over() {
            return Ok(());
        }
        let Self { connection, request, outgoing, .. } = self;
        let body = |cx: &mut Context<'_>, scratch: &mut [u8]| request.body_mut().poll_piece(cx, scratch);
        match outgoing.poll(cx, &mut connection.stream, scratch, body) {
            Poll::Ready(Err(Unwritten::Body(error))) => Err(error),
            Poll::Ready(Err(Unwritten::Stream(error))) => {
                tracing::debug!(%error, "a target takes no more of a request");
                self.deaf = true;
                Ok(())
            }
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Waits for the head of the answer.
    pub(in crate::proxy) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Result<Response<()>, NoAnswer>> {
        self.upload(cx, scratch).map_err(NoAnswer::Body)?;
        loop {
            let head = match self.scanner.scan(&self.early) {
                Scan::Whole(length) => self.early.split_to(length).freeze(),
                Scan::TooLong => return Poll::Ready(Err(NoAnswer::Malformed("its head is too large"))),
                Scan::Partial => match ready!(self.poll_read_head(cx, scratch))? {
                    Some(head) => head,
                    None => continue,
                },
            };
            self.scanner = Scanner::new(UPSTREAM_BUFFER);
            let Said { answer, body, keeps } =
                message::answer(&head, self.request.method()).map_err(NoAnswer::Malformed)?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS || !answer.status().is_informational() {
                let left = body.left().and_then(|left| usize::try_from(left).ok()).unwrap_or(0);
                (self.body, self.keeps) = (body, keeps);
                self.room = left.clamp(FIRST_READ, scratch::MOST);
                return Poll::Ready(Ok(answer));
            }
            self.interim += 1;
            if self.interim > INTERIM_HEADS {
                return Poll::Ready(Err(NoAnswer::Malformed("it does not come to its answer")));
            }
        }
    }

    /// Reads on; with the head at once if one read brought all of it.
    fn poll_read_head(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Result<Option<Bytes>, NoAnswer>> {
        let room = scratch::first(scratch, FIRST_READ);
        let read = ready!(poll_read(&mut self.connection.stream, cx, room)).map_err(NoAnswer::Ended)?;
        if read == 0 {
            return Poll::Ready(Err(NoAnswer::Closed));
        }
        let bytes = room.get(..read).unwrap_or_default();
        if self.early.is_empty()
            && let Scan::Whole(length) = self.scanner.scan(bytes)
        {
            let (head, rest) = bytes.split_at(length);
            self.early = BytesMut::from(rest);
            return Poll::Ready(Ok(Some(Bytes::copy_from_slice(head))));
        }
        self.early.extend_from_slice(bytes);
        Poll::Ready(Ok(None))
    }

    /// The next piece of the answer's body.
    pub(in crate::proxy) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &mut [u8],
    ) -> Poll<Option<Result<Piece, BodyError>>> {
        self.upload(cx, scratch)?;
        if let Some(pipe) = self.pipe() {
            let most = usize::try_from(self.body.left().unwrap_or(0)).unwrap_or(usize::MAX);
            let read = ready!(pipe.poll_fill(cx, &self.connection.stream, most)).map_err(BodyError::Ended)?;
            if read == 0 {
                self.body.close()?;
            }
            self.body.pass(u64::try_from(read).unwrap_or(u64::MAX));
            return Poll::Ready(Some(Ok(Piece::Piped(pipe))));
        }
        while !self.body.is_done() {
            let room = scratch::first(scratch, self.room);
            let begun = !self.early.is_empty();
            let read = ready!(poll_next(&mut self.early, &mut self.connection.stream, cx, room));
            let mut read = read.map_err(BodyError::Ended)?;
            if begun && self.body.left().is_some_and(|left| left > read as u64) {
                // What came behind the head goes on with what came since; an end of the connection is met again.
                let rest = room.get_mut(read..).filter(|rest| !rest.is_empty());
                if let Some(Poll::Ready(Ok(more))) =
                    rest.map(|rest| poll_read(&mut self.connection.stream, cx, rest))
                {
                    read += more;
                }
            }
            if read == 0 {
                self.body.close()?;
            } else if read == room.len() {
                self.room = (self.room * 2).min(scratch::MOST);
            }
            let decoded = self.body.decode(room.get_mut(..read).unwrap_or_default())?;
            put_back(&mut self.early, room.get(decoded.read..read).unwrap_or_default());
            if decoded.data > 0 {
                return Poll::Ready(Some(Ok(Piece::Scratch(decoded.data))));
            }
        }
        let trailers = self.body.trailers()?;
        Poll::Ready(trailers.map(Piece::Trailers).map(Ok))
    }

    /// From now on a piece may come in a pipe.
    pub(in crate::proxy) fn let_pipe(&mut self) {
        self.way = Way::Piped(None);
    }

    /// What the next piece comes in, if not in the buffer: only of a body of known length.
    fn pipe(&mut self) -> Option<Rc<Pipe>> {
        let Way::Piped(pipe) = &mut self.way else { return None };
        if !self.early.is_empty() || self.body.left().is_none_or(|left| left < pipe::WORTH) {
            return None;
        }
        if pipe.is_none() {
            *pipe = Pipe::new().map(Rc::new);
        }
        let pipe = pipe.clone();
        if pipe.is_none() {
            self.way = Way::Copied;
        }
        pipe
    }

    /// Whether all of the answer was read.
    pub(in crate::proxy) fn is_read(&self) -> bool {
        self.body.is_over()
    }

    /// How much of the answer's body is left, if that is known.
    pub(in crate::proxy) fn left(&self) -> Option<u64> {
        self.body.left()
    }

    /// The connection again, if both sides have said all and nothing else.
    pub(in crate::proxy) fn retire(self) -> Option<Idle> {
        let clean = self.keeps && self.is_read() && self.early.is_empty();
        (clean && !self.deaf && self.outgoing.is_over()).then_some(self.connection)
    }

    /// What is behind the answer that agreed to an upgrade.
    pub(in crate::proxy) fn into_tunnel(self) -> Rewound<TcpStream> {
        Rewound { early: self.early, stream: self.connection.stream }
    }
}

impl From<BadCoding> for BodyError {
    fn from(error: BadCoding) -> Self {
        Self::Ended(io::Error::new(io::ErrorKind::InvalidData, error))
    }
}
