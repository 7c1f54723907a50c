//! How many requests each target is serving, over all workers, and the wait until there are none.
//!
//! Gauges outlive the table that named them: a drained target is no longer in any table.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::metrics::Metrics;
use super::rules::Book;

/// How long a target that refused a connection is asked only where there is no other.
const REST: Duration = Duration::from_secs(1);
/// The same for one that keeps refusing: a dead target stops costing time.
const LONG_REST: Duration = Duration::from_secs(10);
/// Within this time a target keeps refusing if it does so three times.
const KEEPS: Duration = Duration::from_secs(10);

/// The counters of one target.
#[derive(Debug)]
pub(super) struct Gauge {
    key: String,
    epoch: Instant,
    in_flight: AtomicU64,
    served: AtomicU64,
    /// Milliseconds from `epoch` to the last end of a request, plus one; 0 is never.
    last_used: AtomicU64,
    /// Milliseconds from `epoch` to the end of its rest.
    rests_until: AtomicU64,
    /// It has said that it is not well.
    unwell: AtomicBool,
    /// When it refused the last two times, the earlier first.
    refused: Mutex<[Option<Instant>; 2]>,
    emptied: Notify,
    /// Tunnels to it should end.
    leaving: AtomicBool,
    sent_away: Notify,
}

impl Gauge {
    fn new(key: &str, epoch: Instant) -> Self {
        Self {
            key: key.to_owned(),
            epoch,
            in_flight: AtomicU64::new(0),
            served: AtomicU64::new(0),
            last_used: AtomicU64::new(0),
            rests_until: AtomicU64::new(0),
            unwell: AtomicBool::new(false),
            refused: Mutex::default(),
            emptied: Notify::new(),
            leaving: AtomicBool::new(false),
            sent_away: Notify::new(),
        }
    }

    /// Counts a request until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(Arc::clone(self))
    }

    /// How many requests it is serving.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// It did not take a request: others come first for a moment.
    pub(super) fn rest(&self) {
        self.rests_until.fetch_max(self.after(REST), Ordering::Relaxed);
    }

    /// It refused a connection: others come first, for longer if it keeps refusing. True when the longer rest begins;
    /// whoever is told looks after the target until it takes connections again.
    pub(super) fn refused(&self) -> bool {
        let now = Instant::now();
        // Each change is one statement, so a panic elsewhere does not spoil it.
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let [before_last, last] = *refused;
        *refused = [last, Some(now)];
        drop(refused);
        if before_last.is_none_or(|at| at + KEEPS < now) {
            self.rest();
            return false;
        }
        self.rests_until.swap(self.after(LONG_REST), Ordering::Relaxed) <= self.after(REST)
    }

    /// It still does not take connections.
    pub(super) fn rest_on(&self) {
        self.rests_until.fetch_max(self.after(LONG_REST), Ordering::Relaxed);
    }

    /// It takes connections: its rest is over.
    pub(super) fn wake(&self) {
        self.rests_until.store(0, Ordering::Relaxed);
    }

    /// It says that it is well, or not: others come first until it is. What it said before.
    pub(super) fn set_well(&self, well: bool) -> bool {
        !self.unwell.swap(!well, Ordering::Relaxed)
    }

    /// Milliseconds from `epoch` to what will be in so long.
    fn after(&self, wait: Duration) -> u64 {
        millis(self.epoch.elapsed() + wait)
    }

    /// Whether others come first.
    pub(super) fn is_resting(&self) -> bool {
        // Most never rest: the clock is read for those alone that did.
        let until = self.rests_until.load(Ordering::Relaxed);
        self.unwell.load(Ordering::Relaxed) || until > 0 && millis(self.epoch.elapsed()) < until
    }

    /// Resolves once tunnels to this target should end.
    pub(super) async fn left(&self) {
        let sent_away = self.sent_away.notified();
        tokio::pin!(sent_away);
        // From here on no notice is missed, so the mark may be read.
        sent_away.as_mut().enable();
        if !self.leaving.load(Ordering::SeqCst) {
            sent_away.await;
        }
    }

    fn leave(&self) {
        self.leaving.store(true, Ordering::SeqCst);
        self.sent_away.notify_waiters();
    }

    async fn empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // From here on no notice is missed, so the count may be read.
            emptied.as_mut().enable();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn usage(&self) -> Usage {
        let last_used = self.last_used.load(Ordering::Relaxed);
        let now = millis(self.epoch.elapsed());
        Usage {
            key: self.key.clone(),
            in_flight: self.in_flight.load(Ordering::SeqCst),
            served: self.served.load(Ordering::Relaxed),
            idle: (last_used > 0).then(|| Duration::from_millis(now.saturating_sub(last_used - 1))),
        }
    }
}

/// One request, or one tunnel, to a target.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Gauge>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let gauge = &self.0;
        gauge.served.fetch_add(1, Ordering::Relaxed);
        gauge.last_used.store(millis(gauge.epoch.elapsed()) + 1, Ordering::Relaxed);
        if gauge.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            gauge.emptied.notify_waiters();
        }
    }
}

/// What one target has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) key: String,
    pub(super) in_flight: u64,
    pub(super) served: u64,
    /// Since the last request ended; none if there was none.
    pub(super) idle: Option<Duration>,
}

