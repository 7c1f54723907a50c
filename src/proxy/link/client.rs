//! The control plane's end of the link: one connection a question.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Answer, Ask, LINE, TargetLine, millis};
use crate::proxy::metrics::Counts;
use crate::proxy::probe::{Probe, ProbeOutcome};

/// How long an answer may take beyond what was asked for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskError {
    /// The proxy is not there.
    #[error("the proxy cannot be reached at {path}: {source}; see `systemctl status rivetr-proxy`")]
    Unreachable {
        /// Its socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The proxy was asked and said no.
    #[error("the proxy could not do it: {0}")]
    Failed(String),
    /// The proxy is of another version.
    #[error("the proxy's answer makes no sense; restart rivetr-proxy, it may be of another version")]
    Senseless,
}

/// What is left after a drain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Requests and tunnels still in flight when time was over.
    pub left: u64,
}

/// What the proxy is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The generation of the routes it serves.
    pub generation: u64,
    /// One row for each target that is routed or still busy.
    pub targets: Vec<TargetStatus>,
}

/// What one target is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetStatus {
    /// The target's key.
    pub key: String,
    /// Requests and tunnels in flight.
    pub in_flight: u64,
    /// Requests that have ended since the proxy started.
    pub served: u64,
    /// How long ago the last of them ended; none if there was none.
    pub idle: Option<Duration>,
}

/// Asks the proxy.
#[derive(Debug, Clone)]
pub struct Client {
    path: PathBuf,
}

impl Client {
    /// Connects to the socket at `path` each time something is asked.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Makes the proxy serve the routes on disk. When this returns every request meets them.
    pub async fn load(&self) -> Result<u64, AskError> {
        let answer = self.ask(&Ask::Load, Duration::ZERO).await?;
        let Answer::Loaded { generation } = answer else { return Err(answer.into()) };
        Ok(generation)
    }

    /// Asks the proxy to probe a target on the path that traffic takes.
    pub async fn probe(&self, probe: Probe) -> Result<ProbeOutcome, AskError> {
        let Probe { target, path, host, statuses, attempt, timeout } = probe;
        let (attempt_ms, timeout_ms) = (millis(attempt), millis(timeout));
        let ask = Ask::Probe { target, path, host, statuses, attempt_ms, timeout_ms };
        let answer = self.ask(&ask, timeout).await?;
        if let Answer::Never { last } = answer {
            return Ok(ProbeOutcome::Never { last });
        }
        let Answer::Answered { after_ms, status } = answer else { return Err(answer.into()) };
        Ok(ProbeOutcome::Answered { after: Duration::from_millis(after_ms), status })
    }

    /// Waits until nothing is in flight to the target with this key, or `limit` is over.
    pub async fn drain(&self, key: &str, limit: Duration) -> Result<Drained, AskError> {
        let ask = Ask::Drain { key: key.to_owned(), limit_ms: millis(limit) };
        let answer = self.ask(&ask, limit).await?;
        let Answer::Drained { left } = answer else { return Err(answer.into()) };
        Ok(Drained { left })
    }

    /// What the proxy serves and how busy it is.
    pub async fn status(&self) -> Result<Status, AskError> {
        let answer = self.ask(&Ask::Status, Duration::ZERO).await?;
        let Answer::Status { generation, targets } = answer else { return Err(answer.into()) };
        Ok(Status { generation, targets: targets.into_iter().map(TargetStatus::from).collect() })
    }

    /// What the proxy has counted since it started.
    pub async fn metrics(&self) -> Result<Counts, AskError> {
        let answer = self.ask(&Ask::Metrics, Duration::ZERO).await?;
        let Answer::Metrics { counts } = answer else { return Err(answer.into()) };
        Ok(counts)
    }

    async fn ask(&self, ask: &Ask, limit: Duration) -> Result<Answer, AskError> {
        let exchange = async {
            let mut stream = UnixStream::connect(&self.path).await?;
            let mut line = serde_json::to_vec(ask)?;
            line.push(b'\n');
            stream.write_all(&line).await?;
            let mut answer = String::new();
            if BufReader::new(stream.take(LINE)).read_line(&mut answer).await? == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it ended before it answered"));
            }
            Ok(answer)
        };
        let answer = timeout(limit + PATIENCE, exchange)
            .await
            .map_err(|_over| io::ErrorKind::TimedOut.into())
            .and_then(|result| result)
            .map_err(|source| AskError::Unreachable { path: self.path.clone(), source })?;
        serde_json::from_str(&answer).map_err(|_| AskError::Senseless)
    }
}

impl From<Answer> for AskError {
    fn from(answer: Answer) -> Self {
        match answer {
            Answer::Failed { why } => Self::Failed(why),
            Answer::Loaded { .. }
            | Answer::Answered { .. }
            | Answer::Never { .. }
            | Answer::Drained { .. }
            | Answer::Status { .. }
            | Answer::Metrics { .. } => Self::Senseless,
        }
    }
}

impl From<TargetLine> for TargetStatus {
    fn from(line: TargetLine) -> Self {
        let TargetLine { key, in_flight, served, idle_ms } = line;
        Self { key, in_flight, served, idle: idle_ms.map(Duration::from_millis) }
    }
}
