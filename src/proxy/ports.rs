//! Ports of the host that lead to a target whatever is spoken: connections are taken from whom the table names, and
//! their bytes passed on unread.
//!
//! The sockets are this process's own. While one proxy replaces the other both have them, so that nobody is refused;
//! connections that are open are given the time that tunnels are given.

use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::dial::Dialer;
use super::table::{Table, Target};

/// How long to wait before a port that could not be had, or an accept that failed, is tried again.
const AGAIN: Duration = Duration::from_secs(2);
/// Connections of one port at a time, two descriptors each: databases themselves take a hundred or so.
const CONNECTIONS: usize = 500;
/// Connections that the kernel keeps until they are accepted.
const BACKLOG: u32 = 128;

/// A port, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Port {
    /// The port of the host, on each of its addresses.
    pub port: u16,
    /// Whose connections are taken; none: nobody's.
    pub allow: Vec<IpNet>,
    /// Where they lead.
    pub target: Target,
}

/// What is told to connections and their listeners.
#[derive(Clone)]
pub(super) struct Ends {
    /// No more are taken.
    pub(super) stop: CancellationToken,
    /// Those that are open end.
    pub(super) tunnels: CancellationToken,
    /// Waits for them.
    pub(super) tasks: TaskTracker,
}

/// Serves the ports of each table that comes, until none comes any more or the proxy stops.
pub(super) async fn keep(mut tables: watch::Receiver<Arc<Table>>, dialer: Rc<Dialer>, ends: Ends) {
    // A port is let go once its set is dropped; connections that it took stay.
    let mut served: HashMap<u16, (Port, JoinSet<()>)> = HashMap::new();
    loop {
        let wanted: HashMap<u16, Port> =
            tables.borrow_and_update().ports.iter().map(|port| (port.port, port.clone())).collect();
        served.retain(|number, (known, _)| wanted.get(number) == Some(known));
        for (number, port) in wanted {
            served.entry(number).or_insert_with(|| {
                let mut task = JoinSet::new();
                task.spawn_local(serve(port.clone(), Rc::clone(&dialer), ends.clone()));
                (port, task)
            });
        }
        tokio::select! {
            changed = tables.changed() => if changed.is_err() { return },
            () = ends.stop.cancelled() => return,
        }
    }
}

async fn serve(port: Port, dialer: Rc<Dialer>, ends: Ends) {
    let port = Rc::new(port);
    let open = Rc::new(Cell::new(0));
    let listener = bind(port.port).await;
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(port = port.port, %error, "cannot accept connections; trying on");
                sleep(AGAIN).await;
                continue;
            }
        };
        let client = peer.ip().to_canonical();
        if !port.allow.iter().any(|network| network.contains(&client)) {
            tracing::debug!(port = port.port, %client, "turned away: it is not on the list");
            continue;
        }
        if open.get() >= CONNECTIONS {
            tracing::warn!(port = port.port, %client, "turned away: {CONNECTIONS} connections are open");
            continue;
        }
        let place = Place::take(&open);
        let (port, dialer, tunnels) = (Rc::clone(&port), Rc::clone(&dialer), ends.tunnels.clone());
        ends.tasks.spawn_local(async move {
            let _place = place;
            tokio::select! {
                passed = pass(stream, &port.target, &dialer) => if let Err(error) = passed {
                    tracing::debug!(port = port.port, %client, error, "a connection broke off");
                },
                () = tunnels.cancelled() => {}
            }
        });
    }
}

/// The port on every address of the host, once it can be had.
async fn bind(port: u16) -> TcpListener {
    let mut said = false;
    loop {
        let six = listen(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        // A host may have no IPv6 at all.
        match six.or_else(|_| listen(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))) {
            Ok(listener) => return listener,
            Err(error) => {
                if !said {
                    tracing::error!(port, %error, "cannot listen; trying on");
                }
                said = true;
                sleep(AGAIN).await;
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    // Another proxy may have it still, or have it already.
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

async fn pass(mut client: TcpStream, target: &Target, dialer: &Dialer) -> Result<(), String> {
    client.set_nodelay(true).map_err(|error| error.to_string())?;
    let mut server = dialer.connect(target).await.map_err(|error| error.to_string())?;
    copy_bidirectional(&mut client, &mut server).await.map(drop).map_err(|error| error.to_string())
}

/// One of the connections that a port may have.
struct Place(Rc<Cell<usize>>);

impl Place {
    fn take(open: &Rc<Cell<usize>>) -> Self {
        open.set(open.get() + 1);
        Self(Rc::clone(open))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::task::LocalSet;

    use super::super::drain::Registry;
    use super::super::table::{Routes, Via};
    use super::*;

    fn table(sequence: u64, ports: Vec<Port>) -> Arc<Table> {
        Arc::new(Table::new(Routes { ports, ..Routes::default() }, sequence, &Registry::default()))
    }

    async fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
    }

    /// A server that answers each line with itself.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::task::spawn_local(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::task::spawn_local(async move {
                    let (mut from, mut to) = stream.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        address
    }

    async fn says(address: (&str, u16), text: &[u8]) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address).await?;
        stream.write_all(text).await?;
        stream.shutdown().await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        Ok(answer)
    }

    #[tokio::test]
    async fn a_port_leads_to_its_target_for_whom_it_names() {
        LocalSet::new()
            .run_until(async {
                let (address, open, shut) = (echo().await, free_port().await, free_port().await);
                let target = Target { key: "rivetr-db-a".to_owned(), via: Via::Host, address };
                let port = |port, allow: &str| Port {
                    port,
                    allow: vec![allow.parse().unwrap()],
                    target: target.clone(),
                };
                let ports = vec![port(open, "127.0.0.0/8"), port(shut, "192.0.2.0/24")];
                let (tables, follow) = watch::channel(table(1, ports.clone()));
                let dialer = Rc::new(Dialer::new(None, Duration::from_secs(5)));
                let ends = Ends {
                    stop: CancellationToken::new(),
                    tunnels: CancellationToken::new(),
                    tasks: TaskTracker::new(),
                };
                let keeping = tokio::task::spawn_local(keep(follow, dialer, ends.clone()));
                let mut answer = says(("127.0.0.1", open), b"hello").await;
                while answer.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
                    tokio::task::yield_now().await;
                    answer = says(("127.0.0.1", open), b"hello").await;
                }
                assert_eq!(answer.unwrap(), b"hello");
                assert!(says(("127.0.0.1", shut), b"hello").await.map_or(true, |answer| answer.is_empty()));

                // What is open stays when its port is taken away, until tunnels end.
                let mut held = TcpStream::connect(("127.0.0.1", open)).await.unwrap();
                held.write_all(b"a").await.unwrap();
                assert_eq!(held.read_u8().await.unwrap(), b'a');
                tables.send_replace(table(2, ports[1..].to_vec()));
                while TcpStream::connect(("127.0.0.1", open)).await.is_ok() {
                    tokio::task::yield_now().await;
                }
                held.write_all(b"b").await.unwrap();
                assert_eq!(held.read_u8().await.unwrap(), b'b');
                ends.stop.cancel();
                keeping.await.unwrap();
                ends.tunnels.cancel();
                ends.tasks.close();
                ends.tasks.wait().await;
                assert_eq!(held.read(&mut [0]).await.unwrap_or(0), 0);
            })
            .await;
    }
}
