//! A client's stream whose first words are bounded: nobody needs a long `ClientHello`, and until it is whole it is kept.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf};

/// The bytes of a `ClientHello` that are read before the client is dropped.
const HELLO_BYTES: u64 = 16 * 1024;

/// A stream that fails when it has given too many bytes before the greeting was over.
#[derive(Debug)]
pub(in crate::proxy) struct Greeting<S> {
    stream: S,
    /// Bytes that may still be read; none once the greeting is over.
    left: Option<u64>,
}

impl<S> Greeting<S> {
    pub(super) fn new(stream: S) -> Self {
        Self { stream, left: Some(HELLO_BYTES) }
    }

    /// Whatever follows is bounded by others.
    pub(super) fn over(&mut self) {
        self.left = None;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Greeting<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(left) = this.left else { return Pin::new(&mut this.stream).poll_read(cx, out) };
        if left == 0 {
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the ClientHello is too long",
            )));
        }
        let before = out.filled().len();
        let mut bounded = (&mut this.stream).take(left);
        ready!(Pin::new(&mut bounded).poll_read(cx, out))?;
        let read = u64::try_from(out.filled().len() - before).unwrap_or(u64::MAX);
        this.left = Some(left.saturating_sub(read));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Greeting<S> {
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
