//! `WebSocket`s: after the target's 101, and not before, bytes pass both ways until one side ends.
//!
//! When the release is retired or the proxy's time is over, the client is told with close code 1001 ("going away"),
//! between two frames of the target. Frames are followed only to find that place; none is changed or kept.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::drain::InFlight;
use super::http1::Rewound;
use super::record::{Counted, Record};
use super::table::Backend;
use super::worker::{Client, Worker};

/// A close frame, unmasked as servers send it, with code 1001 (RFC 6455, 5.5.1 and 7.4.1).
const GOING_AWAY: [u8; 4] = [0x88, 0x02, 0x03, 0xe9];
/// One read of one direction.
const CHUNK: usize = 8 * 1024;
/// How long the target may go on after the client has ended its side.
const LINGER: Duration = Duration::from_secs(10);

/// What is behind an answer that agreed to become one.
pub(super) struct Tunnel {
    target: Rewound<TcpStream>,
    backend: Arc<Backend>,
    worker: Rc<Worker>,
    record: Rc<Record>,
    _in_flight: InFlight,
}

impl Tunnel {
    /// Begins with the target's side.
    pub(super) fn new(
        client: &Client,
        target: Rewound<TcpStream>,
        backend: Arc<Backend>,
        in_flight: InFlight,
        record: &Rc<Record>,
    ) -> Self {
        let (worker, record) = (Rc::clone(&client.worker), Rc::clone(record));
        Self { target, backend, worker, record, _in_flight: in_flight }
    }

    /// Passes bytes until it ends.
    pub(super) async fn run(self, client: impl AsyncRead + AsyncWrite + Unpin) {
        let Self { target, backend, worker, record, _in_flight } = self;
        record.is_tunnel();
        let client = Counted { stream: client, record };
        let end = async {
            tokio::select! {
                () = backend.gauge.left() => {}
                () = worker.tunnels.cancelled() => {}
            }
        };
        if let Err(error) = tunnel(client, target, worker.limits.tunnel_idle, end).await {
            tracing::debug!(%error, "a tunnel broke off");
        }
    }
}

/// Passes bytes both ways until one side ends, nothing moves for `idle`, or `end` comes.
async fn tunnel(
    client: impl AsyncRead + AsyncWrite,
    target: impl AsyncRead + AsyncWrite,
    idle: Duration,
    end: impl Future<Output = ()>,
) -> io::Result<()> {
    let (mut client_read, mut client_write) = tokio::io::split(client);
    let (mut target_read, mut target_write) = tokio::io::split(target);
    let moved = Cell::new(Instant::now());
    let up = async {
        let mut buffer = vec![0; CHUNK];
        loop {
            let count = client_read.read(&mut buffer).await?;
            if count == 0 {
                return target_write.shutdown().await;
            }
            target_write.write_all(buffer.get(..count).unwrap_or_default()).await?;
            target_write.flush().await?;
            moved.set(Instant::now());
        }
    };
    let down = async {
        tokio::pin!(end);
        let (mut buffer, mut frames, mut ending) = (vec![0; CHUNK], Frames::default(), false);
        loop {
            if ending && frames.between() {
                client_write.write_all(&GOING_AWAY).await?;
                return client_write.shutdown().await;
            }
            let count = tokio::select! {
                biased;
                () = &mut end, if !ending => { ending = true; continue }
                count = target_read.read(&mut buffer) => count?,
            };
            if count == 0 {
                return client_write.shutdown().await;
            }
            let read = buffer.get(..count).unwrap_or_default();
            // While ending, what follows the frame under way stays behind.
            let passing = frames.follow(read, ending);
            client_write.write_all(read.get(..passing).unwrap_or_default()).await?;
            client_write.flush().await?;
            moved.set(Instant::now());
        }
    };
    let silence = async {
        while moved.get().elapsed() < idle {
            sleep_until(moved.get() + idle).await;
        }
    };
    tokio::pin!(down);
    tokio::select! {
        result = &mut down => result,
        // The target may still have something to say to a client that has ended its side.
        result = up => {
            result?;
            timeout(LINGER, down).await.unwrap_or(Ok(()))
        }
        () = silence => Ok(()),
    }
}

