//! The small protocol between control plane and proxy: one JSON object a line on a Unix socket.
//!
//! The proxy makes the socket and answers only root and its own user. [`client::Client`] is the other end.
//! While one proxy replaces another there are two, each with a socket of its own, and both are asked.

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use rustix::process::getuid;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::TaskTracker;

use super::board::Board;
use super::dial::Dialer;
use super::metrics::Counts;
use super::probe::{Probe, ProbeOutcome, probe};
use super::rules::{Protocol, is_default};
use super::table::Target;

pub mod client;

/// The longest line: a status of thousands of targets fits.
const LINE: u64 = 4 * 1024 * 1024;

/// Why the link cannot be offered.
#[derive(Debug, Error)]
#[error("cannot offer the link at {path}: {source}; its directory must exist and belong to the proxy's user")]
pub struct LinkError {
    path: PathBuf,
    source: io::Error,
}

/// What the control plane asks. Durations are milliseconds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case", deny_unknown_fields)]
enum Ask {
    Load,
    Probe {
        target: Target,
        // A proxy of an older version knows no other.
        #[serde(default, skip_serializing_if = "is_default")]
        protocol: Protocol,
        path: Option<String>,
        host: Option<String>,
        statuses: (u16, u16),
        attempt_ms: u64,
        timeout_ms: u64,
    },
    Drain {
        key: String,
        limit_ms: u64,
    },
    Status,
    Metrics,
}

/// What the proxy answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
enum Answer {
    Loaded {
        generation: u64,
    },
    Answered {
        after_ms: u64,
        status: Option<u16>,
    },
    Never {
        last: String,
    },
    Drained {
        left: u64,
    },
    Status {
        generation: u64,
        targets: Vec<TargetLine>,
        // A proxy of an older version has none.
        #[serde(default)]
        flaws: Vec<String>,
    },
    Metrics {
        counts: Counts,
    },
    Failed {
        why: String,
    },
}

#[derive(Debug, Serialize, Deserialize)]
struct TargetLine {
    key: String,
    in_flight: u64,
    served: u64,
    idle_ms: Option<u64>,
}

/// Answers the control plane.
pub(super) struct Link {
    listener: UnixListener,
}

impl Link {
    /// Puts a socket in the place of whatever is at `path`. Who connects is answered once it is served.
    pub(super) fn bind(path: &Path) -> Result<Self, LinkError> {
        let listener = bind_aside(path).map_err(|source| LinkError { path: path.to_owned(), source })?;
        Ok(Self { listener })
    }

    /// Serves for ever: a proxy that stops answers until its last request has ended.
    pub(super) async fn serve(self, board: Rc<Board>, dialer: Rc<Dialer>) {
        let tasks = TaskTracker::new();
        loop {
            match self.listener.accept().await {
                Ok((stream, _)) if is_trusted(&stream) => {
                    let (board, dialer) = (Rc::clone(&board), Rc::clone(&dialer));
                    tasks.spawn_local(async move {
                        if let Err(error) = converse(stream, &board, &dialer).await {
                            tracing::debug!(%error, "a conversation over the link broke off");
                        }
                    });
                }
                Ok(_) => tracing::warn!("another user was refused at the link"),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept on the link; trying on");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    }
}

/// Whoever connects meanwhile meets the old socket or the new one.
fn bind_aside(path: &Path) -> io::Result<UnixListener> {
    use std::os::unix::fs::PermissionsExt;
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = PathBuf::from(aside);
    crate::files::remove_file(&aside).map_err(io::Error::other)?;
    let listener = UnixListener::bind(&aside)?;
    std::fs::set_permissions(&aside, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&aside, path)?;
    Ok(listener)
}

fn is_trusted(stream: &UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == getuid().as_raw())
}

/// One line in, one line out, until the other side leaves.
async fn converse(stream: UnixStream, board: &Board, dialer: &Dialer) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = String::new();
        if (&mut read).take(LINE).read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match serde_json::from_str(&line) {
            Ok(ask) => tokio::select! {
                answer = answer(ask, board, dialer) => answer,
                // No one asks twice before the answer, so this is the end: no one waits for it any more.
                _ = read.fill_buf() => return Ok(()),
            },
            Err(error) => Answer::Failed { why: format!("the proxy does not understand this: {error}") },
        };
        let mut line = serde_json::to_vec(&answer)?;
        line.push(b'\n');
        write.write_all(&line).await?;
    }
}

async fn answer(ask: Ask, board: &Board, dialer: &Dialer) -> Answer {
    match ask {
        Ask::Load => match board.load().await {
            Ok(generation) => Answer::Loaded { generation },
            Err(error) => Answer::Failed { why: error.to_string() },
        },
        Ask::Probe { target, protocol, path, host, statuses, attempt_ms, timeout_ms } => {
            let (attempt, timeout) = (Duration::from_millis(attempt_ms), Duration::from_millis(timeout_ms));
            match probe(dialer, &Probe { target, protocol, path, host, statuses, attempt, timeout }).await {
                ProbeOutcome::Answered { after, status } => {
                    Answer::Answered { after_ms: millis(after), status }
                }
                ProbeOutcome::Never { last } => Answer::Never { last },
            }
        }
        Ask::Drain { key, limit_ms } => {
            Answer::Drained { left: board.registry.drain(&key, Duration::from_millis(limit_ms)).await }
        }
        Ask::Status => {
            let line = |usage: super::drain::Usage| TargetLine {
                key: usage.key,
                in_flight: usage.in_flight,
                served: usage.served,
                idle_ms: usage.idle.map(millis),
            };
            let targets = board.registry.usage().into_iter().map(line).collect();
            Answer::Status { generation: board.generation(), targets, flaws: board.flaws() }
        }
        Ask::Metrics => Answer::Metrics { counts: board.registry.metrics.counts() },
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
