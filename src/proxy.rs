//! The data plane: takes requests on the public ports and passes each to the target its host is routed to.
//!
//! Knows hosts, targets and sockets; nothing of apps, Podman or SQL. It serves on when the control plane is
//! down, and starts from the routes on disk. In reading order:

use std::io;
use std::net::TcpListener;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use ipnet::IpNet;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Instant, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub mod table;

pub mod certs;
mod path;
pub mod rules;
mod site;

mod forward;

pub mod foresight;

mod authority;
mod fields;
mod peer;
mod refusal;

pub mod access_log;
mod http1;
mod http2;
pub mod metrics;
mod multiplexed;
mod record;
mod tls;

mod body;
mod deadline;
mod patient;
mod scratch;
mod upgrade;

mod dial;
mod pool;
mod sender;

mod admission;
mod board;
mod drain;
mod worker;

pub mod link;
pub mod probe;

pub mod checks;

pub mod ports;

pub mod broker;
mod handout;

mod limits;

#[cfg(any(fuzzing, test))]
pub mod fuzz;
#[cfg(test)]
mod tests;

pub use limits::Limits;

use access_log::Log;
use board::{Board, LoadError};
use dial::Dialer;
use link::{Link, LinkError};
use record::Recorder;
use tls::{Shelf, TlsError};
use worker::{Listener, Scheme};

use crate::domain::time::Timestamp;

/// What the proxy is told before it starts.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Threads that serve; one a processor if not said.
    pub workers: Option<usize>,
    /// The file of routes.
    pub routes: PathBuf,
    /// The folder of certificates.
    pub certs: PathBuf,
    /// Where the link to the control plane is offered.
    pub link: PathBuf,
    /// Where another proxy on the same sockets offers its own, while one replaces the other.
    pub sibling: PathBuf,
    /// The socket of the broker; none where containers are reached from the host.
    pub broker: Option<PathBuf>,
    /// How often to say that the proxy is alive, if anyone listens.
    pub heartbeat: Option<Duration>,
    /// What is logged of requests; none: nothing.
    pub access_log: Option<access_log::Settings>,
    /// The proxies in front of this one: what they say of their clients is believed.
    pub trusted: Vec<IpNet>,
    /// Whether they introduce each connection by the PROXY protocol.
    pub proxy_protocol: bool,
    /// The port at which visitors find HTTPS: where they are sent who come without.
    pub https_port: u16,
    /// What time it is.
    pub clock: fn() -> Timestamp,
    /// Waits and counts.
    pub limits: Limits,
}

/// What the proxy listens on.
#[derive(Debug)]
pub struct Listeners {
    /// For requests.
    pub http: Vec<TcpListener>,
    /// For handshakes, and requests behind them.
    pub https: Vec<TcpListener>,
}

/// What whoever started the proxy may want to pass on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// Every worker accepts.
    Ready(String),
    /// The routes are read again.
    Reloading,
    /// No more connections are accepted; those that are open end.
    Stopping,
    /// It is still there.
    Alive,
}

/// Why the proxy does not run.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// Nothing to listen on was handed in.
    #[error(
        "the proxy was given no listening socket; start it by rivetr-proxy.socket, or set [proxy] listen"
    )]
    NoListener,
    /// The link cannot be offered.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Hands cannot be shaken.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A runtime, thread or signal handler cannot be made.
    #[error("the proxy cannot start: {0}")]
    Start(#[source] io::Error),
    /// A worker has ended unasked.
    #[error("a worker of the proxy ended: {0}")]
    Worker(String),
}

/// Serves until SIGTERM or SIGINT, on this thread and one more for each worker.
pub fn run(settings: &Settings, listeners: Listeners, notify: impl Fn(Notice)) -> Result<(), ProxyError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(ProxyError::Start)?;
    let stop = CancellationToken::new();
    LocalSet::new().block_on(&runtime, control(settings, listeners, notify, stop))
}

