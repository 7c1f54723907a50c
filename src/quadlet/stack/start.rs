//! When containers of a stack start and stop, and in which order.

use std::collections::BTreeSet;
use std::time::Duration;

use super::super::unit::Section;
use super::Context;
use super::draft::Draft;
use super::names::ContainerNames;
use crate::domain::stack::Stack;
use crate::domain::stack::container::Container;
use crate::domain::stack::health::Health;
use crate::domain::stack::start::{Condition, Dependency, Hook, Restart};

/// How long a start may take in seconds: the image may have to be fetched.
const START_S: &str = "900";

/// How long a container may take to be well where its image says how that is told, in seconds.
const HEALTHY_S: u64 = 300;
/// Of a check that says nothing else, how often it is made and how long it may take, in seconds.
const CHECK_S: u64 = 30;
/// The longest wait for a container to be well, in seconds.
const START_MAX_S: u64 = 3600;

/// How much longer systemd waits than Podman, which ends the container with SIGKILL when its time is over.
const STOP_MARGIN_S: u64 = 20;

/// From one try to the next, as Docker waits: the pause doubles from 100 ms to a minute.
const PAUSES: [(&str, &str); 3] =
    [("RestartSec", "100ms"), ("RestartSteps", "9"), ("RestartMaxDelaySec", "60")];

/// The time in which restarts are counted where a file says only how many there may be.
const WINDOW_S: u64 = 3600;

/// Which services others wait for, and until when.
pub(super) struct Waited<'a> {
    healthy: BTreeSet<&'a str>,
    completed: BTreeSet<&'a str>,
}

impl<'a> Waited<'a> {
    pub(super) fn of(stack: &'a Stack) -> Self {
        let running = stack.containers.values().filter(|container| container.replicas > 0);
        let all: Vec<&Dependency> = running.flat_map(|container| &container.depends_on).collect();
        let with = |condition| {
            let such = all.iter().filter(move |dependency| dependency.condition == condition);
            such.map(|dependency| dependency.service.as_str()).collect()
        };
        Self { healthy: with(Condition::Healthy), completed: with(Condition::Completed) }
    }
}

pub(super) fn write(
    draft: &mut Draft<'_>,
    context: &Context<'_>,
    container: &Container,
    called: &ContainerNames,
) {
    for dependency in &container.depends_on {
        depend(draft, context, dependency);
    }
    let runs_once = context.waited.completed.contains(container.service.as_str());
    let owned = context.naming.owned.is_some();
    let is_awaited = context.waited.healthy.contains(container.service.as_str())
        || owned && matches!(container.health, Some(Health::Check(_)));
    if runs_once {
        draft.own(Section::Service, "Type", "oneshot");
        draft.own(Section::Service, "RemainAfterExit", "yes");
        if owned {
            draft.own(Section::Service, "TimeoutStartSec", START_S);
        }
        if is_awaited {
            draft.note(
                "healthcheck",
                "others wait for its end, so that those who wait for its health wait for it too",
            );
        }
    } else if is_awaited && container.health != Some(Health::Off) {
        draft.scalar("healthcheck", "Notify", "healthy");
        // It goes on running while it is ill, and nothing that waits for it starts.
        let limit = if owned { healthy_within(container).to_string() } else { "infinity".to_owned() };
        draft.own(Section::Service, "TimeoutStartSec", &limit);
    } else {
        if is_awaited {
            draft.refuse(
                "healthcheck",
                "others wait for its health, but its check is off: they would wait for ever",
            );
        }
        draft.own(Section::Service, "TimeoutStartSec", START_S);
    }
    restart(draft, container.restart, runs_once);
    stop(draft, container);
    hooks(draft, container, called, runs_once);
}

/// How long a container may take to be well, in seconds: as long as its own check gives it, and a minute.
fn healthy_within(container: &Container) -> u64 {
    let Some(Health::Check(check)) = &container.health else { return HEALTHY_S };
    let of = |time: Option<Duration>| time.map_or(CHECK_S, seconds);
    let tries = check.retries.unwrap_or(3).saturating_add(1);
    let checking = tries.saturating_mul(of(check.interval).saturating_add(of(check.timeout)));
    let all = check.start_period.map_or(0, seconds).saturating_add(checking).saturating_add(60);
    all.min(START_MAX_S)
}

