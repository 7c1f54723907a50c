//! The verbs: what rivetr does, whoever asks. All writes pass here.
//!
//! Read [`deploy`] first: it is the pipeline; `steps` holds one file per state of it. There is one way to start
//! a container in the whole program, and it is [`apply`].

mod app;
mod apply;
mod archive;
mod backup;
mod build;
mod catch_up;
mod certs;
mod change;
mod configured;
mod context;
mod database;
mod deploy;
mod disk;
mod dns;
mod domains;
mod drift;
mod error;
mod exec;
mod export;
mod failpoint;
mod files;
mod glance;
mod health;
mod history;
pub mod hooks;
mod instance;
mod inventory;
mod jobs;
mod keys;
mod leftovers;
mod log;
mod memory;
pub mod metrics;
mod one_off;
mod preview;
mod projects;
mod pull;
pub mod push;
mod queue;
mod reconcile;
mod recover;
mod registries;
mod report;
mod repository;
mod rollback;
mod rotation;
mod routes;
mod scale;
mod secrets;
mod service;
mod standing;
mod status;
mod steps;
mod sweep;
mod template;
mod traffic;
mod upload;
mod usage;
mod variables;
mod volume;
mod watch;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OnceCell, Semaphore, broadcast};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::database::DatabaseId;
use crate::domain::deployment::{Deployment, DeploymentId, State};
use crate::domain::name::{HostName, Slug};
use crate::domain::service::ServiceId;
use crate::domain::time::Timestamp;
use crate::domain::volume::VolumeOf;
use crate::host::backups::BackupFiles;
use crate::host::certificates::Certificates;
use crate::host::git::Git;
use crate::host::instance::InstanceFiles;
use crate::host::journal::Journal;
use crate::host::layout::Layout;
use crate::host::podman::Podman;
use crate::host::spool::Spool;
use crate::host::systemd::Systemd;
use crate::host::units::UnitDirectory;
use crate::host::workspace::Workspace;
use crate::proxy::link::client::Client as Proxy;
use crate::quadlet::features::PodmanFeatures;
use crate::store::{Reader, SubnetPool, Writer};
use crate::vault::{KeySource, Sealing, Vault};

pub use backup::{
    Concern as BackupConcern, KeptThing, NewDestination, ShownBackup, Source as BackupSource,
    Trouble as BackupTrouble,
};
pub use certs::Acme;
pub use change::Changed;
pub use configured::{Configuration, Configured};
pub use database::{DatabaseStanding, KEPT as TRASH_KEPT, Linked, WantedDatabase};
pub use disk::DiskUse;
pub use dns::{Dns, Leads};
pub use domains::{DomainHolder, NewServiceDomain};
pub use drift::{Decided, Drifted};
pub use error::EngineError;
pub use exec::{Input as ExecInput, Output as ExecOutput, Session as ExecSession};
pub use export::{Export, ExportWish, ExportedImage, ExportedSecret, ExportedVolume};
pub use glance::{Glance, Room};
pub use health::{Check, CheckStatus, Health};
pub use history::{Between, History, Logged};
pub use instance::{RestoreReport, RestoreWish};
pub use inventory::{Drift, InventoryUnit, UnitFile};
pub use jobs::{JobState, ShownJob};
pub use keys::RemoteError;
pub use log::{LogEntry, LogTail};
pub use preview::{Preview, Texts};
pub use recover::StartError;
pub use report::Report;
pub use rotation::Rotated;
pub use routes::{Answers, Fate, Outcome, ShownRoute};
pub use service::{NewRepository, NewService, PartStatus, ServicePreview, ServiceStatus, Submitted};
pub use standing::{ByHand, Standing, Standings, Stir};
pub use status::{AppStatus, RuntimeLine, UnitSummary};
pub use traffic::NewTraffic;
pub use usage::{Bound, Usage};
pub use variables::{Difference, Shown, Ungiven};
pub use volume::Volume;

pub use crate::host::survey::readable as readable_bytes;
pub use crate::vault::age::{Identity as BackupIdentity, Recipient as BackupRecipient};

