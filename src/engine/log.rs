//! The log of a deployment or of a revision of a service: one file, written by what carries it out and by the build, read by
//! whoever watches.

use std::collections::HashMap;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt as _, stream};
use inotify::{Inotify, WatchMask};
use tokio::fs::File;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncSeekExt as _, BufReader};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Engine, EngineError};
use crate::domain::deployment::{Deployment, DeploymentId};
use crate::domain::name::Slug;
use crate::domain::service::{Revision, RevisionId};
use crate::host::workspace::Workspace;

/// The longest line that is handed on whole, in bytes; a longer one comes in pieces (SECURITY, fault 21).
const LINE_MAX: u64 = 64 * 1024;

/// One line of such a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where the next line begins, in bytes: reading goes on from here.
    pub offset_after: u64,
    /// The line, without its end; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The end of such a log as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogTail {
    /// Its last lines; bytes that are not UTF-8 are replaced.
    pub lines: Vec<String>,
    /// There are lines before these.
    pub cut: bool,
    /// Where the next line begins, in bytes.
    pub until: u64,
}

/// The most that is read for the end of a log, in bytes.
const TAIL_MAX: u64 = 256 * 1024;

/// Whose log it is.
#[derive(Debug, Clone, Copy)]
pub enum LogOf<'a> {
    /// A deployment's.
    Deployment(&'a Deployment),
    /// A revision's, of the service of that name.
    Revision(&'a Slug, &'a Revision),
}

/// The same by its number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum LogId {
    Deployment(DeploymentId),
    Revision(RevisionId),
}

impl From<DeploymentId> for LogId {
    fn from(id: DeploymentId) -> Self {
        Self::Deployment(id)
    }
}

impl From<RevisionId> for LogId {
    fn from(id: RevisionId) -> Self {
        Self::Revision(id)
    }
}

impl LogOf<'_> {
    fn id(self) -> LogId {
        match self {
            Self::Deployment(deployment) => deployment.id.into(),
            Self::Revision(_, revision) => revision.id.into(),
        }
    }

    fn path(self, workspace: &Workspace) -> PathBuf {
        match self {
            Self::Deployment(deployment) => workspace.log(deployment),
            Self::Revision(service, revision) => workspace.revision_log(service, revision.number),
        }
    }

    /// Whether nothing more comes.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            Self::Deployment(deployment) => deployment.state.is_end(),
            Self::Revision(_, revision) => revision.state.is_end(),
        }
    }
}

/// Tells readers that a log has grown, or that what it is of has moved.
#[derive(Default)]
pub(super) struct LogHub(Mutex<HashMap<LogId, watch::Sender<()>>>);

impl LogHub {
    /// This log may have grown.
    pub fn bump(&self, id: LogId) {
        let mut readers = self.readers();
        if let Some(sender) = readers.get(&id)
            && sender.send(()).is_err()
        {
            // The last reader has gone.
            readers.remove(&id);
        }
    }

    fn subscribe(&self, id: LogId) -> watch::Receiver<()> {
        self.readers().entry(id).or_insert_with(|| watch::channel(()).0).subscribe()
    }

    fn readers(&self) -> MutexGuard<'_, HashMap<LogId, watch::Sender<()>>> {
        // The map is whole after any panic: each change of it is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// The lines of a log from a byte offset on; ends when what it is of has ended and all was read.
    pub fn log(
        &self,
        of: LogOf<'_>,
        from: u64,
    ) -> impl Stream<Item = Result<LogEntry, EngineError>> + Send + 'static + use<> {
        let (id, path) = (of.id(), of.path(&self.machine().workspace));
        let grown = self.0.logs.subscribe(id);
        let engine = self.clone();
        let tail = Tail { grown, path, id, engine, file: None, offset: from, partial: Vec::new() };
        stream::try_unfold(tail, |mut tail| async move { Ok(tail.next().await?.map(|entry| (entry, tail))) })
            .fuse()
    }

    /// The last whole lines of a log, at most so many.
    pub async fn log_tail(&self, of: LogOf<'_>, lines: usize) -> Result<LogTail, EngineError> {
        let Some(mut file) = self.log_file(of).await? else { return Ok(LogTail::default()) };
        let length = file.metadata().await.map_err(EngineError::internal)?.len();
        let from = length.saturating_sub(TAIL_MAX);
        file.seek(SeekFrom::Start(from)).await.map_err(EngineError::internal)?;
        let mut bytes = Vec::new();
        file.take(TAIL_MAX).read_to_end(&mut bytes).await.map_err(EngineError::internal)?;
        Ok(tail_of(&bytes, from, lines, of.is_over()))
    }

    /// The file of a log; none: nothing was written yet, or it was forgotten.
    pub async fn log_file(&self, of: LogOf<'_>) -> Result<Option<File>, EngineError> {
        match File::open(of.path(&self.machine().workspace)).await {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(EngineError::internal(error)),
        }
    }

    async fn is_over(&self, id: LogId) -> Result<bool, EngineError> {
        Ok(match id {
            LogId::Deployment(id) => self.deployment(id).await?.state.is_end(),
            LogId::Revision(id) => self.revision(id).await?.state.is_end(),
        })
    }
}

/// The last lines of what was read from a place in a log on; what has no end yet is left for later, unless nothing
/// more comes.
fn tail_of(bytes: &[u8], from: u64, lines: usize, is_over: bool) -> LogTail {
    let begin = if from == 0 { 0 } else { memchr::memchr(b'\n', bytes).map_or(bytes.len(), |at| at + 1) };
    let end = if is_over { bytes.len() } else { memchr::memrchr(b'\n', bytes).map_or(begin, |at| at + 1) };
    let text = String::from_utf8_lossy(bytes.get(begin..end.max(begin)).unwrap_or_default());
    let all: Vec<&str> = text.lines().collect();
    let shown = all.get(all.len().saturating_sub(lines)..).unwrap_or_default();
    LogTail {
        lines: shown.iter().map(|line| (*line).to_owned()).collect(),
        cut: from > 0 || shown.len() < all.len(),
        until: from + u64::try_from(end.max(begin)).unwrap_or(u64::MAX),
    }
}

