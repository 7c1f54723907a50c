//! `rivetr jobs …`: commands that apps run by a schedule.

mod options;
mod words;

use clap::{Args, Subcommand};

use self::options::Options;
use self::words::{details, jobs, runs};
use super::failure::{Exit, Failure};
use super::session::Session;
use super::table::harmless;
use crate::api::wire::{CreateJob, Job, JobLog, JobOptions, JobRun, List};
use crate::domain::name::Slug;

/// What can be done with jobs.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Jobs {
    /// List the jobs of an app
    #[command(after_help = "Example: rivetr jobs list blog")]
    List(OfApp),
    /// Show a job: when it runs, what it runs, how it went last
    #[command(after_help = "Example: rivetr jobs show blog tidy")]
    Show(Named),
    /// Give an app a job
    #[command(
        after_help = "Example: rivetr jobs create blog tidy --schedule '0 3 * * *' --catch-up true -- rake tidy"
    )]
    Create(Create),
    /// Change a job; what is not named stays
    #[command(after_help = "Example: rivetr jobs set blog tidy --enabled false")]
    Set(Set),
    /// Delete a job and its history; what runs of it is ended
    #[command(after_help = "Example: rivetr jobs delete blog tidy")]
    Delete(Named),
    /// Start a run now
    #[command(after_help = "Example: rivetr jobs run blog tidy")]
    Run(Named),
    /// List the runs of a job
    #[command(after_help = "Example: rivetr jobs runs blog tidy --limit 50")]
    Runs(Runs),
    /// Show what a run wrote
    #[command(after_help = "Example: rivetr jobs logs blog tidy")]
    Logs(Logs),
    /// End a run
    #[command(after_help = "Example: rivetr jobs cancel blog tidy")]
    Cancel(OneRun),
}

/// The app that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OfApp {
    /// The app
    #[arg(value_parser = Slug::parse)]
    app: Slug,
}

/// The job that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Named {
    /// The app
    #[arg(value_parser = Slug::parse)]
    app: Slug,
    /// The job
    #[arg(value_parser = Slug::parse)]
    job: Slug,
}

/// The arguments of `rivetr jobs create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Create {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    options: Options,
}

/// The arguments of `rivetr jobs set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Set {
    #[command(flatten)]
    named: Named,
    #[command(flatten)]
    options: Options,
}

/// The arguments of `rivetr jobs runs`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Runs {
    #[command(flatten)]
    named: Named,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

/// The run that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct OneRun {
    #[command(flatten)]
    named: Named,
    /// The run, by its number; the newest if not said
    #[arg(long, value_name = "NUMBER")]
    run: Option<i64>,
}

/// The arguments of `rivetr jobs logs`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Logs {
    #[command(flatten)]
    of: OneRun,
    /// How many of the last lines
    #[arg(long, default_value_t = 200)]
    lines: usize,
}

impl Jobs {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(OfApp { app }) => {
                let answer = session.client.get(&format!("/api/apps/{app}/jobs")).await?;
                session.show(&answer, |list: List<Job>| jobs(&app, &list.items))
            }
            Self::Show(named) => {
                let answer = session.client.get(&named.path()).await?;
                session.show(&answer, |job: Job| details(&job))
            }
            Self::Create(Create { named, options }) => {
                let body = CreateJob { name: named.job.to_string(), rest: options.wire() };
                let answer = session.client.post(&format!("/api/apps/{}/jobs", named.app), &body).await?;
                session.show(&answer, |job: Job| details(&job))
            }
            Self::Set(Set { named, options }) => {
                let body = options.wire();
                if body == JobOptions::default() {
                    return Err(Failure::new(Exit::Usage, "nothing was named that should change")
                        .cure("rivetr jobs set --help".to_owned()));
                }
                let answer = session.client.patch(&named.path(), &body).await?;
                session.show(&answer, |job: Job| details(&job))
            }
            Self::Delete(named) => {
                session.client.delete(&named.path()).await?;
                let done = format!("{} of {} is deleted.", named.job, named.app);
                if session.json { Ok(()) } else { session.line(&done) }
            }
            Self::Run(named) => {
                let answer = session.client.post(&format!("{}/run", named.path()), &()).await?;
                let done = format!(
                    "{job} of {app} was started. `rivetr jobs logs {app} {job}` shows what it writes.",
                    job = named.job,
                    app = named.app
                );
                session.show(&answer, |_: Job| done + "\n")
            }
            Self::Runs(Runs { named, limit }) => {
                let path = format!("{}/runs?limit={limit}", named.path());
                let answer = session.client.get(&path).await?;
                session.show(&answer, |list: List<JobRun>| runs(&list.items))
            }
            Self::Logs(Logs { of, lines }) => {
                let path = format!("{}/logs?lines={lines}", of.path(session).await?);
                let answer = session.client.get(&path).await?;
                session
                    .show(&answer, |log: JobLog| log.lines.iter().map(|line| harmless(line) + "\n").collect())
            }
            Self::Cancel(of) => {
                let path = format!("{}/cancel", of.path(session).await?);
                let answer = session.client.post(&path, &()).await?;
                session.done(&answer, &format!("The run of {} is ended.", of.named.job))
            }
        }
    }
}

impl Named {
    fn path(&self) -> String {
        format!("/api/apps/{}/jobs/{}", self.app, self.job)
    }
}

impl OneRun {
    /// The path of the run that is meant.
    async fn path(&self, session: &Session) -> Result<String, Failure> {
        let runs = format!("{}/runs", self.named.path());
        if let Some(run) = self.run {
            return Ok(format!("{runs}/{run}"));
        }
        let newest: List<JobRun> = session.client.get(&format!("{runs}?limit=1")).await?.decode()?;
        let newest = newest.items.first().map(|run| format!("{runs}/{}", run.id));
        newest.ok_or_else(|| {
            let message = format!("{} of {} has not run yet", self.named.job, self.named.app);
            let cure = format!("rivetr jobs run {} {}", self.named.app, self.named.job);
            Failure::new(Exit::NotFound, message).cure(cure)
        })
    }
}
