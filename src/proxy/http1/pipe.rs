//! Bytes on their way from one connection to another without being read: the kernel keeps them in a pipe, and nobody
//! copies them.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use tokio::io::{AsyncWrite, Interest};
use tokio::net::TcpStream;

/// From so many bytes on it costs less than to copy them.
pub(super) const WORTH: u64 = 256 * 1024;
/// The bytes that a pipe is asked to hold.
const ROOM: usize = 256 * 1024;
/// The most that it takes in: what one page of it names may be a larger part of the kernel's memory.
const MOST: usize = 1024 * 1024;
/// The pipes of one worker, of two descriptors each: they are of those that are kept for other things than clients.
const PIPES: usize = 64;

thread_local! {
    static THERE: Cell<usize> = const { Cell::new(0) };
}

/// A pipe, and what is in it.
#[derive(Debug)]
pub(in crate::proxy) struct Pipe {
    source: OwnedFd,
    sink: OwnedFd,
    held: Cell<usize>,
}

impl Pipe {
    /// An empty one, unless this worker has too many of them.
    pub(super) fn new() -> Option<Self> {
        let there = THERE.get();
        if there >= PIPES {
            return None;
        }
        let pipe = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK);
        let (source, sink) =
            pipe.inspect_err(|error| tracing::debug!(%error, "a body is copied: there is no pipe")).ok()?;
        if let Err(error) = fcntl_setpipe_size(&sink, ROOM) {
            tracing::debug!(%error, "a pipe holds less than it should");
        }
        THERE.set(there + 1);
        Some(Self { source, sink, held: Cell::new(0) })
    }

    /// How many bytes are in it.
    pub(in crate::proxy) fn held(&self) -> usize {
        self.held.get()
    }

    /// Takes in at most so many bytes of a connection; 0 at its end. The pipe is empty, so it is the connection that has
    /// nothing where there is nothing to be had.
    pub(super) fn poll_fill(
        &self,
        cx: &mut Context<'_>,
        from: &TcpStream,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(from.poll_read_ready(cx))?;
            let filled = from.try_io(Interest::READABLE, || pass(from, &self.sink, most.min(MOST)));
            if let Some(filled) = unless_it_blocks(filled) {
                return Poll::Ready(filled.inspect(|bytes| self.held.set(*bytes)));
            }
        }
    }

    /// Hands on what is in it, as much as goes at once.
    pub(super) fn poll_drain(&self, cx: &mut Context<'_>, to: &TcpStream) -> Poll<io::Result<usize>> {
        loop {
            ready!(to.poll_write_ready(cx))?;
            let drained = to.try_io(Interest::WRITABLE, || pass(&self.source, to, self.held.get()));
            if let Some(drained) = unless_it_blocks(drained) {
                return Poll::Ready(drained.inspect(|bytes| self.held.set(self.held.get() - bytes)));
            }
        }
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        THERE.set(THERE.get() - 1);
    }
}

fn pass(from: impl AsFd, to: impl AsFd, most: usize) -> io::Result<usize> {
    Ok(splice(from, None, to, None, most, SpliceFlags::MOVE | SpliceFlags::NONBLOCK)?)
}

fn unless_it_blocks(done: io::Result<usize>) -> Option<io::Result<usize>> {
    Some(done).filter(|done| !matches!(done, Err(error) if error.kind() == io::ErrorKind::WouldBlock))
}

/// What messages are written to.
pub(in crate::proxy) trait Outlet: AsyncWrite + Unpin {
    /// Writes what is in a pipe, as much as goes at once.
    fn poll_drain(&mut self, cx: &mut Context<'_>, pipe: &Pipe) -> Poll<io::Result<usize>>;
}

impl Outlet for TcpStream {
    fn poll_drain(&mut self, cx: &mut Context<'_>, pipe: &Pipe) -> Poll<io::Result<usize>> {
        pipe.poll_drain(cx, self)
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, other) =
            tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (one.unwrap(), other.unwrap().0)
    }

    #[tokio::test]
    async fn what_goes_in_comes_out() {
        let ((mut writer, from), (to, mut reader)) = (pair().await, pair().await);
        let pipe = Pipe::new().unwrap();
        let sent: Vec<u8> =
            (0..3_000_000_u32).map(|number| number.to_le_bytes()[number as usize % 3]).collect();
        let passing = async {
            loop {
                let filled = poll_fn(|cx| pipe.poll_fill(cx, &from, usize::MAX)).await.unwrap();
                assert_eq!(filled, pipe.held());
                if filled == 0 {
                    return drop(to);
                }
                while pipe.held() > 0 {
                    assert!(poll_fn(|cx| pipe.poll_drain(cx, &to)).await.unwrap() > 0);
                }
            }
        };
        let writing = async {
            writer.write_all(&sent).await.unwrap();
            drop(writer);
        };
        let mut got = Vec::new();
        let ((), (), read) = tokio::join!(passing, writing, reader.read_to_end(&mut got));
        read.unwrap();
        assert!(got == sent, "{} of {} bytes, or others", got.len(), sent.len());
    }

    #[tokio::test]
    async fn who_has_left_takes_nothing() {
        let ((mut writer, from), (to, reader)) = (pair().await, pair().await);
        let pipe = Pipe::new().unwrap();
        reader.set_zero_linger().unwrap();
        drop(reader);
        writer.write_all(b"hello").await.unwrap();
        assert_eq!(poll_fn(|cx| pipe.poll_fill(cx, &from, 3)).await.unwrap(), 3);
        poll_fn(|cx| pipe.poll_drain(cx, &to)).await.unwrap_err();
    }

    #[test]
    fn a_worker_has_so_many() {
        let pipes: Vec<_> = (0..PIPES).filter_map(|_| Pipe::new()).collect();
        assert_eq!((pipes.len(), Pipe::new().is_none()), (PIPES, true));
        drop(pipes);
        assert!(Pipe::new().is_some());
    }
}
