//! The options of an app as they are shown: those alone that are not the default.

use std::fmt::Display;
use std::time::Duration;

use super::{BuildOptions, DeployOptions, HealthOptions, Patch, RuntimeOptions};
use crate::domain::app::{Commands, HealthAsk, HealthCheck, Settings, Statuses};
use crate::domain::build;
use crate::domain::runtime::{Limits, Restart, Runtime, Words};

impl RuntimeOptions {
    /// What an app's container has.
    #[must_use]
    pub fn of(runtime: &Runtime) -> Self {
        let Runtime {
            publish,
            aliases,
            extra_hosts,
            labels,
            limits: Limits { memory, cpus },
            pids,
            ulimits,
            capabilities,
            read_only,
            user,
            entrypoint,
            command,
            working_dir,
            init,
            shm_size,
            restart,
            stop_signal,
            grace,
            mounts,
            tmpfs,
        } = runtime;
        Self {
            publish: list(publish),
            aliases: list(aliases),
            extra_hosts: list(extra_hosts),
            labels: list(labels),
            memory: text(memory.as_ref()),
            cpus: text(cpus.as_ref()),
            pids: (*pids).into(),
            ulimits: list(ulimits),
            capabilities: list(capabilities),
            read_only: unless(*read_only, false),
            user: text(user.as_ref()),
            entrypoint: words(entrypoint.as_ref()),
            command: words(command.as_ref()),
            working_dir: text(working_dir.as_ref()),
            init: unless(*init, false),
            shm_size: text(shm_size.as_ref()),
            restart: text(Some(restart).filter(|restart| **restart != Restart::Always)),
            stop_signal: text(stop_signal.as_ref()),
            stop_timeout_s: unless(grace.as_secs(), Runtime::DEFAULT_GRACE.as_secs()),
            volumes: list(mounts),
            tmpfs: list(tmpfs),
        }
    }
}

impl BuildOptions {
    /// How an app's image is built.
    #[must_use]
    pub fn of(build: &build::BuildOptions) -> Self {
        let build::BuildOptions {
            containerfile,
            base_dir,
            target,
            args,
            options,
            cache,
            memory,
            cpus,
            timeout,
        } = build;
        Self {
            containerfile: text(containerfile.as_ref()),
            base_dir: text(base_dir.as_ref()),
            target: text(target.as_ref()),
            args: list(args),
            options: list(options),
            cache: unless(*cache, true),
            memory: text(memory.as_ref()),
            cpus: text(cpus.as_ref()),
            timeout_s: timeout.map(|timeout| timeout.as_secs()).into(),
        }
    }
}

impl DeployOptions {
    /// How an app is deployed.
    #[must_use]
    pub fn of(commands: &Commands, rollback_window: Option<Duration>) -> Self {
        let Commands { before_switch, after_switch, timeout } = commands;
        let window = rollback_window.map_or(0, |window| window.as_secs());
        Self {
            before_switch: words(before_switch.as_ref()),
            after_switch: words(after_switch.as_ref()),
            command_timeout_s: unless(timeout.as_secs(), Commands::DEFAULT_TIMEOUT.as_secs()),
            rollback_window_s: unless(window, Settings::ROLLBACK_WINDOW.as_secs()),
        }
    }
}

impl HealthOptions {
    /// How to tell that an app answers.
    #[must_use]
    pub fn of(health: &HealthCheck) -> Self {
        let HealthCheck { ask, timeout, attempt, interval, retries } = health;
        let default = HealthCheck::default();
        let (path, status, command) = match ask {
            HealthAsk::Connect => (Patch::Keep, Patch::Keep, Patch::Keep),
            HealthAsk::Http { path, statuses } => (
                Patch::Set(path.as_str().to_owned()),
                text(Some(statuses).filter(|statuses| **statuses != Statuses::default())),
                Patch::Keep,
            ),
            HealthAsk::Command(command) => (Patch::Keep, Patch::Keep, words(Some(command))),
        };
        Self {
            path,
            status,
            command,
            timeout_s: unless(timeout.as_secs(), default.timeout.as_secs()),
            attempt_s: unless(attempt.as_secs(), default.attempt.as_secs()),
            interval_s: unless(interval.as_secs(), default.interval.as_secs()),
            retries: unless(*retries, default.retries),
        }
    }
}