/// Where in the target's frames a stream is (RFC 6455, 5.2).
#[derive(Debug, Default)]
struct Frames {
    head: [u8; 10],
    have: usize,
    payload: u64,
}

impl Frames {
    /// Whether the last byte ended a frame.
    fn between(&self) -> bool {
        self.have == 0 && self.payload == 0
    }

    /// Follows `bytes`, up to the end of the frame under way if `one`; says how many were followed.
    fn follow(&mut self, bytes: &[u8], one: bool) -> usize {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.payload > 0 {
                let rest = u64::try_from(bytes.len() - at).unwrap_or(u64::MAX);
                let skipped = self.payload.min(rest);
                self.payload -= skipped;
                at += usize::try_from(skipped).unwrap_or(0);
            } else {
                at += 1;
                self.head_byte(*byte);
            }
            if one && self.between() {
                break;
            }
        }
        at
    }

    fn head_byte(&mut self, byte: u8) {
        if let Some(place) = self.head.get_mut(self.have) {
            *place = byte;
        }
        self.have += 1;
        let [_, second, length @ ..] = self.head;
        // A target must not mask (5.1); one that does is followed all the same.
        let mask = if self.have > 1 && second & 0x80 != 0 { 4 } else { 0 };
        let [a, b, ..] = length;
        let (extended, payload) = match second & 0x7f {
            127 => (8, u64::from_be_bytes(length)),
            126 => (2, u64::from(u16::from_be_bytes([a, b]))),
            short => (0, u64::from(short)),
        };
        if self.have >= 2 + extended {
            *self = Self { payload: payload.saturating_add(mask), ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(length: usize) -> Vec<u8> {
        let mut frame = vec![0x82];
        match length {
            0..=125 => frame.push(u8::try_from(length).unwrap()),
            126..=65_535 => {
                frame.push(126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                frame.push(127);
                frame.extend(u64::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.resize(frame.len() + length, 0x88);
        frame
    }

    #[test]
    fn frames_are_followed_in_pieces_of_any_size() {
        for length in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
            let bytes = frame(length);
            for piece in [1, 2, 3, 4096] {
                let mut frames = Frames::default();
                let chunks: Vec<_> = bytes.chunks(piece).collect();
                let (last, first) = chunks.split_last().unwrap();
                for chunk in first {
                    assert_eq!(frames.follow(chunk, true), chunk.len());
                    assert!(!frames.between(), "{length} in {piece}");
                }
                assert_eq!(frames.follow(&[last, &b"\x82"[..]].concat(), true), last.len());
                assert!(frames.between(), "{length} in {piece}");
            }
        }
    }

    #[tokio::test]
    async fn the_end_comes_between_two_frames() {
        let (mut client, client_far) = tokio::io::duplex(1024);
        let (mut target, target_far) = tokio::io::duplex(1024);
        let (end, ended) = tokio::sync::oneshot::channel::<()>();
        let bytes = frame(300);
        let (first, second) = bytes.split_at(100);
        let script = async {
            target.write_all(first).await.unwrap();
            let mut got = vec![0; 100];
            client.read_exact(&mut got).await.unwrap();
            assert_eq!(got, first);
            end.send(()).unwrap();
            target.write_all(&[second, &frame(5)].concat()).await.unwrap();
            let mut got = Vec::new();
            client.read_to_end(&mut got).await.unwrap();
            assert_eq!(got, [second, &GOING_AWAY].concat());
        };
        let ended = async { ended.await.unwrap() };
        let tunnel = tunnel(client_far, target_far, Duration::from_mins(1), ended);
        let (result, ()) = tokio::join!(tunnel, script);
        result.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_tunnel_ends() {
        let (_client, client_far) = tokio::io::duplex(64);
        let (_target, target_far) = tokio::io::duplex(64);
        let begun = Instant::now();
        tunnel(client_far, target_far, Duration::from_mins(1), std::future::pending()).await.unwrap();
        assert_eq!(begun.elapsed().as_secs(), 60);
    }
}
