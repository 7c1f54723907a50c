//! Commands in a running container: with their input and output over a connection that Podman hands over, or alone to
//! their end.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::TryStreamExt as _;
use http::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncRead, AsyncWriteExt as _, split};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_util::codec::{Decoder, FramedRead};

use super::raw::encode;
use super::{Podman, PodmanError};

/// How long a command may take to end after its terminal was hung up.
const HANG_UP: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// The longest piece of output that Podman may announce, in bytes.
const PIECE_MAX: usize = 16 << 20;
/// How much of the end of its output is kept to find the last line of a command, in bytes.
const TAIL: usize = 4 << 10;

/// A command that runs in a container.
#[derive(Debug)]
pub struct Running {
    /// Its name at Podman.
    pub id: String,
    /// What it reads, and what it writes as [`Pieces`].
    pub connection: TokioIo<Upgraded>,
}

/// How a command that ran alone has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// Its exit status.
    pub status: i32,
    /// The last line that it wrote, if any.
    pub last_line: Option<String>,
}

/// How a command does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Standing {
    /// Whether it still runs.
    #[serde(rename = "Running")]
    pub running: bool,
    /// Its status, once it has ended.
    #[serde(rename = "ExitCode")]
    pub exit_code: i32,
    #[serde(rename = "Pid", default)]
    pid: i32,
}

impl Podman {
    /// Runs a command in a container; `terminal` is the rows and columns of one, if it is to have one.
    pub async fn exec(
        &self,
        container: &str,
        command: &[String],
        terminal: Option<(u16, u16)>,
    ) -> Result<Running, PodmanError> {
        self.begin(container, command, &[], true, terminal).await
    }

    /// Runs a command without input and waits until it has ended; none: it had not within `limit`, and was ended.
    pub async fn execute(
        &self,
        container: &str,
        command: &[String],
        limit: Duration,
    ) -> Result<Option<Executed>, PodmanError> {
        let Running { id, connection } = self.begin(container, command, &[], false, None).await?;
        match timeout(limit, last_line(connection)).await {
            Ok(last_line) => {
                let last_line = last_line.map_err(|error| self.raw.unreachable(&error))?;
                Ok(Some(Executed { status: self.exec_standing(&id).await?.exit_code, last_line }))
            }
            Err(_elapsed) => self.end_exec(&id).await.map(|()| None),
        }
    }

    /// The same with something to read, all of which it is given at once.
    pub async fn feed(
        &self,
        container: &str,
        command: &[String],
        input: &[u8],
        limit: Duration,
    ) -> Result<Option<Executed>, PodmanError> {
        let Running { id, connection } = self.begin(container, command, &[], true, None).await?;
        let (from, mut to) = split(connection);
        let run = async {
            to.write_all(input).await?;
            to.shutdown().await?;
            last_line(from).await
        };
        match timeout(limit, run).await {
            Ok(last_line) => {
                let last_line = last_line.map_err(|error| self.raw.unreachable(&error))?;
                Ok(Some(Executed { status: self.exec_standing(&id).await?.exit_code, last_line }))
            }
            Err(_elapsed) => self.end_exec(&id).await.map(|()| None),
        }
    }

    /// Runs a command without input; what becomes of it is for the caller to see.
    pub async fn start(&self, container: &str, command: &[String]) -> Result<Running, PodmanError> {
        self.begin(container, command, &[], false, None).await
    }

    /// The process of a command as this machine numbers it; none: it has ended.
    pub async fn exec_pid(&self, id: &str) -> Result<Option<i32>, PodmanError> {
        let Standing { running, pid, .. } = self.exec_standing(id).await?;
        Ok((running && pid > 0).then_some(pid))
    }

