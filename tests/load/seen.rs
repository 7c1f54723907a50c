//! What was seen: every request with its time and what it took, and why those failed that did.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// One request.
struct Sample {
    protocol: &'static str,
    /// When it was due, since 1970.
    at: Duration,
    took: Duration,
}

/// Requests, and what became of them.
#[derive(Default)]
pub struct Seen {
    samples: Vec<Sample>,
    failures: BTreeMap<String, u64>,
}

/// A named stretch of time since 1970.
pub struct Window {
    name: String,
    from: Duration,
    to: Duration,
}

impl Window {
    /// Reads `NAME FROM TO`, in milliseconds.
    pub fn parse(line: &str) -> Self {
        let mut words = line.split_whitespace();
        let name = words.next().expect("a window has a name").to_owned();
        let mut millis = || {
            let word = words.next().and_then(|word| word.parse().ok());
            Duration::from_millis(word.expect("a window has two times in milliseconds"))
        };
        Self { name, from: millis(), to: millis() }
    }

    /// Whether a request was under way in it.
    fn has(&self, sample: &Sample) -> bool {
        sample.at <= self.to && sample.at + sample.took >= self.from
    }
}

impl Seen {
    /// Adds a request that was due then and is answered now, or has failed.
    pub fn add(&mut self, protocol: &'static str, due: Instant, answer: Result<(), String>) {
        let took = due.elapsed();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970");
        self.samples.push(Sample { protocol, at: now.saturating_sub(took), took });
        if let Err(why) = answer {
            *self.failures.entry(format!("{protocol}: {why}")).or_default() += 1;
        }
    }

    /// Both together.
    pub fn and(mut self, other: Self) -> Self {
        self.samples.extend(other.samples);
        for (why, times) in other.failures {
            *self.failures.entry(why).or_default() += times;
        }
        self
    }

    /// All of it, and of each name of a window the times of the requests that met one of them.
    pub fn to_json(&self, windows: &[Window]) -> Value {
        let mut named: BTreeMap<&str, Vec<&Window>> = BTreeMap::new();
        for window in windows {
            named.entry(&window.name).or_default().push(window);
        }
        let shown = named.into_iter().map(|(name, windows)| {
            let met = |sample: &&Sample| windows.iter().any(|window| window.has(sample));
            (name.to_owned(), times(self.samples.iter().filter(met)))
        });
        json!({
            "requests": self.samples.len(),
            "failed": self.failures.values().sum::<u64>(),
            "failures": self.failures,
            "times": times(self.samples.iter()),
            "windows": shown.collect::<serde_json::Map<_, _>>(),
        })
    }
}

/// How many there are and what they took, in all and by protocol.
fn times<'a>(samples: impl Iterator<Item = &'a Sample>) -> Value {
    let mut of: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for sample in samples {
        of.entry("all").or_default().push(sample.took);
        of.entry(sample.protocol).or_default().push(sample.took);
    }
    of.into_iter()
        .map(|(name, took)| (name.to_owned(), spread(took)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn spread(mut took: Vec<Duration>) -> Value {
    took.sort_unstable();
    let within = |share: usize| took.get((took.len() * share).div_ceil(100) - 1).map(millis);
    json!({ "count": took.len(), "p50_ms": within(50), "p99_ms": within(99), "most_ms": within(100) })
}

fn millis(took: &Duration) -> f64 {
    (took.as_secs_f64() * 1e5).round() / 100.0
}
