//! What is counted: the requests of each app, their time and their bytes, and what happens to connections.
//!
//! A worker counts in shards of its own, so that no request waits for another's. Tallies outlive the tables that name
//! them. Nothing here knows how the numbers are shown.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

mod counts;

pub(super) use counts::micros;
pub use counts::{AppCounts, BUCKETS_MS, Counts};

/// Shards of one tally. Further workers share them, which is as right and a little slower.
const SHARDS: usize = 8;
/// How long what an app has counted is still told once no table names it: longer than anyone waits between two looks.
const KEPT: Duration = Duration::from_mins(15);
/// Where requests count that are no app's: of an unknown host, or malformed. No app can have this name.
pub const NOBODY: &str = "_none";

/// What one worker counts for one app.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard {
    statuses: [AtomicU64; counts::CLASSES],
    buckets: [AtomicU64; counts::BUCKETS],
    micros: AtomicU64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    in_flight: AtomicU64,
    retries: AtomicU64,
}

/// What is counted for one app.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// The name of the app; none for [`NOBODY`].
    label: Option<String>,
    /// Made with the first request that a worker counts: most apps of a large table sleep.
    shards: [OnceLock<Box<Shard>>; SHARDS],
}

/// A request that has ended, as it is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ended {
    /// None: the client left before there was one.
    pub(super) status: Option<StatusCode>,
    /// None for a tunnel, whose length says nothing about the app.
    pub(super) took: Option<Duration>,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
    pub(super) retries: u32,
}

impl Tally {
    /// The name of the app, if it is one's.
    pub(super) fn label(&self) -> Option<&str> {
        self.label.as_deref()
    }

