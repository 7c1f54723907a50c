//! What keeps the open door of webhooks from being overrun: a count for each peer, and a bound for the memory that
//! bodies take before anybody knows who sent them.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::super::error::ApiError;

/// What one peer may send: a provider tells of the pushes of many apps from few addresses.
const PER_PEER: Rate = Rate { burst: 1000.0, per_second: 50.0 };
/// How many refused requests are worth a row in the log, over all peers.
const REFUSALS: Rate = Rate { burst: 50.0, per_second: 1.0 };
/// How many peers are counted one by one; any more share one count.
const PEERS_MAX: usize = 10_000;
/// What the beginnings of all bodies together may take, in units of [`UNIT`]: most webhooks are no longer than that,
/// and whoever holds on to large ones does not keep them out.
const BEGINNINGS: usize = 24 * 1024;
/// The beginning of one body, in units of [`UNIT`].
const BEGINNING: usize = 512;
/// What all bodies together may take beyond their beginnings, in units of [`UNIT`].
const REST: usize = 40 * 1024;
/// One KiB.
const UNIT: usize = 1024;

/// Counts requests and the room they take. Clones share it.
#[derive(Clone)]
pub struct Desk {
    peers: Arc<Mutex<HashMap<IpAddr, Bucket>>>,
    refusals: Arc<Mutex<Bucket>>,
    beginnings: Arc<Semaphore>,
    rest: Arc<Semaphore>,
}

/// The room that one body has taken; given back when dropped.
pub struct Room {
    beginning: Share,
    rest: Share,
}

/// What is held of a room that all share.
struct Share {
    all: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

struct Rate {
    burst: f64,
    per_second: f64,
}

#[derive(Clone, Copy)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Desk {
    /// A desk at which nobody has been yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self {
            peers: Arc::default(),
            refusals: Arc::new(Mutex::new(Bucket::full(&REFUSALS, now))),
            beginnings: Arc::new(Semaphore::new(BEGINNINGS)),
            rest: Arc::new(Semaphore::new(REST)),
        }
    }

    /// Counts a request of the peer that the proxy names.
    pub(super) fn admit(&self, headers: &HeaderMap, now: Instant) -> Result<(), ApiError> {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, bucket| !bucket.is_full(&PER_PEER, now));
        }
        let mut peer = peer(headers);
        if peers.len() >= PEERS_MAX && !peers.contains_key(&peer) {
            peer = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        }
        if peers.entry(peer).or_insert_with(|| Bucket::full(&PER_PEER, now)).take(&PER_PEER, now) {
            return Ok(());
        }
        let message = "too many webhooks from this address at once: send it again later";
        Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many", message))
    }

    /// Whether one more refused request is written down.
    pub(super) fn notes_refusal(&self, now: Instant) -> bool {
        self.refusals.lock().unwrap_or_else(PoisonError::into_inner).take(&REFUSALS, now)
    }

    /// Room for one body.
    pub(super) fn room(&self) -> Room {
        let share = |all| Share { all: Arc::clone(all), held: None };
        Room { beginning: share(&self.beginnings), rest: share(&self.rest) }
    }
}

impl Room {
    /// Makes it large enough for this many bytes.
    pub(super) fn grow(&mut self, bytes: usize) -> Result<(), ApiError> {
        let units = bytes.div_ceil(UNIT);
        let grown =
            self.beginning.grow(units.min(BEGINNING)) && self.rest.grow(units.saturating_sub(BEGINNING));
        if grown {
            return Ok(());
        }
        let message = "too many large webhooks at once: send it again later";
        Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message))
    }
}

impl Share {
    /// Holds this much from now on, if there is as much.
    fn grow(&mut self, units: usize) -> bool {
        let held = self.held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
        let more = u32::try_from(units.saturating_sub(held)).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(&self.all).try_acquire_many_owned(more) else { return false };
        match &mut self.held {
            Some(held) => held.merge(permit),
            None => self.held = Some(permit),
        }
        true
    }
}

impl Bucket {
    fn full(rate: &Rate, now: Instant) -> Self {
        Self { left: rate.burst, at: now }
    }

