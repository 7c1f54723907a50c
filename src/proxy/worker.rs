//! One worker: a thread with its own runtime, listeners, pool and sockets. Workers share counters and nothing else.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::{Admission, Doorkeeper};
use super::body::Handed;
use super::conversation;
use super::dial::{DialError, Dialer};
use super::fields::Origin;
use super::limits::Limits;
use super::pool::Pool;
use super::refusal::Refusal;
use super::rules::Protocol;
use super::sender::Sender;
use super::table::{Entry, Table, Target};
use super::tls::{self, Secured, Shelf, Shown};
use super::wire::Wire;
use crate::domain::name::HostName;

/// The pause after a failed accept: descriptors are free again soon, or not at all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How clients of a listener begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scheme {
    /// With a request.
    Http,
    /// With a handshake.
    Https,
}

/// A listener, and how its clients begin.
pub(super) type Listener = (Scheme, std::net::TcpListener);

/// What a worker is made with.
pub(super) struct Parts {
    pub(super) number: usize,
    /// Makes request ids of one process differ from those of another.
    pub(super) nonce: u32,
    pub(super) limits: Arc<Limits>,
    pub(super) tables: watch::Receiver<Arc<Table>>,
    /// Where the worker says which table it serves, by its sequence.
    pub(super) serves: watch::Sender<u64>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) dialer: Dialer,
    pub(super) door: Arc<Doorkeeper>,
    pub(super) stop: CancellationToken,
}

/// What the requests of one worker share.
pub(super) struct Worker {
    pub(super) limits: Arc<Limits>,
    pub(super) pool: Rc<Pool>,
    /// What a stop waits for: clients and tunnels.
    pub(super) tasks: TaskTracker,
    /// Connections to targets; they end with those that use them.
    upstreams: TaskTracker,
    pub(super) stop: CancellationToken,
    table: RefCell<Arc<Table>>,
    shelf: Arc<Shelf>,
    dialer: Dialer,
    door: Arc<Doorkeeper>,
    name: String,
    requests: Cell<u64>,
    turn: Cell<usize>,
}

/// Serves `listeners` on the calling thread until told to stop and done.
pub(super) fn run(parts: Parts, listeners: Vec<Listener>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, serve(parts, listeners))
}

async fn serve(parts: Parts, listeners: Vec<Listener>) -> io::Result<()> {
    let Parts { number, nonce, limits, mut tables, serves, shelf, dialer, door, stop } = parts;
    let table = Arc::clone(&tables.borrow_and_update());
    serves.send_replace(table.sequence);
    let worker = Rc::new(Worker {
        pool: Pool::new(Arc::clone(&table), Arc::clone(&limits)),
        limits,
        tasks: TaskTracker::new(),
        upstreams: TaskTracker::new(),
        stop,
        table: RefCell::new(table),
        shelf,
        dialer,
        door,
        name: format!("{nonce:08x}-{number}"),
        requests: Cell::new(0),
        turn: Cell::new(number),
    });
    let background = TaskTracker::new();
    background.spawn_local(follow(Rc::clone(&worker), tables, serves));
    let pool = Rc::clone(&worker.pool);
    background.spawn_local(async move { pool.reap().await });
    let accepting = TaskTracker::new();
    for (scheme, listener) in listeners {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        accepting.spawn_local(accept(Rc::clone(&worker), scheme, listener));
    }
    accepting.close();
    accepting.wait().await;
    worker.tasks.close();
    worker.pool.clear();
    if timeout(worker.limits.stop, worker.tasks.wait()).await.is_err() {
        tracing::warn!(connections = worker.tasks.len(), "connections are cut: they did not end in time");
    }
    Ok(())
}

/// Puts each new table in the place of the old one, and says so.
async fn follow(worker: Rc<Worker>, mut tables: watch::Receiver<Arc<Table>>, serves: watch::Sender<u64>) {
    while tables.changed().await.is_ok() {
        let table = Arc::clone(&tables.borrow_and_update());
        worker.pool.follow(Arc::clone(&table));
        let sequence = table.sequence;
        *worker.table.borrow_mut() = table;
        serves.send_replace(sequence);
    }
}

async fn accept(worker: Rc<Worker>, scheme: Scheme, listener: TcpListener) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = worker.stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let Some(admission) = worker.door.admit(peer.ip()) else { continue };
                let connection = connection(Rc::clone(&worker), stream, peer, port, scheme, admission);
                worker.tasks.spawn_local(connection);
            }
            Err(error) => {
                if !failing {
                    tracing::warn!(%error, "cannot accept connections; trying on");
                }
                failing = true;
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    worker: Rc<Worker>,
    stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    scheme: Scheme,
    _admission: Admission,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a client left at once");
        return;
    }
    let ended = match scheme {
        Scheme::Http => {
            let origin = Origin { client: peer.ip().to_canonical(), scheme: "http", port };
            conversation::http1(Client::new(worker, origin, None), stream).await
        }
        Scheme::Https => {
            let Some((stream, shown)) = greet(&worker, stream, peer).await else { return };
            let origin = Origin { client: peer.ip().to_canonical(), scheme: "https", port };
            let client = Client::new(worker, origin, Some(shown));
            if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2) {
                conversation::http2(client, stream).await
            } else {
                conversation::http1(client, stream).await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, %error, "a client's connection broke off");
    }
}

