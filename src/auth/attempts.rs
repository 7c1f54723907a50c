//! Who was wrong too often has to wait. In memory, and bounded.
//!
//! Failures are counted for an account at an address, for an account from everywhere, and for an address. What
//! strangers do never keeps somebody out who comes from where they have signed in before: there, only what was wrong
//! for this account at this address counts, and the wait is short.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::domain::time::Timestamp;

/// How often one may be wrong for an account at an address before a wait.
const FREE_HERE: u32 = 5;
/// How often everybody together may be wrong for an account.
const FREE_EVERYWHERE: u32 = 20;
/// How often one may be wrong at an address, whatever the account, within [`QUIET`].
const FREE_AT_ADDRESS: u32 = 20;
/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// The longest wait.
const LONGEST_WAIT: Duration = Duration::from_mins(15);
/// The longest wait where the account has signed in before.
const LONGEST_WAIT_KNOWN: Duration = Duration::from_secs(30);
/// After this time without a failure all is forgotten, for an address.
const QUIET: Duration = Duration::from_mins(10);
/// After this time without a failure all is forgotten, for an account.
const QUIET_ACCOUNT: Duration = Duration::from_mins(30);
/// Accounts and addresses that are told apart; whichever failed longest ago is forgotten first.
const ENTRIES_MAX: usize = 8192;

/// What was wrong lately.
pub(super) struct Attempts {
    keys: RandomState,
    failures: Mutex<HashMap<u64, Failures>>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
    quiet: Duration,
}

/// A try that counts as wrong until it turns out right.
#[must_use]
pub(super) struct Attempt {
    here: u64,
    others: Vec<u64>,
}

impl Attempts {
    pub(super) fn new() -> Self {
        Self { keys: RandomState::new(), failures: Mutex::new(HashMap::new()) }
    }

    /// Counts a try; refused with the time to wait if there were too many. `known`: the account has signed in from
    /// this address before.
    pub(super) fn begin(
        &self,
        account: &str,
        address: Option<IpAddr>,
        known: bool,
        now: Timestamp,
    ) -> Result<Attempt, Duration> {
        let address = address.map(network);
        let here = self.keys.hash_one((0, account, address));
        let everywhere = self.keys.hash_one((1, account));
        let at_address = address.map(|address| self.keys.hash_one((2, address)));
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = |key: u64| failures.get(&key).filter(|found| !found.forgotten(now)).copied();
        let longest = if known { LONGEST_WAIT_KNOWN } else { LONGEST_WAIT };
        let mut wait = count(here).map_or(Duration::ZERO, |found| found.growing(FREE_HERE, longest, now));
        if !known {
            let all = count(everywhere).map(|found| found.growing(FREE_EVERYWHERE, LONGEST_WAIT, now));
            let there = at_address.and_then(count).map(|found| found.until_quiet(FREE_AT_ADDRESS, now));
            wait = wait.max(all.unwrap_or_default()).max(there.unwrap_or_default());
        }
        if wait > Duration::ZERO {
            return Err(wait);
        }
        // Before the password is looked at: else all that come at once would have a free try.
        let others: Vec<u64> = [Some(everywhere), at_address].into_iter().flatten().collect();
        make_room(&mut failures, now);
        for (key, quiet) in std::iter::once((here, QUIET_ACCOUNT))
            .chain(others.iter().map(|key| (*key, if *key == everywhere { QUIET_ACCOUNT } else { QUIET })))
        {
            let fresh = Failures { count: 0, last: now, quiet };
            let entry = failures.entry(key).or_insert(fresh);
            if entry.forgotten(now) {
                *entry = fresh;
            }
            entry.count = entry.count.saturating_add(1);
            entry.last = now;
        }
        Ok(Attempt { here, others })
    }

    /// Takes a try back that was right.
    pub(super) fn was_right(&self, attempt: &Attempt) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.remove(&attempt.here);
        for key in &attempt.others {
            if let Some(entry) = failures.get_mut(key) {
                entry.count = entry.count.saturating_sub(1);
            }
        }
    }
}

impl Failures {
    fn forgotten(&self, now: Timestamp) -> bool {
        self.last.after(self.quiet) <= now
    }

    /// A wait that doubles with each failure beyond the free ones.
    fn growing(&self, free: u32, longest: Duration, now: Timestamp) -> Duration {
        let Some(beyond) = self.count.checked_sub(free) else { return Duration::ZERO };
        let wait =
            FIRST_WAIT.saturating_mul(1_u32.checked_shl(beyond.min(20)).unwrap_or(u32::MAX)).min(longest);
        left(self.last.after(wait), now)
    }

    /// A wait until the failures are forgotten.
    fn until_quiet(&self, free: u32, now: Timestamp) -> Duration {
        if self.count < free { Duration::ZERO } else { left(self.last.after(self.quiet), now) }
    }
}