/// What the engine is told once, at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The clock.
    pub clock: fn() -> Timestamp,
    /// Where the master keys are.
    pub keys: KeySource,
    /// The program that this is, which units run.
    pub program: PathBuf,
    /// The host under which rivetr itself is reached through its proxy.
    pub own_host: Option<HostName>,
    /// Whether people reach rivetr itself by HTTPS.
    pub own_https: bool,
    /// The port at which people reach the proxy.
    pub public_port: u16,
    /// The port at which they reach it by HTTPS.
    pub public_tls_port: u16,
    /// Where rivetr itself listens for its proxy.
    pub own_address: std::net::SocketAddr,
    /// Ports of the host that rivetr listens on.
    pub own_ports: Vec<u16>,
    /// Apps may mount the directories of the host that lie directly in these.
    pub bind_roots: Vec<PathBuf>,
    /// The largest push or upload that is taken, in bytes.
    pub push_limit: u64,
    /// The domain below which each app gets a name of its own.
    pub base_domain: Option<HostName>,
    /// The range that projects take their networks from.
    pub pool: SubnetPool,
    /// Bounds of one build.
    pub build: BuildLimits,
    /// How many deployments run at once, over all apps.
    pub concurrency: usize,
    /// How long requests to the old release may take to end.
    pub drain_timeout: Duration,
    /// How many images of an app are kept, the live one included.
    pub keep_images: usize,
    /// How many of an app's newest deployments are remembered.
    pub keep_deployments: u32,
    /// How many deployments may wait, over all apps.
    pub queue_max: usize,
    /// The largest log of a deployment, in bytes.
    pub log_limit: u64,
    /// How certificates are ordered; none: they are not.
    pub acme: Option<Acme>,
    /// All of the configuration, to be shown.
    pub configuration: Configuration,
}

/// Bounds of one build, so that it cannot take the host down.
#[derive(Debug, Clone)]
pub struct BuildLimits {
    /// Memory in bytes, for all its processes together.
    pub memory: u64,
    /// CPU time in percent of one core.
    pub cpu_percent: u32,
    /// Time from start to end.
    pub timeout: Duration,
    /// How many builds run at once.
    pub concurrency: usize,
}

/// The parts of this machine that the engine works on.
pub struct Machine {
    /// Where things lie.
    pub layout: Layout,
    /// The service manager.
    pub systemd: Systemd,
    /// The container engine.
    pub podman: Podman,
    /// Git.
    pub git: Git,
    /// The unit files.
    pub units: UnitDirectory,
    /// Where deployments leave their files.
    pub workspace: Workspace,
    /// The logs.
    pub journal: Journal,
    /// The proxy.
    pub proxy: Proxy,
    /// The certificates that the proxy shows.
    pub certificates: Certificates,
    /// Backups on this disk.
    pub backups: BackupFiles,
    /// What rivetr itself keeps.
    pub instance: InstanceFiles,
    /// Archives on their way.
    pub spool: Spool,
}

/// A cheap handle to the engine; every face holds one.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    settings: Settings,
    machine: Machine,
    vault: Arc<Vault>,
    sealing: Arc<tokio::sync::RwLock<()>>,
    writer: Writer,
    reader: Reader,
    queue: queue::Queue,
    logs: log::LogHub,
    builds: Arc<Semaphore>,
    leftovers: Mutex<leftovers::Leftovers>,
    publishing: tokio::sync::Mutex<()>,
    deleting: tokio::sync::Mutex<()>,
    changing: tokio::sync::Mutex<()>,
    pushing: Mutex<BTreeSet<String>>,
    applying: apply::Locks,
    archiving: tokio::sync::Mutex<()>,
    steady: apply::Locks<VolumeOf>,
    tending: apply::Locks<DatabaseId>,
    /// The databases that are about to get another name, as often as that was asked for.
    renaming: Mutex<Vec<DatabaseId>>,
    running_apart: apply::Locks,
    jobs: apply::Locks,
    pulling: apply::Locks<String>,
    repositories: apply::Locks,
    uploading: tokio::sync::Mutex<()>,
    serving: apply::Locks<ServiceId>,
    stirred: tokio::sync::watch::Sender<()>,
    settling: apply::Locks,
    certs: certs::Desk,
    backups: backup::Desk,
    features: OnceCell<PodmanFeatures>,
    moved: broadcast::Sender<(DeploymentId, State)>,
    sight: standing::Sight,
    doctor: glance::Doctor,
    drift: drift::Told,
    /// What containers had used when they were last looked at.
    looks: usage::Looks,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// It is to end, and to begin anew on another state.
    anew: CancellationToken,
    ends: metrics::Ends,
}

