//! What became of runs: read from the journal whenever a job's unit has changed, and at start for all that ran while
//! rivetr did not. Each run is told of by systemd's name of it, so that none is there twice.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::domain::job::{JobId, Outcome, Run};
use crate::domain::time::Timestamp;
use crate::engine::{Engine, EngineError};
use crate::host::journal::{RunMark, RunSign};
use crate::host::systemd::{ActiveState, Change, ServiceResult};
use crate::store::{NotedRun, RunEvent};

/// How long changes are gathered: the journal takes a moment to have what the bus has told.
const GATHER: Duration = Duration::from_millis(500);
/// How long a run that has ended may be without a word of the journal.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// How many marks are stored at once.
const BATCH: usize = 500;
/// How the units of jobs begin.
const UNITS: &str = "rivetr-job-";

impl Engine {
    /// Keeps the history of jobs until rivetr stops.
    pub(in crate::engine) async fn keep_history(self, mut changes: Receiver<Change>) {
        loop {
            let open = match self.until_shutdown(self.read_history()).await {
                Some(Ok(open)) => open,
                Some(Err(error)) => {
                    tracing::warn!(%error, "what became of jobs was not read");
                    false
                }
                None => return,
            };
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                // A run may have ended whose end the journal has not told yet.
                () = tokio::time::sleep(SILENCE_MAX), if open => {}
                () = touched(&mut changes) => {}
            }
            self.pause(GATHER).await;
            while let Ok(_) | Err(TryRecvError::Lagged(_)) = changes.try_recv() {}
        }
    }

    /// Reads what is new; returns whether a run has not ended.
    async fn read_history(&self) -> Result<bool, EngineError> {
        let jobs = self.reader().jobs(None).await?;
        let Some(since) = jobs.iter().map(|job| job.created).min() else { return Ok(false) };
        let ids: BTreeMap<String, JobId> = jobs.iter().map(|job| (job.service(), job.id)).collect();
        let cursor = self.reader().job_journal().await?;
        let marks = self.machine().journal.runs(cursor.as_deref(), since).map_err(EngineError::internal)?;
        let mut batches = std::pin::pin!(marks.try_chunks(BATCH));
        while let Some(marks) = batches.try_next().await.map_err(|error| EngineError::internal(error.1))? {
            let cursor = marks.last().map(|mark| mark.cursor.clone());
            let told = marks.into_iter().filter_map(|mark| {
                let job = *ids.get(&mark.unit)?;
                noted(job, mark)
            });
            self.0.writer.note_runs(told.collect(), cursor).await?;
        }
        let mut open = false;
        for run in self.reader().open_runs().await? {
            let job = jobs.iter().find(|job| job.id == run.job);
            let service = job.map(crate::domain::job::Job::service).unwrap_or_default();
            open |= self.is_open(&run, &service).await?;
        }
        Ok(open)
    }

    /// Whether a run goes on, as far as systemd knows. One that does not, and of whose end the journal tells nothing,
    /// has ended without a word.
    async fn is_open(&self, run: &Run, service: &str) -> Result<bool, EngineError> {
        let status = self.machine().systemd.unit(service).await.map_err(EngineError::internal)?;
        // Whatever it does now it does since then.
        let since = status.as_ref().and_then(|status| status.since).map_or(run.began, |at| at.max(run.began));
        let runs = status.is_some_and(|status| {
            let own = status.invocation_id.is_none_or(|id| id.as_str() == run.invocation);
            own && !matches!(status.active_state, ActiveState::Inactive | ActiveState::Failed)
        });
        let silent = self.now().millis_since(since) > u64::try_from(SILENCE_MAX.as_millis()).unwrap_or(0);
        if !runs && silent {
            let (job, invocation) = (run.job, run.invocation.clone());
            let event = RunEvent::Ended(Outcome::Unknown);
            let told = NotedRun { job, invocation, at: self.now(), event };
            self.0.writer.note_runs(vec![told], None).await?;
            return Ok(false);
        }
        Ok(true)
    }
}

/// Waits for a change of a job's unit, or until one may have been missed.
async fn touched(changes: &mut Receiver<Change>) {
    loop {
        match changes.recv().await {
            Ok(Change::Unit(change)) if !change.unit.starts_with(UNITS) => {}
            Ok(_) | Err(RecvError::Lagged(_)) => return,
            // rivetr is about to stop.
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

fn noted(job: JobId, mark: RunMark) -> Option<NotedRun> {
    let RunMark { cursor, at, unit: _, invocation, event } = mark;
    let event = match event {
        RunSign::Starting => RunEvent::Began,
        RunSign::Done => RunEvent::Ended(Outcome::Succeeded),
        RunSign::Exited(Some(status)) => RunEvent::Exited(status),
        RunSign::Exited(None) | RunSign::Other => return None,
        RunSign::Failed(result) => match result {
            ServiceResult::ExitCode => RunEvent::Failed,
            ServiceResult::Timeout => RunEvent::Ended(Outcome::TimedOut),
            ServiceResult::Signal
            | ServiceResult::CoreDump
            | ServiceResult::Watchdog
            | ServiceResult::OomKill => RunEvent::Ended(Outcome::Killed),
            ServiceResult::Success
            | ServiceResult::StartLimit
            | ServiceResult::Resources
            | ServiceResult::Protocol
            | ServiceResult::Other(_) => RunEvent::Ended(Outcome::NotStarted),
        },
        RunSign::Dependency => RunEvent::Ended(Outcome::NotStarted),
    };
    // One that never came to a run is told of once all the same.
    Some(NotedRun { job, invocation: invocation.unwrap_or(cursor), at: Timestamp(at.0), event })
}
