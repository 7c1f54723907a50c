//! The control plane: store, host, engine, API; ready; and stopped in reverse.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use axum::Router;
use axum::body::Body;
use http::Request;
use tokio::net::UnixListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::{Process, refuse};
use crate::api::{self, Api};
use crate::auth::{Auth, Owner, Times};
use crate::config::settings::{Challenge, Settings};
use crate::domain::certificate::{Way, Ways};
use crate::domain::time::Timestamp;
use crate::engine::{self, Acme, BuildLimits, Engine, Machine};
use crate::files::{Lock, LockError};
use crate::host::backups::BackupFiles;
use crate::host::certificates::Certificates;
use crate::host::git::{Git, GitSettings};
use crate::host::instance::InstanceFiles;
use crate::host::journal::Journal;
use crate::host::layout::Layout;
use crate::host::podman::Podman;
use crate::host::sockets::{Activated, Notifier};
use crate::host::spool::Spool;
use crate::host::systemd::Systemd;
use crate::host::units::{self, UnitDirectory};
use crate::host::workspace::Workspace;
use crate::proxy::link::client::Client as Proxy;
use crate::remote::acme::{self, External};
use crate::store::SubnetPool;
use crate::vault::{KeyRing, KeySource, RingError, Vault};
use crate::web::Web;
use crate::{config, files, store};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Two threads: one may wait for a slow answer while the other serves.
const THREADS: usize = 2;

pub(super) fn run(process: &Process) -> ExitCode {
    // Before any thread is started: it changes the environment.
    let activated = match Activated::take() {
        Ok(activated) => activated,
        Err(error) => return refuse(&error),
    };
    let runtime = runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
    match runtime {
        Ok(runtime) => match runtime.block_on(serve(process, activated)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => refuse(&error),
        },
        Err(error) => refuse(&error),
    }
}

/// Brings a copy of the database up to date, which is what can go wrong when another version takes over.
pub(super) fn rehearse(process: &Process) -> ExitCode {
    let layout = &process.layout;
    let tried = || -> Result<(), Failure> {
        if store::is_fresh(&layout.database())? {
            return Ok(());
        }
        let scratch = files::temporary_dir(&layout.state)?;
        Ok(store::rehearse(&layout.database(), &layout.backups(), scratch.path(), now())?)
    };
    match tried() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Whoever called reads this, and not a log.
            std::io::stderr().write_all(format!("{error}\n").as_bytes()).unwrap_or_default();
            ExitCode::FAILURE
        }
    }
}

async fn serve(process: &Process, mut activated: Activated) -> Result<(), Failure> {
    let notifier = Notifier;
    let settings = &process.settings;
    let layout = &process.layout;
    for directory in [layout.state.clone(), layout.runtime.clone(), layout.state.join("proxy")] {
        files::make_dirs(&directory, 0o700)?;
    }
    let _only_one = only_one(layout)?;
    // What a crash left of keys in use.
    files::sweep(&layout.git_sessions())?;
    if InstanceFiles::new(layout).adopt()? {
        tracing::info!("what was restored is in place; what it took the place of lies in `replaced`");
    }
    let keys = key_source(process);
    let vault = vault(&keys, layout)?;
    let (writer, reader) = store::open(&layout.database(), &layout.backups(), now())?;
    let machine = machine(settings, layout).await?;
    let engine = Engine::new(engine_settings(process, keys)?, machine, vault, writer.clone(), reader.clone());
    engine.start().await?;

    let shutdown = CancellationToken::new();
    let unix = match activated.unix("api") {
        Some(listener) => UnixListener::from_std(listener)?,
        None => bind_unix(layout)?,
    };
    let tcp = match activated.tcp_all("http").pop() {
        Some(listener) => tokio::net::TcpListener::from_std(listener)?,
        None => tokio::net::TcpListener::bind(settings.api.listen).await?,
    };
    let owner = Owner { uid: settings.place.uid, name: layout.user.clone() };
    let auth = Auth::new(owner, reader.clone(), writer.clone(), engine.sealing(), now, times(settings));
    let streams = TaskTracker::new();
    let run = std::process::id();
    let web = Web::new(engine.clone(), reader.clone(), auth.clone(), shutdown.clone()).router(run);
    let api = Api::new(engine.clone(), reader, auth, shutdown.clone(), streams.clone()).router(run);
    let router = faces(api, web);
    let mut faces = streams.spawn(api::serve(router, unix, Some(tcp), shutdown.clone()));

    notifier.ready("Ready");
    tracing::info!("ready");
    tokio::select! {
        ended = wait_for_the_end(process, notifier) => ended?,
        () = engine.begins_anew() => tracing::info!("ends, to start anew on what was restored"),
        // Nothing can be acknowledged any more: systemd starts it again on what is on disk.
        reason = writer.stopped() => return Err(reason.into()),
        ended = &mut faces => {
            ended??;
            return Err("the API has ended".into());
        }
    }

    notifier.stopping();
    tracing::info!("stopping");
    shutdown.cancel();
    faces.await??;
    streams.close();
    streams.wait().await;
    engine.stop().await;
    Ok(())
}

