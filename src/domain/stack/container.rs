//! One container of a stack.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::health::Health;
use super::mount::{GrantedFile, Mount, Tmpfs};
use super::network::{Attachment, ExtraHost, NetworkMode, PublishedPort};
use super::resources::{Device, Resources, Ulimit};
use super::start::{Dependency, Hook, Restart, StopPolicy};

/// All that a container is made of. An absent value means what the image or Podman says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own, as in the file")]
pub struct Container {
    /// The name of the service, as the file has it.
    pub service: String,
    /// The name that the file asks for in place of `project-service-1`.
    pub container_name: Option<String>,
    /// Its image, or what it is built from.
    pub image: ImageSource,
    /// How many of it run.
    pub replicas: u32,
    /// Where the image is for another processor: `linux/arm64`.
    pub platform: Option<String>,
    /// When the image is fetched.
    pub pull: Option<Pull>,

    /// In place of the image's entry point; `Some` and empty clears it.
    pub entrypoint: Option<Vec<String>>,
    /// In place of the image's command; `Some` and empty clears it.
    pub command: Option<Vec<String>>,
    /// The variables with their values, those of env files and of the file itself merged.
    pub environment: BTreeMap<String, String>,
    /// Variables that are named without a value and have none in the reader's environment: they are handed through
    /// from whatever starts the container.
    pub passed_through: Vec<String>,
    /// Env files that were not there to be read: absolute.
    pub env_files: Vec<PathBuf>,
    /// Labels of the container.
    pub labels: BTreeMap<String, String>,
    /// Annotations of the container.
    pub annotations: BTreeMap<String, String>,
    /// `UID`, `UID:GID` or names.
    pub user: Option<String>,
    /// Groups besides the user's own.
    pub groups: Vec<String>,
    /// The folder that its command starts in.
    pub working_dir: Option<String>,
    /// Whether it gets a terminal.
    pub tty: bool,
    /// Whether its standard input stays open.
    pub stdin_open: bool,
    /// Whether process 1 is a small init that reaps and passes signals on.
    pub init: bool,
    /// Its host name.
    pub hostname: Option<String>,
    /// Its domain name.
    pub domainname: Option<String>,

    /// Files, folders and volumes that it sees.
    pub mounts: Vec<Mount>,
    /// File systems in memory that `tmpfs:` asks for.
    pub tmpfs: Vec<Tmpfs>,
    /// Services or containers whose mounts it shares.
    pub volumes_from: Vec<VolumesFrom>,
    /// Secrets and configs, as files.
    pub files: Vec<GrantedFile>,
    /// Whether its root file system cannot be written.
    pub read_only: bool,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Options of the storage driver.
    pub storage_opt: BTreeMap<String, String>,

    /// Where not on networks of the stack.
    pub network_mode: Option<NetworkMode>,
    /// The networks that it is on, most important first.
    pub networks: Vec<Attachment>,
    /// What it publishes on the host.
    pub ports: Vec<PublishedPort>,
    /// Ports that it says it listens on: `80`, `80/udp`, `3000-3005`.
    pub expose: Vec<String>,
    /// Names in its hosts file.
    pub extra_hosts: Vec<ExtraHost>,
    /// Name servers.
    pub dns: Vec<String>,
    /// Options of the resolver.
    pub dns_options: Vec<String>,
    /// Domains to search.
    pub dns_search: Vec<String>,
    /// Its hardware address, where no network says it.
    pub mac_address: Option<String>,

    /// What must be there before it starts.
    pub depends_on: Vec<Dependency>,
    /// When it is started again.
    pub restart: Restart,
    /// By which signal it ends, and how long that may take.
    pub stop: StopPolicy,
    /// How its health is told.
    pub health: Option<Health>,
    /// Commands that run in it once it is up.
    pub post_start: Vec<Hook>,
    /// Commands that run in it before it is stopped.
    pub pre_stop: Vec<Hook>,
    /// Where its output goes.
    pub logging: Option<Logging>,

    /// Processor, memory, processes.
    pub resources: Resources,
    /// Limits of its processes.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Kernel settings of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Devices of the host.
    pub devices: Vec<Device>,
    /// Rules for devices: `c 1:3 mr`.
    pub device_cgroup_rules: Vec<String>,

