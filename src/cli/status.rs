//! `rivetr status`: every app at a glance, and what is wrong with rivetr or its host.

use std::slice;

use clap::Args;
use futures_util::{StreamExt as _, stream};
use serde::Serialize;
use serde_json::value::RawValue;

use super::failure::Failure;
use super::session::Session;
use super::table::{or_dash, table, time};
use crate::api::client::{Answer, ClientError};
use crate::api::wire::{App, AppStatus, Check, CheckStatus, Deployment, Health, List, Unit};
use crate::host::survey::readable;

/// How many apps are asked about at once.
const AT_ONCE: usize = 8;

/// Show every app at a glance
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr status")]
pub struct Status {}

/// What `--json` prints: the API's own documents, side by side.
#[derive(Serialize)]
struct Document {
    health: Box<RawValue>,
    apps: Vec<Box<RawValue>>,
}

impl Status {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let health = session.client.get("/api/system/health").await?;
        let apps: List<App> = session.client.get("/api/apps").await?.decode()?;
        // To measure takes a moment of each: a few at once.
        let client = &session.client;
        let asked = stream::iter(&apps.items)
            .map(async |app| client.get(&format!("/api/apps/{}/status", app.name)).await)
            .buffered(AT_ONCE);
        let asked: Vec<_> = asked.collect().await;
        let mut answers = Vec::new();
        for answer in asked {
            match answer {
                Ok(answer) => answers.push(answer),
                // It was deleted since the list was read.
                Err(ClientError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if session.json {
            let apps = answers.iter().map(Answer::decode).collect::<Result<_, _>>()?;
            return session.document(&Document { health: health.decode()?, apps });
        }
        let statuses = answers.iter().map(Answer::decode).collect::<Result<Vec<_>, _>>()?;
        session.print(&words(&health.decode()?, &statuses))
    }
}

fn words(health: &Health, apps: &[AppStatus]) -> String {
    let worries = health.checks.iter().filter(|check| check.status != CheckStatus::Ok);
    let worries = worries.map(|Check { name, detail, cure, .. }| {
        let cure = cure.as_ref().map(|cure| format!("; {cure}")).unwrap_or_default();
        format!("{name}: {detail}{cure}\n")
    });
    let mut text: String = worries.collect();
    if !text.is_empty() {
        text.push('\n');
    }
    if apps.is_empty() {
        return text + "There are no apps yet. `rivetr apps create NAME` makes one.\n";
    }
    let rows: Vec<_> = apps.iter().map(row).collect();
    text + &table(["APP", "STATE", "RELEASE", "SINCE", "MEMORY", "CPU", "ADDRESS"], &rows)
}

fn row(status: &AppStatus) -> [String; 7] {
    let since = status.unit.as_ref().and_then(|unit| unit.since.as_deref()).map(time);
    [
        status.app.name.clone(),
        state(status),
        release(status.live.as_ref()),
        or_dash(since.as_deref()),
        memory(&status.units),
        cpu(&status.units),
        or_dash(Some(&status.app.urls.join(" "))),
    ]
}

/// What all containers use, and what they may use together.
fn memory(units: &[Unit]) -> String {
    let uses = units.iter().map(|unit| (unit.usage.memory, unit.usage.memory_limit.as_deref()));
    used(uses, readable)
}

fn cpu(units: &[Unit]) -> String {
    let uses = units.iter().map(|unit| (unit.usage.cpu_percent, unit.usage.cpu_percent_limit.as_deref()));
    used(uses, |percent| format!("{percent} %"))
}

/// What is not known of one is not known of all.
fn used<'a>(
    uses: impl Iterator<Item = (Option<u64>, Option<&'a str>)> + Clone,
    shown: impl Fn(u64) -> String,
) -> String {
    if uses.clone().next().is_none() {
        return "-".to_owned();
    }
    let Some(now) = uses.clone().map(|(now, _)| now).sum::<Option<u64>>() else {
        return "unknown".to_owned();
    };
    match uses.map(|(_, most)| most?.parse::<u64>().ok()).sum::<Option<u64>>() {
        Some(most) => format!("{} of {}", shown(now), shown(most)),
        None => shown(now),
    }
}

/// How an app does, in a few words: its unit, and a newer deployment that is not live.
pub(super) fn state(status: &AppStatus) -> String {
    if status.app.deleting {
        return "being deleted".to_owned();
    }
    let live = status.live.as_ref().map(|live| live.id);
    let newer = status.latest.as_ref().filter(|latest| Some(latest.id) != live);
    let newer = newer.map(|latest| format!("deployment {} {}", latest.number, latest.state));
    [Some(unit_state(status)), newer].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn unit_state(status: &AppStatus) -> String {
    if status.app.stopped {
        return "stopped".to_owned();
    }
    if let [_, _, ..] = &*status.units {
        let up = status.units.iter().filter(|unit| unit.active_state == "active").count();
        let restarts: u32 = status.units.iter().map(|unit| unit.restarts).sum();
        let restarted = if restarts > 0 { format!(", restarted {restarts} times") } else { String::new() };
        let killed = out_of_memory(&status.units);
        return format!("{up} of {} running{restarted}{killed}", status.units.len());
    }
    let Some(unit) = &status.unit else {
        return if status.live.is_some() { "no unit" } else { "not deployed" }.to_owned();
    };
    let Unit { name: _, active_state, sub_state, restarts, since: _, out_of_memory: _, usage: _ } = unit;
    let state =
        if active_state == "active" { sub_state.clone() } else { format!("{active_state} ({sub_state})") };
    let restarted = match restarts {
        0 => String::new(),
        1 => ", restarted once".to_owned(),
        times => format!(", restarted {times} times"),
    };
    format!("{state}{restarted}{}", out_of_memory(slice::from_ref(unit)))
}

/// When one of them last ran out of memory, if one did.
fn out_of_memory(units: &[Unit]) -> String {
    let last = units.iter().filter_map(|unit| unit.out_of_memory.as_deref()).max();
    last.map(|last| format!(", ran out of memory at {}", time(last))).unwrap_or_default()
}

/// The release that serves, with the first digits of its commit.
pub(super) fn release(live: Option<&Deployment>) -> String {
    let Some(deployment) = live else { return "-".to_owned() };
    let commit = deployment.commit.as_ref().map(|commit| commit.chars().take(8).collect::<String>());
    let commit = commit.map(|commit| format!(" ({commit})")).unwrap_or_default();
    format!("{}{commit}", deployment.number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{Failure, InUse, State};

    fn deployment(id: i64, number: u32, state: State) -> Deployment {
        Deployment {
            id,
            app: "blog".to_owned(),
            number,
            trigger: "push".to_owned(),
            back_to: None,
            reason: None,
            state,
            commit: None,
            digest: None,
            image: None,
            failure: (state == State::Failed)
                .then(|| Failure { during: State::Building, reason: "no".to_owned() }),
            created: String::new(),
            ended: None,
            steps: Vec::new(),
        }
    }

    fn check(live: Option<Deployment>, latest: Option<Deployment>, unit: Option<(&str, &str)>, expect: &str) {
        let app = r#"{"id":1,"name":"blog","project":"default","environment":"production","port":8080,"hosts":[],"urls":[],"source":"push","branch":"main",
            "env":[],"deleting":false,"created":""}"#;
        let unit = unit.map(|(active, sub)| Unit {
            name: String::new(),
            active_state: active.to_owned(),
            sub_state: sub.to_owned(),
            restarts: 0,
            since: None,
            out_of_memory: None,
            usage: InUse::default(),
        });
        let app = serde_json::from_str(app).unwrap();
        let status = AppStatus { app, live, latest, unit, units: Vec::new() };
        assert_eq!(state(&status), expect);
    }

    #[test]
    fn several_containers_are_counted() {
        let unit = |active: &str| Unit {
            name: String::new(),
            active_state: active.to_owned(),
            sub_state: active.to_owned(),
            restarts: 1,
            since: None,
            out_of_memory: None,
            usage: InUse::default(),
        };
        let app = r#"{"id":1,"name":"blog","project":"default","environment":"production","port":8080,"hosts":[],"urls":[],
            "source":"push","branch":"main","env":[],"deleting":false,"created":""}"#;
        let units = ["active", "activating", "active"].map(unit).to_vec();
        let mut status = AppStatus {
            app: serde_json::from_str(app).unwrap(),
            live: None,
            latest: None,
            unit: units.first().cloned(),
            units,
        };
        assert_eq!(state(&status), "2 of 3 running, restarted 3 times");
        for (unit, at) in
            status.units.iter_mut().zip(["2026-11-23T09:00:00.000Z", "2026-11-23T10:00:00.000Z"])
        {
            unit.out_of_memory = Some(at.to_owned());
        }
        let last = "2 of 3 running, restarted 3 times, ran out of memory at 2026-11-23 10:00:00";
        assert_eq!(state(&status), last);
        status.units.truncate(1);
        status.unit = status.units.first().cloned();
        assert_eq!(state(&status), "active, restarted once, ran out of memory at 2026-11-23 09:00:00");
        status.app.stopped = true;
        assert_eq!(state(&status), "stopped");
    }

    #[test]
    fn what_is_used_is_added_up_and_what_is_not_known_says_so() {
        let check = |uses: &[(Option<u64>, Option<&str>)], expect: &str| {
            assert_eq!(used(uses.iter().copied(), |number| number.to_string()), expect, "{uses:?}");
        };
        check(&[], "-");
        check(&[(Some(10), Some("100")), (Some(20), Some("100"))], "30 of 200");
        check(&[(Some(0), Some("max")), (Some(20), Some("100"))], "20");
        check(&[(Some(10), None)], "10");
        check(&[(None, Some("100")), (Some(20), Some("100"))], "unknown");
    }

    #[test]
    fn a_newer_deployment_that_is_not_live_is_told() {
        let of = |number: u32, state| Some(deployment(i64::from(number) + 10, number, state));
        let running = Some(("active", "running"));
        check(None, None, None, "not deployed");
        check(None, of(1, State::Failed), None, "not deployed; deployment 1 failed");
        check(of(1, State::Live), of(1, State::Live), running, "running");
        check(of(1, State::Live), of(2, State::Failed), running, "running; deployment 2 failed");
        check(of(1, State::Live), of(2, State::Building), running, "running; deployment 2 building");
        check(of(1, State::Live), of(1, State::Live), Some(("failed", "failed")), "failed (failed)");
        check(of(1, State::Live), of(1, State::Live), None, "no unit");
    }
}
