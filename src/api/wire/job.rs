//! Jobs and their runs on the wire.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, time};
use crate::domain::job::{self, JobPlan, Place, Schedule, Zone};
use crate::domain::name::Slug;
use crate::domain::runtime::Words;

/// A wish for a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateJob {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// The rest.
    #[serde(flatten)]
    pub rest: JobOptions,
}

/// What can be said of a job; what is not said stays as it is, or is as the default has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobOptions {
    /// When it runs: five fields as for cron, `@daily` and its like, or a calendar expression of systemd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// The time zone that the schedule is in, such as `Europe/Berlin`; empty: that of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The command, as a line that is split at blanks; no shell reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Where it runs: `fresh`, in a container of its own made like the live release (the default), or `running`, in
    /// the container of the live release.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// How long a run may take, in seconds; an hour if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<u64>,
    /// Whether one run makes up for those that were missed while the machine was down; not if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<bool>,
    /// Whether the schedule holds; it does if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    /// Its name.
    pub name: String,
    /// The app's name.
    pub app: String,
    /// When it runs, as it was typed.
    pub schedule: String,
    /// The same as systemd has it: it runs when one of these says so.
    pub calendars: Vec<String>,
    /// The time zone; null: that of the machine.
    pub timezone: Option<String>,
    /// The command.
    pub command: String,
    /// Where it runs: `fresh` or `running`.
    pub place: String,
    /// How long a run may take, in seconds.
    pub timeout: u64,
    /// Whether one run makes up for those that were missed.
    pub catch_up: bool,
    /// Whether the schedule holds.
    pub enabled: bool,
    /// What it does: `waiting`, `running`, `paused`, `not-live`, `stopped` or `unknown`.
    pub state: String,
    /// When it runs next (RFC 3339, UTC); null: not by itself.
    pub next: Option<String>,
    /// Its newest run.
    pub last: Option<JobRun>,
    /// The timer that systemd knows it by.
    pub timer: String,
    /// When it was made (RFC 3339, UTC).
    pub created: String,
}

/// A run of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobRun {
    /// Its number.
    pub id: i64,
    /// What started it: `schedule` or `hand`.
    pub trigger: String,
    /// Since when (RFC 3339, UTC).
    pub began: String,
    /// Until when; null: it runs.
    pub ended: Option<String>,
    /// How it ended: `succeeded`, `failed`, `killed`, `timed-out`, `cancelled`, `not-started` or `unknown`.
    pub outcome: Option<String>,
    /// The exit status of a command that failed.
    pub status: Option<i32>,
    /// systemd's name of the run: `journalctl _SYSTEMD_INVOCATION_ID=…`.
    pub invocation: String,
}

/// What a run wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobLog {
    /// The run.
    pub run: JobRun,
    /// The last lines, with what systemd has to say of it.
    pub lines: Vec<String>,
}

impl CreateJob {
    /// The job that is asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<JobPlan, FieldErrors> {
        let Self { name, rest } = self;
        let mut errors = FieldErrors::default();
        let name = errors.take("name", Slug::parse(&name));
        let schedule = rest.schedule(&mut errors);
        let command = rest.command(&mut errors);
        for (field, missing) in [("schedule", rest.schedule.is_none()), ("command", rest.command.is_none())] {
            if missing {
                errors.put(field, "missing");
            }
        }
        let zone = rest.zone(&mut errors);
        let (place, limit) = (rest.place(&mut errors), rest.limit(&mut errors));
        match (name, schedule, command) {
            (Some(name), Some(schedule), Some(command)) if errors.0.is_empty() => Ok(JobPlan {
                name,
                schedule,
                command,
                zone: zone.flatten(),
                place: place.unwrap_or(Place::Fresh),
                limit: limit.unwrap_or(JobPlan::LIMIT),
                catch_up: rest.catch_up.unwrap_or(false),
                enabled: rest.enabled.unwrap_or(true),
            }),
            _ => Err(errors),
        }
    }
}

