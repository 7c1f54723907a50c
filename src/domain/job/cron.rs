//! Cron's five fields as calendar expressions of systemd.
//!
//! Cron runs a job when the day of the month *or* the day of the week is right, if both are said, and when both are
//! right if one of them begins with `*`. The first takes two calendar expressions, the second one.

use std::collections::BTreeSet;

/// A field: its name, its smallest and largest number, and names for some of them.
struct Field {
    range: (u8, u8),
    names: &'static [&'static str],
    /// The number of the first name.
    first: u8,
    wrong: &'static str,
}

const MINUTE: Field = Field {
    range: (0, 59),
    names: &[],
    first: 0,
    wrong: "the first field is minutes: 0 to 59, lists 1,2, ranges 1-5, steps */5 or *",
};
const HOUR: Field = Field {
    range: (0, 23),
    names: &[],
    first: 0,
    wrong: "the second field is hours: 0 to 23, lists 1,2, ranges 1-5, steps */5 or *",
};
const DAY: Field = Field {
    range: (1, 31),
    names: &[],
    first: 0,
    wrong: "the third field is days of the month: 1 to 31, lists 1,2, ranges 1-5, steps */5 or *; L and W cannot be said, \
            but *-*~01 is the last day of a month for systemd",
};
const MONTH: Field = Field {
    range: (1, 12),
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
    first: 1,
    wrong: "the fourth field is months: 1 to 12 or jan to dec, lists 1,2, ranges 1-5, steps */5 or *",
};
const WEEKDAY: Field = Field {
    range: (0, 7),
    names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"],
    first: 0,
    wrong: "the fifth field is days of the week: 0 to 7 or sun to sat, lists 1,2, ranges 1-5, steps */5 or *; L and # \
            cannot be said",
};

const SECONDS: &str = "cron's fields are five: minute, hour, day of the month, month, day of the week; for seconds write a \
                       calendar expression of systemd, such as *:*:0/10";
const NO_SUCH_DAY: &str = "these months have no such day, so it would never run";

/// The days of the week as systemd names them, from Monday.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// What stands in one field.
struct Said {
    numbers: BTreeSet<u8>,
    /// It begins with `*`, which is how cron tells that it is not said.
    star: bool,
}

/// The calendar of a nickname, without its `@`.
pub(super) fn nickname(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "yearly" | "annually" => Some("*-01-01 00:00:00"),
        "monthly" => Some("*-*-01 00:00:00"),
        "weekly" => Some("Sun *-*-* 00:00:00"),
        "daily" | "midnight" => Some("*-*-* 00:00:00"),
        "hourly" => Some("*-*-* *:00:00"),
        _ => None,
    }
}

/// Whether more than five fields are meant for a cron that has more.
pub(super) fn looks_like_one(text: &str) -> bool {
    text.split(' ').all(|field| !field.contains([':', '~', '.']))
}

/// The calendars of five fields, or what is wrong with them.
pub(super) fn calendars(text: &str) -> Result<Vec<String>, &'static str> {
    let fields: Vec<&str> = text.split(' ').collect();
    let [minute, hour, day, month, weekday] = fields.as_slice() else { return Err(SECONDS) };
    let (minute, hour) = (read(minute, &MINUTE)?, read(hour, &HOUR)?);
    let (day, month, weekday) = (read(day, &DAY)?, read(month, &MONTH)?, read(weekday, &WEEKDAY)?);
    let time = format!("{}:{}:00", numbers(&hour, &HOUR), numbers(&minute, &MINUTE));
    let months = numbers(&month, &MONTH);
    let by_day = format!("*-{months}-{} {time}", numbers(&day, &DAY));
    let day_exists = exists(&day.numbers, &month.numbers);
    let Some(days) = weekdays(&weekday.numbers) else {
        // Every day of the week: where that is said by name, cron asks for either, which is always.
        let either = !weekday.star && !day.star;
        if !either && !day_exists {
            return Err(NO_SUCH_DAY);
        }
        return Ok(vec![if either { format!("*-{months}-* {time}") } else { by_day }]);
    };
    if day.star || weekday.star {
        return if day_exists { Ok(vec![format!("{days} {by_day}")]) } else { Err(NO_SUCH_DAY) };
    }
    let by_weekday = format!("{days} *-{months}-* {time}");
    Ok(if day_exists { vec![by_day, by_weekday] } else { vec![by_weekday] })
}

fn read(text: &str, field: &Field) -> Result<Said, &'static str> {
    let mut numbers = BTreeSet::new();
    for item in text.split(',') {
        numbers.extend(items(item, field).ok_or(field.wrong)?);
    }
    Ok(Said { numbers, star: text.starts_with('*') })
}

