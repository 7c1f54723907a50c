//! When backups are made by themselves, and when one is late.

use std::fmt;
use std::time::Duration;

use super::super::name::InvalidName;
use super::super::time::Timestamp;
use super::{Hold, Place, Retention};

const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// How often, and at what time of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Every so many hours, 1 to 12.
    Hours(u8),
    /// Every day at hour and minute.
    Daily(u8, u8),
    /// On a day of the week, 0 is Monday, at hour and minute.
    Weekly(u8, u8, u8),
}

/// When something is backed up by itself, where to, and what is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// When.
    pub when: When,
    /// Where to.
    pub place: Place,
    /// What is kept there.
    pub retention: Retention,
    /// Every so many days the newest one is restored to see whether it is good; none: never.
    pub check_days: Option<u16>,
    /// How what uses a volume is held; none: as usual, and for a database, which goes on.
    pub hold: Option<Hold>,
}

impl When {
    /// Takes `hourly`, `every 6 hours`, `daily 03:30`, `weekly sun 03:30`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let words: Vec<String> = text.split_whitespace().map(str::to_ascii_lowercase).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let when = match *words.as_slice() {
            ["hourly"] => Some(Self::Hours(1)),
            ["every", count, "hours" | "hour"] => {
                count.parse().ok().filter(|count| [1, 2, 3, 4, 6, 8, 12].contains(count)).map(Self::Hours)
            }
            ["daily"] => Some(Self::Daily(3, 0)),
            ["daily", at] => time(at).map(|(hour, minute)| Self::Daily(hour, minute)),
            ["weekly"] => Some(Self::Weekly(6, 3, 0)),
            ["weekly", day, at] => time(at).and_then(|(hour, minute)| {
                let day = DAYS.iter().position(|known| *known == day)?;
                Some(Self::Weekly(u8::try_from(day).ok()?, hour, minute))
            }),
            _ => None,
        };
        when.ok_or_else(|| {
            let rule =
                "write hourly, every 6 hours (1, 2, 3, 4, 6, 8 or 12), daily 03:30 or weekly sun 03:30";
            InvalidName::new("time of backups", text, rule)
        })
    }

    /// As systemd takes it for `OnCalendar=`.
    #[must_use]
    pub fn calendar(self) -> String {
        match self {
            Self::Hours(1) => "*-*-* *:00:00".to_owned(),
            Self::Hours(count) => format!("*-*-* 00/{count}:00:00"),
            Self::Daily(hour, minute) => format!("*-*-* {hour:02}:{minute:02}:00"),
            Self::Weekly(day, hour, minute) => {
                let day = DAYS.get(usize::from(day)).copied().unwrap_or("mon");
                format!("{day} *-*-* {hour:02}:{minute:02}:00")
            }
        }
    }

    /// How long it is from one to the next.
    #[must_use]
    pub fn period(self) -> Duration {
        match self {
            Self::Hours(count) => HOUR * u32::from(count),
            Self::Daily(..) => DAY,
            Self::Weekly(..) => DAY * 7,
        }
    }
}

impl Schedule {
    /// Every night, to the disk of this machine: 14 of them, checked once a week.
    #[must_use]
    pub fn usual() -> Self {
        let retention = Retention { count: std::num::NonZeroU32::new(14), days: None, bytes: None };
        Self { when: When::Daily(3, 0), place: Place::Disk, retention, check_days: Some(7), hold: None }
    }

    /// Whether there should have been a backup since the last good one, or since the schedule was made. A
    /// backup may take a while, and the change of the clocks an hour.
    #[must_use]
    pub fn is_late(&self, last: Timestamp, now: Timestamp) -> bool {
        let period = self.when.period();
        let grace = (period / 4).clamp(HOUR * 2, HOUR * 12);
        now.millis_since(last) > u64::try_from((period + grace).as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether it is time to restore one, to see whether it is good.
    #[must_use]
    pub fn wants_check(&self, last: Option<Timestamp>, now: Timestamp) -> bool {
        let Some(days) = self.check_days else { return false };
        let pause = u64::try_from((DAY * u32::from(days)).as_millis()).unwrap_or(u64::MAX);
        last.is_none_or(|last| now.millis_since(last) >= pause)
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Hours(1) => f.write_str("hourly"),
            Self::Hours(count) => write!(f, "every {count} hours"),
            Self::Daily(hour, minute) => write!(f, "daily {hour:02}:{minute:02}"),
            Self::Weekly(day, hour, minute) => {
                let day = DAYS.get(usize::from(day)).copied().unwrap_or("mon");
                write!(f, "weekly {day} {hour:02}:{minute:02}")
            }
        }
    }
}

fn time(text: &str) -> Option<(u8, u8)> {
    let (hour, minute) = text.split_once(':')?;
    let two = |digits: &str, below: u8| {
        let fine = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        digits.parse().ok().filter(|number: &u8| fine && *number < below)
    };
    Some((two(hour, 24)?, two(minute, 60)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_and_what_systemd_reads() {
        let check = |text: &str, expect: Option<(&str, &str)>| {
            let found = When::parse(text).ok().map(|when| (when.to_string(), when.calendar()));
            let found = found.as_ref().map(|(shown, calendar)| (shown.as_str(), calendar.as_str()));
            assert_eq!(found, expect, "{text}");
            if let Some((shown, _)) = found {
                assert_eq!(When::parse(shown).unwrap(), When::parse(text).unwrap());
            }
        };
        check("hourly", Some(("hourly", "*-*-* *:00:00")));
        check("every 6 hours", Some(("every 6 hours", "*-*-* 00/6:00:00")));
        check("daily", Some(("daily 03:00", "*-*-* 03:00:00")));
        check("Daily  23:59", Some(("daily 23:59", "*-*-* 23:59:00")));
        check("weekly sun 04:05", Some(("weekly sun 04:05", "sun *-*-* 04:05:00")));
        for wrong in [
            "",
            "daily 24:00",
            "daily 3:00",
            "daily 03:60",
            "every 5 hours",
            "weekly x 01:00",
            "daily +1:00",
            "monthly",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn late_and_due() {
        let hours = |hours: i64| Timestamp(1_700_000_000_000 + hours * 3_600_000);
        let at = |when: &str| Schedule { when: When::parse(when).unwrap(), ..Schedule::usual() };
        for (when, age, late) in [
            ("hourly", 3, false),
            ("hourly", 4, true),
            ("daily", 30, false),
            ("daily", 31, true),
            ("weekly", 179, false),
            ("weekly", 181, true),
        ] {
            assert_eq!(at(when).is_late(hours(0), hours(age)), late, "{when} {age}");
        }
        assert!(at("daily").wants_check(None, hours(0)));
        assert!(!at("daily").wants_check(Some(hours(0)), hours(167)));
        assert!(at("daily").wants_check(Some(hours(0)), hours(168)));
        assert!(!Schedule { check_days: None, ..Schedule::usual() }.wants_check(None, hours(0)));
    }
}