/// Follows what a unit writes into the log of a deployment, until `over`; ends the unit when the log is too long.
pub(super) fn watch_deployment(
    engine: Engine,
    deployment: &Deployment,
    unit: String,
    over: CancellationToken,
) -> impl Future<Output = ()> + Send + 'static + use<> {
    let (id, log) = (deployment.id, engine.machine().workspace.log(deployment));
    let hub = engine.clone();
    watch_file(engine, log, unit, over, move || hub.0.logs.bump(id.into()))
}

/// Follows what a unit writes into a log, a build above all, until `over`, and tells that it has grown; ends the unit when
/// the log is too long.
pub(super) async fn watch_file(
    engine: Engine,
    log: PathBuf,
    unit: String,
    over: CancellationToken,
    grown: impl Fn() + Send,
) {
    let watched = async {
        let inotify = Inotify::init()?;
        inotify.watches().add(&log, WatchMask::MODIFY)?;
        let mut events = inotify.into_event_stream([0; 1024])?;
        while let Some(event) = events.next().await {
            event?;
            grown();
            if is_too_long(&engine, &log) {
                tracing::warn!(unit, "the log is too long; the unit is ended");
                engine.machine().systemd.stop(&unit).await.map_err(std::io::Error::other)?;
                return Ok(());
            }
        }
        Ok::<(), std::io::Error>(())
    };
    tokio::select! {
        () = over.cancelled() => {}
        outcome = watched => if let Err(error) = outcome {
            tracing::warn!(unit, %error, "build log not followed");
        }
    }
}

/// Whether a log is longer than it may become.
pub(super) fn is_too_long(engine: &Engine, log: &Path) -> bool {
    let found = std::fs::metadata(log);
    found.is_ok_and(|found| found.len() > engine.0.settings.log_limit)
}

/// What is said of a unit that was ended for its log.
pub(super) fn too_long(engine: &Engine) -> String {
    let mib = engine.0.settings.log_limit / (1024 * 1024);
    format!(
        "it wrote more than the {mib} MiB that a log may have. Print less, or raise log_limit_mb under [deploy]"
    )
}

struct Tail {
    engine: Engine,
    id: LogId,
    path: PathBuf,
    file: Option<BufReader<File>>,
    offset: u64,
    partial: Vec<u8>,
    grown: watch::Receiver<()>,
}

impl Drop for Tail {
    fn drop(&mut self) {
        let mut readers = self.engine.0.logs.readers();
        if readers.get(&self.id).is_some_and(|sender| sender.receiver_count() <= 1) {
            readers.remove(&self.id);
        }
    }
}

impl Tail {
    async fn next(&mut self) -> Result<Option<LogEntry>, EngineError> {
        loop {
            self.grown.mark_unchanged();
            if let Some(entry) = self.read_line(false).await.map_err(EngineError::internal)? {
                return Ok(Some(entry));
            }
            // What has ended wrote all of it before.
            if self.engine.is_over(self.id).await? {
                return self.read_line(true).await.map_err(EngineError::internal);
            }
            tokio::select! {
                () = self.engine.0.shutdown.cancelled() => {
                    return Err(EngineError::Unavailable("rivetr is stopping; it goes on at the next start".to_owned()));
                }
                grown = self.grown.changed() => grown.map_err(EngineError::internal)?,
            }
        }
    }

    /// The next whole line, or the rest of the file where nothing more will come.
    async fn read_line(&mut self, last: bool) -> std::io::Result<Option<LogEntry>> {
        self.open().await?;
        let Some(file) = &mut self.file else { return Ok(None) };
        let mut limited = file.take(LINE_MAX.saturating_sub(self.partial.len() as u64));
        limited.read_until(b'\n', &mut self.partial).await?;
        let whole = self.partial.ends_with(b"\n") || self.partial.len() as u64 >= LINE_MAX;
        if self.partial.is_empty() || !(whole || last) {
            return Ok(None);
        }
        let line = std::mem::take(&mut self.partial);
        self.offset += line.len() as u64;
        let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
        Ok(Some(LogEntry { offset_after: self.offset, text }))
    }

    /// Opens the file at the offset, once it is there.
    async fn open(&mut self) -> std::io::Result<()> {
        if self.file.is_some() {
            return Ok(());
        }
        match File::open(&self.path).await {
            Ok(mut file) => {
                file.seek(SeekFrom::Start(self.offset)).await?;
                self.file = Some(BufReader::new(file));
                Ok(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_is_whole_lines() {
        let check = |bytes: &[u8], from, over, expect: &[&str], cut, until| {
            let tail = tail_of(bytes, from, 2, over);
            assert_eq!(
                (tail.lines, tail.cut, tail.until),
                (expect.iter().map(ToString::to_string).collect(), cut, until)
            );
        };
        check(b"", 0, false, &[], false, 0);
        check(b"one\ntwo\nthr", 0, false, &["one", "two"], false, 8);
        check(b"one\ntwo\nthr", 0, true, &["two", "thr"], true, 11);
        check(b"lf\ntwo\n", 100, false, &["two"], true, 107);
        check(b"no end", 100, false, &[], true, 106);
        check(b"no end", 0, false, &[], false, 0);
    }
}
