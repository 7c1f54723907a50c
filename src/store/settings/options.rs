//! The options of containers and builds as JSON: each as the text that its own grammar reads. What is not there is
//! the default, so that rows of older deployments mean what they meant.

use std::fmt::Display;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::build::{BuildArg, BuildOption, BuildOptions, RepoPath, Stage};
use crate::domain::runtime::{
    Alias, Capability, ContainerUser, Cpus, ExtraHost, Labels, Limits, Memory, PublishedPort, Restart,
    Runtime, StopSignal, Ulimit, Words,
};
use crate::domain::volume::{ContainerPath, Mount, Tmpfs};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoredRuntime {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    publish: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    extra_hosts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    labels: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pids: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ulimits: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    capabilities: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entrypoint: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    command: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_dir: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    init: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    shm_size: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restart: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stop_signal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_s: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    mounts: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tmpfs: Vec<String>,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct StoredBuild {
    #[serde(skip_serializing_if = "Option::is_none")]
    containerfile: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base_dir: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    args: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    no_cache: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_s: Option<u64>,
}

impl From<&Runtime> for StoredRuntime {
    fn from(runtime: &Runtime) -> Self {
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
            publish: texts(publish),
            aliases: texts(aliases),
            extra_hosts: texts(extra_hosts),
            labels: texts(labels),
            memory: text(memory.as_ref()),
            cpus: text(cpus.as_ref()),
            pids: *pids,
            ulimits: texts(ulimits),
            capabilities: texts(capabilities),
            read_only: *read_only,
            user: text(user.as_ref()),
            entrypoint: entrypoint.as_ref().map(|words| words.as_slice().to_vec()),
            command: command.as_ref().map(|words| words.as_slice().to_vec()),
            working_dir: text(working_dir.as_ref()),
            init: *init,
            shm_size: text(shm_size.as_ref()),
            restart: (*restart != Restart::Always).then(|| restart.to_string()),
            stop_signal: text(stop_signal.as_ref()),
            grace_s: (*grace != Runtime::DEFAULT_GRACE).then_some(grace.as_secs()),
            mounts: texts(mounts),
            tmpfs: texts(tmpfs),
        }
    }
}

impl StoredRuntime {
    pub(super) fn read(self) -> Option<Runtime> {
        Some(Runtime {
            publish: all(&self.publish, PublishedPort::parse)?,
            aliases: all(&self.aliases, Alias::parse)?,
            extra_hosts: all(&self.extra_hosts, ExtraHost::parse)?,
            labels: all(&self.labels, Labels::parse)?,
            limits: Limits {
                memory: maybe(self.memory, Memory::parse)?,
                cpus: maybe(self.cpus, Cpus::parse)?,
            },
            pids: self.pids,
            ulimits: all(&self.ulimits, Ulimit::parse)?,
            capabilities: all(&self.capabilities, Capability::parse)?.into_iter().collect(),
            read_only: self.read_only,
            user: maybe(self.user, ContainerUser::parse)?,
            entrypoint: self.entrypoint.map(Words::new).transpose().ok()?,
            command: self.command.map(Words::new).transpose().ok()?,
            working_dir: maybe(self.working_dir, ContainerPath::parse)?,
            init: self.init,
            shm_size: maybe(self.shm_size, Memory::parse)?,
            restart: maybe(self.restart, Restart::parse)?.unwrap_or(Restart::Always),
            stop_signal: maybe(self.stop_signal, StopSignal::parse)?,
            grace: self.grace_s.map_or(Runtime::DEFAULT_GRACE, Duration::from_secs),
            mounts: all(&self.mounts, Mount::parse)?,
            tmpfs: all(&self.tmpfs, Tmpfs::parse)?,
        })
    }
}

impl From<&BuildOptions> for StoredBuild {
    fn from(build: &BuildOptions) -> Self {
        let BuildOptions { containerfile, base_dir, target, args, options, cache, memory, cpus, timeout } =
            build;
        Self {
            containerfile: text(containerfile.as_ref()),
            base_dir: text(base_dir.as_ref()),
            target: text(target.as_ref()),
            args: texts(args),
            options: texts(options),
            no_cache: !cache,
            memory: text(memory.as_ref()),
            cpus: text(cpus.as_ref()),
            timeout_s: timeout.map(|timeout| timeout.as_secs()),
        }
    }
}

impl StoredBuild {
    pub(super) fn read(self) -> Option<BuildOptions> {
        Some(BuildOptions {
            containerfile: maybe(self.containerfile, RepoPath::parse)?,
            base_dir: maybe(self.base_dir, RepoPath::parse)?,
            target: maybe(self.target, Stage::parse)?,
            args: all(&self.args, BuildArg::parse)?,
            options: all(&self.options, BuildOption::parse)?,
            cache: !self.no_cache,
            memory: maybe(self.memory, Memory::parse)?,
            cpus: maybe(self.cpus, Cpus::parse)?,
            timeout: self.timeout_s.map(Duration::from_secs),
        })
    }
}

fn texts<T: Display>(list: impl IntoIterator<Item = T>) -> Vec<String> {
    list.into_iter().map(|item| item.to_string()).collect()
}

fn text<T: Display>(value: Option<&T>) -> Option<String> {
    value.map(ToString::to_string)
}

fn all<T, E>(texts: &[String], parse: fn(&str) -> Result<T, E>) -> Option<Vec<T>> {
    texts.iter().map(|text| parse(text).ok()).collect()
}

#[expect(clippy::option_option, reason = "without, with, and not what was stored are three things")]
fn maybe<T, E>(text: Option<String>, parse: fn(&str) -> Result<T, E>) -> Option<Option<T>> {
    text.map(|text| parse(&text)).transpose().ok()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference in")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Options of which none is the default.
#[cfg(test)]
pub(super) fn everything() -> (Runtime, BuildOptions) {
    let list = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
    let some = |text: &str| Some(text.to_owned());
    let runtime = StoredRuntime {
        publish: list("127.0.0.1:5432:5432 [::1]:53:53/udp"),
        aliases: list("db"),
        extra_hosts: list("a.test:192.0.2.7"),
        labels: list("a=b c="),
        memory: some("512M"),
        cpus: some("1.5"),
        pids: Some(100),
        ulimits: list("nofile=1024:2048"),
        capabilities: list("NET_RAW"),
        read_only: true,
        user: some("app:app"),
        entrypoint: Some(vec!["/bin/serve".to_owned(), "--all".to_owned()]),
        command: Some(vec!["echo \"$A\"\n".to_owned()]),
        working_dir: some("/srv"),
        init: true,
        shm_size: some("64M"),
        restart: some("on-failure"),
        stop_signal: some("SIGINT"),
        grace_s: Some(60),
        mounts: list("data:/data /srv/media:/media:ro"),
        tmpfs: list("/tmp:size=64M"),
    };
    let build = StoredBuild {
        containerfile: some("docker/Containerfile"),
        base_dir: some("web"),
        target: some("release"),
        args: list("A=1 B="),
        options: list("--squash --jobs=2"),
        no_cache: true,
        memory: some("1G"),
        cpus: some("0.5"),
        timeout_s: Some(600),
    };
    (runtime.read().unwrap(), build.read().unwrap())
}