fn times(settings: &Settings) -> Times {
    let config::settings::Sessions { idle, longest, proof } = settings.sessions;
    Times { idle, longest, proof, audit_days: settings.audit.retention_days }
}

/// Both faces on one socket: programs by their paths, and people everywhere else.
fn faces(api: Router, web: Router) -> Router {
    Router::new().fallback_service(tower::service_fn(move |request: Request<Body>| {
        let face = if api::is_for_programs(request.uri().path()) { api.clone() } else { web.clone() };
        face.oneshot(request)
    }))
}

/// The lock that says that no other daemon works on this state.
fn only_one(layout: &Layout) -> Result<Lock, Failure> {
    let error = match files::lock(&layout.lock()) {
        Ok(lock) => return Ok(lock),
        Err(error) => error,
    };
    Err(match error {
        LockError::Held { holder, .. } => format!(
            "another rivetr ({holder}) works on the state in {} already, and two of them would undo each other's \
             work. Stop that one first: `systemctl stop rivetr.service`, or `systemctl --user stop rivetr.service` \
             if it is a user's own",
            layout.state.display()
        )
        .into(),
        LockError::File(error) => error.into(),
    })
}

/// The name of the credential that holds the master keys, for who gives it one.
const KEYS_CREDENTIAL: &str = "rivetr-master-keys";

/// Where the master keys are: in a credential, where systemd hands one in, else in rivetr's own file.
fn key_source(process: &Process) -> KeySource {
    let credential = process.environment.credential(KEYS_CREDENTIAL);
    credential.map_or_else(|| KeySource::File(process.layout.master_keys()), KeySource::Credential)
}

/// The vault of this installation. Its keys are made together with the database, and never again: with others, no
/// secret could be read.
fn vault(keys: &KeySource, layout: &Layout) -> Result<Vault, Failure> {
    let path = keys.path();
    let ring = match KeyRing::read(path) {
        Err(RingError::Missing(_))
            if matches!(keys, KeySource::File(_)) && store::is_fresh(&layout.database())? =>
        {
            let ring = KeyRing::generate()?;
            ring.write(path)?;
            ring
        }
        ring => ring?,
    };
    Ok(Vault::new(&ring))
}

async fn machine(settings: &Settings, layout: &Layout) -> Result<Machine, Failure> {
    let systemd = Systemd::connect(&layout.bus).await?;
    let git = Git::new(GitSettings {
        protocols: settings.git.protocols.iter().map(|protocol| protocol.as_str().to_owned()).collect(),
        limit: settings.git.timeout,
        max_bytes: u64::from(settings.git.max_size_mb) * 1024 * 1024,
        runtime: layout.git_sessions(),
    });
    Ok(Machine {
        podman: Podman::new(&layout.podman_socket),
        units: UnitDirectory::new(layout, units::generator(layout.manager)?),
        workspace: Workspace::new(layout),
        journal: Journal::new(settings.place.uid),
        proxy: Proxy::new(&layout.proxy_socket()).and(&layout.next_proxy_socket()),
        certificates: Certificates::new(layout.certificates()),
        backups: BackupFiles::new(layout),
        spool: Spool::new(layout),
        instance: InstanceFiles::new(layout),
        layout: layout.clone(),
        systemd,
        git,
    })
}

/// Where the program lies that runs here, also once another one has taken its place.
fn program() -> Result<PathBuf, Failure> {
    let found =
        std::env::current_exe().map_err(|error| format!("the program does not find itself: {error}"))?;
    let text = found.display().to_string();
    Ok(PathBuf::from(text.trim_end_matches(" (deleted)")))
}

fn engine_settings(process: &Process, keys: KeySource) -> Result<engine::Settings, Failure> {
    let settings = &process.settings;
    let pool =
        SubnetPool::parse(&format!("{}/{}", settings.network.pool.base, settings.network.pool.prefix))?;
    Ok(engine::Settings {
        clock: now,
        keys,
        program: program()?,
        own_host: settings.instance.url.as_ref().map(|url| url.host.clone()),
        own_https: settings.instance.url.as_ref().is_some_and(|url| url.https),
        public_port: public_port(process),
        public_tls_port: public_tls_port(process),
        own_address: SocketAddr::from(([127, 0, 0, 1], settings.api.listen.port())),
        own_ports: own_ports(process),
        bind_roots: settings.volumes.bind_roots.clone(),
        push_limit: u64::from(settings.git.max_size_mb) * 1024 * 1024,
        base_domain: settings.instance.base_domain.clone(),
        pool,
        build: BuildLimits {
            memory: u64::from(settings.build.memory_mb) * 1024 * 1024,
            cpu_percent: settings.build.cpu_percent,
            timeout: settings.build.timeout,
            concurrency: settings.build.concurrency as usize,
        },
        concurrency: settings.deploy.concurrency as usize,
        drain_timeout: settings.deploy.drain_timeout,
        keep_images: settings.deploy.keep_images as usize,
        keep_deployments: settings.deploy.keep_deployments,
        queue_max: settings.deploy.queue_max as usize,
        log_limit: u64::from(settings.deploy.log_limit_mb) * 1024 * 1024,
        acme: certificates(&settings.acme),
        configuration: process.configuration.clone(),
    })
}

