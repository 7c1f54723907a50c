//! Jobs and runs as a person reads them.

use crate::api::wire::{Job, JobRun};
use crate::cli::table::{facts, harmless, or_dash, table, time};
use crate::domain::name::Slug;

/// The jobs of an app.
pub(super) fn jobs(app: &Slug, jobs: &[Job]) -> String {
    if jobs.is_empty() {
        return format!(
            "{app} has no jobs. `rivetr jobs create {app} NAME --schedule '0 3 * * *' -- COMMAND` gives it one.\n"
        );
    }
    let row = |job: &Job| {
        [
            job.name.clone(),
            harmless(&job.schedule),
            job.state.clone(),
            or_dash(job.next.as_deref().map(time).as_deref()),
            job.last.as_ref().map_or_else(|| "-".to_owned(), outcome),
            harmless(&job.command),
        ]
    };
    let rows: Vec<_> = jobs.iter().map(row).collect();
    table(["JOB", "SCHEDULE", "STATE", "NEXT", "LAST", "COMMAND"], &rows)
}

/// One job.
pub(super) fn details(job: &Job) -> String {
    let last = job.last.as_ref().map(|run| format!("{}, begun {}", outcome(run), time(&run.began)));
    let place = match job.place.as_str() {
        "running" => "in the app's container",
        _ => "in a container of its own",
    };
    facts(&[
        ("job", job.name.clone()),
        ("app", job.app.clone()),
        ("schedule", harmless(&job.schedule)),
        ("calendar", job.calendars.join("; ")),
        ("time zone", job.timezone.clone().unwrap_or_else(|| "the machine's".to_owned())),
        ("command", harmless(&job.command)),
        ("runs", place.to_owned()),
        ("timeout", format!("{} s", job.timeout)),
        ("catch-up", if job.catch_up { "yes" } else { "no" }.to_owned()),
        ("state", state(job)),
        ("next", or_dash(job.next.as_deref().map(time).as_deref())),
        ("last", last.unwrap_or_else(|| "-".to_owned())),
        ("timer", job.timer.clone()),
    ])
}

fn state(job: &Job) -> String {
    match job.state.as_str() {
        "not-live" => "waits for the first release of its app".to_owned(),
        "stopped" => "its app is stopped".to_owned(),
        other => other.to_owned(),
    }
}

/// Runs, newest first.
pub(super) fn runs(runs: &[JobRun]) -> String {
    if runs.is_empty() {
        return "It has not run yet.\n".to_owned();
    }
    let row = |run: &JobRun| {
        [
            run.id.to_string(),
            time(&run.began),
            or_dash(run.ended.as_deref().map(time).as_deref()),
            outcome(run),
            run.trigger.clone(),
        ]
    };
    table(["RUN", "BEGAN", "ENDED", "RESULT", "BY"], &runs.iter().map(row).collect::<Vec<_>>())
}

fn outcome(run: &JobRun) -> String {
    match (run.outcome.as_deref(), run.status) {
        (None, _) => "running".to_owned(),
        (Some(word), Some(status)) => format!("{word} ({status})"),
        (Some(word), None) => word.to_owned(),
    }
}
