//! A job of an app: a command that runs by a schedule, and what became of each of its runs.

pub mod cron;
pub mod schedule;

use std::fmt;
use std::time::Duration;

pub use self::schedule::{Schedule, Zone};
use super::app::AppId;
use super::name::Slug;
use super::runtime::Words;
use super::time::Timestamp;

/// A job in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub i64);

/// A run in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub i64);

/// A command that an app runs by a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its number in the store.
    pub id: JobId,
    /// The app.
    pub app: AppId,
    /// The app's name.
    pub app_slug: Slug,
    /// How it is to run.
    pub plan: JobPlan,
    /// When it was made.
    pub created: Timestamp,
}

/// What a person says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPlan {
    /// Its name, one of its app.
    pub name: Slug,
    /// When it runs.
    pub schedule: Schedule,
    /// The zone that the schedule is in; none: that of the machine.
    pub zone: Option<Zone>,
    /// What runs.
    pub command: Words,
    /// Where it runs.
    pub place: Place,
    /// How long a run may take.
    pub limit: Duration,
    /// Whether one run makes up for those that were missed while the machine was down.
    pub catch_up: bool,
    /// Whether the schedule holds; a paused job runs by hand alone.
    pub enabled: bool,
}

/// Where the command of a job runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In a container of its own, made like the live release.
    Fresh,
    /// In the container of the live release.
    Running,
}

/// One run of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its number in the store.
    pub id: RunId,
    /// Its job.
    pub job: JobId,
    /// systemd's name of it, by which the journal finds what it printed.
    pub invocation: String,
    /// By whom.
    pub trigger: Trigger,
    /// Since when.
    pub began: Timestamp,
    /// Until when, and how it ended; none: it runs.
    pub ended: Option<(Timestamp, Outcome)>,
}

/// What started a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// Its timer.
    Schedule,
    /// A person, by rivetr.
    Hand,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The command ended with 0.
    Succeeded,
    /// The command ended with another status.
    Failed(i32),
    /// A signal ended the command, or it ran out of memory.
    Killed,
    /// Its time was over.
    TimedOut,
    /// A person ended it.
    Cancelled,
    /// The command was never started.
    NotStarted,
    /// Nobody knows: the machine went down, or the journal has forgotten it.
    Unknown,
}

impl Job {
    /// The most of one app: each may have an address in the network of the project, which has few.
    pub const MAX: usize = 16;

    /// The name of its units: `rivetr-job-blog_tidy`. No slug has an underscore, so that no two jobs share one.
    #[must_use]
    pub fn unit_name(&self) -> String {
        format!("rivetr-job-{}_{}", self.app_slug, self.plan.name)
    }

    /// The service that runs the command.
    #[must_use]
    pub fn service(&self) -> String {
        format!("{}.service", self.unit_name())
    }

    /// The timer that starts the service.
    #[must_use]
    pub fn timer(&self) -> String {
        format!("{}.timer", self.unit_name())
    }
}

impl JobPlan {
    /// How long a run may take where nothing is said.
    pub const LIMIT: Duration = Duration::from_hours(1);
    /// The longest that can be said.
    pub const LIMIT_MAX: Duration = Duration::from_hours(7 * 24);
}

impl Run {
    /// The most runs of a job that are remembered.
    pub const KEPT: u32 = 100;
}

impl Place {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Running => "running",
        }
    }

    /// The place of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Fresh, Self::Running].into_iter().find(|place| place.as_str() == text)
    }
}

impl Trigger {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Hand => "hand",
        }
    }

    /// The trigger of a word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Schedule, Self::Hand].into_iter().find(|trigger| trigger.as_str() == text)
    }
}

impl Outcome {
    /// The word for it, and the exit status where there is one.
    #[must_use]
    pub fn word(self) -> (&'static str, Option<i32>) {
        match self {
            Self::Succeeded => ("succeeded", None),
            Self::Failed(status) => ("failed", Some(status)),
            Self::Killed => ("killed", None),
            Self::TimedOut => ("timed-out", None),
            Self::Cancelled => ("cancelled", None),
            Self::NotStarted => ("not-started", None),
            Self::Unknown => ("unknown", None),
        }
    }

    /// The outcome of a word.
    #[must_use]
    pub fn parse(word: &str, status: Option<i32>) -> Option<Self> {
        let plain =
            [Self::Succeeded, Self::Killed, Self::TimedOut, Self::Cancelled, Self::NotStarted, Self::Unknown];
        match (word, status) {
            ("failed", Some(status)) => Some(Self::Failed(status)),
            _ => plain.into_iter().find(|outcome| outcome.word().0 == word),
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub fn is_failure(self) -> bool {
        match self {
            Self::Failed(_) | Self::Killed | Self::TimedOut | Self::NotStarted => true,
            Self::Succeeded | Self::Cancelled | Self::Unknown => false,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => f.write_str("ended well"),
            Self::Failed(126) => f.write_str("failed: the command cannot be executed"),
            Self::Failed(127) => f.write_str("failed: there is no such command in the image"),
            Self::Failed(status) => write!(f, "failed with exit status {status}"),
            Self::Killed => f.write_str("was killed"),
            Self::TimedOut => f.write_str("took longer than it may"),
            Self::Cancelled => f.write_str("was cancelled"),
            Self::NotStarted => f.write_str("could not be started"),
            Self::Unknown => f.write_str("ended without a word"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_and_their_words() {
        for outcome in [
            Outcome::Succeeded,
            Outcome::Failed(3),
            Outcome::Killed,
            Outcome::TimedOut,
            Outcome::Cancelled,
            Outcome::NotStarted,
            Outcome::Unknown,
        ] {
            let (word, status) = outcome.word();
            assert_eq!(Outcome::parse(word, status), Some(outcome));
        }
        assert_eq!(Outcome::parse("failed", None), None);
        assert_eq!(Place::parse("fresh"), Some(Place::Fresh));
        assert_eq!(Trigger::parse("hand"), Some(Trigger::Hand));
    }
}