async fn control(
    settings: &Settings,
    listeners: Listeners,
    notify: impl Fn(Notice),
    stop: CancellationToken,
) -> Result<(), ProxyError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(ProxyError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ProxyError::Start)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(ProxyError::Start)?;
    // Before the routes are read: whoever is not answered here yet has written them by then, and who connects waits.
    let link = Link::bind(&settings.link)?;
    let shelf = Arc::new(Shelf::new(settings.certs.clone())?);
    let mut board = Board::open(settings.routes.clone(), Arc::clone(&shelf));
    let metrics = Arc::clone(&board.registry.metrics);
    let log = settings.access_log.as_ref().map(|log| Log::begin(log, metrics)).transpose();
    let log = log.map_err(ProxyError::Start)?;
    let ends = Ends { stop, tunnels: CancellationToken::new() };
    let mut crew = Crew::start(settings, &listeners, &shelf, &mut board, log.as_ref(), &ends)?;
    let board = Rc::new(board);
    let dialer = Rc::new(Dialer::new(settings.broker.clone(), settings.limits.connect));
    let tasks = TaskTracker::new();
    tasks.spawn_local(checks::keep(board.follow(), Rc::clone(&dialer)));
    let passing =
        ports::Ends { stop: ends.stop.clone(), tunnels: ends.tunnels.clone(), tasks: TaskTracker::new() };
    tasks.spawn_local(ports::keep(board.follow(), Rc::clone(&dialer), passing.clone()));
    tasks.spawn_local(link.serve(Rc::clone(&board), dialer));
    board.settled().await.map_err(|error| ProxyError::Worker(error.to_string()))?;
    tracing::info!(generation = board.generation(), "routes are served");
    notify(Notice::Ready(served(&board)));
    let period = settings.heartbeat.unwrap_or(Duration::from_hours(1)).max(Duration::from_millis(1));
    let mut heartbeat = interval_at(Instant::now() + period, period);
    loop {
        tokio::select! {
            // Workers end after the stop, so it is looked at before them.
            biased;
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = ends.stop.cancelled() => break,
            _ = hang_up.recv() => {
                notify(Notice::Reloading);
                log.iter().for_each(Log::reopen);
                load(&board).await;
                notify(Notice::Ready(served(&board)));
            }
            _ = heartbeat.tick() => if settings.heartbeat.is_some() { notify(Notice::Alive) },
            ended = crew.ended() => return ended.and(Err(ProxyError::Worker("it was not asked to".into()))),
        }
    }
    notify(Notice::Stopping);
    ends.stop.cancel();
    tasks.spawn_local(end_tunnels(settings.sibling.clone(), settings.limits.tunnels, ends.tunnels));
    let ended = crew.all_ended().await;
    passing.tasks.close();
    passing.tasks.wait().await;
    log.iter().for_each(Log::close);
    ended
}

/// How workers are told to end.
#[derive(Clone)]
struct Ends {
    /// Requests in flight, and then the worker.
    stop: CancellationToken,
    /// Tunnels, which may be given more time.
    tunnels: CancellationToken,
}

/// Gives tunnels their time, unless new clients wait for this process to end.
async fn end_tunnels(sibling: PathBuf, time: Duration, end: CancellationToken) {
    if UnixStream::connect(&sibling).await.is_ok() {
        sleep(time).await;
    }
    end.cancel();
}

/// The routes on disk, or those served before.
async fn load(board: &Board) {
    match board.load().await {
        Ok(_generation) => {}
        // The control plane sees the old generation, writes the file anew and asks again.
        Err(error @ LoadError::Table(_)) => tracing::error!(%error, "the routes on disk cannot be served"),
        Err(error @ LoadError::Worker) => tracing::error!(%error, "not every worker serves the routes"),
    }
}

fn served(board: &Board) -> String {
    format!("serving routes of generation {}", board.generation())
}

/// The threads that serve.
struct Crew {
    ended: mpsc::UnboundedReceiver<Result<(), ProxyError>>,
    working: usize,
}

