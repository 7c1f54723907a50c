//! The control plane's end of the link: one connection a question, to every proxy that is there.
//!
//! One that is not there serves nobody, and reads the routes on disk before it does: see `control` in `proxy.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Answer, Ask, LINE, TargetLine, millis};
use crate::proxy::metrics::Counts;
use crate::proxy::probe::{Probe, ProbeOutcome};

/// How long an answer may take beyond what was asked for.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often one that ends before it answers is asked again: its successor may be there by then.
const AGAIN: usize = 3;

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
    /// How many proxies answered: two while one replaces the other.
    pub proxies: usize,
    /// The generation of the routes that all of them serve.
    pub generation: u64,
    /// One row for each target that is routed or still busy.
    pub targets: Vec<TargetStatus>,
    /// What the routes ask for and cannot be done, each in words.
    pub flaws: Vec<String>,
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

/// Asks the proxy, and the one that replaces it.
#[derive(Debug, Clone)]
pub struct Client {
    paths: Vec<PathBuf>,
}

impl Client {
    /// Connects to the socket at `path` each time something is asked.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self { paths: vec![path.to_owned()] }
    }

    /// Asks at another socket too, where somebody is there.
    #[must_use]
    pub fn and(mut self, path: &Path) -> Self {
        self.paths.push(path.to_owned());
        self
    }

    /// Makes every proxy serve the routes on disk. When this returns every request meets them.
    pub async fn load(&self) -> Result<u64, AskError> {
        let mut oldest = u64::MAX;
        for answer in self.ask_all(&Ask::Load, Duration::ZERO).await? {
            let Answer::Loaded { generation } = answer else { return Err(answer.into()) };
            oldest = oldest.min(generation);
        }
        Ok(oldest)
    }

    /// Asks one proxy to probe a target on the path that traffic takes.
    pub async fn probe(&self, probe: Probe) -> Result<ProbeOutcome, AskError> {
        let Probe { target, protocol, path, host, statuses, attempt, timeout } = probe;
        let (attempt_ms, timeout_ms) = (millis(attempt), millis(timeout));
        let ask = Ask::Probe { target, protocol, path, host, statuses, attempt_ms, timeout_ms };
        let answer = self.ask(&ask, timeout).await?;
        if let Answer::Never { last } = answer {
            return Ok(ProbeOutcome::Never { last });
        }
        let Answer::Answered { after_ms, status } = answer else { return Err(answer.into()) };
        Ok(ProbeOutcome::Answered { after: Duration::from_millis(after_ms), status })
    }

    /// Waits until nothing is in flight to the target with this key, through any proxy, or `limit` is over.
    pub async fn drain(&self, key: &str, limit: Duration) -> Result<Drained, AskError> {
        let ask = Ask::Drain { key: key.to_owned(), limit_ms: millis(limit) };
        let mut drained = Drained { left: 0 };
        for answer in self.ask_all(&ask, limit).await? {
            let Answer::Drained { left } = answer else { return Err(answer.into()) };
            drained.left += left;
        }
        Ok(drained)
    }

    /// What the proxies serve and how busy they are.
    pub async fn status(&self) -> Result<Status, AskError> {
        let answers = self.ask_all(&Ask::Status, Duration::ZERO).await?;
        let (proxies, mut oldest, mut merged) = (answers.len(), u64::MAX, BTreeMap::new());
        let mut flaws = BTreeSet::new();
        for answer in answers {
            let Answer::Status { generation, targets, flaws: of_one } = answer else {
                return Err(answer.into());
            };
            oldest = oldest.min(generation);
            flaws.extend(of_one);
            for target in targets.into_iter().map(TargetStatus::from) {
                let merged = merged.entry(target.key.clone());
                merged.and_modify(|merged: &mut TargetStatus| merged.add(&target)).or_insert(target);
            }
        }
        let (targets, flaws) = (merged.into_values().collect(), flaws.into_iter().collect());
        Ok(Status { proxies, generation: oldest, targets, flaws })
    }

    /// What the proxies have counted since they started.
    pub async fn metrics(&self) -> Result<Counts, AskError> {
        let mut sum = Counts::default();
        for answer in self.ask_all(&Ask::Metrics, Duration::ZERO).await? {
            let Answer::Metrics { counts } = answer else { return Err(answer.into()) };
            sum.add(counts);
        }
        Ok(sum)
    }

    /// Asks one proxy that is there, another if it leaves before it answers.
    async fn ask(&self, ask: &Ask, limit: Duration) -> Result<Answer, AskError> {
        let mut gone = None;
        for path in &self.paths {
            match ask_again(path, ask, limit).await {
                Err(error) if error.is_gone() => {
                    gone.get_or_insert(error);
                }
                other => return other,
            }
        }
        Err(gone.unwrap_or(AskError::Senseless))
    }

    /// Asks all that are there, at once; an error if nobody is.
    async fn ask_all(&self, ask: &Ask, limit: Duration) -> Result<Vec<Answer>, AskError> {
        let (mut answers, mut gone) = (Vec::new(), None);
        for answer in join_all(self.paths.iter().map(|path| ask_again(path, ask, limit))).await {
            match answer {
                Ok(answer) => answers.push(answer),
                Err(error) if error.is_gone() => {
                    gone.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        gone.filter(|_| answers.is_empty()).map_or(Ok(answers), Err)
    }
}

/// Asks at one socket, and anew where the proxy ends meanwhile.
async fn ask_again(path: &Path, ask: &Ask, limit: Duration) -> Result<Answer, AskError> {
    for _ in 1..AGAIN {
        match ask_at(path, ask, limit).await {
            Err(error) if error.broke_off() => {}
            other => return other,
        }
    }
    ask_at(path, ask, limit).await
}

async fn ask_at(path: &Path, ask: &Ask, limit: Duration) -> Result<Answer, AskError> {
    let exchange = async {
        let mut stream = UnixStream::connect(path).await?;
        let mut line = serde_json::to_vec(ask)?;
        line.push(b'\n');
        stream.write_all(&line).await?;
        let mut answer = String::new();
        if BufReader::new(stream.take(LINE)).read_line(&mut answer).await? == 0 {
            return Err(io::Error::new(ErrorKind::UnexpectedEof, "it ended before it answered"));
        }
        Ok(answer)
    };
    let answer = timeout(limit + PATIENCE, exchange)
        .await
        .map_err(|_over| ErrorKind::TimedOut.into())
        .and_then(|result| result)
        .map_err(|source| AskError::Unreachable { path: path.to_owned(), source })?;
    serde_json::from_str(&answer).map_err(|_| AskError::Senseless)
}

impl AskError {
    /// Nobody listens: that proxy does not run. Anything else may be one that serves an older table.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.is_of(&[ErrorKind::NotFound, ErrorKind::ConnectionRefused])
    }

    fn broke_off(&self) -> bool {
        self.is_of(&[ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::BrokenPipe])
    }

    fn is_of(&self, kinds: &[ErrorKind]) -> bool {
        matches!(self, Self::Unreachable { source, .. } if kinds.contains(&source.kind()))
    }
}

impl TargetStatus {
    /// What another proxy has to do with the same target.
    fn add(&mut self, other: &Self) {
        self.in_flight += other.in_flight;
        self.served += other.served;
        self.idle = self.idle.into_iter().chain(other.idle).min();
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
