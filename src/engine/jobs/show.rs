//! Jobs as people see them: whether they wait, run or cannot, when next, and how it went last.

use std::collections::BTreeMap;

use crate::domain::app::{App, Wish};
use crate::domain::job::{Job, JobId, Run};
use crate::domain::time::Timestamp;
use crate::engine::{Engine, EngineError};
use crate::host::systemd::ActiveState;

/// The most lines of a run that are shown.
const LINES_MAX: usize = 2000;

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownJob {
    /// The job.
    pub job: Job,
    /// What it does right now.
    pub state: JobState,
    /// When it runs next.
    pub next: Option<Timestamp>,
    /// Its newest run.
    pub last: Option<Run>,
}

/// What a job does right now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// It waits for its time.
    Waiting,
    /// It runs.
    Running,
    /// It runs by hand alone.
    Paused,
    /// Its app has no release to run it in.
    NotLive,
    /// Its app is stopped.
    Stopped,
    /// systemd cannot be asked.
    Unknown,
}

impl JobState {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::NotLive => "not-live",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }

    /// Why it cannot be started by hand; none: it can.
    #[must_use]
    pub fn why_not(self) -> Option<&'static str> {
        match self {
            Self::Waiting | Self::Paused | Self::Unknown => None,
            Self::Running => Some("it runs already"),
            Self::NotLive => Some("the app is not live yet: deploy it first"),
            Self::Stopped => Some("the app is stopped: start it first"),
        }
    }
}

impl Engine {
    /// The jobs of an app, by name.
    pub async fn shown_jobs(&self, app: &App) -> Result<Vec<ShownJob>, EngineError> {
        let jobs = self.reader().jobs(Some(app.id)).await?;
        let mut last = self.reader().last_runs().await?;
        let mut shown = Vec::with_capacity(jobs.len());
        for job in jobs {
            shown.push(self.show_job(app, job, &mut last).await);
        }
        Ok(shown)
    }

    /// One job as it stands.
    pub async fn shown_job(&self, app: &App, job: &Job) -> Result<ShownJob, EngineError> {
        let mut last = self.reader().last_runs().await?;
        Ok(self.show_job(app, job.clone(), &mut last).await)
    }

    async fn show_job(&self, app: &App, job: Job, last: &mut BTreeMap<JobId, Run>) -> ShownJob {
        let (state, next) = self.job_state(app, &job).await;
        ShownJob { last: last.remove(&job.id), job, state, next }
    }

    async fn job_state(&self, app: &App, job: &Job) -> (JobState, Option<Timestamp>) {
        if app.live.is_none() {
            return (JobState::NotLive, None);
        }
        if app.wish == Wish::Stop {
            return (JobState::Stopped, None);
        }
        let systemd = &self.machine().systemd;
        let (service, timer) = (job.service(), job.timer());
        let next = async { if job.plan.enabled { systemd.next_elapse(&timer).await } else { Ok(None) } };
        let (service, next) = tokio::join!(systemd.unit(&service), next);
        let next = next.unwrap_or_else(|error| {
            tracing::warn!(job = %job.timer(), %error, "not known when it runs next");
            None
        });
        let state = match service.map(|status| status.map(|status| status.active_state)) {
            Ok(Some(ActiveState::Activating | ActiveState::Active | ActiveState::Deactivating)) => {
                JobState::Running
            }
            Ok(_) if job.plan.enabled => JobState::Waiting,
            Ok(_) => JobState::Paused,
            Err(error) => {
                tracing::warn!(job = %job.service(), %error, "not known whether it runs");
                JobState::Unknown
            }
        };
        (state, next)
    }

    /// What a run wrote, the last `count` lines of it, with what systemd has to say of it.
    pub async fn run_lines(&self, run: &Run, count: usize) -> Result<Vec<String>, EngineError> {
        let lines = self.machine().journal.run_lines(&run.invocation, count.min(LINES_MAX)).await;
        lines.map_err(EngineError::internal)
    }

    /// How many jobs there are, and those whose last run failed.
    pub async fn failed_jobs(&self) -> Result<(usize, Vec<Job>), EngineError> {
        let last = self.reader().last_runs().await?;
        let failed = |job: &Job| {
            let ended = last.get(&job.id).and_then(|run| run.ended);
            ended.is_some_and(|(_, outcome)| outcome.is_failure())
        };
        let jobs = self.reader().jobs(None).await?;
        Ok((jobs.len(), jobs.into_iter().filter(failed).collect()))
    }
}