impl Crew {
    fn start(
        settings: &Settings,
        listeners: &Listeners,
        shelf: &Arc<Shelf>,
        board: &mut Board,
        log: Option<&Log>,
        told: &Ends,
    ) -> Result<Self, ProxyError> {
        let workers = settings.workers.or_else(|| thread::available_parallelism().ok().map(Into::into));
        let shares = share_out(listeners, workers.unwrap_or(1).max(1))?;
        let limits = Arc::new(settings.limits.clone());
        let trust = Arc::new(peer::Trust::new(settings.trusted.clone(), settings.proxy_protocol));
        let door = admission::Doorkeeper::new(limits.connections_per_client);
        let mut nonce = [0; 4];
        getrandom::fill(&mut nonce).map_err(|error| ProxyError::Start(io::Error::other(error)))?;
        let nonce = u32::from_ne_bytes(nonce);
        let (ends, ended) = mpsc::unbounded_channel();
        let working = shares.len();
        for (number, share) in shares.into_iter().enumerate() {
            let (tables, serves) = board.join();
            let mut ends = LastWord(Some(ends.clone()));
            let (limits, door, told) = (Arc::clone(&limits), Arc::clone(&door), told.clone());
            let (shelf, broker) = (Arc::clone(shelf), settings.broker.clone());
            let (trust, https_port) = (Arc::clone(&trust), settings.https_port);
            let metrics = Arc::clone(&board.registry.metrics);
            let recorder = Recorder::new(nonce, number, metrics, log.cloned(), settings.clock);
            let work = move || {
                let dialer = Dialer::new(broker, limits.connect);
                let Ends { stop, tunnels } = told;
                let parts = worker::Parts {
                    number,
                    recorder,
                    limits,
                    tables,
                    serves,
                    shelf,
                    dialer,
                    door,
                    trust,
                    https_port,
                    stop,
                    tunnels,
                };
                ends.say(worker::run(parts, share).map_err(|error| ProxyError::Worker(error.to_string())));
            };
            let thread = thread::Builder::new().name(format!("worker-{number}"));
            thread.spawn(work).map_err(ProxyError::Start)?;
        }
        Ok(Self { ended, working })
    }

    /// The next end of a worker.
    async fn ended(&mut self) -> Result<(), ProxyError> {
        let ended = self.ended.recv().await;
        self.working -= 1;
        ended.unwrap_or(Ok(()))
    }

    async fn all_ended(mut self) -> Result<(), ProxyError> {
        let mut result = Ok(());
        while self.working > 0 {
            result = result.and(self.ended().await);
        }
        result
    }
}

/// Says how a worker ended, also if it panics.
struct LastWord(Option<mpsc::UnboundedSender<Result<(), ProxyError>>>);

impl LastWord {
    fn say(&mut self, end: Result<(), ProxyError>) {
        if let Some(Err(unheard)) = self.0.take().map(|ends| ends.send(end)) {
            tracing::debug!(end = ?unheard.0, "no one waits for this worker");
        }
    }
}

impl Drop for LastWord {
    fn drop(&mut self) {
        self.say(Err(ProxyError::Worker("it panicked; the log says where".into())));
    }
}

/// Gives each worker its listeners, so that each listener is someone's:
/// the kernel spreads connections over all of them, also over one that no one accepts on.
fn share_out(listeners: &Listeners, workers: usize) -> Result<Vec<Vec<Listener>>, ProxyError> {
    let Listeners { http, https } = listeners;
    if http.is_empty() && https.is_empty() {
        return Err(ProxyError::NoListener);
    }
    let mut shares: Vec<Vec<Listener>> = Vec::new();
    shares.resize_with(workers, Vec::new);
    for (scheme, listeners) in [(Scheme::Http, http), (Scheme::Https, https)] {
        let turns = if listeners.is_empty() { 0 } else { workers.max(listeners.len()) };
        for (turn, listener) in listeners.iter().cycle().take(turns).enumerate() {
            let listener = listener.try_clone().map_err(ProxyError::Start)?;
            if let Some(share) = shares.get_mut(turn % workers) {
                share.push((scheme, listener));
            }
        }
    }
    Ok(shares)
}