    fn take(&mut self, rate: &Rate, now: Instant) -> bool {
        self.left = self.refilled(rate, now);
        self.at = now;
        let is_enough = self.left >= 1.0;
        if is_enough {
            self.left -= 1.0;
        }
        is_enough
    }

    fn is_full(&self, rate: &Rate, now: Instant) -> bool {
        self.refilled(rate, now) >= rate.burst
    }

    fn refilled(&self, rate: &Rate, now: Instant) -> f64 {
        let past = now.checked_duration_since(self.at).unwrap_or(Duration::ZERO);
        (self.left + past.as_secs_f64() * rate.per_second).min(rate.burst)
    }
}

/// The address that the proxy names, or this machine; of an IPv6 address the network, for each peer has all of it.
fn peer(headers: &HeaderMap) -> IpAddr {
    let named = headers.get("x-forwarded-for").and_then(|value| value.to_str().ok());
    match named.and_then(|text| text.trim().parse().ok()) {
        Some(IpAddr::V6(address)) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        Some(address) => address,
        None => IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(address: &str) -> HeaderMap {
        HeaderMap::from_iter([(http::HeaderName::from_static("x-forwarded-for"), address.parse().unwrap())])
    }

    fn times(desk: &Desk, headers: &HeaderMap, now: Instant) -> usize {
        (0..2000).take_while(|_| desk.admit(headers, now).is_ok()).count()
    }

    #[test]
    fn each_peer_has_its_count_and_it_comes_back() {
        let now = Instant::now();
        let desk = Desk::new(now);
        assert_eq!(times(&desk, &from("192.0.2.1"), now), 1000);
        assert_eq!(times(&desk, &from("192.0.2.1"), now + Duration::from_secs(2)), 100);
        assert_eq!(times(&desk, &from("192.0.2.2"), now), 1000);
        assert_eq!(times(&desk, &from("2001:db8::1"), now), 1000);
        assert_eq!(times(&desk, &from("2001:db8::2"), now), 0, "the same network");
        assert_eq!(times(&desk, &HeaderMap::new(), now), 1000);
        assert_eq!(times(&desk, &from("nonsense"), now), 0, "counts as this machine");
        let refused = desk.admit(&from("192.0.2.2"), now).unwrap_err();
        assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    }

    #[test]
    fn the_list_of_peers_is_bounded() {
        let now = Instant::now();
        let desk = Desk::new(now);
        for n in 0..20_000_u32 {
            let address = Ipv4Addr::from_bits(0x0a00_0000 + n).to_string();
            desk.admit(&from(&address), now).unwrap_or_default();
        }
        assert!(desk.peers.lock().unwrap().len() <= PEERS_MAX + 1);
        desk.admit(&from("192.0.2.1"), now + Duration::from_mins(1)).unwrap();
        assert_eq!(desk.peers.lock().unwrap().len(), 1, "those that rest are forgotten");
    }

    #[test]
    fn large_bodies_share_a_room_and_keep_no_small_one_out() {
        const LARGE: usize = 25 * 1024 * UNIT;
        let desk = Desk::new(Instant::now());
        let (mut one, mut two) = (desk.room(), desk.room());
        for kib in 1..=25 * 1024 {
            one.grow(kib * UNIT).unwrap();
        }
        let refused = two.grow(LARGE).unwrap_err();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        let small: Vec<Room> = std::iter::repeat_with(|| desk.room())
            .map_while(|mut room| room.grow(BEGINNING * UNIT).ok().map(|()| room))
            .collect();
        assert_eq!(small.len(), BEGINNINGS / BEGINNING - 2);
        drop((one, small));
        two.grow(LARGE).unwrap();
        drop(two);
        assert_eq!((desk.beginnings.available_permits(), desk.rest.available_permits()), (BEGINNINGS, REST));
    }

    #[test]
    fn refusals_that_are_written_down() {
        let now = Instant::now();
        let desk = Desk::new(now);
        assert_eq!((0..100).filter(|_| desk.notes_refusal(now)).count(), 50);
        assert!(desk.notes_refusal(now + Duration::from_secs(1)));
    }
}