    /// Counts a request as being answered.
    pub(super) fn enter(&self, worker: usize) {
        if let Some(shard) = self.shard(worker) {
            shard.in_flight.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Counts its end; on the worker that it entered at.
    pub(super) fn leave(&self, worker: usize, ended: Ended) {
        let Some(shard) = self.shard(worker) else { return };
        let Ended { status, took, bytes_in, bytes_out, retries } = ended;
        let class = status.map_or(0, |status| usize::from(status.as_u16() / 100));
        if let Some(count) = shard.statuses.get(class) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(took) = took {
            if let Some(count) = shard.buckets.get(counts::bucket(took)) {
                count.fetch_add(1, Ordering::Relaxed);
            }
            shard.micros.fetch_add(micros(took), Ordering::Relaxed);
        }
        shard.bytes_in.fetch_add(bytes_in, Ordering::Relaxed);
        shard.bytes_out.fetch_add(bytes_out, Ordering::Relaxed);
        if retries > 0 {
            shard.retries.fetch_add(retries.into(), Ordering::Relaxed);
        }
        shard.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    fn shard(&self, worker: usize) -> Option<&Shard> {
        self.shards.get(worker % SHARDS).map(|shard| &**shard.get_or_init(Box::default))
    }

    fn counts(&self) -> AppCounts {
        let mut sum = AppCounts::default();
        for shard in self.shards.iter().filter_map(OnceLock::get) {
            let Shard { statuses, buckets, micros, bytes_in, bytes_out, in_flight, retries } = &**shard;
            let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
            sum.add(&AppCounts {
                statuses: statuses.each_ref().map(read),
                buckets: buckets.each_ref().map(read),
                micros: read(micros),
                bytes_in: read(bytes_in),
                bytes_out: read(bytes_out),
                in_flight: read(in_flight),
                retries: read(retries),
            });
        }
        sum
    }
}

/// Everything that a proxy counts.
#[derive(Debug, Default)]
pub struct Metrics {
    tallies: Mutex<HashMap<String, Known>>,
    nobody: Arc<Tally>,
    connections: AtomicU64,
    turned_away: AtomicU64,
    handshakes: AtomicU64,
    failed_handshakes: AtomicU64,
    dropped_lines: AtomicU64,
}

/// A tally, and since when no table and no request names it.
#[derive(Debug)]
struct Known {
    tally: Arc<Tally>,
    alone_since: Option<Instant>,
}

impl Metrics {
    /// A connection was accepted.
    pub fn connected(&self) {
        self.connections.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection was closed at once: there were too many, in all or from one client.
    pub fn turned_away(&self) {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
    }

    /// A TLS handshake was finished.
    pub fn shook_hands(&self) {
        self.handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// A TLS handshake came to nothing.
    pub fn failed_to_shake_hands(&self) {
        self.failed_handshakes.fetch_add(1, Ordering::Relaxed);
    }

    /// Lines of the access log were given up.
    pub(super) fn dropped_lines(&self, lines: u64) {
        self.dropped_lines.fetch_add(lines, Ordering::Relaxed);
    }

    /// The tally of the app with this label, kept from table to table; without one it is [`NOBODY`]'s.
    pub(super) fn tally(&self, label: Option<String>) -> Arc<Tally> {
        let Some(label) = label else { return Arc::clone(&self.nobody) };
        let mut tallies = self.lock();
        if let Some(known) = tallies.get(&label) {
            return Arc::clone(&known.tally);
        }
        let tally = Arc::new(Tally { label: Some(label.clone()), ..Tally::default() });
        tallies.insert(label, Known { tally: Arc::clone(&tally), alone_since: None });
        tally
    }

    /// The tally of requests that are no app's.
    pub(super) fn nobody(&self) -> &Tally {
        &self.nobody
    }

    /// Forgets apps that were removed a while ago.
    pub(super) fn tidy(&self) {
        let now = Instant::now();
        self.lock().retain(|_, known| {
            if Arc::strong_count(&known.tally) > 1 {
                known.alone_since = None;
                return true;
            }
            now - *known.alone_since.get_or_insert(now) <= KEPT
        });
    }

    /// All that was counted up to now.
    pub(super) fn counts(&self) -> Counts {
        self.tidy();
        let mut apps: BTreeMap<String, AppCounts> =
            self.lock().iter().map(|(label, known)| (label.clone(), known.tally.counts())).collect();
        apps.insert(NOBODY.to_owned(), self.nobody.counts());
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Counts {
            apps,
            connections: read(&self.connections),
            turned_away: read(&self.turned_away),
            handshakes: read(&self.handshakes),
            failed_handshakes: read(&self.failed_handshakes),
            dropped_lines: read(&self.dropped_lines),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        // The map is whole between any two statements here, so a panic elsewhere does not spoil it.
        self.tallies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(status: u16, millis: u64) -> Ended {
        Ended {
            status: StatusCode::from_u16(status).ok(),
            took: Some(Duration::from_millis(millis)),
            bytes_in: 1,
            bytes_out: 10,
            retries: 2,
        }
    }

    #[test]
    fn what_workers_count_apart_is_told_as_one() {
        let metrics = Metrics::default();
        let tally = metrics.tally(Some("blog".to_owned()));
        for (worker, status, millis) in
            [(0, 200, 5), (1, 204, 6), (9, 404, 10_000), (0, 503, 10_001), (0, 0, 0)]
        {
            tally.enter(worker);
            tally.leave(worker, ended(status, millis));
        }
        tally.enter(3);
        tally.enter(4);
        tally.leave(4, Ended { status: Some(StatusCode::SWITCHING_PROTOCOLS), took: None, ..ended(0, 0) });
        let mut buckets = [0; counts::BUCKETS];
        for (at, count) in [(0, 2), (1, 1), (10, 1), (11, 1)] {
            buckets[at] = count;
        }
        let expect = AppCounts {
            statuses: [1, 1, 2, 0, 1, 1],
            buckets,
            micros: 20_012_000,
            bytes_in: 6,
            bytes_out: 60,
            in_flight: 1,
            retries: 12,
        };
        let counts = metrics.counts();
        assert_eq!(counts.apps["blog"], expect);
        assert_eq!(counts.apps[NOBODY], AppCounts::default());
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_is_remembered_over_tables_and_for_a_while_after_the_last() {
        let metrics = Metrics::default();
        let tally = metrics.tally(Some("blog".to_owned()));
        tally.enter(0);
        tally.leave(0, ended(200, 1));
        drop(tally);
        metrics.tidy();
        tokio::time::advance(KEPT).await;
        assert_eq!(metrics.counts().apps["blog"].statuses[2], 1);
        let again = metrics.tally(Some("blog".to_owned()));
        tokio::time::advance(KEPT).await;
        metrics.tidy();
        drop(again);
        metrics.tidy();
        tokio::time::advance(KEPT).await;
        assert!(metrics.counts().apps.contains_key("blog"), "its time begins when it is alone");
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!metrics.counts().apps.contains_key("blog"));
    }
}
