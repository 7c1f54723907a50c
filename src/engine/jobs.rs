//! Jobs: what of them is stored becomes timers and services, and a person may start and end runs.
//!
//! systemd runs them, also while rivetr does not; what became of each run is read from the journal ([`history`]).

mod history;
mod show;

use tokio::sync::oneshot;

use super::apply::ApplyError;
use super::{Engine, EngineError};
use crate::domain::app::{App, Wish};
use crate::domain::job::{Job, JobPlan, Place, Run, RunId};
use crate::domain::name::Slug;
use crate::host::calendar::{self, Elapses};
use crate::host::systemd::{ActiveState, Change, StartError};
use crate::plan::Wanted;
use crate::quadlet;
use crate::quadlet::app::Release;
use crate::quadlet::path::{Owner, UnitPath};
use crate::store::JobError;

pub use show::{JobState, ShownJob};

impl Engine {
    /// Gives an app a job; it is in force when this returns.
    pub async fn create_job(&self, app: &App, plan: JobPlan) -> Result<Job, EngineError> {
        self.check_job(&plan).await?;
        let job = self.0.writer.create_job(app.id, plan, self.now()).await?;
        self.converge_jobs(app).await?;
        Ok(job)
    }

    /// Changes a job; what runs of it goes on as it began.
    pub async fn change_job(&self, app: &App, job: &Job, plan: JobPlan) -> Result<Job, EngineError> {
        self.check_job(&plan).await?;
        self.refuse_drift(&[Owner::Jobs(app.slug.clone())]).await?;
        let job = self.0.writer.change_job(job.id, plan).await?;
        self.converge_jobs(app).await?;
        Ok(job)
    }

    /// Ends what runs of a job, and removes it with its history.
    pub async fn delete_job(&self, app: &App, job: &Job) -> Result<(), EngineError> {
        let _alone = self.0.jobs.take(app.id).await;
        // Its units go first: its address belongs to it until they are gone.
        self.apply_jobs(app, |other| other.id != job.id).await?;
        self.0.writer.delete_job(job).await?;
        Ok(())
    }

    /// A job of an app.
    pub async fn job(&self, app: &App, name: &str) -> Result<Job, EngineError> {
        let not_found = || EngineError::NotFound { what: "job", name: name.chars().take(80).collect() };
        let slug = Slug::parse(name).map_err(|_| not_found())?;
        self.reader().job(app.id, &slug).await?.ok_or_else(not_found)
    }

    /// A run of a job.
    pub async fn job_run(&self, job: &Job, id: RunId) -> Result<Run, EngineError> {
        let found = self.reader().run(job.id, id).await?;
        found.ok_or_else(|| EngineError::NotFound { what: "run", name: id.0.to_string() })
    }

    /// Starts a run by hand; returns when it has begun.
    pub async fn run_job(&self, app: &App, job: &Job) -> Result<(), EngineError> {
        let shown = self.shown_job(app, job).await?;
        if let Some(why) = shown.state.why_not() {
            return Err(conflict(format!("{} does not run now: {why}", job.plan.name)));
        }
        self.converge_jobs(app).await?;
        let mut changes = self.machine().systemd.changes();
        self.0.writer.ask_for_run(job.id, Some(self.now())).await?;
        let (tell, mut ended) = oneshot::channel();
        let (engine, service) = (self.clone(), job.service());
        self.0.tasks.spawn(async move {
            if let Some(ended) = engine.until_shutdown(engine.machine().systemd.start(&service)).await {
                // Nobody waits any more where it has begun.
                tell.send(ended).ok();
            }
        });
        let service = job.service();
        let begun = loop {
            tokio::select! {
                ended = &mut ended => break ended.unwrap_or(Ok(())),
                change = changes.recv() => match change {
                    Ok(Change::Unit(change))
                        if change.unit == service && change.active_state != ActiveState::Inactive =>
                    {
                        break Ok(());
                    }
                    Ok(Change::Unit(_) | Change::Missed) => {}
                    Err(_) => break Ok(()),
                },
            }
        };
        match begun {
            // How it ended, its history says.
            Ok(()) | Err(StartError::Failed(_) | StartError::Endless { .. }) => Ok(()),
            Err(error @ (StartError::NoSuchUnit { .. } | StartError::Bus(_))) => {
                self.0.writer.ask_for_run(job.id, None).await?;
                Err(EngineError::Unavailable(format!("{} was not started: {error}", job.plan.name)))
            }
        }
    }

    /// Ends a run.
    pub async fn cancel_run(&self, job: &Job, run: &Run) -> Result<(), EngineError> {
        if run.ended.is_some() {
            return Err(conflict(format!("run {} of {} has ended already", run.id.0, job.plan.name)));
        }
        self.0.writer.cancel_run(run.id).await?;
        self.machine().systemd.stop(&job.service()).await.map_err(EngineError::internal)?;
        self.machine().podman.remove_container(&job.unit_name()).await.map_err(EngineError::internal)
    }