impl JobOptions {
    /// A job as it is with these changes, or what is wrong with each field.
    pub fn parse(&self, before: &JobPlan) -> Result<JobPlan, FieldErrors> {
        let mut errors = FieldErrors::default();
        let before = before.clone();
        let plan = JobPlan {
            name: before.name,
            schedule: self.schedule(&mut errors).unwrap_or(before.schedule),
            zone: self.zone(&mut errors).unwrap_or(before.zone),
            command: self.command(&mut errors).unwrap_or(before.command),
            place: self.place(&mut errors).unwrap_or(before.place),
            limit: self.limit(&mut errors).unwrap_or(before.limit),
            catch_up: self.catch_up.unwrap_or(before.catch_up),
            enabled: self.enabled.unwrap_or(before.enabled),
        };
        if errors.0.is_empty() { Ok(plan) } else { Err(errors) }
    }

    fn schedule(&self, errors: &mut FieldErrors) -> Option<Schedule> {
        errors.take("schedule", Schedule::parse(self.schedule.as_deref()?))
    }

    fn command(&self, errors: &mut FieldErrors) -> Option<Words> {
        errors.take("command", Words::parse(self.command.as_deref()?))
    }

    /// Some none: the machine's own.
    #[expect(clippy::option_option, reason = "not to say a zone is not the same as to say the machine's")]
    fn zone(&self, errors: &mut FieldErrors) -> Option<Option<Zone>> {
        match self.timezone.as_deref().map(str::trim)? {
            "" => Some(None),
            name => errors.take("timezone", Zone::parse(name)).map(Some),
        }
    }

    fn place(&self, errors: &mut FieldErrors) -> Option<Place> {
        let place = Place::parse(self.place.as_deref()?);
        errors.take("place", place.ok_or("use fresh or running"))
    }

    fn limit(&self, errors: &mut FieldErrors) -> Option<Duration> {
        let most = JobPlan::LIMIT_MAX.as_secs();
        let limit = Some(self.timeout?).filter(|limit| (1..=most).contains(limit)).map(Duration::from_secs);
        errors.take("timeout", limit.ok_or_else(|| format!("use a number of seconds from 1 to {most}")))
    }
}

impl From<&job::Run> for JobRun {
    fn from(run: &job::Run) -> Self {
        let job::Run { id, job: _, invocation, trigger, began, ended } = run;
        let outcome = ended.map(|(_, outcome)| outcome.word());
        Self {
            id: id.0,
            trigger: trigger.as_str().to_owned(),
            began: time(*began),
            ended: ended.map(|(at, _)| time(at)),
            outcome: outcome.map(|(word, _)| word.to_owned()),
            status: outcome.and_then(|(_, status)| status),
            invocation: invocation.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(json: &str) -> Result<JobPlan, FieldErrors> {
        serde_json::from_str::<CreateJob>(json).unwrap().parse()
    }

    #[test]
    fn a_job_is_asked_for_and_changed() {
        let plan = create(r#"{"name":"tidy","schedule":"@daily","command":"rake tidy"}"#).unwrap();
        assert_eq!(
            (plan.place, plan.limit, plan.catch_up, plan.enabled),
            (Place::Fresh, JobPlan::LIMIT, false, true)
        );
        let change = JobOptions {
            timezone: Some("UTC".to_owned()),
            place: Some("running".to_owned()),
            timeout: Some(5),
            enabled: Some(false),
            ..JobOptions::default()
        };
        let changed = change.parse(&plan).unwrap();
        assert_eq!(
            (&changed.schedule, changed.place, changed.enabled),
            (&plan.schedule, Place::Running, false)
        );
        let back = JobOptions { timezone: Some(String::new()), ..JobOptions::default() };
        assert_eq!((changed.zone.is_some(), back.parse(&changed).unwrap().zone), (true, None));
    }

    #[test]
    fn every_wrong_field_is_told() {
        let errors = create(r#"{"name":"A","schedule":"61 * * * *","place":"x","timeout":0}"#).unwrap_err();
        let fields: Vec<_> = errors.0.keys().map(String::as_str).collect();
        assert_eq!(fields, ["command", "name", "place", "schedule", "timeout"]);
        let plan = create(r#"{"name":"tidy","schedule":"@daily","command":"rake tidy"}"#).unwrap();
        let wrong = JobOptions { timezone: Some("a b".to_owned()), ..JobOptions::default() };
        assert!(wrong.parse(&plan).unwrap_err().0.contains_key("timezone"));
    }
}