/// What outlives a table: every gauge by the key of its target, and the rules that were checked. Asked when tables
/// change and over the link, never for a request.
#[derive(Debug)]
pub(super) struct Registry {
    /// What outlives a table as gauges do.
    pub(super) metrics: Arc<Metrics>,
    pub(super) book: Book,
    epoch: Instant,
    gauges: Mutex<HashMap<String, Arc<Gauge>>>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            metrics: Arc::default(),
            book: Book::default(),
            epoch: Instant::now(),
            gauges: Mutex::default(),
        }
    }
}

impl Registry {
    /// The gauge of `key`, kept from table to table; a target that is routed again is no longer leaving.
    pub(super) fn gauge(&self, key: &str) -> Arc<Gauge> {
        let mut gauges = self.lock();
        if let Some(known) = gauges.get(key) {
            known.leaving.store(false, Ordering::SeqCst);
            return Arc::clone(known);
        }
        let gauge = Arc::new(Gauge::new(key, self.epoch));
        gauges.insert(key.to_owned(), Arc::clone(&gauge));
        gauge
    }

    /// Tells tunnels to the target to end, waits until nothing is in flight or `limit` is over,
    /// and says how many are left.
    pub(super) async fn drain(&self, key: &str, limit: Duration) -> u64 {
        let Some(gauge) = self.lock().get(key).cloned() else { return 0 };
        gauge.leave();
        match tokio::time::timeout(limit, gauge.empty()).await {
            Ok(()) => 0,
            Err(_over) => gauge.in_flight.load(Ordering::SeqCst),
        }
    }

    /// Forgets the targets and rules that no table and no request names any more.
    pub(super) fn tidy(&self) {
        self.lock().retain(|_, gauge| Arc::strong_count(gauge) > 1);
        self.metrics.tidy();
        self.book.tidy();
    }

    /// What every known target has done.
    pub(super) fn usage(&self) -> Vec<Usage> {
        self.lock().values().map(|gauge| gauge.usage()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Gauge>>> {
        // The map is whole between any two statements here, so a panic elsewhere does not spoil it.
        self.gauges.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_the_last_request() {
        let registry = Registry::default();
        let gauge = registry.gauge("a");
        let (first, second) = (gauge.enter(), gauge.enter());
        let requests = async {
            drop(first);
            tokio::time::sleep(Duration::from_secs(2)).await;
            drop(second);
        };
        let begun = Instant::now();
        let (left, ()) = tokio::join!(registry.drain("a", Duration::from_secs(30)), requests);
        assert_eq!((left, begun.elapsed().as_secs()), (0, 2));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_its_limit_and_says_what_is_left() {
        let registry = Registry::default();
        let gauge = registry.gauge("a");
        let _request = gauge.enter();
        assert_eq!(registry.drain("a", Duration::from_secs(30)).await, 1);
        gauge.left().await;
        assert_eq!(registry.drain("unknown", Duration::from_secs(30)).await, 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_refused_rests_for_a_moment() {
        let gauge = Registry::default().gauge("a");
        assert!(!gauge.is_resting());
        gauge.rest();
        assert!(gauge.is_resting());
        tokio::time::sleep(REST).await;
        assert!(!gauge.is_resting());
    }

    #[tokio::test(start_paused = true)]
    async fn who_keeps_refusing_rests_until_it_is_woken() {
        let gauge = Registry::default().gauge("a");
        for _ in 0..3 {
            assert!(!gauge.refused());
            tokio::time::sleep(KEEPS).await;
            assert!(!gauge.is_resting(), "it refuses now and then");
        }
        tokio::time::sleep(KEEPS).await;
        let told: Vec<_> = (0..4).map(|_| gauge.refused()).collect();
        assert_eq!(told, [false, false, true, false], "one looks after it");
        tokio::time::sleep(LONG_REST / 2).await;
        assert!(gauge.is_resting());
        gauge.rest_on();
        tokio::time::sleep(LONG_REST / 2).await;
        assert!(gauge.is_resting());
        gauge.wake();
        assert!(!gauge.is_resting());
        gauge.rest_on();
        tokio::time::sleep(LONG_REST).await;
        assert!(!gauge.is_resting(), "no rest is for ever");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_unwell_rests_until_it_is_well() {
        let gauge = Registry::default().gauge("a");
        assert!(gauge.set_well(false) && gauge.is_resting());
        gauge.wake();
        tokio::time::sleep(LONG_REST).await;
        assert!(gauge.is_resting(), "it takes connections, and that is all");
        assert!(!gauge.set_well(true) && !gauge.is_resting());
    }

    #[tokio::test(start_paused = true)]
    async fn usage_is_counted_and_forgotten_with_the_last_holder() {
        let registry = Registry::default();
        let gauge = registry.gauge("a");
        drop(gauge.enter());
        tokio::time::sleep(Duration::from_secs(3)).await;
        let expected = Usage { key: "a".into(), in_flight: 0, served: 1, idle: Some(Duration::from_secs(3)) };
        registry.tidy();
        assert_eq!(registry.usage(), [expected]);
        drop(gauge);
        registry.tidy();
        assert_eq!(registry.usage(), []);
    }
}