    /// Refuses what no timer and no unit could carry.
    async fn check_job(&self, plan: &JobPlan) -> Result<(), EngineError> {
        let invalid = |field, message: String| Err(EngineError::Invalid { field, message });
        if let Err(error) = quadlet::job::check(plan) {
            return invalid("command", error.to_string());
        }
        let elapses =
            async |expression: &str| calendar::elapses(expression).await.map_err(EngineError::internal);
        for (plain, zoned) in
            plan.schedule.calendars(None).iter().zip(plan.schedule.calendars(plan.zone.as_ref()))
        {
            match elapses(&zoned).await? {
                Elapses::Sometime => {}
                Elapses::Never => {
                    return invalid("schedule", format!("{:?} never comes", plan.schedule.as_str()));
                }
                Elapses::NotUnderstood
                    if plain != &zoned && elapses(plain).await? != Elapses::NotUnderstood =>
                {
                    let zone = plan.zone.as_ref().map_or("", |zone| zone.as_str());
                    let message = format!(
                        "this machine knows no time zone {zone:?}, or the schedule names one already: `timedatectl \
                         list-timezones` lists them"
                    );
                    return invalid("timezone", message);
                }
                Elapses::NotUnderstood => {
                    let message = format!(
                        "systemd does not understand {:?}: write five fields as for cron, or try the expression with \
                         `systemd-analyze calendar`",
                        plan.schedule.as_str()
                    );
                    return invalid("schedule", message);
                }
            }
        }
        Ok(())
    }

    /// Makes the units of an app's jobs what the store says.
    pub(super) async fn converge_jobs(&self, app: &App) -> Result<(), ApplyError> {
        let _alone = self.0.jobs.take(app.id).await;
        self.apply_jobs(app, |_| true).await
    }

    /// The same where nothing else may fail for it.
    pub(super) async fn tend_jobs(&self, app: &App) {
        if let Err(error) = self.converge_jobs(app).await {
            tracing::error!(app = %app.slug, %error, "the units of its jobs are not what they should be");
        }
    }

    /// Removes the jobs of an app that is being deleted, with all they have.
    pub(super) async fn end_jobs_of(&self, app: &App) -> Result<(), ApplyError> {
        let _alone = self.0.jobs.take(app.id).await;
        let owner = Owner::Jobs(app.slug.clone());
        self.remove_units(&owner).await?;
        self.machine().units.remove_owner(&owner)?;
        Ok(self.0.writer.delete_jobs_of(app.id).await?)
    }

    async fn apply_jobs(&self, app: &App, stays: impl Fn(&Job) -> bool) -> Result<(), ApplyError> {
        // As it is now: another release may be live.
        let found = self.reader().app_by_id(app.id).await?.filter(|app| !app.deleting);
        let Some(app) = &found else { return Ok(()) };
        let mut jobs = self.reader().jobs(Some(app.id)).await?;
        jobs.retain(stays);
        let owner = Owner::Jobs(app.slug.clone());
        let observed = self.observe(&owner).await?;
        if jobs.is_empty() && observed.files.is_empty() {
            return Ok(());
        }
        let wanted = self.wanted_jobs(app, &jobs).await?;
        self.carry_out(&wanted, &observed, &owner, &wanted.running).await
    }

    /// The units of jobs: none without a live release, and none of an app that is stopped.
    pub(super) async fn wanted_jobs(&self, app: &App, jobs: &[Job]) -> Result<Wanted, ApplyError> {
        let mut wanted = Wanted::default();
        let live = match app.live {
            Some(live) if app.wish != Wish::Stop => self.reader().deployment(live).await?,
            Some(_) | None => None,
        };
        let Some(live) = &live else { return Ok(wanted) };
        let Some(image) = &live.image else { return Ok(wanted) };
        let given = self.given(live)?;
        let release = Release {
            project: &app.project,
            deployment: live,
            image,
            addresses: &[],
            enabled: false,
            features: self.podman_features().await?,
            variables: &given.variables,
            files: &given.files,
        };
        for job in jobs {
            let files = match job.plan.place {
                Place::Fresh => {
                    let address = self.0.writer.resident_address(&app.project, &job.unit_name()).await?;
                    quadlet::job::fresh(&release, job, address)?
                }
                Place::Running => quadlet::job::running(&release, job, &self.0.settings.program)?,
            };
            wanted.files.extend(files);
            if job.plan.enabled {
                let timer = quadlet::job::timer(job)?;
                wanted.running.extend(timer.keys().map(UnitPath::unit));
                wanted.files.extend(timer);
            }
        }
        Ok(wanted)
    }
}

impl From<JobError> for EngineError {
    fn from(error: JobError) -> Self {
        let message = error.to_string();
        match error {
            JobError::NoApp => Self::NotFound { what: "app", name: String::new() },
            JobError::NoJob => Self::NotFound { what: "job", name: String::new() },
            JobError::Taken(_) | JobError::TooMany(_) => Self::Conflict { field: "name", message },
            JobError::Deleting(_) => Self::Conflict { field: "app", message },
            JobError::Store(error) => error.into(),
        }
    }
}

fn conflict(message: String) -> EngineError {
    EngineError::Conflict { field: "job", message }
}
