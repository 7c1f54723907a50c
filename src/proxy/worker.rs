//! One worker: a thread with its own runtime, listeners, pool and sockets. Workers share counters and nothing else.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::{Admission, Doorkeeper};
use super::dial::{DialError, Dialer};
use super::fields::Origin;
use super::forward;
use super::limits::{HEAD_BYTES, Limits};
use super::peer::{self, Trust};
use super::pool::{Pool, Sender};
use super::refusal::Refusal;
use super::table::{Backend, Entry, Table, Target};
use super::wire::{Intake, Wire};

/// The pause after a failed accept: descriptors are free again soon, or not at all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The pause before a target that keeps refusing is tried again.
const PROBE_PAUSE: Duration = Duration::from_secs(1);

/// What a worker is made with.
pub(super) struct Parts {
    pub(super) number: usize,
    /// Makes request ids of one process differ from those of another.
    pub(super) nonce: u32,
    pub(super) limits: Arc<Limits>,
    pub(super) tables: watch::Receiver<Arc<Table>>,
    /// Where the worker says which table it serves, by its sequence.
    pub(super) serves: watch::Sender<u64>,
    pub(super) dialer: Dialer,
    pub(super) door: Arc<Doorkeeper>,
    pub(super) trust: Arc<Trust>,
    pub(super) https_port: u16,
    pub(super) stop: CancellationToken,
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
    table: RefCell<Arc<Table>>,
    dialer: Dialer,
    door: Arc<Doorkeeper>,
    name: String,
    requests: Cell<u64>,
    turn: Cell<usize>,
}

/// Serves `listeners` on the calling thread until told to stop and done.
pub(super) fn run(parts: Parts, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, serve(parts, listeners))
}

async fn serve(parts: Parts, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    let Parts { number, nonce, limits, mut tables, serves, dialer, door, trust, https_port, stop } = parts;
    let table = Arc::clone(&tables.borrow_and_update());
    serves.send_replace(table.sequence);
    let worker = Rc::new(Worker {
        pool: Pool::new(Arc::clone(&table), Arc::clone(&limits)),
        limits,
        trust,
        https_port,
        tasks: TaskTracker::new(),
        upstreams: TaskTracker::new(),
        stop,
        table: RefCell::new(table),
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
    for listener in listeners {
        listener.set_nonblocking(true)?;
        let listener = TcpListener::from_std(listener)?;
        accepting.spawn_local(accept(Rc::clone(&worker), listener));
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

async fn accept(worker: Rc<Worker>, listener: TcpListener) {
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
                let counted = worker.trust.counted(peer.ip());
                let Some(admission) = worker.door.admit(counted) else { continue };
                let connection = connection(Rc::clone(&worker), stream, peer, port, admission);
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
    admission: Admission,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a client left at once");
        return;
    }
    let Some((peer, _admission)) = introduced(&worker, &mut stream, peer, admission).await else { return };
    let limits = Arc::clone(&worker.limits);
    let stop = worker.stop.clone();
    let wire = Arc::new(Wire::default());
    let intake = Intake::new(stream, Arc::clone(&wire), Arc::clone(&limits));
    let client = Rc::new(Client {
        worker,
        wire,
        origin: Origin { client: peer.ip().to_canonical(), scheme: "http", port },
        opened: Instant::now(),
        requests: Cell::new(0),
    });
    let server = {
        let client = Rc::clone(&client);
        let service = service_fn(move |request: Request<Incoming>| {
            let client = Rc::clone(&client);
            async move { Ok::<_, std::convert::Infallible>(forward::serve(client, request).await) }
        });
        http1::Builder::new()
            .timer(TokioTimer::new())
            // Intake's deadlines come first; this one stands behind them.
            .header_read_timeout(limits.idle.max(limits.first_byte) + limits.header)
            .max_buf_size(HEAD_BYTES)
            .serve_connection(TokioIo::new(intake), service)
            .with_upgrades()
    };
    tokio::pin!(server);
    let ended = tokio::select! {
        ended = server.as_mut() => ended,
        () = stop.cancelled() => match timeout(limits.farewell, server.as_mut()).await {
            Ok(ended) => ended,
            // hyper would wait for a first request.
            Err(_over) if !client.wire.touched() => return,
            Err(_over) => {
                server.as_mut().graceful_shutdown();
                server.await
            }
        },
    };
    if let Err(error) = ended {
        tracing::debug!(client = %peer, %error, "a client's connection broke off");
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
    match timeout(worker.limits.first_byte, peer::introduction(stream)).await {
        Ok(Ok(None)) => Some((peer, admission)),
        Ok(Ok(Some(client))) => {
            let counted = worker.trust.counted(client.ip());
            worker.door.admit(counted).map(|admission| (client, admission))
        }
        Ok(Err(error)) => {
            tracing::debug!(%peer, %error, "a connection is closed: a proxy did not introduce its client");
            None
        }
        Err(_over) => {
            tracing::debug!(%peer, "a connection is closed: a proxy was too slow to introduce its client");
            None
        }
    }
}

impl Worker {
    /// Who answers for `path` of `host` now.
    pub(super) fn find(&self, host: &str, path: &str) -> Result<Arc<Entry>, Refusal> {
        self.table.borrow().find(host, path).map(Arc::clone)
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
    pub(super) async fn connect(&self, target: &Target, upgradable: bool) -> Result<Sender, DialError> {
        let stream = self.dialer.connect(target).await?;
        let sender = forward::handshake(&self.upstreams, stream, upgradable).await;
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
    opened: Instant,
    requests: Cell<u32>,
}

impl Client {
    /// Counts a request and says which it is.
    pub(super) fn count(&self) -> u32 {
        let number = self.requests.get().saturating_add(1);
        self.requests.set(number);
        number
    }

    /// Whether the connection has served long enough, or the worker stops.
    pub(super) fn is_worn(&self, number: u32) -> bool {
        let limits = &self.worker.limits;
        number >= limits.requests || self.opened.elapsed() > limits.age || self.worker.stop.is_cancelled()
    }
}
