//! What the service manager hands over at start, and what it is told: listening sockets, readiness, signs of life.
//!
//! Outside a service there are no sockets and nobody to tell; then all of this does nothing.

use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use listenfd::ListenFd;
use sd_notify::NotifyState;
use thiserror::Error;

/// Why a socket that was handed over cannot be used.
#[derive(Debug, Error)]
pub enum ActivationError {
    /// It is neither a TCP nor a Unix stream listener.
    #[error("the socket {name:?} handed over by systemd is no TCP or Unix stream listener: {cause}")]
    Kind {
        /// Its `FileDescriptorName=`.
        name: String,
        /// What was found.
        cause: io::Error,
    },
    /// It could not be set up.
    #[error("the socket {name:?} handed over by systemd cannot be used: {cause}")]
    Setup {
        /// Its `FileDescriptorName=`.
        name: String,
        /// What the kernel said.
        cause: io::Error,
    },
}

/// The listening sockets of this process's socket units, by `FileDescriptorName=`.
#[derive(Debug, Default)]
pub struct Activated {
    unix: Vec<(String, UnixListener)>,
    tcp: Vec<(String, TcpListener)>,
}

/// Whether a port of this host, on all its addresses, belongs to nobody just now.
#[must_use]
pub fn port_is_free(port: u16) -> bool {
    let six = TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, port));
    match six {
        Ok(_free) => true,
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => false,
        // A host may have no IPv6 at all.
        Err(_) => TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).is_ok(),
    }
}

impl Activated {
    /// Takes over all of them, non-blocking and closed on exec. Call it once, before any thread is started:
    /// it takes them out of the environment, so that no child believes they are its own.
    pub fn take() -> Result<Self, ActivationError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the names are part of the hand-over, not configuration"
        )]
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut handed_over = ListenFd::from_env();
        let mut names = names.split(':');
        let mut activated = Self::default();
        for index in 0..handed_over.len() {
            let name = names.next().unwrap_or_default().to_owned();
            activated.add(&mut handed_over, index, name)?;
        }
        Ok(activated)
    }

    /// Whether nothing was handed over, or all of it has been taken.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unix.is_empty() && self.tcp.is_empty()
    }

    /// The Unix listener of this name, once.
    pub fn unix(&mut self, name: &str) -> Option<UnixListener> {
        let index = self.unix.iter().position(|(each, _)| each == name)?;
        Some(self.unix.swap_remove(index).1)
    }

    /// All TCP listeners of this name, once. With `ReusePort=` each must be accepted on at all times.
    pub fn tcp_all(&mut self, name: &str) -> Vec<TcpListener> {
        self.tcp.extract_if(.., |(each, _)| each == name).map(|(_, listener)| listener).collect()
    }

    fn add(&mut self, from: &mut ListenFd, index: usize, name: String) -> Result<(), ActivationError> {
        let listener = match from.take_tcp_listener(index) {
            Ok(listener) => listener.map(Listener::Tcp),
            Err(_not_tcp) => match from.take_unix_listener(index) {
                Ok(listener) => listener.map(Listener::Unix),
                Err(cause) => return Err(ActivationError::Kind { name, cause }),
            },
        };
        let made_ready = match &listener {
            Some(Listener::Tcp(tcp)) => tcp.set_nonblocking(true),
            Some(Listener::Unix(unix)) => unix.set_nonblocking(true),
            None => Ok(()),
        };
        if let Err(cause) = made_ready {
            return Err(ActivationError::Setup { name, cause });
        }
        match listener {
            Some(Listener::Tcp(tcp)) => self.tcp.push((name, tcp)),
            Some(Listener::Unix(unix)) => self.unix.push((name, unix)),
            None => {}
        }
        Ok(())
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// Tells the service manager how this process is doing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Notifier;

/// How the status of a service begins that has ended by itself; it stands until the next start.
pub const GAVE_UP: &str = "Gave up: ";

impl Notifier {
    /// It is up, and what it says of itself.
    pub fn ready(self, status: &str) {
        tell(&[NotifyState::Ready, NotifyState::Status(one_line(status))]);
    }

    /// What it is doing, for `systemctl status`.
    pub fn status(self, text: &str) {
        tell(&[NotifyState::Status(one_line(text))]);
    }

    /// It reads its configuration again; [`Self::ready`] says that this is done.
    pub fn reloading(self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "systemd was not told of the reload: no monotonic clock"),
        }
    }

    /// It ends for a reason that a person has to know.
    pub fn gave_up(self, why: &str) {
        self.status(&format!("{GAVE_UP}{why}"));
    }

    /// It is going down.
    pub fn stopping(self) {
        tell(&[NotifyState::Stopping]);
    }

    /// It lives.
    pub fn alive(self) {
        tell(&[NotifyState::Watchdog]);
    }

    /// How often [`Self::alive`] must be called at least; half of it is a good rhythm. `None`: not at all.
    #[must_use]
    pub fn watchdog(self) -> Option<Duration> {
        sd_notify::watchdog_enabled()
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        // Nobody above could do more about it than to go on.
        tracing::warn!(%error, "systemd could not be told how this service is doing");
    }
}

/// A line break would begin another assignment.
fn one_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(one_line("7 apps\nMAINPID=1"), "7 apps");
        assert_eq!(one_line(""), "");
    }
}
