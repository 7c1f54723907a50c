//! A client's connection, with TLS or without.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::pipe::{Outlet, Pipe};
use crate::proxy::tls::Secured;

/// What carries a conversation.
pub(in crate::proxy) enum Stream {
    /// Nothing but TCP.
    Plain(TcpStream),
    /// A TLS session.
    Secured(Box<Secured>),
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, out),
            Self::Secured(stream) => Pin::new(stream).poll_read(cx, out),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Self::Secured(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Self::Secured(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Secured(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Secured(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Secured(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

impl Outlet for Stream {
    fn poll_drain(&mut self, cx: &mut Context<'_>, pipe: &Pipe) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(stream) => pipe.poll_drain(cx, stream),
            // What goes there has to be read, to be sealed.
            Self::Secured(_) => Poll::Ready(Err(io::ErrorKind::Unsupported.into())),
        }
    }
}

/// A stream of which some bytes were read too early.
pub(in crate::proxy) struct Rewound<S> {
    pub(in crate::proxy) early: BytesMut,
    pub(in crate::proxy) stream: S,
}

impl<S: AsyncRead + Unpin> AsyncRead for Rewound<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = ready!(poll_next(&mut this.early, &mut this.stream, cx, out.initialize_unfilled()))?;
        out.advance(read);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Rewound<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

/// Reads into `room`; ready with 0 at the end of the stream.
pub(super) fn poll_read<S: AsyncRead + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut read = ReadBuf::new(room);
    Pin::new(stream).poll_read(cx, &mut read).map_ok(|()| read.filled().len())
}

/// Bytes that were read and not used yet come first.
pub(super) fn poll_next<S: AsyncRead + Unpin>(
    early: &mut BytesMut,
    stream: &mut S,
    cx: &mut Context<'_>,
    room: &mut [u8],
) -> Poll<io::Result<usize>> {
    if early.is_empty() {
        return poll_read(stream, cx, room);
    }
    let count = early.len().min(room.len());
    let (to, _) = room.split_at_mut(count);
    to.copy_from_slice(&early.split_to(count));
    if early.is_empty() {
        *early = BytesMut::new();
    }
    Poll::Ready(Ok(count))
}

/// Puts bytes back that were read too far.
pub(super) fn put_back(early: &mut BytesMut, bytes: &[u8]) {
    if !bytes.is_empty() {
        let rest = std::mem::replace(early, BytesMut::from(bytes));
        early.extend_from_slice(&rest);
    }
}
