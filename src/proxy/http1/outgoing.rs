//! A message on its way out: its head, then its body piece by piece, in the framing that its head names.
//!
//! Nothing is gathered: a piece is asked for once the one before it is written.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use http::HeaderMap;
use http::header::TRAILER;

use super::message;
use super::pipe::{Outlet, Pipe};
use crate::proxy::body::Piece;

/// To copy so many bytes costs less than to name them to the kernel one by one.
const SMALL: usize = 4096;

/// How the body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::proxy) enum Coding {
    /// So many bytes are still to come.
    Length(u64),
    /// In chunks.
    Chunks,
    /// By the end of the connection.
    UntilClose,
}

/// Why a message could not be written to its end.
#[derive(Debug)]
pub(in crate::proxy) enum Unwritten<E> {
    /// Its body failed.
    Body(E),
    /// Whom it is written to has left.
    Stream(io::Error),
}

/// A message on its way out.
#[derive(Debug)]
pub(in crate::proxy) struct Outgoing {
    /// Bytes that are to be written next.
    waiting: BytesMut,
    coding: Coding,
    /// Whether the head announces trailers: to others they could be the beginning of something else.
    announced: bool,
    /// Whether nothing but the head waits, so that a piece can go with it.
    head_alone: bool,
    /// Whether the end of the body waits, too.
    ended: bool,
    /// What is written once nothing else waits.
    piped: Option<Rc<Pipe>>,
    written: u64,
}

impl Outgoing {
    /// Begins with the bytes of the head, which are of these fields.
    pub(in crate::proxy) fn new(head: BytesMut, coding: Coding, fields: &HeaderMap) -> Self {
        let (ended, announced) = (coding == Coding::Length(0), fields.contains_key(TRAILER));
        Self { waiting: head, coding, announced, head_alone: true, ended, piped: None, written: 0 }
    }

    /// Whether any byte has left.
    pub(in crate::proxy) fn has_begun(&self) -> bool {
        self.written > 0
    }

    /// Whether all bytes have left.
    pub(in crate::proxy) fn is_over(&self) -> bool {
        self.ended && self.waiting.is_empty() && self.piped.is_none()
    }

    /// Writes on; ready once all is written.
    pub(in crate::proxy) fn poll<W, E>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut W,
        scratch: &mut [u8],
        mut body: impl FnMut(&mut Context<'_>, &mut [u8]) -> Poll<Option<Result<Piece, E>>>,
    ) -> Poll<Result<(), Unwritten<E>>>
    where
        W: Outlet,
    {
        loop {
            if let Some(pipe) = self.piped.as_deref().filter(|_| self.waiting.is_empty()) {
                self.written += count(ready!(stream.poll_drain(cx, pipe)).map_err(Unwritten::Stream)?);
                self.piped.take_if(|pipe| pipe.held() == 0);
                continue;
            }
            if !self.ended && self.piped.is_none() && (self.head_alone || self.waiting.is_empty()) {
                self.head_alone = false;
                match body(cx, scratch) {
                    Poll::Ready(Some(Ok(piece))) => {
                        self.put(cx, stream, scratch, &piece).map_err(Unwritten::Stream)?;
                        continue;
                    }
                    Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(Unwritten::Body(error))),
                    Poll::Ready(None) => {
                        self.end(b"0\r\n\r\n").map_err(Unwritten::Stream)?;
                        continue;
                    }
                    Poll::Pending => {}
                }
            }
            if self.waiting.is_empty() {
                // What a TLS session holds back is not written yet.
                ready!(Pin::new(&mut *stream).poll_flush(cx)).map_err(Unwritten::Stream)?;
                return if self.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, &self.waiting));
            let written = written.map_err(Unwritten::Stream)?;
            if written == 0 {
                return Poll::Ready(Err(Unwritten::Stream(io::ErrorKind::WriteZero.into())));
            }
            self.written += count(written);
            self.waiting.advance(written);
        }
    }

    /// Writes a piece, together with what waits; what does not leave at once waits.
    fn put<W: Outlet>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut W,
        scratch: &[u8],
        piece: &Piece,
    ) -> io::Result<()> {
        let bytes = match piece {
            Piece::Scratch(length) => scratch.get(..*length).unwrap_or_default(),
            Piece::Bytes(bytes) => bytes,
            Piece::Piped(pipe) => {
                self.piped = Some(Rc::clone(pipe));
                return self.shorten(pipe.held());
            }
            Piece::Trailers(fields) => {
                if self.coding == Coding::Chunks && self.announced {
                    self.waiting.extend_from_slice(b"0\r\n");
                    for (name, value) in fields {
                        message::write_field(&mut self.waiting, name, value);
                    }
                    return self.end(b"\r\n");
                }
                return self.end(b"0\r\n\r\n");
            }
        };
        if bytes.is_empty() {
            return Ok(());
        }
        let mut size = [0; 18];
        let (before, after): (&[u8], &[u8]) = match &mut self.coding {
            Coding::Chunks => (chunk_size(bytes.len(), &mut size), b"\r\n"),
            Coding::UntilClose => (b"", b""),
            Coding::Length(_) => {
                self.shorten(bytes.len())?;
                (b"", b"")
            }
        };
        if bytes.len() <= SMALL {
            for slice in [before, bytes, after] {
                self.waiting.extend_from_slice(slice);
            }
            return Ok(());
        }
        let slices = [&self.waiting, before, bytes, after];
        let whole: usize = slices.iter().map(|slice| slice.len()).sum();
        let written = match Pin::new(stream).poll_write_vectored(cx, &slices.map(IoSlice::new)) {
            Poll::Ready(written) => written?,
            Poll::Pending => 0,
        };
        self.written += count(written);
        if written == whole {
            self.waiting.clear();
            return Ok(());
        }
        let mut skip = written;
        let mut rest = BytesMut::with_capacity(whole - written);
        for slice in slices {
            rest.extend_from_slice(slice.get(skip..).unwrap_or_default());
            skip = skip.saturating_sub(slice.len());
        }
        self.waiting = rest;
        Ok(())
    }

    /// So many bytes of a body whose length is known are on their way.
    fn shorten(&mut self, bytes: usize) -> io::Result<()> {
        let Coding::Length(left) = &mut self.coding else {
            return Err(broken("the length of the body is not known"));
        };
        *left =
            left.checked_sub(count(bytes)).ok_or_else(|| broken("the body is longer than its head says"))?;
        self.ended = *left == 0;
        Ok(())
    }

    /// The body is at its end; `chunks` says so where it is in chunks.
    fn end(&mut self, chunks: &[u8]) -> io::Result<()> {
        match self.coding {
            Coding::Chunks => self.waiting.extend_from_slice(chunks),
            Coding::UntilClose | Coding::Length(0) => {}
            Coding::Length(_) => return Err(broken("the body is shorter than its head says")),
        }
        self.ended = true;
        Ok(())
    }
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

