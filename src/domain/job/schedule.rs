//! When a job runs, as a person says it and as systemd's `OnCalendar=` takes it.

use std::fmt;

use super::cron;
use crate::domain::name::InvalidName;

/// The longest schedule, in characters.
const MAX: usize = 200;
/// The longest name of a time zone, in characters.
const ZONE_MAX: usize = 64;

/// When a job runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    text: String,
    calendars: Vec<String>,
}

/// A time zone, by its name in the database of time zones: `Europe/Berlin`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(String);

impl Schedule {
    /// Takes a cron expression of five fields, one of `@daily` and its like, or a calendar expression of systemd. Of
    /// the last only the letters are looked at here: what they mean, systemd knows.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let refuse = |rule| Err(InvalidName::new("schedule", &text, rule));
        if text.is_empty() || text.len() > MAX {
            return refuse("write when the job runs: 0 3 * * *, @daily or Mon..Fri 08:00");
        }
        if let Some(nickname) = text.strip_prefix('@') {
            let Some(calendar) = cron::nickname(nickname) else {
                return refuse("of these there are @yearly, @monthly, @weekly, @daily and @hourly");
            };
            return Ok(Self { calendars: vec![calendar.to_owned()], text });
        }
        let fields = text.split(' ').count();
        if fields == 5 || fields > 5 && cron::looks_like_one(&text) {
            return match cron::calendars(&text) {
                Ok(calendars) => Ok(Self { text, calendars }),
                Err(rule) => refuse(rule),
            };
        }
        let letters = |c: char| c.is_ascii_alphanumeric() || "*,./:~-+_ ".contains(c);
        if !text.chars().all(letters) || text.starts_with('-') || fields > 5 {
            return refuse("write five fields as for cron, or a calendar expression of systemd");
        }
        Ok(Self { calendars: vec![text.clone()], text })
    }

    /// The values of `OnCalendar=`: the job runs when one of them says so.
    #[must_use]
    pub fn calendars(&self, zone: Option<&Zone>) -> Vec<String> {
        let in_zone = |calendar: &String| match zone {
            Some(zone) => format!("{calendar} {zone}"),
            None => calendar.clone(),
        };
        self.calendars.iter().map(in_zone).collect()
    }

    /// As it was typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Zone {
    /// Takes a name such as `Europe/Berlin` or `UTC`. Whether the machine knows it, systemd says.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
        let part = |part: &str| !part.is_empty() && part.chars().all(inner) && !part.starts_with('-');
        if text.len() <= ZONE_MAX && text.split('/').all(part) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new("time zone", text, "name one of the machine's, such as Europe/Berlin or UTC"))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_understands_is_handed_on() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        for (text, expect) in [
            ("Mon..Fri  08:00", "Mon..Fri 08:00 Europe/Berlin"),
            ("*-*~01 22:00:00", "*-*~01 22:00:00 Europe/Berlin"),
            ("hourly", "hourly Europe/Berlin"),
            ("*:0/15", "*:0/15 Europe/Berlin"),
            ("@daily", "*-*-* 00:00:00 Europe/Berlin"),
            ("0 3 * * *", "*-*-* 03:00:00 Europe/Berlin"),
        ] {
            assert_eq!(Schedule::parse(text).unwrap().calendars(Some(&berlin)), [expect], "{text}");
        }
        let plain = Schedule::parse(" 0  3 * * * ").unwrap();
        assert_eq!((plain.as_str(), plain.calendars(None)), ("0 3 * * *", vec!["*-*-* 03:00:00".to_owned()]));
    }

    #[test]
    fn what_is_no_schedule() {
        for bad in [
            "",
            " ",
            "@reboot",
            "@often",
            "daily\u{e9}",
            "%n",
            "-x",
            "a;b",
            "0 0 0 3 * * *",
            "* * * * * *",
            "Mon\n[Service]",
            &"1,".repeat(101),
        ] {
            assert!(Schedule::parse(bad).is_err(), "{bad:?}");
        }
        for bad in ["", "/", "Europe/", "../etc", "Europe/Ber lin", "-x", &"x".repeat(65)] {
            assert!(Zone::parse(bad).is_err(), "{bad:?}");
        }
    }
}
