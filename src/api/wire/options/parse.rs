//! Options of a request are laid over those that an app has.

use std::fmt::Display;
use std::time::Duration;

use super::super::FieldErrors;
use super::{BuildOptions, DeployOptions, HealthOptions, Patch, RuntimeOptions};
use crate::domain::app::{Commands, HealthAsk, HealthCheck, HealthPath, Settings, Statuses};
use crate::domain::build::{self, BuildArg, BuildOption, RepoPath, Stage};
use crate::domain::name::InvalidName;
use crate::domain::runtime::{
    Alias, Capability, ContainerUser, Cpus, ExtraHost, Labels, Memory, PublishedPort, Restart, Runtime,
    StopSignal, Ulimit, Words,
};
use crate::domain::volume::{ContainerPath, Mount, Tmpfs};

impl RuntimeOptions {
    /// Changes what is said; what is wrong goes to `errors`, and stays as it was.
    pub fn lay_over(self, runtime: &mut Runtime, errors: &mut FieldErrors) {
        let mut form = Form { section: "runtime", errors };
        form.list("publish", self.publish, &mut runtime.publish, PublishedPort::parse);
        form.list("aliases", self.aliases, &mut runtime.aliases, Alias::parse);
        form.list("extra_hosts", self.extra_hosts, &mut runtime.extra_hosts, ExtraHost::parse);
        form.list("labels", self.labels, &mut runtime.labels, Labels::parse);
        form.maybe("memory", self.memory, &mut runtime.limits.memory, text(Memory::parse));
        form.maybe("cpus", self.cpus, &mut runtime.limits.cpus, text(Cpus::parse));
        form.maybe("pids", self.pids, &mut runtime.pids, pids);
        form.list("ulimits", self.ulimits, &mut runtime.ulimits, Ulimit::parse);
        let mut capabilities = runtime.capabilities.iter().copied().collect();
        form.list("capabilities", self.capabilities, &mut capabilities, Capability::parse);
        runtime.capabilities = capabilities.into_iter().collect();
        form.put("read_only", self.read_only, (&mut runtime.read_only, false), Ok::<_, InvalidName>);
        form.maybe("user", self.user, &mut runtime.user, text(ContainerUser::parse));
        form.maybe("entrypoint", self.entrypoint, &mut runtime.entrypoint, Words::new);
        form.maybe("command", self.command, &mut runtime.command, Words::new);
        form.maybe("working_dir", self.working_dir, &mut runtime.working_dir, text(ContainerPath::parse));
        form.put("init", self.init, (&mut runtime.init, false), Ok::<_, InvalidName>);
        form.maybe("shm_size", self.shm_size, &mut runtime.shm_size, text(Memory::parse));
        form.put("restart", self.restart, (&mut runtime.restart, Restart::Always), text(Restart::parse));
        form.maybe("stop_signal", self.stop_signal, &mut runtime.stop_signal, text(StopSignal::parse));
        let grace = (&mut runtime.grace, Runtime::DEFAULT_GRACE);
        form.put("stop_timeout_s", self.stop_timeout_s, grace, seconds(0, Runtime::GRACE_MAX));
        form.list("volumes", self.volumes, &mut runtime.mounts, Mount::parse);
        form.list("tmpfs", self.tmpfs, &mut runtime.tmpfs, Tmpfs::parse);
    }
}

impl BuildOptions {
    /// Changes what is said; what is wrong goes to `errors`, and stays as it was.
    pub fn lay_over(self, build: &mut build::BuildOptions, errors: &mut FieldErrors) {
        let mut form = Form { section: "build", errors };
        form.maybe("containerfile", self.containerfile, &mut build.containerfile, text(RepoPath::parse));
        form.maybe("base_dir", self.base_dir, &mut build.base_dir, text(RepoPath::parse));
        form.maybe("target", self.target, &mut build.target, text(Stage::parse));
        form.list("args", self.args, &mut build.args, BuildArg::parse);
        form.list("options", self.options, &mut build.options, BuildOption::parse);
        form.put("cache", self.cache, (&mut build.cache, true), Ok::<_, InvalidName>);
        form.maybe("memory", self.memory, &mut build.memory, text(Memory::parse));
        form.maybe("cpus", self.cpus, &mut build.cpus, text(Cpus::parse));
        form.maybe(
            "timeout_s",
            self.timeout_s,
            &mut build.timeout,
            seconds(10, build::BuildOptions::TIMEOUT_MAX),
        );
    }
}