fn left(until: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(until.millis_since(now)).min(LONGEST_WAIT)
}

fn make_room(failures: &mut HashMap<u64, Failures>, now: Timestamp) {
    if failures.len() + 3 <= ENTRIES_MAX {
        return;
    }
    failures.retain(|_, found| !found.forgotten(now));
    while failures.len() + 3 > ENTRIES_MAX {
        let oldest = failures.iter().min_by_key(|(_, found)| found.last).map(|(key, _)| *key);
        let Some(oldest) = oldest else { return };
        failures.remove(&oldest);
    }
}

/// What one subscriber has: an address, or a network of IPv6.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::from(u64::MAX) << 64)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn later(seconds: u64) -> Timestamp {
        NOW.after(Duration::from_secs(seconds))
    }

    #[expect(clippy::unnecessary_wraps, reason = "it is handed on as it is")]
    fn address(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    /// Fails until it is refused; how often that went, and the wait.
    fn until_refused(attempts: &Attempts, account: &str, at: Option<IpAddr>, known: bool) -> (u32, Duration) {
        for tries in 0..1000 {
            if let Err(wait) = attempts.begin(account, at, known, NOW) {
                return (tries, wait);
            }
        }
        panic!("never refused");
    }

    #[test]
    fn the_wait_grows_and_ends() {
        let attempts = Attempts::new();
        assert_eq!(until_refused(&attempts, "ada", address(1), false), (5, Duration::from_secs(5)));
        let mut at = 0;
        for wait in [5, 10, 20, 40, 80, 160, 320, 640, 900, 900] {
            assert!(attempts.begin("ada", address(1), false, later(at + wait - 1)).is_err(), "{wait}");
            at += wait;
            assert!(attempts.begin("ada", address(1), false, later(at)).is_ok(), "{wait}");
        }
        assert!(attempts.begin("ada", address(1), false, later(at + 1800)).is_ok());
        assert!(attempts.begin("ada", address(1), false, later(at + 1800)).is_ok(), "it was forgotten");
    }

    #[test]
    fn a_clock_that_goes_back_keeps_nobody_out_for_long() {
        let attempts = Attempts::new();
        until_refused(&attempts, "ada", address(1), false);
        let before = Timestamp(NOW.0 - 86_400_000);
        let wait = attempts.begin("ada", address(1), false, before).err().unwrap();
        assert!(wait <= LONGEST_WAIT, "{wait:?}");
    }

    #[test]
    fn what_was_right_is_taken_back() {
        let attempts = Attempts::new();
        for _ in 0..100 {
            let attempt = attempts.begin("ada", address(1), false, NOW).unwrap();
            attempts.was_right(&attempt);
        }
    }

    #[test]
    fn strangers_keep_nobody_out_who_was_there_before() {
        let attempts = Attempts::new();
        for last in 1..=4 {
            assert_eq!(until_refused(&attempts, "ada", address(last), false).0, 5);
        }
        assert!(attempts.begin("ada", address(9), false, NOW).is_err(), "the account has too many failures");
        assert!(attempts.begin("bob", address(9), false, NOW).is_ok(), "another account has none");
        let attempt = attempts.begin("ada", address(9), true, NOW).unwrap();
        attempts.was_right(&attempt);
        // And where they were before, wrong tries of others make them wait no longer than half a minute.
        for at in 0..40 {
            let _tried = attempts.begin("ada", address(1), true, later(at));
        }
        assert!(attempts.begin("ada", address(1), true, later(70)).is_ok());
    }

    #[test]
    fn one_address_cannot_try_one_account_after_the_other() {
        let attempts = Attempts::new();
        for tries in 0..20 {
            assert!(attempts.begin(&format!("user{tries}"), address(1), false, NOW).is_ok(), "{tries}");
        }
        assert!(attempts.begin("another", address(1), false, NOW).is_err());
        assert!(attempts.begin("another", address(2), false, NOW).is_ok());
        assert!(attempts.begin("regular", address(1), true, NOW).is_ok(), "who was there before is let in");
        assert!(attempts.begin("another", address(1), false, later(600)).is_ok());
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let attempts = Attempts::new();
        let of = |host: u128| Some(IpAddr::V6(Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) + host)));
        for host in 0..5 {
            assert!(attempts.begin("ada", of(host), false, NOW).is_ok());
        }
        assert!(attempts.begin("ada", of(77), false, NOW).is_err());
        assert_eq!(network("::ffff:192.0.2.1".parse().unwrap()), address(1).unwrap());
    }

    #[test]
    fn it_takes_no_more_memory_than_it_may() {
        let attempts = Attempts::new();
        for number in 0..4000_u32 {
            let at = Some(IpAddr::from(number.to_be_bytes()));
            assert!(attempts.begin(&format!("user{number}"), at, false, later(number.into())).is_ok());
        }
        assert!(attempts.failures.lock().unwrap().len() <= ENTRIES_MAX);
    }
}
