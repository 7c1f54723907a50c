//! Which backups go: by their number, their age and their size together.

use std::num::{NonZeroU32, NonZeroU64};

use super::super::time::Timestamp;
use super::BackupId;

const DAY: u64 = 24 * 60 * 60 * 1000;

/// What is kept. Each bound that is given holds; none at all: everything is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Retention {
    /// At most so many.
    pub count: Option<NonZeroU32>,
    /// None that is older than so many days.
    pub days: Option<NonZeroU32>,
    /// No more bytes than this, all files together.
    pub bytes: Option<NonZeroU64>,
}

/// A backup that is there, as far as this decision goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub id: BackupId,
    /// When it was finished.
    pub at: Timestamp,
    /// The length of its file, in bytes.
    pub bytes: u64,
    /// Whether it could be restored, if that was tried.
    pub verified: Option<bool>,
}

/// The backups of one subject at one place that go, oldest first. Whatever the bounds say, the newest that is not known
/// to be broken stays, and the newest that was restored to see whether it is good.
#[must_use]
pub fn expired(kept: &[Kept], retention: &Retention, now: Timestamp) -> Vec<BackupId> {
    let mut newest_first = kept.to_vec();
    newest_first.sort_by_key(|one| std::cmp::Reverse((one.at, one.id)));
    let good = newest_first.iter().find(|one| one.verified != Some(false)).map(|one| one.id);
    let verified = newest_first.iter().find(|one| one.verified == Some(true)).map(|one| one.id);
    let Retention { count, days, bytes } = *retention;
    let (mut left, mut size) = (0_u32, 0_u64);
    let mut gone = Vec::new();
    for one in &newest_first {
        let too_many = count.is_some_and(|count| left >= count.get());
        let too_old = days.is_some_and(|days| now.millis_since(one.at) > u64::from(days.get()) * DAY);
        let too_large = bytes.is_some_and(|bytes| size.saturating_add(one.bytes) > bytes.get());
        let stays = Some(one.id) == good || Some(one.id) == verified;
        if (too_many || too_old || too_large) && !stays {
            gone.push(one.id);
        } else {
            left += 1;
            size = size.saturating_add(one.bytes);
        }
    }
    gone.reverse();
    gone
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    /// Backups by their age in days, their size, and their verdict, newest first; their numbers count down to 1.
    fn check(kept: &[(u32, u64, Option<bool>)], bounds: (u32, u32, u64), expect: &[i64]) {
        let all: Vec<Kept> = kept
            .iter()
            .zip((1..=i64::try_from(kept.len()).unwrap()).rev())
            .map(|(&(age, bytes, verified), id)| {
                let at = Timestamp(NOW.0 - i64::from(age) * i64::try_from(DAY).unwrap());
                Kept { id: BackupId(id), at, bytes, verified }
            })
            .collect();
        let (count, days, bytes) = bounds;
        let retention = Retention {
            count: NonZeroU32::new(count),
            days: NonZeroU32::new(days),
            bytes: NonZeroU64::new(bytes),
        };
        let gone: Vec<i64> = expired(&all, &retention, NOW).into_iter().map(|id| id.0).collect();
        assert_eq!(gone, expect, "{kept:?} {bounds:?}");
    }

    #[test]
    fn by_count_age_and_size() {
        let three = [(0, 10, None), (1, 10, None), (2, 10, None)];
        check(&[], (1, 1, 1), &[]);
        check(&three, (0, 0, 0), &[]);
        check(&three, (2, 0, 0), &[1]);
        check(&three, (1, 0, 0), &[1, 2]);
        check(&three, (0, 1, 0), &[1]);
        check(&three, (0, 2, 0), &[]);
        check(&three, (0, 0, 20), &[1]);
        check(&three, (0, 0, 1), &[1, 2]);
        check(&three, (2, 1, 10), &[1, 2]);
        // A large one goes, a small older one has room.
        check(&[(0, 10, None), (1, 90, None), (2, 5, None)], (0, 0, 20), &[2]);
    }

    #[test]
    fn the_newest_good_one_stays() {
        check(&[(40, 10, None)], (1, 1, 1), &[]);
        check(&[(0, 10, Some(false)), (40, 10, None)], (1, 1, 1), &[2]);
        check(&[(0, 10, None), (1, 10, Some(true)), (2, 10, Some(true))], (1, 0, 0), &[1]);
        check(&[(0, 10, Some(false)), (1, 10, Some(false))], (1, 0, 0), &[1]);
    }

    proptest! {
        #[test]
        fn whatever_the_bounds_a_good_one_is_left(
            ages in prop::collection::vec((0..100_u32, 0..100_u64, any::<Option<bool>>()), 1..20),
            count in 0..5_u32, days in 0..50_u32, bytes in 0..200_u64,
        ) {
            let all: Vec<Kept> = (1..).zip(&ages).map(|(id, &(age, bytes, verified))| Kept {
                id: BackupId(id), at: Timestamp(NOW.0 - i64::from(age) * 86_400_000), bytes, verified,
            }).collect();
            let retention = Retention {
                count: NonZeroU32::new(count), days: NonZeroU32::new(days), bytes: NonZeroU64::new(bytes),
            };
            let gone = expired(&all, &retention, NOW);
            let left: Vec<Kept> = all.iter().copied().filter(|one| !gone.contains(&one.id)).collect();
            let good = |kept: &[Kept]| kept.iter().any(|one| one.verified != Some(false));
            prop_assert_eq!(good(&all), good(&left));
            prop_assert_eq!(expired(&left, &retention, NOW), vec![], "twice");
        }
    }
}