impl DeployOptions {
    /// Changes what is said; what is wrong goes to `errors`, and stays as it was.
    pub fn lay_over(self, settings: &mut Settings, errors: &mut FieldErrors) {
        let mut form = Form { section: "deploy", errors };
        let commands = &mut settings.commands;
        form.maybe("before_switch", self.before_switch, &mut commands.before_switch, Words::new);
        form.maybe("after_switch", self.after_switch, &mut commands.after_switch, Words::new);
        let timeout = (&mut commands.timeout, Commands::DEFAULT_TIMEOUT);
        form.put("command_timeout_s", self.command_timeout_s, timeout, seconds(1, Commands::TIMEOUT_MAX));
        let window = (&mut settings.rollback_window, Some(Settings::ROLLBACK_WINDOW));
        form.put("rollback_window_s", self.rollback_window_s, window, |number| match number {
            0 => Ok(None),
            number => seconds(1, Settings::ROLLBACK_WINDOW_MAX)(number).map(Some),
        });
    }
}

impl HealthOptions {
    /// Changes what is said; what is wrong goes to `errors`, and stays as it was.
    pub fn lay_over(self, health: &mut HealthCheck, errors: &mut FieldErrors) {
        let default = HealthCheck::default();
        let mut form = Form { section: "health", errors };
        let (mut path, mut statuses, mut command) = match health.ask.clone() {
            HealthAsk::Connect => (None, None, None),
            HealthAsk::Http { path, statuses } => (Some(path), Some(statuses), None),
            HealthAsk::Command(words) => (None, None, Some(words)),
        };
        // What is asked for now takes the place of the other kind.
        match (&self.path, &self.command) {
            (Patch::Set(_), Patch::Keep) => command = None,
            (Patch::Keep, Patch::Set(_)) => (path, statuses) = (None, None),
            _ => {}
        }
        let told_status = matches!(self.status, Patch::Set(_));
        form.maybe("path", self.path, &mut path, text(HealthPath::parse));
        form.maybe("status", self.status, &mut statuses, text(Statuses::parse));
        form.maybe("command", self.command, &mut command, Words::new);
        match (path, command) {
            (Some(_), Some(_)) => form.wrong("command", "ask for a path or run a command, not both"),
            (None, Some(words)) => health.ask = HealthAsk::Command(words),
            (Some(path), None) => {
                health.ask = HealthAsk::Http { path, statuses: statuses.unwrap_or_default() };
            }
            (None, None) if told_status => form.wrong("status", "a status goes with a path"),
            (None, None) => health.ask = HealthAsk::Connect,
        }
        let timeout = (&mut health.timeout, default.timeout);
        form.put("timeout_s", self.timeout_s, timeout, seconds(1, HealthCheck::TIMEOUT_MAX));
        let attempt = (&mut health.attempt, default.attempt);
        form.put("attempt_s", self.attempt_s, attempt, seconds(1, HealthCheck::ATTEMPT_MAX));
        let interval = (&mut health.interval, default.interval);
        form.put("interval_s", self.interval_s, interval, seconds(1, HealthCheck::INTERVAL_MAX));
        form.put("retries", self.retries, (&mut health.retries, default.retries), |number| match number {
            1..=HealthCheck::RETRIES_MAX => Ok(number),
            _ => Err("use a number from 1 to 100"),
        });
    }
}

/// One section of a request, and where its mistakes go. The section without a name is the request itself.
pub(in crate::api::wire) struct Form<'a> {
    pub(in crate::api::wire) section: &'static str,
    pub(in crate::api::wire) errors: &'a mut FieldErrors,
}

impl Form<'_> {
    pub(in crate::api::wire) fn put<W, T, E: Display>(
        &mut self,
        name: &str,
        patch: Patch<W>,
        (slot, default): (&mut T, T),
        parse: impl FnOnce(W) -> Result<T, E>,
    ) {
        match patch {
            Patch::Keep => {}
            Patch::Reset => *slot = default,
            Patch::Set(said) => match parse(said) {
                Ok(value) => *slot = value,
                Err(error) => self.wrong(name, &error),
            },
        }
    }

    pub(in crate::api::wire) fn maybe<W, T, E: Display>(
        &mut self,
        name: &str,
        patch: Patch<W>,
        slot: &mut Option<T>,
        parse: impl FnOnce(W) -> Result<T, E>,
    ) {
        self.put(name, patch, (slot, None), |said| parse(said).map(Some));
    }

    pub(in crate::api::wire) fn list<T, E: Display>(
        &mut self,
        name: &str,
        patch: Patch<Vec<String>>,
        slot: &mut Vec<T>,
        parse: fn(&str) -> Result<T, E>,
    ) {
        let texts = match patch {
            Patch::Keep => return,
            Patch::Reset => Vec::new(),
            Patch::Set(texts) if texts.len() > Runtime::LIST_MAX => {
                return self.wrong(name, &format!("name at most {}", Runtime::LIST_MAX));
            }
            Patch::Set(texts) => texts,
        };
        let mut parsed = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            match parse(text) {
                Ok(item) => parsed.push(item),
                Err(error) => self.wrong(&format!("{name}[{index}]"), &error),
            }
        }
        if parsed.len() == texts.len() {
            *slot = parsed;
        }
    }

    pub(in crate::api::wire) fn wrong(&mut self, name: &str, why: &(impl Display + ?Sized)) {
        let field =
            if self.section.is_empty() { name.to_owned() } else { format!("{}.{name}", self.section) };
        self.errors.put(&field, why.to_string());
    }
}

