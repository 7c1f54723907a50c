//! A command in a running container, with its input and output over a connection that Podman hands over.

use std::io;

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Deserialize;
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio_util::codec::Decoder;

use super::raw::encode;
use super::{Podman, PodmanError};

/// How long a command may take to end after its terminal was hung up.
const HANG_UP: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };
/// The longest piece of output that Podman may announce, in bytes.
const PIECE_MAX: usize = 16 << 20;

/// A command that runs in a container.
#[derive(Debug)]
pub struct Running {
    /// Its name at Podman.
    pub id: String,
    /// What it reads, and what it writes as [`Pieces`].
    pub connection: TokioIo<Upgraded>,
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
        #[derive(Deserialize)]
        struct Created {
            #[serde(rename = "Id")]
            id: String,
        }
        let what = format!("run a command in {container}");
        let wish = json!({
            "AttachStdin": true,
            "AttachStdout": true,
            "AttachStderr": true,
            "Tty": terminal.is_some(),
            "Cmd": command,
            // Otherwise two keys would leave the terminal and the command behind.
            "DetachKeys": "",
        });
        let path = format!("/libpod/containers/{}/exec", encode(container));
        let answer = self.raw.send(&what, Method::POST, &path, &wish).await?.accepted(&what)?;
        let Created { id } = serde_json::from_slice(&answer.body)
            .map_err(|error| PodmanError::Answer { what: what.clone(), why: error.to_string() })?;
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
        let answer = self.raw.ask(what, Method::GET, &path).await?.accepted(what)?;
        serde_json::from_slice(&answer.body)
            .map_err(|error| PodmanError::Answer { what: what.to_owned(), why: error.to_string() })
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
}