fn certificates(settings: &config::settings::Acme) -> Option<Acme> {
    let config::settings::Acme {
        enabled,
        directory,
        email,
        ca_file,
        eab_kid,
        eab_hmac_key_file,
        challenge,
        dns_check,
    } = settings.clone();
    let external = eab_kid.zip(eab_hmac_key_file).map(|(key_id, key_file)| External { key_id, key_file });
    let ways = match challenge {
        Challenge::Auto => Ways::Auto,
        Challenge::Http => Ways::Only(Way::Http),
        Challenge::TlsAlpn => Ways::Only(Way::TlsAlpn),
    };
    enabled.then_some(Acme {
        server: acme::Settings { directory, email, ca_file, external },
        ways,
        dns_check,
    })
}

/// The ports of the API and of the proxy; those of the web are always the proxy's, also before it has them.
fn own_ports(process: &Process) -> Vec<u16> {
    let settings = &process.settings;
    let public = [public_port(process), public_tls_port(process)];
    [80, 443, settings.api.listen.port(), settings.proxy.listen.port()].into_iter().chain(public).collect()
}

/// The port at which people reach the proxy: as its URL says, or as its sockets have it where it has none.
fn public_port(process: &Process) -> u16 {
    let settings = &process.settings;
    match &settings.instance.url {
        Some(url) if !url.https => url.port.unwrap_or(80),
        Some(_) | None if process.environment.system_wide() => 80,
        Some(_) | None => settings.proxy.listen.port(),
    }
}

/// The port at which people reach the proxy by HTTPS, likewise.
pub(super) fn public_tls_port(process: &Process) -> u16 {
    let url = process.settings.instance.url.as_ref().filter(|url| url.https);
    url.and_then(|url| url.port).unwrap_or(443)
}

/// Without socket activation: the lock says that no other daemon uses this path.
fn bind_unix(layout: &Layout) -> Result<UnixListener, Failure> {
    let path = layout.api_socket();
    files::remove_file(&path)?;
    let listener = UnixListener::bind(&path)?;
    files::set_mode(&path, 0o600)?;
    Ok(listener)
}

/// Shows systemd that it lives and reads its configuration again when asked, until it is told to stop.
async fn wait_for_the_end(process: &Process, notifier: Notifier) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut alive = notifier.watchdog().map(|limit| tokio::time::interval(limit / 2));
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            Some(()) = reload_asked(&mut hang_up) => reload(process, notifier),
            () = tick(alive.as_mut()) => notifier.alive(),
        }
    }
}

async fn reload_asked(hang_up: &mut Signal) -> Option<()> {
    hang_up.recv().await
}

async fn tick(alive: Option<&mut tokio::time::Interval>) {
    match alive {
        Some(alive) => {
            alive.tick().await;
        }
        None => std::future::pending().await,
    }
}

/// What can change while it runs is how much it logs; a configuration that cannot be read changes nothing.
fn reload(process: &Process, notifier: Notifier) {
    notifier.reloading();
    match config::load(&process.flags, &process.environment) {
        Ok(settings) => {
            process.volume.set(settings.log.level);
            tracing::info!(
                "configuration read again; the level of the log holds from now, the rest after a restart"
            );
        }
        Err(error) => tracing::error!(%error, "the configuration was not read again"),
    }
    notifier.ready("Ready");
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock")]
pub(super) fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::layout::Surroundings;

    #[test]
    fn a_second_daemon_is_told_of_the_first() {
        let state = tempfile::tempdir().unwrap();
        let surroundings =
            Surroundings { state_directory: Some(state.path().to_owned()), ..Surroundings::default() };
        let layout = Layout::discover(surroundings);
        let _first = only_one(&layout).unwrap();
        let refused = only_one(&layout).unwrap_err().to_string();
        let expect = format!("another rivetr (process {}) works on the state in ", std::process::id());
        assert!(
            refused.starts_with(&expect) && refused.contains("systemctl stop rivetr.service"),
            "{refused}"
        );
    }
}