pub(in crate::api::wire) fn text<T, E>(
    parse: fn(&str) -> Result<T, E>,
) -> impl FnOnce(String) -> Result<T, E> {
    move |text| parse(&text)
}

fn seconds(least: u64, most: Duration) -> impl FnOnce(u64) -> Result<Duration, String> {
    move |seconds| {
        let refused = || format!("use a number of seconds from {least} to {}", most.as_secs());
        (least..=most.as_secs()).contains(&seconds).then(|| Duration::from_secs(seconds)).ok_or_else(refused)
    }
}

fn pids(number: u32) -> Result<u32, String> {
    let refused = || format!("use a number from 1 to {}", Runtime::PIDS_MAX);
    (1..=Runtime::PIDS_MAX).contains(&number).then_some(number).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn runtime(said: serde_json::Value, runtime: &mut Runtime) -> Vec<String> {
        let mut errors = FieldErrors::default();
        serde_json::from_value::<RuntimeOptions>(said).unwrap().lay_over(runtime, &mut errors);
        errors.0.into_keys().collect()
    }

    #[test]
    fn what_is_said_changes_and_null_is_the_default_again() {
        let mut app = Runtime::default();
        let first =
            json!({"memory": "512M", "volumes": ["data:/data"], "read_only": true, "stop_timeout_s": 60});
        assert_eq!(runtime(first, &mut app), [""; 0]);
        assert_eq!(runtime(json!({"cpus": "2", "memory": null, "volumes": []}), &mut app), [""; 0]);
        let expect = Runtime {
            limits: crate::domain::runtime::Limits { memory: None, cpus: Some(Cpus::parse("2").unwrap()) },
            read_only: true,
            grace: Duration::from_mins(1),
            ..Runtime::default()
        };
        assert_eq!(app, expect);
        assert_eq!(
            runtime(json!({"cpus": null, "read_only": null, "stop_timeout_s": null}), &mut app),
            [""; 0]
        );
        assert_eq!(app, Runtime::default());
    }

    #[test]
    fn every_wrong_option_is_named_and_changes_nothing() {
        let mut app = Runtime::default();
        let wrong = json!({
            "publish": ["80:80", "x"], "memory": "1", "pids": 0, "entrypoint": [], "restart": "sometimes",
            "stop_timeout_s": 3601, "capabilities": ["ALL"], "labels": ["io.rivetr.app=x"],
            "tmpfs": vec!["/x"; Runtime::LIST_MAX + 1],
        });
        let fields = [
            "runtime.capabilities[0]",
            "runtime.entrypoint",
            "runtime.labels[0]",
            "runtime.memory",
            "runtime.pids",
            "runtime.publish[1]",
            "runtime.restart",
            "runtime.stop_timeout_s",
            "runtime.tmpfs",
        ];
        assert_eq!(runtime(wrong, &mut app), fields);
        assert_eq!(app, Runtime::default());
    }

    #[test]
    fn a_path_and_a_command_take_each_others_place() {
        let mut health = HealthCheck::default();
        let mut say = |said: serde_json::Value| {
            let mut errors = FieldErrors::default();
            serde_json::from_value::<HealthOptions>(said).unwrap().lay_over(&mut health, &mut errors);
            (health.ask.clone(), errors.0.into_keys().collect::<Vec<_>>())
        };
        let path = HealthPath::parse("/up").unwrap();
        let http = |statuses: &str| HealthAsk::Http {
            path: path.clone(),
            statuses: Statuses::parse(statuses).unwrap(),
        };
        assert_eq!(say(json!({"path": "/up"})), (http("200-399"), vec![]));
        assert_eq!(say(json!({"status": "204"})), (http("204"), vec![]));
        assert_eq!(
            say(json!({"path": "/up", "command": ["x"]})),
            (http("204"), vec!["health.command".to_owned()])
        );
        assert_eq!(say(json!({"command": ["x"]})), (HealthAsk::Command(Words::parse("x").unwrap()), vec![]));
        assert_eq!(say(json!({"path": "/up"})), (http("200-399"), vec![]));
        assert_eq!(say(json!({"path": null})), (HealthAsk::Connect, vec![]));
        assert_eq!(say(json!({"status": "204"})), (HealthAsk::Connect, vec!["health.status".to_owned()]));
    }
}
