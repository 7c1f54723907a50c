//! The numbers as they are told: plain values that add up, over workers and over two proxies that overlap.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The longest time in each bucket, in milliseconds; what takes longer has a last bucket to itself.
pub const BUCKETS_MS: [u64; 11] = [5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
/// The buckets, with the last.
pub(super) const BUCKETS: usize = BUCKETS_MS.len() + 1;
/// Classes of status: of none, and from 1xx to 5xx.
pub(super) const CLASSES: usize = 6;

/// What a proxy has counted since it started.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Counts {
    /// For each app by its label, and under [`NOBODY`](super::NOBODY) for what is no app's.
    pub apps: BTreeMap<String, AppCounts>,
    /// Connections of clients that were accepted.
    pub connections: u64,
    /// Connections that were closed at once, for there were too many.
    pub turned_away: u64,
    /// TLS handshakes that were finished.
    pub handshakes: u64,
    /// TLS handshakes that came to nothing.
    pub failed_handshakes: u64,
    /// Lines of the access log that were given up.
    pub dropped_lines: u64,
}

impl Counts {
    /// Adds what another proxy has counted.
    pub fn add(&mut self, other: Self) {
        let Self { apps, connections, turned_away, handshakes, failed_handshakes, dropped_lines } = other;
        for (label, counts) in apps {
            self.apps.entry(label).or_default().add(&counts);
        }
        self.connections += connections;
        self.turned_away += turned_away;
        self.handshakes += handshakes;
        self.failed_handshakes += failed_handshakes;
        self.dropped_lines += dropped_lines;
    }
}

/// What was counted for one app.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AppCounts {
    /// Requests by the class of their status; the first are those whose clients left before there was one.
    pub statuses: [u64; CLASSES],
    /// Requests by the time they took, as in [`BUCKETS_MS`]; tunnels are not among them.
    pub buckets: [u64; BUCKETS],
    /// The time that all of those took, in microseconds.
    pub micros: u64,
    /// Bytes of requests' bodies, and of tunnels to the app.
    pub bytes_in: u64,
    /// Bytes of answers' bodies, and of tunnels from the app.
    pub bytes_out: u64,
    /// Requests and tunnels that have not ended.
    pub in_flight: u64,
    /// Requests that were sent once more, each time.
    pub retries: u64,
}

impl AppCounts {
    pub(super) fn add(&mut self, other: &Self) {
        let Self { statuses, buckets, micros, bytes_in, bytes_out, in_flight, retries } = other;
        let sum = |to: &mut [u64], of: &[u64]| to.iter_mut().zip(of).for_each(|(to, of)| *to += of);
        sum(&mut self.statuses, statuses);
        sum(&mut self.buckets, buckets);
        self.micros += micros;
        self.bytes_in += bytes_in;
        self.bytes_out += bytes_out;
        self.in_flight += in_flight;
        self.retries += retries;
    }

    /// Requests that have ended.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.statuses.iter().sum()
    }

    /// Requests that ended with a status of 500 or more.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.statuses.last().copied().unwrap_or(0)
    }

    /// The time within which so many of a hundred requests were answered, as near as the buckets tell; none: there
    /// were none. What is in the last bucket took at least as long as the end of the one before.
    #[must_use]
    pub fn percentile(&self, percent: u64) -> Option<Duration> {
        let total: u64 = self.buckets.iter().sum();
        let rank = total.checked_mul(percent)?.div_ceil(100).max(1);
        let (mut below, mut from) = (0, 0);
        for (count, to) in self.buckets.iter().zip(BUCKETS_MS) {
            if *count > 0 && below + count >= rank {
                // Within a bucket they are taken to be spread evenly.
                let micros = from * 1000 + (to - from) * 1000 * (rank - below) / count;
                return Some(Duration::from_micros(micros));
            }
            below += count;
            from = to;
        }
        (total > 0).then(|| Duration::from_millis(from))
    }
}

/// In which bucket a time counts.
pub(super) fn bucket(took: Duration) -> usize {
    let micros = micros(took);
    BUCKETS_MS.iter().position(|most| micros <= most * 1000).unwrap_or(BUCKETS - 1)
}

pub(in crate::proxy) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(buckets: &[(usize, u64)], percent: u64, expect: Option<u64>) {
        let mut counts = AppCounts::default();
        for (at, count) in buckets {
            counts.buckets[*at] = *count;
        }
        let got = counts.percentile(percent);
        assert_eq!(got, expect.map(Duration::from_micros), "{percent} of {buckets:?}");
    }

    #[test]
    fn percentiles() {
        check(&[], 50, None);
        check(&[(0, 100)], 50, Some(2500));
        check(&[(0, 100)], 99, Some(4950));
        check(&[(0, 50), (2, 50)], 50, Some(5000));
        check(&[(0, 50), (2, 50)], 99, Some(24_700));
        check(&[(3, 1)], 99, Some(50_000));
        check(&[(0, 1), (11, 1)], 99, Some(10_000_000));
    }

    #[test]
    fn the_counts_of_two_proxies_add_up() {
        let one = |label: &str, in_flight| {
            let app = AppCounts { in_flight, bytes_in: 3, ..AppCounts::default() };
            Counts { apps: BTreeMap::from([(label.to_owned(), app)]), connections: 2, ..Counts::default() }
        };
        let mut sum = one("blog", 1);
        sum.add(one("blog", 4));
        sum.add(one("shop", 7));
        assert_eq!(sum.connections, 6);
        assert_eq!((sum.apps["blog"].in_flight, sum.apps["blog"].bytes_in), (5, 6));
        assert_eq!(sum.apps["shop"].in_flight, 7);
        let told = serde_json::to_string(&sum).unwrap();
        assert_eq!(serde_json::from_str::<Counts>(&told).unwrap(), sum);
        assert_eq!(
            serde_json::from_str::<Counts>("{}").unwrap(),
            Counts::default(),
            "an older proxy says less"
        );
    }
}
