//! The options of containers, builds and health checks as JSON, for new apps, for changes, and in answers: each as
//! the text of its grammar. What is not there stays as it is, null is the default again.

mod parse;
mod show;
mod traffic;

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::ToSchema;

pub(super) use self::parse::{Form, text};
use super::NewPassword;

/// What a request says about one option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Patch<T> {
    /// Nothing: it stays as it is.
    #[default]
    Keep,
    /// The default again.
    Reset,
    /// This value.
    Set(T),
}

impl<T> Patch<T> {
    /// Whether nothing is said.
    #[must_use]
    pub fn is_keep(&self) -> bool {
        matches!(self, Self::Keep)
    }
}

impl<T> From<Option<T>> for Patch<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Keep, Self::Set)
    }
}

impl<T: Serialize> Serialize for Patch<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Keep | Self::Reset => serializer.serialize_none(),
            Self::Set(value) => value.serialize(serializer),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patch<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::deserialize(deserializer)?.map_or(Self::Reset, Self::Set))
    }
}

/// Makes a form of options, and the list of their names.
macro_rules! options {
    ($(#[$about:meta])+ $form:ident { $($(#[$doc:meta])+ $name:ident: $kind:ty),+ $(,)? }) => {
        $(#[$about])+
        #[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
        #[serde(default, deny_unknown_fields)]
        pub struct $form {
            $(
                $(#[$doc])+
                #[serde(skip_serializing_if = "Patch::is_keep")]
                #[schema(value_type = Option<$kind>)]
                pub $name: Patch<$kind>,
            )+
        }

        impl $form {
            /// The names of all.
            pub const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            /// Whether nothing is said about any.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                *self == Self::default()
            }
        }
    };
}

options! {
    /// How an app's container runs.
    RuntimeOptions {
        /// Ports of the host that lead to it past the proxy: `[address:]host:container[/udp]`; 127.0.0.1 if no
        /// address is named. A deployment of an app that has any stops the old release before it starts the new one.
        publish: Vec<String>,
        /// More names by which the apps of its project find it.
        aliases: Vec<String>,
        /// Names that it finds: `name:address`.
        extra_hosts: Vec<String>,
        /// Labels of its container: `name=value`, or the name of a program that looks for some: `prometheus`, `homepage`,
        /// `diun`.
        labels: Vec<String>,
        /// The most memory it may use: `512M`. Changed while it runs.
        memory: String,
        /// The most processor time it may use, in processors: `1.5`. Changed while it runs.
        cpus: String,
        /// How many processes and threads it may have.
        pids: u32,
        /// Limits of each of its processes: `nofile=1024:2048`.
        ulimits: Vec<String>,
        /// What its root may do besides what every app's may: `NET_RAW`. Only an administrator can add one.
        capabilities: Vec<String>,
        /// Its root file system cannot be written to.
        read_only: bool,
        /// The user that its process runs as: `user[:group]`.
        user: String,
        /// The program, in place of the image's entry point.
        entrypoint: Vec<String>,
        /// The arguments, in place of the image's command.
        command: Vec<String>,
        /// Where its process starts.
        working_dir: String,
        /// A small process 1 passes signals on and reaps children.
        init: bool,
        /// The size of `/dev/shm`: `64M`.
        shm_size: String,
        /// Whether it is started again when it ends: `always`, `on-failure` or `no`.
        restart: String,
        /// The signal that asks it to end: `SIGTERM`.
        stop_signal: String,
        /// How long it may take to end, in seconds; 10 if not said, at most 600.
        stop_timeout_s: u64,
        /// What is mounted: `name:/path[:ro]` for a volume of the app, `/on/the/host:/path[:ro]` for a directory that
        /// lies directly in one of `bind_roots`.
        volumes: Vec<String>,
        /// Directories in memory: `/path[:size=64M]`.
        tmpfs: Vec<String>,
    }
}

options! {
    /// How an app's image is built.
    BuildOptions {
        /// The file of instructions, from the base directory; `Containerfile` or `Dockerfile` if not said.
        containerfile: String,
        /// The directory whose files the build sees; the whole repository if not said.
        base_dir: String,
        /// The stage that is built; the last one if not said.
        target: String,
        /// Arguments, which the image's history shows: `KEY=value`.
        args: Vec<String>,
        /// More options of `podman build`: `--squash`, `--platform=`, `--shm-size=`, `--ulimit=`, `--add-host=`,
        /// `--format=`, `--jobs=`.
        options: Vec<String>,
        /// Whether steps that were built before are taken from the cache; they are if not said.
        cache: bool,
        /// The most memory it may use, up to what the instance allows: `1G`.
        memory: String,
        /// The most processor time it may use, in processors, up to what the instance allows: `1.5`.
        cpus: String,
        /// How long it may take in seconds, up to what the instance allows.
        timeout_s: u64,
    }
}

options! {
    /// How an app is deployed.
    DeployOptions {
        /// A command in the new image before a release goes live; its failure ends the deployment.
        before_switch: Vec<String>,
        /// A command in the new image after a release went live.
        after_switch: Vec<String>,
        /// How long each of these commands may take, in seconds; 600 if not said, at most 3600.
        command_timeout_s: u64,
        /// How long a new release is watched and the one before brought back if it does badly, in seconds; 60 if not
        /// said, 0: never, at most 3600.
        rollback_window_s: u64,
    }
}

options! {
    /// How to tell that an app answers.
    HealthOptions {
        /// The path that tells; without it, and without a command, a TCP connection is enough.
        path: String,
        /// The statuses that count as an answer: `200-399` if not said.
        status: String,
        /// A command in the container that ends with status 0, in place of a path.
        command: Vec<String>,
        /// How long a new release may take until it answers, in seconds; 60 if not said, at most 3600.
        timeout_s: u64,
        /// How long one answer may take, in seconds; 10 if not said, at most 60.
        attempt_s: u64,
        /// The pause between two questions to a release that serves, in seconds; 10 if not said, at most 600.
        interval_s: u64,
        /// How many answers in a row must fail until a release that serves counts as unhealthy; 3 if not said.
        retries: u32,
    }
}

options! {
    /// What the proxy does with the requests of an app, at once and for every release.
    TrafficOptions {
        /// The largest request body: `10M`; 100M if not said.
        body_limit: String,
        /// How long the app may take until it begins to answer: `30s`; 60s if not said, at most 1h.
        answer_timeout: String,
        /// For how long browsers are told to come by HTTPS alone: `365d`, `365d,subdomains`, `365d,subdomains,preload`.
        hsts: String,
        /// Where paths are redirected to: `^/old/(.*)$=/new/$1`, with a status behind it if it is not 302:
        /// `^/old$=https://example.org/ 308`. The expression is for the whole path, and the first that fits counts.
        redirects: Vec<String>,
        /// Fields of requests that the app sees as they are said here: `X-Env: prod`, or `X-Env:` for not at all.
        request_headers: Vec<String>,
        /// Fields of answers, likewise.
        response_headers: Vec<String>,
        /// Who may come in by name and password. Of those who may already, others than these may no more.
        users: Vec<String>,
        /// New passwords by the name of the user, who may come in from now on; null: who may come in no more. Never shown.
        passwords: BTreeMap<String, NewPassword>,
        /// The networks from which one may come in: `192.0.2.0/24`, `2001:db8::1`; all if none is named.
        allow: Vec<String>,
        /// Nobody is let in, and this is what the page says.
        maintenance: String,
        /// Whether a visitor stays with the container that answered first.
        sticky: bool,
        /// What is spoken with the app: `http1`, or `h2c` as gRPC needs it.
        protocol: String,
    }
}
