//! What rivetr and its proxy have counted, for those who watch.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{BackupConcern, Engine, EngineError};
use crate::domain::deployment::State;
use crate::store::BackupsOf;

pub use crate::proxy::metrics::{AppCounts, BUCKETS_MS, Counts};

/// All that is counted.
#[derive(Debug, Clone)]
pub struct Metrics {
    /// How many apps there are.
    pub apps: u64,
    /// How many jobs there are.
    pub jobs: usize,
    /// Those whose last run failed.
    pub failed_jobs: usize,
    /// Deployments that have not ended, by the state they are in.
    pub unfinished: Vec<(State, usize)>,
    /// Deployments that ended since this run of rivetr began, by how.
    pub ended: Vec<(State, u64)>,
    /// Databases and volumes whose backups failed, are late, empty or cannot be restored.
    pub backup_concerns: Vec<BackupConcern>,
    /// What the proxy counts; none: it could not be asked.
    pub proxy: Option<Counts>,
}

/// Counts how deployments end.
#[derive(Debug, Default)]
pub(super) struct Ends([AtomicU64; State::ALL.len()]);

impl Ends {
    /// Counts a deployment that has reached this state, if that is an end.
    pub(super) fn count(&self, state: State) {
        for (count, of) in self.0.iter().zip(State::ALL) {
            if of == state && of.is_end() {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn read(&self) -> Vec<(State, u64)> {
        let counts = State::ALL.into_iter().zip(&self.0);
        let ends = counts.filter(|(state, _)| state.is_end());
        ends.map(|(state, count)| (state, count.load(Ordering::Relaxed))).collect()
    }
}

impl Engine {
    /// What has been counted. A proxy that cannot be asked is no failure: to see that is what it is for.
    pub async fn metrics(&self) -> Result<Metrics, EngineError> {
        let proxy = match self.machine().proxy.metrics().await {
            Ok(counts) => Some(counts),
            Err(error) => {
                tracing::debug!(%error, "the proxy was not asked what it counts");
                None
            }
        };
        let unfinished = self.reader().unfinished().await?;
        let within = |state| unfinished.iter().filter(|one| one.state == state).count();
        let open = State::ALL.into_iter().filter(|state| !state.is_end());
        let (jobs, failed_jobs) = self.failed_jobs().await?;
        Ok(Metrics {
            jobs,
            failed_jobs: failed_jobs.len(),
            apps: self.reader().app_count().await?,
            unfinished: open.map(|state| (state, within(state))).collect(),
            ended: self.0.ends.read(),
            backup_concerns: self.backup_concerns(BackupsOf::All).await?,
            proxy,
        })
    }

    /// What the proxy has counted since it started.
    pub async fn request_counts(&self) -> Result<Counts, EngineError> {
        self.machine().proxy.metrics().await.map_err(|error| EngineError::Unavailable(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ends_are_counted() {
        let ends = Ends::default();
        for state in [State::Queued, State::Live, State::Failed, State::Live] {
            ends.count(state);
        }
        let expect = [(State::Live, 2), (State::Failed, 1), (State::Cancelled, 0), (State::Superseded, 0)];
        assert_eq!(ends.read(), expect);
    }
}
