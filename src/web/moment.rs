//! Moments and spans as people read them: how long ago, how long it took.

use std::hash::{Hash, Hasher};

use crate::api::wire;
use crate::domain::time::Timestamp;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment, exactly and in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    /// As programs read it (RFC 3339, UTC).
    pub exact: String,
    /// How long ago it was.
    pub ago: String,
}

/// What it is called changes while it stays the same.
impl Hash for Moment {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.exact.hash(hasher);
    }
}

impl Moment {
    /// The day of a moment.
    pub fn day(at: Timestamp) -> String {
        wire::time(at).split('T').next().unwrap_or_default().to_owned()
    }

    /// How a moment is seen from now.
    pub fn of(at: Timestamp, now: Timestamp) -> Self {
        let exact = wire::time(at);
        let passed = now.millis_since(at);
        let ago = match passed {
            0..MINUTE => "just now".to_owned(),
            MINUTE..HOUR => format!("{} min ago", passed / MINUTE),
            HOUR..DAY => format!("{} h ago", passed / HOUR),
            DAY.. if passed < 2 * DAY => "yesterday".to_owned(),
            DAY.. if passed < 30 * DAY => format!("{} days ago", passed / DAY),
            DAY.. => exact.split('T').next().unwrap_or_default().to_owned(),
        };
        Self { exact, ago }
    }
}

/// A span of milliseconds in words.
pub(super) fn took(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{} s", millis / SECOND, millis % SECOND / 100),
        10_000..MINUTE => format!("{} s", millis / SECOND),
        MINUTE..HOUR => format!("{} min {} s", millis / MINUTE, millis % MINUTE / SECOND),
        HOUR.. => format!("{} h {} min", millis / HOUR, millis % HOUR / MINUTE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_spans() {
        let now = Timestamp(1_700_000_000_000);
        let check = |millis: u64, expect: &str| {
            let at = Timestamp(now.0 - i64::try_from(millis).unwrap());
            assert_eq!(Moment::of(at, now).ago, expect);
        };
        check(0, "just now");
        check(59_999, "just now");
        check(MINUTE, "1 min ago");
        check(3 * HOUR + 5, "3 h ago");
        check(DAY, "yesterday");
        check(3 * DAY, "3 days ago");
        check(40 * DAY, "2023-10-05");
        assert_eq!(Moment::of(Timestamp(now.0 + 5), now).ago, "just now");
        for (millis, expect) in [(0, "0.0 s"), (9_940, "9.9 s"), (42_000, "42 s"), (125_000, "2 min 5 s")] {
            assert_eq!(took(millis), expect);
        }
        assert_eq!(took(2 * HOUR + 3 * MINUTE), "2 h 3 min");
    }
}
