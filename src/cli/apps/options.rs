//! The options of an app on the command line, the same when it is created and when it is changed.

use clap::Args;

use crate::api::wire::{BuildOptions, DeployOptions, HealthOptions, Patch, RuntimeOptions};
use crate::domain::app::{HealthPath, Statuses};
use crate::domain::build::{BuildArg, BuildOption, RepoPath, Stage};
use crate::domain::runtime::{
    Alias, Capability, ContainerUser, Cpus, ExtraHost, Labels, Memory, PublishedPort, Restart, StopSignal,
    Ulimit, Words,
};
use crate::domain::volume::{ContainerPath, Mount, Tmpfs};

/// How to tell that an app answers.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Health check")]
#[expect(clippy::struct_field_names, reason = "an option is called what its field is")]
pub struct Health {
    /// The path that tells whether it answers; without it, a TCP connection is enough
    #[arg(long, value_name = "PATH", value_parser = HealthPath::parse)]
    health_path: Option<HealthPath>,
    /// The statuses that count as an answer [default: 200-399]
    #[arg(long, value_name = "STATUS", value_parser = Statuses::parse)]
    health_status: Option<Statuses>,
    /// A command in the container that ends with status 0, in place of a path
    #[arg(long, value_name = "COMMAND", value_parser = Words::parse, conflicts_with = "health_path")]
    health_command: Option<Words>,
    /// How long a new release may take until it answers [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    health_timeout: Option<u64>,
    /// How long one answer may take [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=60))]
    health_attempt: Option<u64>,
    /// The pause between two questions to a release that serves [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=600))]
    health_interval: Option<u64>,
    /// How many answers in a row must fail until a release that serves counts as unhealthy [default: 3]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..=100))]
    health_retries: Option<u32>,
}

/// How an app's container runs. What may be repeated is a list, which takes the place of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Container")]
pub struct Runtime {
    /// The most memory it may use, such as 512M; changed while it runs
    #[arg(long, value_name = "SIZE", value_parser = Memory::parse)]
    memory: Option<Memory>,
    /// The most processor time it may use, in processors, such as 1.5; changed while it runs
    #[arg(long, value_name = "NUMBER", value_parser = Cpus::parse)]
    cpus: Option<Cpus>,
    /// A volume as `name:/path[:ro]`, or a directory of the host as `/directory:/path[:ro]`; may be repeated
    #[arg(long = "volume", value_name = "MOUNT", value_parser = Mount::parse)]
    volumes: Vec<Mount>,
    /// A directory in memory: /path[:size=64M]; may be repeated
    #[arg(long, value_name = "PATH", value_parser = Tmpfs::parse)]
    tmpfs: Vec<Tmpfs>,
    /// A port of the host that leads to it past the proxy: [address:]host:container[/udp]; may be repeated
    #[arg(long, value_name = "PORT", value_parser = PublishedPort::parse)]
    publish: Vec<PublishedPort>,
    /// One more name by which the apps of its project find it; may be repeated
    #[arg(long = "alias", value_name = "NAME", value_parser = Alias::parse)]
    aliases: Vec<Alias>,
    /// A name that it finds: name:address; may be repeated
    #[arg(long = "add-host", value_name = "HOST", value_parser = ExtraHost::parse)]
    extra_hosts: Vec<ExtraHost>,
    /// A label of its container: name=value, or those that a program looks for: prometheus, homepage, diun; may be
    /// repeated
    #[arg(long = "label", value_name = "LABEL", value_parser = Labels::parse)]
    labels: Vec<Labels>,
    /// How many processes and threads it may have
    #[arg(long, value_name = "COUNT")]
    pids: Option<u32>,
    /// A limit of each of its processes, such as nofile=1024:2048; may be repeated
    #[arg(long = "ulimit", value_name = "LIMIT", value_parser = Ulimit::parse)]
    ulimits: Vec<Ulimit>,
    /// What its root may do besides what every app's may, such as `NET_RAW`; administrators only; may be repeated
    #[arg(long = "cap-add", value_name = "CAPABILITY", value_parser = Capability::parse)]
    capabilities: Vec<Capability>,
    /// Its root file system cannot be written to
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    read_only: Option<bool>,
    /// The user that its process runs as: user[:group]
    #[arg(long, value_name = "USER", value_parser = ContainerUser::parse)]
    user: Option<ContainerUser>,
    /// The program, in place of the image's entry point; quotes join words
    #[arg(long, value_name = "COMMAND", value_parser = Words::parse)]
    entrypoint: Option<Words>,
    /// The arguments, in place of the image's command; quotes join words
    #[arg(long, value_name = "COMMAND", value_parser = Words::parse, allow_hyphen_values = true)]
    command: Option<Words>,
    /// Where its process starts
    #[arg(long = "workdir", value_name = "PATH", value_parser = ContainerPath::parse)]
    working_dir: Option<ContainerPath>,
    /// A small process 1 passes signals on and reaps children
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    init: Option<bool>,
    /// The size of /dev/shm
    #[arg(long, value_name = "SIZE", value_parser = Memory::parse)]
    shm_size: Option<Memory>,
    /// Whether it is started again when it ends: always, on-failure or no [default: always]
    #[arg(long, value_name = "POLICY", value_parser = Restart::parse)]
    restart: Option<Restart>,
    /// The signal that asks it to end
    #[arg(long, value_name = "SIGNAL", value_parser = StopSignal::parse)]
    stop_signal: Option<StopSignal>,
    /// How long it may take to end [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=600))]
    stop_timeout: Option<u64>,
}

