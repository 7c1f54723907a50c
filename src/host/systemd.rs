//! The service manager, over D-Bus: reload, start, stop, watch, and run one-off commands as transient units.
//!
//! To start a unit means to wait for its job. One task drains every signal, and the connection is made
//! again whenever the bus comes back. What a unit printed is the journal's matter.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, broadcast};
use tokio_util::task::AbortOnDropHandle;
use zbus::{OwnedObjectPath, Variant};
use zbus_systemd::systemd1::ManagerProxy;

use crate::domain::time::Timestamp;

mod error;
mod link;
mod status;
mod transient;

pub use error::{BusError, JobFailure, JobResult, StartError, Verb};
pub use link::{Change, UnitChange};
pub use status::{ActiveState, Ended, InvocationId, LoadState, ServiceResult, UnitStatus, UnitSummary};
pub use transient::{Limits, Sequence, Transient};

use link::{JobEvent, Signals};

/// How long systemd may take to answer a call, and how long is waited for a connection: a bus that is gone for ten
/// seconds, and then not tried again for [`link`]'s longest pause, fails nothing.
const CALL_LIMIT: Duration = Duration::from_secs(30);

/// How long a reload may take: about 1 ms of CPU a Quadlet, and the manager serves nothing else meanwhile.
const RELOAD_LIMIT: Duration = Duration::from_secs(90);

/// How long a job may take. A unit's own timeouts are shorter; this is for one that has none.
const JOB_LIMIT: Duration = Duration::from_mins(70);

/// A service manager: the system's or a user's. Cheap to clone; the last clone ends the connection.
#[derive(Clone)]
pub struct Systemd {
    shared: Arc<Shared>,
}

struct Shared {
    signals: Arc<Signals>,
    reloads_asked: AtomicU64,
    /// How many of the reloads asked for are done; held while one is in flight.
    reloads_done: Mutex<u64>,
    _keeper: AbortOnDropHandle<()>,
}

impl Systemd {
    /// Connects to the manager on the bus at `address`, such as `unix:path=/run/user/996/bus`.
    pub async fn connect(address: &str) -> Result<Self, BusError> {
        let signals = Arc::new(Signals::new(address));
        let keeper = link::keep(Arc::clone(&signals)).await?;
        let shared = Shared {
            signals,
            reloads_asked: AtomicU64::new(0),
            reloads_done: Mutex::new(0),
            _keeper: keeper,
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The manager's version, as `257.13`.
    pub async fn version(&self) -> Result<String, BusError> {
        self.call(|manager| async move { ask("Version", CALL_LIMIT, manager.version()).await }).await
    }

    /// Has the manager read all units anew. Calls made while one reload runs share the next.
    pub async fn reload(&self) -> Result<(), BusError> {
        let mine = self.shared.reloads_asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut done = self.shared.reloads_done.lock().await;
        if *done >= mine {
            return Ok(());
        }
        let covered = self.shared.reloads_asked.load(Ordering::SeqCst);
        self.call(|manager| async move { ask("Reload", RELOAD_LIMIT, manager.reload()).await }).await?;
        *done = covered;
        Ok(())
    }

    /// Starts a unit and waits until its job has ended.
    pub async fn start(&self, unit: &str) -> Result<(), StartError> {
        self.job(Verb::Start, unit).await
    }

    /// Stops a unit and waits until its job has ended. A unit that is not there is stopped.
    pub async fn stop(&self, unit: &str) -> Result<(), StartError> {
        match self.job(Verb::Stop, unit).await {
            Err(StartError::NoSuchUnit { .. }) => Ok(()),
            other => other,
        }
    }

    /// Clears a failed state and the count of restarts. A unit that is not there needs none of it.
    pub async fn reset_failed(&self, unit: &str) -> Result<(), BusError> {
        let reset = move |manager: ManagerProxy<'static>| async move {
            ask("ResetFailedUnit", CALL_LIMIT, manager.reset_failed_unit(unit.to_owned())).await
        };
        match self.call(reset).await {
            Err(error) if error.is_no_such_unit() => Ok(()),
            other => other,
        }
    }

    /// Has the kernel hold a running unit to the limits that the manager has read. A reload shows the new ones, and
    /// does not write them into the cgroup (systemd 257). A unit that is not there needs none of it.
    pub async fn enforce_limits(&self, unit: &str) -> Result<(), BusError> {
        let call = "SetUnitProperties";
        let enforce = move |manager: ManagerProxy<'static>| async move {
            // To set any property writes all limits. This one sets nothing, and leaves no drop-in that would bind the
            // next unit of this name.
            let nothing = Variant::from(Vec::<String>::new()).try_into_owned();
            let nothing = nothing.map_err(|cause| BusError::from_call(call, cause))?;
            let properties = vec![("Markers".to_owned(), nothing)];
            ask(call, CALL_LIMIT, manager.set_unit_properties(unit.to_owned(), true, properties)).await
        };
        match self.call(enforce).await {
            Err(error) if error.is_no_such_unit() => Ok(()),
            other => other,
        }
    }

