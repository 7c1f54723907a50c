//! One worker: a thread with its own runtime, listeners, pool and sockets. Workers share counters and nothing else.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, LocalOptions};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::{Admission, Doorkeeper};
use super::authority::Known;
use super::body::Handed;
use super::dial::{DialError, Dialer};
use super::fields::Origin;
use super::http1::{self, Stream};
use super::http2::{self, Activity};
use super::limits::Limits;
use super::peer::{self, Trust};
use super::pool::Pool;
use super::record::Recorder;
use super::refusal::Refusal;
use super::rules::Protocol;
use super::sender::Sender;
use super::table::{Backend, Entry, Table, Target};
use super::tls::{self, Secured, Shelf, Shown};
use crate::domain::name::HostName;

/// The pause after a failed accept: descriptors are free again soon, or not at all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The pause before a target that keeps refusing is tried again.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

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
    pub(super) recorder: Recorder,
    pub(super) limits: Arc<Limits>,
    pub(super) tables: watch::Receiver<Arc<Table>>,
    /// Where the worker says which table it serves, by its sequence.
    pub(super) serves: watch::Sender<u64>,
    pub(super) shelf: Arc<Shelf>,
    pub(super) dialer: Dialer,
    pub(super) door: Arc<Doorkeeper>,
    pub(super) trust: Arc<Trust>,
    pub(super) https_port: u16,
    pub(super) stop: CancellationToken,
    pub(super) tunnels: CancellationToken,
}

/// What the requests of one worker share.
pub(super) struct Worker {
    pub(super) limits: Arc<Limits>,
    pub(super) trust: Arc<Trust>,
    /// Where visitors find HTTPS.
    pub(super) https_port: u16,
    pub(super) pool: Rc<Pool>,
    /// What a stop waits for: clients and tunnels.
    pub(super) tasks: TaskTracker,
    /// Connections to targets; they end with those that use them.
    upstreams: TaskTracker,
    pub(super) stop: CancellationToken,
    /// Whether that has come.
    stopping: Cell<bool>,
    /// Cancelled when tunnels are to end.
    pub(super) tunnels: CancellationToken,
    pub(super) recorder: Recorder,
    table: RefCell<Arc<Table>>,
    shelf: Arc<Shelf>,
    dialer: Dialer,
    door: Arc<Doorkeeper>,
    turn: Cell<usize>,
}

/// Serves `listeners` on the calling thread until told to stop and done.
pub(super) fn run(parts: Parts, listeners: Vec<Listener>) -> io::Result<()> {
    let mut runtime = Builder::new_current_thread();
    let runtime = runtime.enable_io().enable_time().build_local(LocalOptions::default())?;
    runtime.block_on(serve(parts, listeners))
}