/// The numbers of one item of a list: `*`, `7`, `1-5`, each with a step or without.
fn items(item: &str, field: &Field) -> Option<Vec<u8>> {
    let (smallest, largest) = field.range;
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(plain(step).filter(|step| *step > 0)?)),
        None => (item, None),
    };
    let (first, last) = match range.split_once('-') {
        _ if range == "*" => (smallest, largest),
        Some((first, last)) => {
            let (first, last) = (number(first, field)?, number(last, field)?);
            // A week may end on Sunday, which is 7 then.
            let sunday = field.range == WEEKDAY.range && last == 0 && first > 0;
            (first, if sunday { 7 } else { last })
        }
        None => {
            let first = number(range, field)?;
            (first, if step.is_some() { largest } else { first })
        }
    };
    (first <= last).then(|| (first..=last).step_by(step.unwrap_or(1).into()).collect())
}

fn number(text: &str, field: &Field) -> Option<u8> {
    let (smallest, largest) = field.range;
    let name = field.names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let named = name.and_then(|at| u8::try_from(at).ok()).map(|at| at + field.first);
    named.or_else(|| plain(text)).filter(|number| (smallest..=largest).contains(number))
}

fn plain(text: &str) -> Option<u8> {
    text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The numbers as systemd takes them: `*`, or a list of numbers and ranges.
fn numbers(said: &Said, field: &Field) -> String {
    let (smallest, largest) = field.range;
    if said.numbers.len() == usize::from(largest - smallest) + 1 {
        return "*".to_owned();
    }
    let range = |(first, last): &(u8, u8)| match last - first {
        0 => format!("{first:02}"),
        1 => format!("{first:02},{last:02}"),
        _ => format!("{first:02}..{last:02}"),
    };
    runs(said.numbers.iter().copied()).iter().map(range).collect::<Vec<_>>().join(",")
}

/// The days of the week as systemd takes them; none: every day.
fn weekdays(numbers: &BTreeSet<u8>) -> Option<String> {
    // From Monday, which is systemd's first: cron's Sunday is 0 and 7.
    let days: BTreeSet<u8> = numbers.iter().map(|day| (day + 6) % 7).collect();
    if days.len() == DAYS.len() {
        return None;
    }
    let name = |day: u8| DAYS.get(usize::from(day)).copied().unwrap_or_default();
    let range = |(first, last): &(u8, u8)| match last - first {
        0 => name(*first).to_owned(),
        1 => format!("{},{}", name(*first), name(*last)),
        _ => format!("{}..{}", name(*first), name(*last)),
    };
    Some(runs(days.into_iter()).iter().map(range).collect::<Vec<_>>().join(","))
}

/// Numbers that follow each other, as the first and the last of them.
fn runs(numbers: impl Iterator<Item = u8>) -> Vec<(u8, u8)> {
    let mut runs: Vec<(u8, u8)> = Vec::new();
    for number in numbers {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => runs.push((number, number)),
        }
    }
    runs
}