    /// Whether nearly nothing keeps it from the host.
    pub privileged: bool,
    /// Capabilities added: `NET_ADMIN`, `ALL`.
    pub cap_add: Vec<String>,
    /// Capabilities taken.
    pub cap_drop: Vec<String>,
    /// Options such as `no-new-privileges:true`, as Podman takes them.
    pub security_opt: Vec<String>,
    /// The user namespace: `host`, `keep-id`.
    pub userns: Option<String>,
    /// The namespace of processes.
    pub pid: Option<Namespace>,
    /// The namespace of shared memory.
    pub ipc: Option<Namespace>,
    /// The namespace of the host's name: `host`.
    pub uts: Option<String>,
    /// The namespace of control groups: `host` or `private`.
    pub cgroup: Option<String>,
    /// The control group above it.
    pub cgroup_parent: Option<String>,
    /// The OCI runtime.
    pub runtime: Option<String>,

    /// The profiles that it is of; one of them was asked for, or it has none.
    pub profiles: Vec<String>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// A reference, with its registry: `docker.io/library/nginx:1.29`.
    Reference(String),
    /// Built, and called by the reference if there is one.
    Build {
        /// How.
        build: Box<Build>,
        /// What it is to be called.
        reference: Option<String>,
    },
}

impl Default for ImageSource {
    fn default() -> Self {
        Self::Reference(String::new())
    }
}

/// How an image is built.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Build {
    /// A folder, absolute, or a URL of a Git repository or archive.
    pub context: String,
    /// The Containerfile, where not the context's own: absolute, or relative to a context that is a URL.
    pub dockerfile: Option<String>,
    /// The Containerfile's text.
    pub dockerfile_inline: Option<String>,
    /// Build arguments; without a value they come from the environment of the build.
    pub args: BTreeMap<String, Option<String>>,
    /// The stage to build.
    pub target: Option<String>,
    /// Labels of the image.
    pub labels: BTreeMap<String, String>,
    /// Names besides the first.
    pub tags: Vec<String>,
    /// Contexts besides the first, by name.
    pub additional_contexts: BTreeMap<String, String>,
    /// Images that steps may be taken from.
    pub cache_from: Vec<String>,
    /// Where steps are put for others.
    pub cache_to: Vec<String>,
    /// Names in the hosts file while it is built.
    pub extra_hosts: Vec<ExtraHost>,
    /// The network while it is built.
    pub network: Option<String>,
    /// Files that steps may mount, by name; the file's path.
    pub secrets: Vec<GrantedFile>,
    /// Keys of SSH agents: `default`, `id=path`.
    pub ssh: Vec<String>,
    /// The size of `/dev/shm` in bytes.
    pub shm_size: Option<u64>,
    /// Limits of processes.
    pub ulimits: BTreeMap<String, Ulimit>,
    /// For which processors.
    pub platforms: Vec<String>,
    /// Whether base images are always fetched.
    pub pull: bool,
    /// Whether steps made before are not taken.
    pub no_cache: bool,
    /// Whether steps may do anything.
    pub privileged: bool,
}

/// When an image is fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pull {
    /// At each start.
    Always,
    /// Never.
    Never,
    /// When it is not there.
    Missing,
    /// When the registry has a newer one.
    Newer,
}

/// Whose mounts are shared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumesFrom {
    /// A service of the stack, or a container.
    pub from: Peer,
    /// Whether they cannot be written.
    pub read_only: bool,
}

/// A container beside this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A service of the stack.
    Service(String),
    /// Any container of the host.
    Container(String),
}

/// A namespace that may be another's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Namespace {
    /// The host's.
    Host,
    /// Its own, though others may join.
    Shareable,
    /// Its own.
    Private,
    /// None at all.
    None,
    /// Another container's.
    Of(Peer),
}

/// Where output goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Logging {
    /// The driver: `json-file`, `journald`, `none`.
    pub driver: Option<String>,
    /// Its options.
    pub options: BTreeMap<String, String>,
}