async fn serve(parts: Parts, listeners: Vec<Listener>) -> io::Result<()> {
    let Parts {
        number,
        recorder,
        limits,
        mut tables,
        serves,
        shelf,
        dialer,
        door,
        trust,
        https_port,
        stop,
        tunnels,
    } = parts;
    let table = Arc::clone(&tables.borrow_and_update());
    serves.send_replace(table.sequence);
    let worker = Rc::new(Worker {
        pool: Pool::new(Arc::clone(&table), Arc::clone(&limits)),
        limits,
        trust,
        https_port,
        tasks: TaskTracker::new(),
        upstreams: TaskTracker::new(),
        // Each request looks at it, and the others' locks with it.
        stop: stop.child_token(),
        stopping: Cell::new(false),
        tunnels,
        recorder,
        table: RefCell::new(table),
        shelf,
        dialer,
        door,
        turn: Cell::new(number),
    });
    let background = TaskTracker::new();
    background.spawn_local(follow(Rc::clone(&worker), tables, serves));
    let pool = Rc::clone(&worker.pool);
    background.spawn_local(async move { pool.reap().await });
    let (accepting, enough) = (TaskTracker::new(), CancellationToken::new());
    for (scheme, listener) in listeners {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        accepting.spawn_local(accept(Rc::clone(&worker), scheme, listener, enough.clone()));
    }
    worker.stop.cancelled().await;
    worker.stopping.set(true);
    worker.tasks.close();
    // Who comes while idle connections end is answered, once, and need not wait for the next proxy.
    if timeout(worker.limits.farewell, worker.tasks.wait()).await.is_err() {
        tracing::debug!(
            connections = worker.tasks.len(),
            "no more are accepted, and these end with their requests"
        );
    }
    enough.cancel();
    accepting.close();
    accepting.wait().await;
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

async fn accept(worker: Rc<Worker>, scheme: Scheme, listener: TcpListener, enough: CancellationToken) {
    let port = listener.local_addr().map_or(0, |address| address.port());
    let mut failing = false;
    loop {
        let accepted = tokio::select! {
            biased;
            () = enough.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                failing = false;
                let Some(admission) = worker.door.admit(worker.trust.counted(peer.ip())) else {
                    worker.recorder.metrics.turned_away();
                    continue;
                };
                worker.recorder.metrics.connected();
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
    mut stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    scheme: Scheme,
    admission: Admission,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a client left at once");
        return;
    }
    let Some((peer, _admission)) = introduced(&worker, &mut stream, peer, admission).await else { return };
    let ended = match scheme {
        Scheme::Http => {
            let origin = Origin { client: peer.ip().to_canonical(), scheme: "http", port };
            Box::pin(http1::serve(Client::new(worker, origin, None), Stream::Plain(stream))).await
        }
        Scheme::Https => {
            // Each of these has its own time, and room for one at a time is enough.
            let Some((stream, shown)) = Box::pin(greet(&worker, stream, peer)).await else { return };
            let origin = Origin { client: peer.ip().to_canonical(), scheme: "https", port };
            let client = Client::new(worker, origin, Some(shown));
            if stream.get_ref().1.alpn_protocol() == Some(tls::HTTP_2) {
                Box::pin(http2::serve(client, stream)).await.map_err(io::Error::other)
            } else {
                Box::pin(http1::serve(client, Stream::Secured(Box::new(stream)))).await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, %error, "a client's connection broke off");
    }
}

/// Shakes hands with a client, unless it does so too often or too slowly.
async fn greet(worker: &Worker, stream: TcpStream, peer: SocketAddr) -> Option<(Secured, Shown)> {
    // A proxy that speaks for many shakes hands for many.
    if worker.trust.counted(peer.ip()).is_some_and(|client| !worker.door.may_greet(client)) {
        return None;
    }
    let routed = |host: &HostName| worker.is_routed(host);
    let greeted = tokio::select! {
        greeted = tls::accept(&worker.shelf, routed, stream) => greeted,
        () = sleep(worker.limits.handshake) => Err(io::ErrorKind::TimedOut.into()),
        () = worker.farewell() => Err(io::Error::other("the proxy stops")),
    };
    match greeted {
        Ok(secured) => {
            worker.recorder.metrics.shook_hands();
            secured
        }
        Err(error) => {
            worker.recorder.metrics.failed_to_shake_hands();
            tracing::debug!(client = %peer, %error, "a handshake came to nothing");
            None
        }
    }
}

/// Who the client is behind a proxy that says so, and the client's own admission; none: it is not served.
async fn introduced(
    worker: &Worker,
    stream: &mut TcpStream,
    peer: SocketAddr,
    admission: Admission,
) -> Option<(SocketAddr, Admission)> {
    if !worker.trust.introduces(peer.ip()) {
        return Some((peer, admission));
    }
    let introduced = tokio::select! {
        introduced = peer::introduction(stream) => introduced,
        () = sleep(worker.limits.first_byte) => Err(io::ErrorKind::TimedOut.into()),
        () = worker.farewell() => Err(io::Error::other("the proxy stops")),
    };
    match introduced {
        Ok(None) => Some((peer, admission)),
        Ok(Some(client)) => {
            let counted = worker.trust.counted(client.ip());
            worker.door.admit(counted).map(|admission| (client, admission))
        }
        Err(error) => {
            tracing::debug!(%peer, %error, "a connection is closed: a proxy did not introduce its client");
            None
        }
    }
}

impl Worker {
    /// Who answers for `path` of `host` now.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<Arc<Entry>, Refusal> {
        self.table.borrow().find(host, path).map(Arc::clone)
    }

    /// Resolves once the proxy stops, and those have had their time that have not asked for anything yet.
    pub(super) async fn farewell(&self) {
        self.stop.cancelled().await;
        sleep(self.limits.farewell).await;
    }

    /// Whether anybody answers for `host` now.
    fn is_routed(&self, host: &HostName) -> bool {
        self.table.borrow().site(host.as_str()).is_some()
    }

    /// What an ACME server is told now that asks for a token of ours.
    pub(super) fn challenge(&self, method: &Method, path: &str) -> Option<Response<Bytes>> {
        self.table.borrow().challenge(method, path)
    }

    /// Whose turn it is among equals: each time the next one's.
    pub(super) fn turn(&self) -> usize {
        let turn = self.turn.get();
        self.turn.set(turn.wrapping_add(1));
        turn
    }

    /// A new connection to a target, ready for a request.
    pub(super) async fn connect(&self, target: &Target, protocol: Protocol) -> Result<Sender, DialError> {
        let stream = self.dialer.connect(target).await?;
        let sender = Sender::begin(&self.upstreams, stream, protocol).await;
        sender.map_err(|error| DialError::Other(target.address, io::Error::other(error)))
    }

    /// Sees to it that a target which keeps refusing gets requests again once it takes connections, and not before.
    pub(super) fn look_after(self: &Rc<Self>, backend: Arc<Backend>) {
        let worker = Rc::clone(self);
        self.upstreams.spawn_local(async move {
            loop {
                sleep(PROBE_PAUSE).await;
                let wanted = worker.table.borrow().leads_to(&backend.target);
                if !wanted || worker.stop.is_cancelled() {
                    return;
                }
                if worker.dialer.connect(&backend.target).await.is_ok() {
                    backend.gauge.wake();
                    return;
                }
                backend.gauge.rest_on();
            }
        });
    }
}

/// One client's connection.
pub(super) struct Client {
    pub(super) worker: Rc<Worker>,
    pub(super) activity: Rc<Activity>,
    pub(super) origin: Origin,
    /// Whom its last request was for.
    pub(super) known: RefCell<Option<Rc<Known>>>,
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
            activity: Rc::default(),
            known: RefCell::default(),
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

    /// Whether the connection has served long enough at a time, or the worker stops.
    pub(super) fn is_worn(&self, number: u32, at: Instant) -> bool {
        let limits = &self.worker.limits;
        number >= limits.requests || self.worker.stopping.get() || at - self.opened > limits.age
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