fn depend(draft: &mut Draft<'_>, context: &Context<'_>, dependency: &Dependency) {
    let Dependency { service, condition: _, required, restart } = dependency;
    for called in context.names.replicas(service) {
        let other = &called.unit.service;
        draft.link(if *required { "Requires" } else { "Wants" }, other);
        draft.link("After", other);
        if *restart {
            draft.link("PartOf", other);
        }
    }
}

fn restart(draft: &mut Draft<'_>, restart: Restart, runs_once: bool) {
    match restart {
        Restart::No => {}
        Restart::Always | Restart::UnlessStopped if runs_once => {
            draft.note("restart", "others wait for its end, so that it is started again only when it failed");
            draft.own(Section::Service, "Restart", "on-failure");
        }
        Restart::Always | Restart::UnlessStopped => {
            draft.own(Section::Unit, "StartLimitIntervalSec", "0");
            draft.own(Section::Service, "Restart", "always");
        }
        Restart::OnFailure { attempts, delay: _, window } => {
            match attempts {
                None | Some(0) => draft.own(Section::Unit, "StartLimitIntervalSec", "0"),
                Some(attempts) => {
                    let window = window.map_or(WINDOW_S, seconds).max(1);
                    draft.own(Section::Unit, "StartLimitIntervalSec", &window.to_string());
                    // The first start counts too.
                    let starts = attempts.saturating_add(1).to_string();
                    draft.own(Section::Unit, "StartLimitBurst", &starts);
                }
            }
            draft.own(Section::Service, "Restart", "on-failure");
        }
    }
    if let Restart::OnFailure { delay: Some(delay), .. } = restart {
        draft.own(Section::Service, "RestartSec", &format!("{}ms", delay.as_millis()));
    } else if restart != Restart::No {
        for (key, text) in PAUSES {
            draft.own(Section::Service, key, text);
        }
    }
    if !runs_once {
        // Ended by SIGTERM, or by SIGKILL when it did not listen: a stop all the same.
        draft.own(Section::Service, "SuccessExitStatus", "137 143");
        if matches!(restart, Restart::OnFailure { .. }) {
            draft.own(Section::Service, "RestartForceExitStatus", "137 143");
        }
    }
}

fn stop(draft: &mut Draft<'_>, container: &Container) {
    let policy = &container.stop;
    draft.option(
        "stop_signal",
        "StopSignal",
        "--stop-signal",
        policy.stop_signal.as_deref().unwrap_or_default(),
    );
    if let Some(grace) = policy.stop_grace_period {
        let grace = seconds(grace);
        draft.scalar("stop_grace_period", "StopTimeout", &grace.to_string());
        let all = grace.saturating_add(STOP_MARGIN_S);
        draft.own(Section::Service, "TimeoutStopSec", &all.to_string());
    }
}

fn hooks(draft: &mut Draft<'_>, container: &Container, called: &ContainerNames, runs_once: bool) {
    if runs_once && !(container.post_start.is_empty() && container.pre_stop.is_empty()) {
        draft.note("post_start", "others wait for its end, so that its hooks are left out");
        return;
    }
    for hook in &container.post_start {
        let words = exec(hook, &called.name);
        draft.command("post_start", "ExecStartPost", "/usr/bin/podman", words.iter().map(String::as_str));
    }
    for hook in &container.pre_stop {
        draft.note(
            "pre_stop",
            "it also runs, and fails without consequence, when the container has ended by itself",
        );
        let words = exec(hook, &called.name);
        draft.command("pre_stop", "ExecStop", "-/usr/bin/podman", words.iter().map(String::as_str));
    }
}

fn exec(hook: &Hook, name: &str) -> Vec<String> {
    let Hook { command, user, working_dir, environment, privileged } = hook;
    let mut words = vec!["exec".to_owned()];
    words.extend(user.iter().map(|user| format!("--user={user}")));
    words.extend(working_dir.iter().map(|path| format!("--workdir={path}")));
    words.extend(environment.iter().map(|(key, value)| format!("--env={key}={value}")));
    words.extend(privileged.then(|| "--privileged".to_owned()));
    words.push(name.to_owned());
    words.extend(command.iter().cloned());
    words
}

/// Whole seconds, rather too many than too few.
fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}