pub(super) fn list<T: Display>(items: impl IntoIterator<Item = T>) -> Patch<Vec<String>> {
    let texts: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    Some(texts).filter(|texts| !texts.is_empty()).into()
}

pub(super) fn text<T: Display>(value: Option<&T>) -> Patch<String> {
    value.map(ToString::to_string).into()
}

fn words(words: Option<&Words>) -> Patch<Vec<String>> {
    words.map(|words| words.as_slice().to_vec()).into()
}

pub(super) fn unless<T: Copy + PartialEq>(value: T, default: T) -> Patch<T> {
    Some(value).filter(|value| *value != default).into()
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use serde_json::json;

    use super::super::super::FieldErrors;
    use super::*;

    #[test]
    fn what_is_shown_can_be_sent_again() {
        let shown = json!({
            "publish": ["127.0.0.1:5432:5432"], "aliases": ["db"], "extra_hosts": ["a.test:192.0.2.7"],
            "labels": ["a=b"], "memory": "512M", "cpus": "1.5", "pids": 100, "ulimits": ["nofile=1024:2048"],
            "capabilities": ["NET_RAW"], "read_only": true, "user": "app", "entrypoint": ["sh", "-c"],
            "command": ["echo x"], "working_dir": "/srv", "init": true, "shm_size": "64M", "restart": "no",
            "stop_signal": "SIGINT", "stop_timeout_s": 60, "volumes": ["data:/data:ro"], "tmpfs": ["/tmp:size=64M"],
        });
        let names: Vec<&str> = shown.as_object().unwrap().keys().map(String::as_str).collect();
        let mut known = RuntimeOptions::NAMES.to_vec();
        known.sort_unstable();
        assert_eq!(names, known);
        let (mut runtime, mut errors) = (Runtime::default(), FieldErrors::default());
        let form: RuntimeOptions = serde_json::from_value(shown.clone()).unwrap();
        form.lay_over(&mut runtime, &mut errors);
        assert_eq!((errors.0.len(), serde_json::to_value(RuntimeOptions::of(&runtime)).unwrap()), (0, shown));

        let shown = json!({
            "containerfile": "docker/web", "base_dir": "web", "target": "release", "args": ["A=1"],
            "options": ["--squash"], "cache": false, "memory": "1G", "cpus": "0.5", "timeout_s": 600,
        });
        let mut build = build::BuildOptions::default();
        serde_json::from_value::<BuildOptions>(shown.clone()).unwrap().lay_over(&mut build, &mut errors);
        assert_eq!((errors.0.len(), serde_json::to_value(BuildOptions::of(&build)).unwrap()), (0, shown));

        let shown = json!({"path": "/up", "status": "204", "timeout_s": 5, "attempt_s": 2, "interval_s": 3, "retries": 4});
        let mut health = HealthCheck::default();
        serde_json::from_value::<HealthOptions>(shown.clone()).unwrap().lay_over(&mut health, &mut errors);
        assert_eq!((errors.0.len(), serde_json::to_value(HealthOptions::of(&health)).unwrap()), (0, shown));
        assert_eq!(serde_json::to_value(RuntimeOptions::of(&Runtime::default())).unwrap(), json!({}));

        let shown = json!({
            "before_switch": ["rake", "db:migrate"], "after_switch": ["warm"], "command_timeout_s": 5, "rollback_window_s": 0,
        });
        let mut settings = Settings::new(NonZeroU16::MIN);
        let default = DeployOptions::of(&settings.commands, settings.rollback_window);
        assert!(default.is_empty());
        serde_json::from_value::<DeployOptions>(shown.clone()).unwrap().lay_over(&mut settings, &mut errors);
        let of = DeployOptions::of(&settings.commands, settings.rollback_window);
        assert_eq!((errors.0.len(), serde_json::to_value(of).unwrap()), (0, shown));
    }
}