    /// When a timer elapses next; none: it does not, or there is no such timer.
    pub async fn next_elapse(&self, timer: &str) -> Result<Option<Timestamp>, BusError> {
        self.call(|manager| async move { status::next_elapse(manager.inner().connection(), timer).await })
            .await
    }

    /// Removes what a stopped timer remembers on disk of when it last elapsed. One that remembers nothing, or is not
    /// there, needs none of it.
    pub async fn forget_state(&self, unit: &str) -> Result<(), BusError> {
        let clean = move |manager: ManagerProxy<'static>| async move {
            ask("CleanUnit", CALL_LIMIT, manager.clean_unit(unit.to_owned(), vec!["state".to_owned()])).await
        };
        match self.call(clean).await {
            Err(error) if error.is_no_such_unit() || error.is_nothing_to_clean() => Ok(()),
            other => other,
        }
    }

    /// How a unit stands; `None` when there is no such unit.
    pub async fn unit(&self, unit: &str) -> Result<Option<UnitStatus>, BusError> {
        self.call(|manager| async move { status::read(manager.inner().connection(), unit).await }).await
    }

    /// The loaded units whose names match one of `patterns` (shell globs), in the order of their names.
    pub async fn list(&self, patterns: &[&str]) -> Result<Vec<UnitSummary>, BusError> {
        let list = move |manager: ManagerProxy<'static>| async move {
            let patterns = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            let rows = manager.list_units_by_patterns(vec![], patterns);
            ask("ListUnitsByPatterns", CALL_LIMIT, rows).await
        };
        let mut units: Vec<_> = self.call(list).await?.into_iter().map(UnitSummary::from_row).collect();
        units.sort_by(|a, b| a.unit.cmp(&b.unit));
        Ok(units)
    }

    /// Starts a command as a unit of its own and returns once it runs. Its end is told by [`Self::ended`],
    /// and it stays readable, also for a restarted rivetr, until [`Self::forget`].
    pub async fn start_transient(&self, unit: &Transient) -> Result<(), StartError> {
        let mut jobs = self.shared.signals.jobs();
        let job = self.begin_transient(&unit.name, || unit.properties()).await?;
        self.finish(Verb::Start, &unit.name, &job, &mut jobs).await
    }

    /// Runs commands as a unit and waits until all have ended, however long their own limit lets them.
    pub async fn run_sequence(&self, unit: &Sequence) -> Result<(), StartError> {
        let mut jobs = self.shared.signals.jobs();
        let job = self.begin_transient(&unit.name, || unit.properties()).await?;
        let result = self.job_result(Verb::Start, &unit.name, &job, &mut jobs).await?;
        if result == JobResult::Done {
            return Ok(());
        }
        let status = self.unit(&unit.name).await?;
        Err(StartError::Failed(Box::new(JobFailure::new(Verb::Start, &unit.name, result, status))))
    }

    /// The job that starts a unit without a file. Without a job to wait for, what the unit came to is looked at: the loss
    /// of the connection is among the jobs.
    async fn begin_transient(
        &self,
        unit: &str,
        properties: impl Fn() -> zbus::Result<Vec<(String, zbus::OwnedVariant)>>,
    ) -> Result<OwnedObjectPath, BusError> {
        const CALL: &str = "StartTransientUnit";
        let mut again = false;
        let start = |manager: ManagerProxy<'static>| {
            let again = std::mem::replace(&mut again, true);
            let properties = &properties;
            async move {
                // Where the connection ended, the first call may have come through.
                if again && status::read(manager.inner().connection(), unit).await?.is_some() {
                    return Ok(None);
                }
                let properties = properties().map_err(|cause| BusError::from_call(CALL, cause))?;
                let (name, mode) = (unit.to_owned(), "fail".to_owned());
                let asked = manager.start_transient_unit(name, mode, properties, Vec::new());
                ask(CALL, CALL_LIMIT, asked).await.map(Some)
            }
        };
        Ok(self.call(start).await?.unwrap_or_default())
    }

    /// The cgroup of the manager itself, below the root of the hierarchy.
    pub async fn own_cgroup(&self) -> Result<String, BusError> {
        self.call(|manager| async move { ask("Get ControlGroup", CALL_LIMIT, manager.control_group()).await })
            .await
    }

    /// The cgroup, below the root of the hierarchy, that a unit will have in a slice: for commands that make
    /// cgroups themselves and must stay below their unit's limits, as `podman build` does not by itself.
    pub async fn cgroup(&self, slice: &str, unit: &str) -> Result<String, BusError> {
        let root = self.own_cgroup().await?;
        Ok(format!("{root}{}/{unit}", transient::slice_path(slice)))
    }

    /// Waits until a unit is at its end, also when it already is; `None` when there is no such unit (any more). While
    /// nobody can be asked it goes on waiting: a unit has limits of its own.
    pub async fn ended(&self, unit: &str) -> Result<Option<Ended>, BusError> {
        let mut changes = self.changes();
        loop {
            match self.unit(unit).await {
                Ok(None) => return Ok(None),
                Ok(Some(status)) => {
                    if let Some(ended) = Ended::of(&status) {
                        return Ok(Some(ended));
                    }
                }
                Err(error) if error.is_passing() => continue,
                Err(error) => return Err(error),
            }
            touched(&mut changes, unit).await;
        }
    }

    /// Ends a transient unit if it still runs, and drops what systemd remembers of it.
    pub async fn forget(&self, unit: &str) -> Result<(), StartError> {
        self.stop(unit).await?;
        Ok(self.reset_failed(unit).await?)
    }

    /// What happens to any unit from now on. To ask for a unit that is not loaded makes systemd load it, and
    /// units it names then show up here unchanged: ask about a unit when it has changed, not when anything has.
    #[must_use]
    pub fn changes(&self) -> broadcast::Receiver<Change> {
        self.shared.signals.changes()
    }

    async fn job(&self, verb: Verb, unit: &str) -> Result<(), StartError> {
        let mut jobs = self.shared.signals.jobs();
        let mut again = false;
        let ask_for = |manager: ManagerProxy<'static>| {
            let again = std::mem::replace(&mut again, true);
            async move {
                let (name, mode) = (unit.to_owned(), "replace".to_owned());
                match verb {
                    // Where the first call came through, a command may have run by now: not twice.
                    Verb::Start if again && is_begun(&manager, unit).await? => return Ok(None),
                    Verb::Start => ask("StartUnit", CALL_LIMIT, manager.start_unit(name, mode)).await,
                    Verb::Stop => ask("StopUnit", CALL_LIMIT, manager.stop_unit(name, mode)).await,
                }
                .map(Some)
            }
        };
        match self.call(ask_for).await {
            // Without a job to wait for, what the unit came to is looked at: the loss of the connection is among the jobs.
            Ok(job) => self.finish(verb, unit, &job.unwrap_or_default(), &mut jobs).await,
            Err(error) if error.is_no_such_unit() => Err(StartError::NoSuchUnit { unit: unit.to_owned() }),
            Err(error) => Err(error.into()),
        }
    }

    /// Waits for a job and says why it failed, as far as the manager knows.
    async fn finish(
        &self,
        verb: Verb,
        unit: &str,
        job: &OwnedObjectPath,
        jobs: &mut broadcast::Receiver<JobEvent>,
    ) -> Result<(), StartError> {
        let waited = tokio::time::timeout(JOB_LIMIT, self.job_result(verb, unit, job, jobs)).await;
        let result = match waited {
            Ok(result) => result?,
            Err(_elapsed) => return Err(StartError::Endless { unit: unit.to_owned(), limit: JOB_LIMIT }),
        };
        if result == JobResult::Done {
            return Ok(());
        }
        let status = self.unit(unit).await?;
        Err(StartError::Failed(Box::new(JobFailure::new(verb, unit, result, status))))
    }

    async fn job_result(
        &self,
        verb: Verb,
        unit: &str,
        job: &OwnedObjectPath,
        jobs: &mut broadcast::Receiver<JobEvent>,
    ) -> Result<JobResult, BusError> {
        loop {
            match jobs.recv().await {
                Ok(JobEvent::Removed { job: removed, result }) if removed == *job => return Ok(result),
                Ok(JobEvent::Removed { .. }) => {}
                // The signal may have been missed: what the unit came to says the same.
                Ok(JobEvent::Lost) | Err(_) => return self.settled(verb, unit).await,
            }
        }
    }

    async fn settled(&self, verb: Verb, unit: &str) -> Result<JobResult, BusError> {
        let mut changes = self.changes();
        loop {
            match self.unit(unit).await {
                Ok(Some(status)) if status.job_pending => {}
                Ok(status) => return Ok(verb.judge(status.as_ref())),
                Err(error) if error.is_passing() => continue,
                Err(error) => return Err(error),
            }
            touched(&mut changes, unit).await;
        }
    }

    /// Makes a call to the manager, as soon as there is a connection; anew where that ends meanwhile. Whoever hands in
    /// what must not happen twice looks first.
    async fn call<T, F>(&self, mut make: impl FnMut(ManagerProxy<'static>) -> F) -> Result<T, BusError>
    where
        F: Future<Output = Result<T, BusError>>,
    {
        loop {
            let mut changes = self.changes();
            let manager = self.shared.signals.manager(CALL_LIMIT).await?;
            match make(manager).await {
                Err(error) if error.is_lost() => {
                    tracing::info!(%error, "asked again as soon as it is back");
                    // The connection is known to be gone only when the next one is there.
                    if tokio::time::timeout(CALL_LIMIT, touched(&mut changes, NO_UNIT)).await.is_err() {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }
}

/// Whether anything has come of a unit since it was made.
async fn is_begun(manager: &ManagerProxy<'static>, unit: &str) -> Result<bool, BusError> {
    let status = status::read(manager.inner().connection(), unit).await?;
    Ok(status.is_some_and(|status| status.active_state != ActiveState::Inactive || status.job_pending))
}

/// Of this name, nothing changes.
const NO_UNIT: &str = "";

/// Returns when the unit has changed, or when that may have been missed.
async fn touched(changes: &mut broadcast::Receiver<Change>, unit: &str) {
    loop {
        match changes.recv().await {
            Ok(Change::Unit(change)) if change.unit != unit => {}
            Ok(Change::Unit(_) | Change::Missed) | Err(_) => return,
        }
    }
}

/// Makes one call within its time.
async fn ask<T>(
    call: &'static str,
    limit: Duration,
    reply: impl Future<Output = zbus::Result<T>>,
) -> Result<T, BusError> {
    match tokio::time::timeout(limit, reply).await {
        Ok(answer) => answer.map_err(|cause| BusError::from_call(call, cause)),
        Err(_elapsed) => Err(BusError::Silent { call, limit }),
    }
}
