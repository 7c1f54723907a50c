//! `rivetr netns`: hands out unconnected TCP sockets made in the network namespace of rootless Podman.
//!
//! One thread, because only such a process may join a user namespace. It ends itself when the namespace is
//! gone or another, and is started anew by its socket unit. It connects nothing and reads nothing else.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{fstat, fstatfs};
use rustix::net::{RecvFlags, SocketFlags, SocketType, recv, socket_with, sockopt::socket_peercred};
use rustix::process::getuid;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use thiserror::Error;

use super::handout::{Ask, Reply, send};

/// Connections at once: each worker of the proxy has one, and there may be two proxies during an upgrade.
const CLIENTS: usize = 64;
/// The type of the file system that namespaces are files of (linux/magic.h).
const NSFS: i64 = 0x6e73_6673;

/// Why the broker cannot go on.
#[derive(Debug, Error)]
pub enum BrokerError {
    /// The listener or its clients cannot be waited for.
    #[error("cannot serve the broker's socket: {0}")]
    Serve(#[source] io::Error),
    /// The namespace is there, and joining it failed halfway.
    #[error(
        "cannot join the {what} namespace of rootless Podman: {source}; \
         the unit must not set PrivateUsers, PrivateTmp, ProtectSystem=strict, ProtectHome or RestrictNamespaces=yes"
    )]
    Join {
        /// Which one.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Serves `listener` until the namespace found under `runtime` (`$XDG_RUNTIME_DIR`) is gone or another.
pub fn run(listener: &UnixListener, runtime: &Path) -> Result<(), BrokerError> {
    let mut namespace = Namespace { runtime: runtime.to_owned(), joined: None };
    serve(listener, || namespace.standing())
}

/// How this process stands to the namespace of the containers.
enum Standing {
    /// It is in it.
    Inside,
    /// There is none yet; the text says why.
    Absent(String),
    /// The one it is in is not that of the containers any more.
    Gone,
}

struct Namespace {
    runtime: PathBuf,
    /// Device and inode of the namespace that was joined.
    joined: Option<(u64, u64)>,
}

impl Namespace {
    fn standing(&mut self) -> Result<Standing, BrokerError> {
        match (self.find(), self.joined) {
            (Ok(found), Some(joined)) if found.identity == joined => Ok(Standing::Inside),
            (_, Some(_)) => Ok(Standing::Gone),
            (Ok(found), None) => {
                found.join()?;
                self.joined = Some(found.identity);
                Ok(Standing::Inside)
            }
            (Err(source), None) => Ok(Standing::Absent(format!(
                "rootless Podman has no network namespace below {} ({source}): no container runs on a bridge network",
                self.runtime.display()
            ))),
        }
    }

    /// The namespaces of the running Podman, by its pause process.
    fn find(&self) -> io::Result<Found> {
        let pause = std::fs::read_to_string(self.runtime.join("libpod/tmp/pause.pid"))?;
        let pause: u32 = pause.trim().parse().map_err(io::Error::other)?;
        // Seen from outside the pause process's mounts, this path is an empty file.
        let inside = self.runtime.join("containers/networks/rootless-netns/rootless-netns");
        let network = File::open(format!("/proc/{pause}/root{}", inside.display()))?;
        if fstatfs(&network)?.f_type != NSFS {
            return Err(io::Error::new(io::ErrorKind::NotFound, "rootless-netns is not a namespace"));
        }
        let status = fstat(&network)?;
        let user = File::open(format!("/proc/{pause}/ns/user"))?;
        Ok(Found { user, network, identity: (status.st_dev, status.st_ino) })
    }
}

struct Found {
    user: File,
    network: File,
    identity: (u64, u64),
}

impl Found {
    fn join(&self) -> Result<(), BrokerError> {
        let join = |file: &File, kind, what| {
            move_into_link_name_space(file.as_fd(), Some(kind))
                .map_err(|errno| BrokerError::Join { what, source: errno.into() })
        };
        join(&self.user, LinkNameSpaceType::User, "user")?;
        join(&self.network, LinkNameSpaceType::Network, "network")
    }
}

struct Client {
    stream: UnixStream,
    /// The first byte of a request whose second has not come.
    half: Option<u8>,
}

/// What is left of a client after it was heard.
#[derive(PartialEq, Eq)]
enum Heard {
    Stays,
    Leaves,
    /// The namespace is not the right one any more: everyone leaves.
    End,
}

fn serve(
    listener: &UnixListener,
    mut standing: impl FnMut() -> Result<Standing, BrokerError>,
) -> Result<(), BrokerError> {
    listener.set_nonblocking(true).map_err(BrokerError::Serve)?;
    let mut clients: Vec<Client> = Vec::new();
    loop {
        let ready = wait(listener, &clients).map_err(BrokerError::Serve)?;
        let (listener_ready, clients_ready) = ready.split_first().unwrap_or((&false, &[]));
        let mut kept = Vec::with_capacity(clients.len() + 1);
        for (mut client, ready) in clients.into_iter().zip(clients_ready) {
            let heard = if *ready { hear(&mut client, &mut standing)? } else { Heard::Stays };
            match heard {
                Heard::Stays => kept.push(client),
                Heard::Leaves => {}
                Heard::End => return Ok(()),
            }
        }
        clients = kept;
        if *listener_ready {
            clients.extend(accept(listener, clients.len()).map_err(BrokerError::Serve)?);
        }
    }
}

/// Waits for something to read; first the listener, then the clients in their order.
fn wait(listener: &UnixListener, clients: &[Client]) -> io::Result<Vec<bool>> {
    let mut waits = vec![PollFd::new(listener, PollFlags::IN)];
    waits.extend(clients.iter().map(|client| PollFd::new(&client.stream, PollFlags::IN)));
    match poll(&mut waits, None) {
        Ok(_) => Ok(waits.iter().map(|wait| !wait.revents().is_empty()).collect()),
        Err(rustix::io::Errno::INTR) => Ok(vec![false; waits.len()]),
        Err(errno) => Err(errno.into()),
    }
}

/// Takes the next connection if it comes from the user whose containers these are.
fn accept(listener: &UnixListener, clients: usize) -> io::Result<Option<Client>> {
    let stream = match listener.accept() {
        Ok((stream, _)) => stream,
        Err(error)
            if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::ConnectionAborted) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    // Both numbers are in the user namespace this process is in now, where other users have none.
    let peer = socket_peercred(&stream)?.uid;
    if peer != getuid() || clients >= CLIENTS {
        tracing::warn!(uid = peer.as_raw(), clients, "a connection to the broker was refused");
        return Ok(None);
    }
    stream.set_nonblocking(true)?;
    Ok(Some(Client { stream, half: None }))
}

/// Reads one request and answers it.
fn hear(
    client: &mut Client,
    standing: &mut impl FnMut() -> Result<Standing, BrokerError>,
) -> Result<Heard, BrokerError> {
    let mut bytes = [0; 2];
    let wanted = if client.half.is_some() { 1 } else { 2 };
    let buffer = bytes.get_mut(..wanted).unwrap_or_default();
    let read = match recv(&client.stream, buffer, RecvFlags::DONTWAIT) {
        Ok((_, read)) => read,
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(Heard::Stays),
        Err(_gone) => return Ok(Heard::Leaves),
    };
    let [first, second] = bytes;
    let request = match (client.half.take(), read) {
        (_, 0) => return Ok(Heard::Leaves),
        (Some(half), _) => [half, first],
        (None, 1) => {
            client.half = Some(first);
            return Ok(Heard::Stays);
        }
        (None, _) => [first, second],
    };
    let Some(ask) = Ask::decode(request) else { return Ok(Heard::Leaves) };
    let reply = match standing()? {
        Standing::Inside => make(ask).map_or_else(|error| Reply::Failed(error.to_string()), Reply::Sockets),
        Standing::Absent(why) => Reply::Absent(why),
        Standing::Gone => {
            tracing::info!("the network namespace of the containers is another one now");
            return Ok(Heard::End);
        }
    };
    // A client that does not take its reply is of no use.
    Ok(if send(&client.stream, &reply).is_ok() { Heard::Stays } else { Heard::Leaves })
}

fn make(ask: Ask) -> io::Result<Vec<OwnedFd>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let make = |_| Ok(socket_with(ask.family.as_kernel(), SocketType::STREAM, flags, None)?);
    (0..ask.count).map(make).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{SocketAddr, TcpListener};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, Mutex};
    use std::thread::JoinHandle;
    use std::time::Duration;

    use super::*;
    use crate::proxy::dial::{DialError, Dialer};
    use crate::proxy::table::{Target, Via};

    type Play = Arc<Mutex<Vec<Standing>>>;

    /// A broker that stands as the play says, last line first, and then stays inside.
    fn broker(path: &Path, play: Vec<Standing>) -> (JoinHandle<()>, Arc<AtomicUsize>) {
        let listener = UnixListener::bind(path).unwrap();
        let (play, runs): (Play, _) = (Arc::new(Mutex::new(play)), Arc::new(AtomicUsize::new(0)));
        let counted = Arc::clone(&runs);
        // Like the socket unit: whenever it ends, it is started again on the same listener.
        let thread = std::thread::spawn(move || {
            loop {
                counted.fetch_add(1, Ordering::SeqCst);
                serve(&listener, || Ok(play.lock().unwrap().pop().unwrap_or(Standing::Inside))).unwrap();
            }
        });
        (thread, runs)
    }

    fn target(address: SocketAddr) -> Target {
        Target { key: "a".into(), via: Via::Namespace, address }
    }

    #[tokio::test]
    async fn sockets_connect_and_are_asked_for_in_batches() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("netns.sock");
        let (_thread, runs) = broker(&path, vec![]);
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = target(server.local_addr().unwrap());
        let dialer = Dialer::new(Some(path), Duration::from_secs(5));
        for _ in 0..40 {
            dialer.connect(&target).await.unwrap();
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_broker_that_ends_is_asked_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("netns.sock");
        let (_thread, runs) = broker(&path, vec![Standing::Gone, Standing::Inside]);
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = target(server.local_addr().unwrap());
        let dialer = Dialer::new(Some(path), Duration::from_secs(5));
        for _ in 0..17 {
            dialer.connect(&target).await.unwrap();
        }
        assert_eq!(runs.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn what_is_not_there_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("netns.sock");
        let absent = Namespace { runtime: dir.path().to_owned(), joined: None }.standing().unwrap();
        assert!(matches!(&absent, Standing::Absent(why) if why.contains("no container runs")));
        let (_thread, _) = broker(&path, vec![absent]);
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let dialer = Dialer::new(Some(path), Duration::from_secs(5));
        let error = dialer.connect(&target(address)).await.unwrap_err();
        assert!(
            matches!(&error, DialError::NoNamespace(why) if why.contains("no container runs")),
            "{error}"
        );
        let error = dialer.connect(&target(address)).await.unwrap_err();
        assert!(matches!(error, DialError::Refused(_)), "{error}");
        let error = Dialer::new(None, Duration::from_secs(5)).connect(&target(address)).await.unwrap_err();
        assert!(matches!(error, DialError::NoBroker), "{error}");
    }

    #[test]
    fn a_namespace_that_was_joined_and_is_missing_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut namespace = Namespace { runtime: dir.path().to_owned(), joined: Some((1, 2)) };
        assert!(matches!(namespace.standing().unwrap(), Standing::Gone));
    }
}