/// How an app's image is built. What may be repeated is a list, which takes the place of the one before.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Build")]
#[expect(clippy::struct_field_names, reason = "an option is called what its field is")]
pub struct Build {
    /// The file of instructions, from the base directory [default: Containerfile or Dockerfile]
    #[arg(long, value_name = "PATH", value_parser = RepoPath::parse)]
    build_file: Option<RepoPath>,
    /// The directory whose files the build sees [default: the whole repository]
    #[arg(long, value_name = "PATH", value_parser = RepoPath::parse)]
    base_dir: Option<RepoPath>,
    /// The stage that is built [default: the last one]
    #[arg(long, value_name = "STAGE", value_parser = Stage::parse)]
    target: Option<Stage>,
    /// An argument, which the image's history shows: KEY=VALUE; may be repeated
    #[arg(long = "build-arg", value_name = "KEY=VALUE", value_parser = BuildArg::parse)]
    args: Vec<BuildArg>,
    /// Another option of `podman build`, such as --build-option=--squash; may be repeated
    #[arg(long = "build-option", value_name = "OPTION", value_parser = BuildOption::parse, allow_hyphen_values = true)]
    options: Vec<BuildOption>,
    /// Whether steps that were built before are taken from the cache [default: true]
    #[arg(long, value_name = "BOOL")]
    build_cache: Option<bool>,
    /// The most memory a build may use, up to what the instance allows
    #[arg(long, value_name = "SIZE", value_parser = Memory::parse)]
    build_memory: Option<Memory>,
    /// The most processor time a build may use, in processors, up to what the instance allows
    #[arg(long, value_name = "NUMBER", value_parser = Cpus::parse)]
    build_cpus: Option<Cpus>,
    /// How long a build may take, up to what the instance allows
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(10..=86_400))]
    build_timeout: Option<u64>,
}

/// How an app is deployed.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(next_help_heading = "Deployment")]
pub struct Deploy {
    /// Runs in the new image before a release goes live, and ends the deployment if it fails; quotes join words
    #[arg(long, value_name = "COMMAND", value_parser = Words::parse)]
    before_switch: Option<Words>,
    /// Runs in the new image after a release went live; quotes join words
    #[arg(long, value_name = "COMMAND", value_parser = Words::parse)]
    after_switch: Option<Words>,
    /// How long each of these commands may take [default: 600]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=3600))]
    command_timeout: Option<u64>,
    /// How long a new release is watched, and the one before brought back if it does badly; 0: never [default: 60]
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(0..=3600))]
    rollback_window: Option<u64>,
}

impl Health {
    pub(super) fn request(self) -> HealthOptions {
        HealthOptions {
            path: self.health_path.map(|path| path.as_str().to_owned()).into(),
            status: text(self.health_status.as_ref()),
            command: words(self.health_command.as_ref()),
            timeout_s: self.health_timeout.into(),
            attempt_s: self.health_attempt.into(),
            interval_s: self.health_interval.into(),
            retries: self.health_retries.into(),
        }
    }
}

impl Runtime {
    pub(super) fn request(self) -> RuntimeOptions {
        RuntimeOptions {
            publish: list(&self.publish),
            aliases: list(&self.aliases),
            extra_hosts: list(&self.extra_hosts),
            labels: list(&self.labels),
            memory: text(self.memory.as_ref()),
            cpus: text(self.cpus.as_ref()),
            pids: self.pids.into(),
            ulimits: list(&self.ulimits),
            capabilities: list(&self.capabilities),
            read_only: self.read_only.into(),
            user: text(self.user.as_ref()),
            entrypoint: words(self.entrypoint.as_ref()),
            command: words(self.command.as_ref()),
            working_dir: text(self.working_dir.as_ref()),
            init: self.init.into(),
            shm_size: text(self.shm_size.as_ref()),
            restart: text(self.restart.as_ref()),
            stop_signal: text(self.stop_signal.as_ref()),
            stop_timeout_s: self.stop_timeout.into(),
            volumes: list(&self.volumes),
            tmpfs: list(&self.tmpfs),
        }
    }
}

impl Build {
    pub(super) fn request(self) -> BuildOptions {
        BuildOptions {
            containerfile: text(self.build_file.as_ref()),
            base_dir: text(self.base_dir.as_ref()),
            target: text(self.target.as_ref()),
            args: list(&self.args),
            options: list(&self.options),
            cache: self.build_cache.into(),
            memory: text(self.build_memory.as_ref()),
            cpus: text(self.build_cpus.as_ref()),
            timeout_s: self.build_timeout.into(),
        }
    }
}

impl Deploy {
    pub(super) fn request(self) -> DeployOptions {
        DeployOptions {
            before_switch: words(self.before_switch.as_ref()),
            after_switch: words(self.after_switch.as_ref()),
            command_timeout_s: self.command_timeout.into(),
            rollback_window_s: self.rollback_window.into(),
        }
    }
}

fn text<T: ToString>(value: Option<&T>) -> Patch<String> {
    value.map(ToString::to_string).into()
}

/// None given: nothing is said about the list.
fn list<T: ToString>(items: &[T]) -> Patch<Vec<String>> {
    Some(items.iter().map(ToString::to_string).collect()).filter(|_| !items.is_empty()).into()
}

fn words(words: Option<&Words>) -> Patch<Vec<String>> {
    words.map(|words| words.as_slice().to_vec()).into()
}
