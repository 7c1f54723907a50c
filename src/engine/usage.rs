//! What containers use of the machine, and what they may use. The kernel counts processor time from the beginning of a
//! unit, so how much is used now takes two looks: the last one is remembered.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Engine;
use crate::host::cgroup::{self, InUse};
use crate::host::systemd::UnitStatus;

pub use crate::host::cgroup::Bound;

/// Looks that are closer to each other say nothing more than the last one did.
const LEAST: Duration = Duration::from_millis(500);
/// A look that is older says nothing of now.
const MOST: Duration = Duration::from_mins(1);
/// How far apart two looks are where nobody has looked before.
pub(super) const MEASURED: Duration = Duration::from_millis(100);

/// What a container uses now, and what it may use; none: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// The most of it.
    pub memory_limit: Option<Bound>,
    /// Processor time, in percent of one processor.
    pub cpu: Option<u64>,
    /// The most of it.
    pub cpu_limit: Option<Bound>,
}

/// What was seen at the last look, by unit.
#[derive(Default)]
pub(super) struct Looks(Mutex<HashMap<String, Look>>);

#[derive(Debug, Clone, Copy)]
struct Look {
    at: Instant,
    cpu: Duration,
    /// What was used before it.
    percent: Option<u64>,
}

impl Engine {
    /// What a unit uses; nothing is known of one that is down.
    pub(super) fn usage_of(&self, unit: &UnitStatus) -> Usage {
        let Some(cgroup) = unit.control_group.as_deref() else { return Usage::default() };
        let found = cgroup::in_use(cgroup)
            .inspect_err(|error| tracing::debug!(unit = unit.unit, %error, "what it uses is not known"));
        let InUse { memory, memory_limit, cpu, cpu_limit } = found.unwrap_or_default();
        let cpu = cpu.and_then(|cpu| self.0.looks.look(&unit.unit, Instant::now(), cpu));
        Usage { memory, memory_limit, cpu, cpu_limit }
    }
}

impl Looks {
    /// What a unit uses now, that has used `cpu` since its beginning.
    fn look(&self, unit: &str, now: Instant, cpu: Duration) -> Option<u64> {
        // What it holds is whole after any panic: a look is put in at once.
        let mut looks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        looks.retain(|_, look| now.saturating_duration_since(look.at) <= MOST);
        let last = looks.get(unit).copied();
        let passed = last.map(|last| now.saturating_duration_since(last.at));
        // Two looks right after each other: only the first of all may have been too early to say something.
        if let Some((last, passed)) = last.zip(passed)
            && passed < LEAST
            && (last.percent.is_some() || passed < MEASURED)
        {
            return last.percent;
        }
        let percent = last.zip(passed).and_then(|(last, passed)| percent(cpu.checked_sub(last.cpu)?, passed));
        looks.insert(unit.to_owned(), Look { at: now, cpu, percent });
        percent
    }
}

fn percent(used: Duration, passed: Duration) -> Option<u64> {
    let percent = used.as_micros().checked_mul(100)?.checked_div(passed.as_micros())?;
    u64::try_from(percent).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_looks_say_how_much_is_used_between_them() {
        let looks = Looks::default();
        let start = Instant::now();
        let look = |at: u64, cpu: u64| {
            looks.look("a.service", start + Duration::from_millis(at), Duration::from_millis(cpu))
        };
        assert_eq!(look(0, 5_000), None, "one look says nothing");
        assert_eq!(look(50, 5_050), None, "too early");
        assert_eq!(look(100, 5_050), Some(50));
        assert_eq!(look(200, 9_999), Some(50), "right after the last one");
        assert_eq!(look(1_100, 6_550), Some(150));
        assert_eq!(look(2_100, 6_550), Some(0));
        assert_eq!(look(3_100, 10), None, "it was started anew");
        assert_eq!(look(4_100, 110), Some(10));
        assert_eq!(look(90_000, 9_000), None, "too long ago");
        assert_eq!(looks.look("b.service", start + Duration::from_secs(90), Duration::ZERO), None);
    }
}
