//! One worker: a thread with its own runtime, listeners, pool and sockets. Workers share counters and nothing else.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
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
use super::pool::{Pool, Sender};
use super::record::Recorder;
use super::table::{Entry, Table, Target};
use super::wire::{Intake, Wire};

/// The pause after a failed accept: descriptors are free again soon, or not at all.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a worker is made with.
pub(super) struct Parts {
    pub(super) number: usize,
    pub(super) recorder: Recorder,
    pub(super) limits: Arc<Limits>,
    pub(super) tables: watch::Receiver<Arc<Table>>,
    /// Where the worker says which table it serves, by its sequence.
    pub(super) serves: watch::Sender<u64>,
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
    pub(super) recorder: Recorder,
    table: RefCell<Arc<Table>>,
    dialer: Dialer,
    door: Arc<Doorkeeper>,
    turn: Cell<usize>,
}

/// Serves `listeners` on the calling thread until told to stop and done.
pub(super) fn run(parts: Parts, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let local = LocalSet::new();
    local.block_on(&runtime, serve(parts, listeners))
}

async fn serve(parts: Parts, listeners: Vec<std::net::TcpListener>) -> io::Result<()> {
    let Parts { number, recorder, limits, mut tables, serves, dialer, door, stop } = parts;
    let table = Arc::clone(&tables.borrow_and_update());
    serves.send_replace(table.sequence);
    let worker = Rc::new(Worker {
        pool: Pool::new(Arc::clone(&table), Arc::clone(&limits)),
        limits,
        tasks: TaskTracker::new(),
        upstreams: TaskTracker::new(),
        stop,
        recorder,
        table: RefCell::new(table),
        dialer,
        door,
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
                let Some(admission) = worker.door.admit(peer.ip()) else {
                    worker.recorder.metrics.turned_away();
                    continue;
                };
                worker.recorder.metrics.connected();
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
    stream: TcpStream,
    peer: SocketAddr,
    port: u16,
    _admission: Admission,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a client left at once");
        return;
    }
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
    pub(super) async fn connect(&self, target: &Target, upgradable: bool) -> Result<Sender, DialError> {
        let stream = self.dialer.connect(target).await?;
        let sender = forward::handshake(&self.upstreams, stream, upgradable).await;
        sender.map_err(|error| DialError::Other(target.address, io::Error::other(error)))
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
