//! Who may open another connection: so many in all, and so many from one address. Asked once a connection.
//! And who may shake hands for TLS once more, which costs a signature.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::time::Instant;

use super::limits::HANDSHAKES_PER_SECOND;

/// Descriptors that one client's connection may need: its own, and one to a target.
const DESCRIPTORS_EACH: u64 = 2;

/// Counts connections.
#[derive(Debug)]
pub(super) struct Doorkeeper {
    total_limit: u64,
    client_limit: u32,
    total: AtomicU64,
    clients: Mutex<HashMap<IpAddr, u32>>,
    greeted: Mutex<Greeted>,
}

/// Who has shaken hands how often since the second began.
#[derive(Debug)]
struct Greeted {
    since: Instant,
    clients: HashMap<IpAddr, u32>,
}

impl Doorkeeper {
    /// Takes all the descriptors this process may have, and keeps a tenth of them for other things than clients.
    pub(super) fn new(client_limit: u32) -> Arc<Self> {
        let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
        // systemd starts services with 1,024 of half a million, for the sake of programs that use select.
        let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
        let descriptors = if raised.is_ok() { maximum } else { current }.unwrap_or(u64::MAX);
        Self::with(descriptors / 10 * 9 / DESCRIPTORS_EACH, client_limit)
    }

    fn with(total_limit: u64, client_limit: u32) -> Arc<Self> {
        let greeted = Greeted { since: Instant::now(), clients: HashMap::new() };
        Arc::new(Self {
            total_limit,
            client_limit,
            total: AtomicU64::new(0),
            clients: Mutex::default(),
            greeted: Mutex::new(greeted),
        })
    }

    /// Counts a connection until the guard is dropped, or says no; one of nobody counts in all alone.
    pub(super) fn admit(self: &Arc<Self>, peer: Option<IpAddr>) -> Option<Admission> {
        if self.total.fetch_add(1, Ordering::Relaxed) >= self.total_limit {
            self.total.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let admission = Admission { door: Arc::clone(self), client: peer.and_then(network) };
        let Some(client) = admission.client else { return Some(admission) };
        let count = {
            let mut clients = self.lock();
            let count = clients.entry(client).or_insert(0);
            *count += 1;
            *count
        };
        (count <= self.client_limit).then_some(admission)
    }

    /// Whether a client may shake hands now.
    pub(super) fn may_greet(&self, peer: IpAddr) -> bool {
        let Some(client) = network(peer) else { return true };
        let mut greeted = self.greeted.lock().unwrap_or_else(PoisonError::into_inner);
        if greeted.since.elapsed() >= Duration::from_secs(1) {
            // Also gives back what a flood from many addresses has taken.
            *greeted = Greeted { since: Instant::now(), clients: HashMap::new() };
        }
        let count = greeted.clients.entry(client).or_insert(0);
        *count = count.saturating_add(1);
        *count <= HANDSHAKES_PER_SECOND
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, u32>> {
        // Each change is one statement, so a panic elsewhere does not spoil it.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A counted connection.
#[derive(Debug)]
pub(super) struct Admission {
    door: Arc<Doorkeeper>,
    /// None for the machine itself and for proxies that speak for others.
    client: Option<IpAddr>,
}

impl Drop for Admission {
    fn drop(&mut self) {
        self.door.total.fetch_sub(1, Ordering::Relaxed);
        let Some(client) = self.client else { return };
        let mut clients = self.door.lock();
        if let Some(count) = clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                clients.remove(&client);
            }
        }
    }
}

/// What counts as one client: an address, or the /64 that one household gets of IPv6.
pub(super) fn network(peer: IpAddr) -> Option<IpAddr> {
    match peer.to_canonical() {
        own if own.is_loopback() => None,
        IpAddr::V4(address) => Some(address.into()),
        IpAddr::V6(address) => {
            let prefix = u128::from(address) & !u128::from(u64::MAX);
            Some(IpAddr::V6(prefix.into()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(door: &Arc<Doorkeeper>, peers: &[&str], admitted: usize) {
        let held: Vec<_> = peers.iter().filter_map(|peer| door.admit(Some(peer.parse().unwrap()))).collect();
        assert_eq!(held.len(), admitted, "{peers:?}");
    }

    #[test]
    fn so_many_from_one_client_and_in_all() {
        let door = Doorkeeper::with(4, 2);
        // Each line begins anew: what the line before held is free again.
        check(&door, &["192.0.2.1", "192.0.2.1", "192.0.2.1"], 2);
        check(&door, &["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "192.0.2.2"], 3);
        check(&door, &["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1"], 3);
        check(&door, &["127.0.0.1"; 5], 4);
        let of_nobody: Vec<_> = (0..5).filter_map(|_| door.admit(None)).collect();
        assert_eq!(of_nobody.len(), 4);
        drop(of_nobody);
        check(&door, &["192.0.2.1", "192.0.2.1"], 2);
        assert!(door.lock().is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn so_many_handshakes_a_second() {
        let door = Doorkeeper::with(4, 2);
        let greet = |peer: &str, times| (0..times).filter(|_| door.may_greet(peer.parse().unwrap())).count();
        for _second in 0..2 {
            assert_eq!(greet("192.0.2.1", 300), 200);
            assert_eq!(greet("::ffff:192.0.2.1", 1), 0, "it is the same client");
            assert_eq!((greet("192.0.2.2", 1), greet("127.0.0.1", 300)), (1, 300));
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