impl Engine {
    /// Puts the engine together. Nothing runs before [`Engine::start`].
    #[must_use]
    pub fn new(settings: Settings, machine: Machine, vault: Vault, writer: Writer, reader: Reader) -> Self {
        // A slow waiter misses old moves and then asks the store: 256 moves are many deployments.
        let (moved, _) = broadcast::channel(256);
        Self(Arc::new(Inner {
            queue: queue::Queue::default(),
            logs: log::LogHub::default(),
            builds: Arc::new(Semaphore::new(settings.build.concurrency)),
            leftovers: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
            deleting: tokio::sync::Mutex::default(),
            changing: tokio::sync::Mutex::default(),
            pushing: Mutex::default(),
            applying: apply::Locks::default(),
            archiving: tokio::sync::Mutex::default(),
            steady: apply::Locks::default(),
            tending: apply::Locks::default(),
            renaming: Mutex::default(),
            running_apart: apply::Locks::default(),
            jobs: apply::Locks::default(),
            pulling: apply::Locks::default(),
            repositories: apply::Locks::default(),
            uploading: tokio::sync::Mutex::default(),
            serving: apply::Locks::default(),
            stirred: tokio::sync::watch::Sender::new(()),
            settling: apply::Locks::default(),
            certs: certs::Desk::default(),
            backups: backup::Desk::default(),
            features: OnceCell::new(),
            sight: standing::Sight::default(),
            doctor: glance::Doctor::default(),
            drift: drift::Told::default(),
            looks: usage::Looks::default(),
            tasks: TaskTracker::new(),
            shutdown: CancellationToken::new(),
            anew: CancellationToken::new(),
            ends: metrics::Ends::default(),
            settings,
            machine,
            vault: Arc::new(vault),
            sealing: Arc::default(),
            writer,
            reader,
            moved,
        }))
    }

    /// What seals for others who store.
    #[must_use]
    pub fn sealing(&self) -> Sealing {
        Sealing { vault: Arc::clone(&self.0.vault), lock: Arc::clone(&self.0.sealing) }
    }

    /// Ends what runs at the next safe point, and returns when it has. Nothing that is unfinished is lost: each
    /// step is stored and goes on at the next start.
    pub async fn stop(&self) {
        self.0.shutdown.cancel();
        self.0.tasks.close();
        self.0.tasks.wait().await;
    }

    /// Waits until a deployment has reached its end.
    pub async fn ended(&self, id: DeploymentId) -> Result<Deployment, EngineError> {
        let mut moves = self.0.moved.subscribe();
        loop {
            let deployment = self.deployment(id).await?;
            if deployment.state.is_end() {
                return Ok(deployment);
            }
            // Whether a move was received or some were missed: the store knows.
            match self.until_shutdown(moves.recv()).await {
                Some(Ok(_) | Err(broadcast::error::RecvError::Lagged(_))) => {}
                Some(Err(broadcast::error::RecvError::Closed)) | None => {
                    return Err(EngineError::Unavailable("rivetr is stopping".to_owned()));
                }
            }
        }
    }

    pub(crate) fn repo(&self, app: &Slug) -> PathBuf {
        self.0.machine.workspace.repo(app)
    }

    pub(crate) fn git(&self) -> &Git {
        &self.0.machine.git
    }

    pub(crate) fn reader(&self) -> &Reader {
        &self.0.reader
    }

    pub(crate) fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// What time it is, by the clock of this engine.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.0.settings.clock)()
    }

    fn machine(&self) -> &Machine {
        &self.0.machine
    }

    async fn deployment(&self, id: DeploymentId) -> Result<Deployment, EngineError> {
        let found = self.0.reader.deployment(id).await?;
        found.ok_or_else(|| EngineError::NotFound { what: "deployment", name: id.0.to_string() })
    }

    /// Tells everybody who waits for it that a move was stored.
    fn announce(&self, deployment: &Deployment) {
        tracing::info!(
            app = %deployment.app_slug,
            deployment = deployment.number,
            state = deployment.state.as_str(),
            "{} {}: {}", deployment.app_slug, deployment.number, deployment.state
        );
        self.0.ends.count(deployment.state);
        self.0.logs.bump(deployment.id);
        // An error says that nobody listens, which is fine.
        self.0.moved.send((deployment.id, deployment.state)).ok();
    }
}

/// A command in words of its own.
fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