    pub(super) async fn begin(
        &self,
        container: &str,
        command: &[String],
        variables: &[String],
        input: bool,
        terminal: Option<(u16, u16)>,
    ) -> Result<Running, PodmanError> {
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "Id")]
            id: String,
        }
        let what = format!("run a command in {container}");
        let wish = json!({
            "AttachStdin": input,
            "AttachStdout": true,
            "AttachStderr": true,
            "Tty": terminal.is_some(),
            "Cmd": command,
            "Env": variables,
            // Otherwise two keys would leave the terminal and the command behind.
            "DetachKeys": "",
        });
        let path = format!("/libpod/containers/{}/exec", encode(container));
        let Created { id } = self.raw.post(&what, &path, &wish).await?.accepted(&what)?.read(&what)?;
        let start = match terminal {
            Some((rows, columns)) => json!({"Detach": false, "Tty": true, "h": rows, "w": columns}),
            None => json!({"Detach": false, "Tty": false}),
        };
        let path = format!("/libpod/exec/{}/start", encode(&id));
        let connection = self.raw.take_over(&what, &path, &start).await?;
        Ok(Running { id, connection })
    }

    /// Tells a command that its terminal has another size.
    pub async fn resize_exec(&self, id: &str, rows: u16, columns: u16) -> Result<(), PodmanError> {
        let what = "change the size of a terminal";
        let path = format!("/libpod/exec/{}/resize?h={rows}&w={columns}", encode(id));
        self.raw.ask(what, Method::POST, &path).await?.accepted(what).map(drop)
    }

    /// How a command does.
    pub async fn exec_standing(&self, id: &str) -> Result<Standing, PodmanError> {
        let what = "look at a command in a container";
        let path = format!("/libpod/exec/{}/json", encode(id));
        self.raw.ask(what, Method::GET, &path).await?.accepted(what)?.read(what)
    }

    /// Ends a command that nobody listens to any more: as a closed terminal does, and then for good. Podman itself
    /// lets it run on.
    pub async fn end_exec(&self, id: &str) -> Result<(), PodmanError> {
        let before = self.exec_standing(id).await?;
        let Some(pid) = Pid::from_raw(before.pid).filter(|_| before.running) else { return Ok(()) };
        let gone = |error: rustix::io::Errno| error == rustix::io::Errno::SRCH;
        let unended = |error: &dyn std::fmt::Display| PodmanError::Answer {
            what: "end a command in a container".to_owned(),
            why: error.to_string(),
        };
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(error) if gone(error) => return Ok(()),
            other => other.map_err(|error| unended(&error))?,
        };
        // The number may have gone to another process before it was held.
        if self.exec_standing(id).await? != before {
            return Ok(());
        }
        let end = move || {
            for signal in [Signal::HUP, Signal::KILL] {
                pidfd_send_signal(&process, signal)?;
                // It can be read once the process has ended.
                if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&HANG_UP))? > 0 {
                    return Ok(());
                }
            }
            Err(rustix::io::Errno::TIMEDOUT)
        };
        match spawn_blocking(end).await.map_err(|error| unended(&error))? {
            Err(error) if !gone(error) => Err(unended(&error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

/// The last line of all that is written, to either stream.
async fn last_line(from: impl AsyncRead + Unpin) -> io::Result<Option<String>> {
    let mut pieces = FramedRead::new(from, Pieces { terminal: false });
    let mut tail = BytesMut::new();
    while let Some(Piece { bytes, .. }) = pieces.try_next().await? {
        tail.extend_from_slice(&bytes);
        tail.advance(tail.len().saturating_sub(TAIL));
    }
    let text = String::from_utf8_lossy(&tail);
    Ok(text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(str::to_owned))
}

/// What a command writes, and whether to standard error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// It was written to standard error.
    pub stderr: bool,
    /// What was written.
    pub bytes: Bytes,
}

/// Takes apart what comes from a command: a terminal is one stream, else each piece has a head of eight bytes.
#[derive(Debug, Clone, Copy)]
pub struct Pieces {
    /// The command has a terminal.
    pub terminal: bool,
}

impl Decoder for Pieces {
    type Item = Piece;
    type Error = io::Error;

    fn decode(&mut self, from: &mut BytesMut) -> io::Result<Option<Piece>> {
        if self.terminal {
            let bytes = from.split().freeze();
            return Ok((!bytes.is_empty()).then_some(Piece { stderr: false, bytes }));
        }
        let Some([stream, _, _, _, a, b, c, d]) = from.first_chunk::<8>().copied() else { return Ok(None) };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if stream > 2 || length > PIECE_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "Podman's stream is not understood"));
        }
        if from.len() < 8 + length {
            return Ok(None);
        }
        from.advance(8);
        Ok(Some(Piece { stderr: stream == 2, bytes: from.split_to(length).freeze() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces() {
        let check = |terminal, arrived: &[u8], expect: &[(bool, &[u8])]| {
            let (mut decoder, mut bytes) = (Pieces { terminal }, BytesMut::new());
            let mut seen = Vec::new();
            for byte in arrived {
                bytes.extend([*byte]);
                seen.extend(decoder.decode(&mut bytes).unwrap());
            }
            let seen: Vec<_> = seen.iter().map(|piece| (piece.stderr, &*piece.bytes)).collect();
            assert_eq!(seen, expect);
        };
        check(true, b"ab", &[(false, b"a"), (false, b"b")]);
        check(false, b"\x01\0\0\0\0\0\0\x02hi\x02\0\0\0\0\0\0\x01!", &[(false, b"hi"), (true, b"!")]);
        check(false, b"\x01\0\0\0\0\0\0\x05hi", &[]);
        for bad in [b"\x07\0\0\0\0\0\0\0", b"\x01\0\0\0\xff\0\0\0"] {
            assert!(Pieces { terminal: false }.decode(&mut BytesMut::from(&bad[..])).is_err());
        }
    }

    #[tokio::test]
    async fn the_last_line_is_found_in_pieces() {
        let piece = |stream: u8, text: &str| {
            let length = u32::try_from(text.len()).unwrap().to_be_bytes();
            [&[stream, 0, 0, 0][..], &length, text.as_bytes()].concat()
        };
        let long = "x".repeat(2 * TAIL) + "\nlast";
        for (output, expect) in [
            (vec![], None),
            ([piece(1, "first\nsec"), piece(2, "ond \n\n")].concat(), Some("second")),
            (piece(1, &long), Some("last")),
        ] {
            assert_eq!(last_line(&*output).await.unwrap().as_deref(), expect, "{output:?}");
        }
        assert!(last_line(&[9, 0, 0, 0, 0, 0, 0, 1, b'x'][..]).await.is_err());
    }
}