fn broken(words: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, words)
}

/// The line before a chunk.
fn chunk_size(length: usize, line: &mut [u8; 18]) -> &[u8] {
    let [digits @ .., cr, lf] = line;
    (*cr, *lf) = (b'\r', b'\n');
    let (mut length, mut at) = (length, digits.len());
    for (place, digit) in digits.iter_mut().enumerate().rev() {
        let nibble = u32::try_from(length & 0xf).unwrap_or(0);
        *digit = u8::try_from(char::from_digit(nibble, 16).unwrap_or('0')).unwrap_or(b'0');
        (length, at) = (length >> 4, place);
        if length == 0 {
            break;
        }
    }
    line.get(at..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::convert::Infallible;
    use std::future::poll_fn;

    use bytes::Bytes;
    use http::HeaderValue;
    use tokio::io::AsyncReadExt;

    use super::*;

    impl Outlet for tokio::io::DuplexStream {
        fn poll_drain(&mut self, _: &mut Context<'_>, _: &Pipe) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::Unsupported.into()))
        }
    }

    /// What is written to a reader that takes `room` bytes at a time.
    async fn check(coding: Coding, pieces: Vec<Piece>, room: usize, expected: Result<&str, &str>) {
        let (mut writer, mut reader) = tokio::io::duplex(room);
        let mut pieces = VecDeque::from(pieces);
        let mut scratch = *b"scratch";
        let announced = HeaderMap::from_iter([(TRAILER, HeaderValue::from_static("etag"))]);
        let mut outgoing = Outgoing::new(BytesMut::from("head "), coding, &announced);
        let writing = async {
            let written = poll_fn(|cx| {
                outgoing.poll(cx, &mut writer, &mut scratch, |_, _| {
                    Poll::Ready(pieces.pop_front().map(Ok::<_, Infallible>))
                })
            });
            let written = written.await;
            drop(writer);
            written
        };
        let mut got = String::new();
        let (written, read) = tokio::join!(writing, reader.read_to_string(&mut got));
        read.unwrap();
        let written = written.map(|()| got.as_str()).map_err(|error| match error {
            Unwritten::Stream(error) => error.to_string(),
            Unwritten::Body(never) => match never {},
        });
        assert_eq!(written, expected.map_err(str::to_owned), "{coding:?}");
    }

    #[tokio::test]
    async fn each_framing_in_any_room() {
        let fields = || HeaderMap::from_iter([(http::header::ETAG, HeaderValue::from_static("x"))]);
        let bytes = |text: &'static str| Piece::Bytes(Bytes::from_static(text.as_bytes()));
        let pieces =
            || vec![Piece::Scratch(7), bytes(""), bytes("0123456789abcdefg"), Piece::Trailers(fields())];
        for room in [1, 3, 64, 4096] {
            let chunks = "head 7\r\nscratch\r\n11\r\n0123456789abcdefg\r\n0\r\netag: x\r\n\r\n";
            check(Coding::Chunks, pieces(), room, Ok(chunks)).await;
            check(Coding::Chunks, vec![], room, Ok("head 0\r\n\r\n")).await;
            check(Coding::Length(24), pieces(), room, Ok("head scratch0123456789abcdefg")).await;
            check(Coding::Length(0), vec![], room, Ok("head ")).await;
            check(Coding::UntilClose, pieces(), room, Ok("head scratch0123456789abcdefg")).await;
        }
        check(Coding::Length(23), pieces(), 99, Err("the body is longer than its head says")).await;
        check(Coding::Length(25), pieces(), 99, Err("the body is shorter than its head says")).await;
    }

    #[test]
    fn sizes_of_chunks() {
        for length in [1, 9, 10, 15, 16, 255, 256, 65_535, 1 << 40, usize::MAX] {
            assert_eq!(chunk_size(length, &mut [0; 18]), format!("{length:x}\r\n").as_bytes());
        }
    }
}