/// Whether one of these months ever has one of these days.
fn exists(days: &BTreeSet<u8>, months: &BTreeSet<u8>) -> bool {
    let longest = months.iter().map(|month| match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    });
    longest.max().is_some_and(|longest| days.first().is_some_and(|first| *first <= longest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_become_calendars() {
        for (cron, expect) in [
            ("* * * * *", &["*-*-* *:*:00"][..]),
            ("0 3 * * *", &["*-*-* 03:00:00"]),
            ("5 0 * * *", &["*-*-* 00:05:00"]),
            ("*/5 * * * *", &["*-*-* *:00,05,10,15,20,25,30,35,40,45,50,55:00"]),
            ("*/20 * * * *", &["*-*-* *:00,20,40:00"]),
            ("0-9 * * * *", &["*-*-* *:00..09:00"]),
            ("0-30/10 * * * *", &["*-*-* *:00,10,20,30:00"]),
            ("50/5 * * * *", &["*-*-* *:50,55:00"]),
            ("0,30 9-17 * * 1-5", &["Mon..Fri *-*-* 09..17:00,30:00"]),
            ("0 9-17/4 * * *", &["*-*-* 09,13,17:00:00"]),
            ("59 23 31 12 *", &["*-12-31 23:59:00"]),
            ("0 0 1 1 *", &["*-01-01 00:00:00"]),
            ("0 0 1 */3 *", &["*-01,04,07,10-01 00:00:00"]),
            ("0 0 1 jan,jul *", &["*-01,07-01 00:00:00"]),
            ("0 0 1 JAN-MAR *", &["*-01..03-01 00:00:00"]),
            ("0 0 * * 0", &["Sun *-*-* 00:00:00"]),
            ("0 0 * * 7", &["Sun *-*-* 00:00:00"]),
            ("0 0 * * sun", &["Sun *-*-* 00:00:00"]),
            ("0 0 * * SAT,SUN", &["Sat,Sun *-*-* 00:00:00"]),
            ("0 0 * * fri-sun", &["Fri..Sun *-*-* 00:00:00"]),
            ("0 0 * * 5-7", &["Fri..Sun *-*-* 00:00:00"]),
            ("0 0 * * 0-2", &["Mon,Tue,Sun *-*-* 00:00:00"]),
            ("0 0 * * 0-6", &["*-*-* 00:00:00"]),
            ("0 0 * * 1-7", &["*-*-* 00:00:00"]),
            ("0 0 * * mon", &["Mon *-*-* 00:00:00"]),
            ("0 0 * * 1,3,5", &["Mon,Wed,Fri *-*-* 00:00:00"]),
            ("0 0 * * */2", &["Tue,Thu,Sat,Sun *-*-* 00:00:00"]),
            // Both days are said: either will do.
            ("0 0 13 * 5", &["*-*-13 00:00:00", "Fri *-*-* 00:00:00"]),
            ("30 4 1,15 * 5", &["*-*-01,15 04:30:00", "Fri *-*-* 04:30:00"]),
            ("0 0 1 6 mon-fri", &["*-06-01 00:00:00", "Mon..Fri *-06-* 00:00:00"]),
            ("0 0 1-7 * 1", &["*-*-01..07 00:00:00", "Mon *-*-* 00:00:00"]),
            ("0 0 13 * 0-6", &["*-*-* 00:00:00"]),
            ("0 0 31 2 1", &["Mon *-02-* 00:00:00"]),
            // One of them begins with a star: both must be right.
            ("0 0 */2 * 1", &["Mon *-*-01,03,05,07,09,11,13,15,17,19,21,23,25,27,29,31 00:00:00"]),
            ("0 0 1-7 * */7", &["Sun *-*-01..07 00:00:00"]),
            ("0 0 1-31 * *", &["*-*-* 00:00:00"]),
            ("0 0 29 2 *", &["*-02-29 00:00:00"]),
            ("0 0 31 2,4,5 *", &["*-02,04,05-31 00:00:00"]),
            ("0 0-23 * * *", &["*-*-* *:00:00"]),
            ("00 007 08 09 *", &["*-09-08 07:00:00"]),
            ("1,1,2 * * * *", &["*-*-* *:01,02:00"]),
            ("*,5 * * * *", &["*-*-* *:*:00"]),
            ("*/60 * * * *", &["*-*-* *:00:00"]),
            ("15,45 8,12,16 * 3-5 tue-thu", &["Tue..Thu *-03..05-* 08,12,16:15,45:00"]),
        ] {
            assert_eq!(calendars(cron).unwrap(), expect, "{cron}");
        }
    }

    #[test]
    fn what_cannot_be_said_is_refused_at_its_field() {
        for (cron, wrong) in [
            ("60 * * * *", "the first field"),
            ("-1 * * * *", "the first field"),
            ("5-1 * * * *", "the first field"),
            ("*/0 * * * *", "the first field"),
            ("* 24 * * *", "the second field"),
            ("* 1-2-3 * * *", "the second field"),
            ("* * 0 * *", "the third field"),
            ("* * 32 * *", "the third field"),
            ("* * L * *", "the third field"),
            ("* * 15W * *", "the third field"),
            ("* * ? * *", "the third field"),
            ("* * * 13 *", "the fourth field"),
            ("* * * foo *", "the fourth field"),
            ("* * * jan-foo *", "the fourth field"),
            ("* * * * 8", "the fifth field"),
            ("* * * * 5#2", "the fifth field"),
            ("* * * * 5L", "the fifth field"),
            ("* * * * mon-", "the fifth field"),
            ("* * * * +1", "the fifth field"),
            (", * * * *", "the first field"),
            ("1, * * * *", "the first field"),
            ("999 * * * *", "the first field"),
            ("0 0 31 2 *", "no such day"),
            ("0 0 31 4,6 */2", "no such day"),
            ("0 0 30 feb */1", "no such day"),
            ("* * * * * *", "five"),
        ] {
            let refused = calendars(cron).unwrap_err();
            assert!(refused.contains(wrong), "{cron}: {refused}");
        }
    }
}