/// Shakes hands with a client, unless it does so too often or too slowly.
async fn greet(worker: &Worker, stream: TcpStream, peer: SocketAddr) -> Option<(Secured, Shown)> {
    if !worker.door.may_greet(peer.ip()) {
        return None;
    }
    let routed = |host: &HostName| worker.find(host.as_str()).is_some();
    let farewell = async {
        worker.stop.cancelled().await;
        sleep(worker.limits.farewell).await;
    };
    let greeted = tokio::select! {
        greeted = tls::accept(&worker.shelf, routed, stream) => greeted,
        () = sleep(worker.limits.handshake) => Err(io::ErrorKind::TimedOut.into()),
        () = farewell => Err(io::Error::other("the proxy stops")),
    };
    greeted.unwrap_or_else(|error| {
        tracing::debug!(client = %peer, %error, "a handshake came to nothing");
        None
    })
}

impl Worker {
    /// Who answers for `host` now.
    pub(super) fn find(&self, host: &str) -> Option<Arc<Entry>> {
        self.table.borrow().find(host).cloned()
    }

    /// Whose turn it is among equals: each time the next one's.
    pub(super) fn turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }

    /// A new connection to a target, ready for a request.
    pub(super) async fn connect(
        &self,
        target: &Target,
        protocol: Protocol,
        upgradable: bool,
    ) -> Result<Sender, DialError> {
        let stream = self.dialer.connect(target).await?;
        let sender = Sender::begin(&self.upstreams, stream, protocol, upgradable).await;
        sender.map_err(|error| DialError::Other(target.address, io::Error::other(error)))
    }

    /// A name for a request that a visitor can tell and the log can find.
    pub(super) fn request_id(&self) -> String {
        let number = self.requests.get() + 1;
        self.requests.set(number);
        format!("{}-{number}", self.name)
    }
}

/// One client's connection.
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) wire: Arc<Wire>,
    pub(super) origin: Origin,
    /// What it was shown, if it came with TLS.
    shown: Option<Shown>,
    /// Told when an HTTP/2 connection has served long enough.
    pub(super) worn: Notify,
    /// The answers under way of an HTTP/2 connection.
    answers: RefCell<Vec<Rc<Handed>>>,
    opened: Instant,
    requests: Cell<u32>,
}

impl Client {
    fn new(worker: Rc<Worker>, origin: Origin, shown: Option<Shown>) -> Rc<Self> {
        Rc::new(Self {
            worker,
            wire: Arc::default(),
            origin,
            shown,
            worn: Notify::new(),
            answers: RefCell::default(),
            opened: Instant::now(),
            requests: Cell::new(0),
        })
    }

    /// Counts a request and says which it is.
    pub(super) fn count(&self) -> u32 {
        let number = self.requests.get().saturating_add(1);
        self.requests.set(number);
        number
    }

    /// Whether it has not asked for anything yet.
    pub(super) fn is_new(&self) -> bool {
        self.requests.get() == 0
    }

    /// What says of one more answer whether the client takes it.
    pub(super) fn watch(&self) -> Rc<Handed> {
        let handed = Rc::new(Handed::default());
        self.answers.borrow_mut().push(Rc::clone(&handed));
        handed
    }

    /// Waits until the client has taken nothing of an answer for `limit`, and at most half as long again: an HTTP/2
    /// client can refuse to take one while everything else moves.
    pub(super) async fn stalled(&self, limit: Duration) {
        loop {
            sleep(limit / 2).await;
            let mut answers = self.answers.borrow_mut();
            answers.retain(|handed| Rc::strong_count(handed) > 1);
            if answers.iter().any(|handed| handed.since().is_some_and(|since| since.elapsed() >= limit)) {
                return;
            }
        }
    }

    /// Whether the connection has served long enough, or the worker stops.
    pub(super) fn is_worn(&self, number: u32) -> bool {
        let limits = &self.worker.limits;
        number >= limits.requests || self.opened.elapsed() > limits.age || self.worker.stop.is_cancelled()
    }

    /// Whether `host` may be asked for here. With TLS the client must have been shown that this is that host: it may
    /// believe that it is speaking with another.
    pub(super) fn may_ask(&self, host: &HostName) -> bool {
        self.shown.as_ref().is_none_or(|shown| shown.covers(host))
    }

    /// Why a host that is not here is refused: with TLS the client may find it over another connection.
    pub(super) fn not_here(&self) -> Refusal {
        if self.shown.is_some() { Refusal::Misdirected } else { Refusal::UnknownHost }
    }
}
