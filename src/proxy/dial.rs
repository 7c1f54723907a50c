//! Connections to targets: from the host, or by sockets that the broker made where the containers are.
//!
//! Each worker has its own dialer, its own connection to the broker and its own few sockets ahead of need.

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, TcpStream as StdStream};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::{RecvFlags, recv};
use thiserror::Error;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::handout::{Ask, BATCH, Family, Reply, receive};
use super::table::{Target, Via};

/// How long the broker may take; it is started on demand.
const BROKER_WAIT: Duration = Duration::from_secs(5);

/// Why a target was not reached.
#[derive(Debug, Error)]
pub(super) enum DialError {
    #[error("{0} refused the connection: nothing listens there")]
    Refused(SocketAddr),
    #[error("{0} did not answer within {1:?}")]
    TimedOut(SocketAddr, Duration),
    #[error("cannot connect to {0}: {1}")]
    Other(SocketAddr, io::Error),
    #[error("{0}")]
    NoNamespace(String),
    #[error(
        "cannot get a socket from the broker at {path}: {source}; see `systemctl --user status rivetr-netns`"
    )]
    Broker { path: PathBuf, source: io::Error },
    #[error("the target is in a network namespace, and no broker is configured that reaches it")]
    NoBroker,
}

/// Connects to targets.
pub(super) struct Dialer {
    broker: Option<PathBuf>,
    limit: Duration,
    stock: RefCell<Stock>,
    asking: Mutex<()>,
}

/// Sockets of one namespace, and the connection that stands for it.
#[derive(Default)]
struct Stock {
    broker: Option<UnixStream>,
    sockets: Vec<(Family, OwnedFd)>,
}

impl Stock {
    /// Drops everything if the broker has ended: its namespace is gone then.
    fn check(&mut self) {
        let alive = self.broker.as_ref().is_some_and(|broker| {
            let peeked = recv(broker, &mut [0; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
            matches!(peeked, Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR))
        });
        if !alive {
            *self = Self::default();
        }
    }

    fn take(&mut self, family: Family) -> Option<OwnedFd> {
        let at = self.sockets.iter().rposition(|(of, _)| *of == family)?;
        Some(self.sockets.swap_remove(at).1)
    }
}

impl Dialer {
    /// `limit` is for one connection.
    pub(super) fn new(broker: Option<PathBuf>, limit: Duration) -> Self {
        Self { broker, limit, stock: RefCell::default(), asking: Mutex::default() }
    }

    /// A connection to the target.
    pub(super) async fn connect(&self, target: &Target) -> Result<TcpStream, DialError> {
        let Target { key: _, via, address } = target;
        match via {
            Via::Host => {
                let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
                let socket = socket.map_err(|source| DialError::Other(*address, source))?;
                self.finish(socket, *address).await
            }
            Via::Namespace => self.connect_inside(*address).await,
        }
    }

    async fn connect_inside(&self, address: SocketAddr) -> Result<TcpStream, DialError> {
        let (socket, from_stock) = self.socket(Family::of(address)).await?;
        match self.adopt(socket, address).await {
            // A refusal comes from the container's own namespace; anything else may mean
            // that the socket is of a namespace that was torn down since.
            Err(DialError::TimedOut(..) | DialError::Other(..)) if from_stock => {
                *self.stock.borrow_mut() = Stock::default();
                let (socket, _) = self.socket(Family::of(address)).await?;
                self.adopt(socket, address).await
            }
            result => result,
        }
    }

    async fn adopt(&self, socket: OwnedFd, address: SocketAddr) -> Result<TcpStream, DialError> {
        self.finish(TcpSocket::from_std_stream(StdStream::from(socket)), address).await
    }

    async fn finish(&self, socket: TcpSocket, address: SocketAddr) -> Result<TcpStream, DialError> {
        let connected = timeout(self.limit, socket.connect(address))
            .await
            .map_err(|_over| DialError::TimedOut(address, self.limit))?
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        connected.map_err(|source| {
            if source.kind() == io::ErrorKind::ConnectionRefused {
                return DialError::Refused(address);
            }
            DialError::Other(address, source)
        })
    }

    /// A socket of the namespace, and whether it had been lying here.
    async fn socket(&self, family: Family) -> Result<(OwnedFd, bool), DialError> {
        if let Some(socket) = self.take_stock(family) {
            return Ok((socket, true));
        }
        let path = self.broker.as_ref().ok_or(DialError::NoBroker)?;
        let _one_asks = self.asking.lock().await;
        // Whoever asked before us may have brought enough.
        if let Some(socket) = self.take_stock(family) {
            return Ok((socket, false));
        }
        let trouble = |source| DialError::Broker { path: path.clone(), source };
        let reply = match self.ask(family).await {
            // The broker ends itself when its namespace is gone; the next connection starts another.
            Err(error) if is_end(&error) => self.ask(family).await,
            reply => reply,
        };
        match reply.map_err(trouble)? {
            (broker, Reply::Sockets(mut sockets)) => {
                let first = sockets.pop().ok_or_else(|| trouble(io::ErrorKind::InvalidData.into()))?;
                let mut stock = self.stock.borrow_mut();
                stock.sockets.extend(sockets.into_iter().map(|socket| (family, socket)));
                stock.broker = Some(broker);
                Ok((first, false))
            }
            (_, Reply::Absent(text)) => Err(DialError::NoNamespace(text)),
            (_, Reply::Failed(text)) => Err(trouble(io::Error::other(text))),
        }
    }

    fn take_stock(&self, family: Family) -> Option<OwnedFd> {
        let mut stock = self.stock.borrow_mut();
        stock.check();
        stock.take(family)
    }

    /// Asks over the connection there is, or a new one. The connection is kept out of the stock meanwhile,
    /// so that a request given up halfway leaves no reply behind for the next one.
    async fn ask(&self, family: Family) -> io::Result<(UnixStream, Reply)> {
        let Some(path) = &self.broker else { return Err(io::ErrorKind::NotFound.into()) };
        let exchange = async {
            let kept = self.stock.borrow_mut().broker.take();
            let mut broker = if let Some(broker) = kept {
                broker
            } else {
                // Sockets without their broker would be of an unknown namespace.
                self.stock.borrow_mut().sockets.clear();
                UnixStream::connect(path).await?
            };
            broker.write_all(&Ask { family, count: BATCH }.encode()).await?;
            let reply = broker.async_io(Interest::READABLE, || receive(&broker)).await?;
            Ok((broker, reply))
        };
        timeout(BROKER_WAIT, exchange).await.map_err(|_over| io::Error::from(io::ErrorKind::TimedOut))?
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
