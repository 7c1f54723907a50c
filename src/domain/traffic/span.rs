//! Stretches of time as people write them, and how long browsers are to come by HTTPS alone.

use std::fmt;
use std::time::Duration;

use crate::domain::name::InvalidName;

/// Whole seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(u64);

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hsts {
    /// For how long a browser comes by HTTPS alone.
    pub max_age: Span,
    /// Also to hosts below this one.
    pub subdomains: bool,
    /// Whether browsers may ship this host in their list.
    pub preload: bool,
}

/// The letters after a number, and the seconds that each stands for.
const UNITS: [(char, u64); 4] = [('d', 86_400), ('h', 3_600), ('m', 60), ('s', 1)];

impl Span {
    /// An hour.
    pub const HOUR: Self = Self(3_600);
    /// Ten years: more is a mistake.
    const MAX: u64 = 3_650 * 86_400;

    /// Takes seconds, or a number with s, m, h or d behind it; from one second on.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let unit = UNITS.into_iter().find(|(letter, _)| text.ends_with(*letter));
        let digits = unit.map_or(text, |(letter, _)| text.trim_end_matches(letter));
        let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
        let one_letter = text.len() <= digits.len() + 1;
        let number = (plain && one_letter).then(|| digits.parse::<u64>().ok()).flatten();
        let seconds = number.and_then(|number| number.checked_mul(unit.map_or(1, |(_, seconds)| seconds)));
        let rule = "write it as 30s, 5m, 12h or 365d, or in seconds; at most 3650d";
        let seconds = seconds.filter(|seconds| (1..=Self::MAX).contains(seconds));
        seconds.map(Self).ok_or_else(|| InvalidName::new("time", text, rule))
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0
    }

    /// As the standard library has it.
    #[must_use]
    pub fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.into_iter().find(|(_, seconds)| self.0.is_multiple_of(*seconds)) {
            Some((letter, seconds)) => write!(f, "{}{letter}", self.0 / seconds),
            None => write!(f, "{}", self.0),
        }
    }
}

impl Hsts {
    /// What the lists of browsers ask for.
    const PRELOAD_LEAST: Span = Span(365 * 86_400);

    /// Takes `365d`, with `,subdomains` and `,preload` behind it where those are meant.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = |rule| InvalidName::new("HSTS", text, rule);
        let rule = "write it as 365d, 365d,subdomains or 365d,subdomains,preload";
        let mut parts = text.split(',').map(str::trim);
        let max_age = Span::parse(parts.next().unwrap_or_default()).map_err(|_| refused(rule))?;
        let mut hsts = Self { max_age, subdomains: false, preload: false };
        for part in parts {
            match part {
                "subdomains" => hsts.subdomains = true,
                "preload" => hsts.preload = true,
                _ => return Err(refused(rule)),
            }
        }
        if hsts.preload && (!hsts.subdomains || max_age < Self::PRELOAD_LEAST) {
            return Err(refused(
                "browsers take only hosts into their lists that say 365d,subdomains,preload",
            ));
        }
        Ok(hsts)
    }
}

impl fmt::Display for Hsts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subdomains = if self.subdomains { ",subdomains" } else { "" };
        let preload = if self.preload { ",preload" } else { "" };
        write!(f, "{}{subdomains}{preload}", self.max_age)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (typed, seconds, shown) in
            [("30s", 30, "30s"), ("90", 90, "90s"), ("60m", 3600, "1h"), ("365d", 31_536_000, "365d")]
        {
            let span = Span::parse(typed).unwrap();
            assert_eq!((span.seconds(), span.to_string().as_str()), (seconds, shown));
        }
        for bad in ["", "0", "s", "30ss", "-1s", "1.5h", "3651d", "99999999999999999999d", "30 s", "1w"] {
            assert!(Span::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn what_browsers_are_told() {
        for text in ["1h", "365d", "30d,subdomains", "365d,subdomains,preload"] {
            assert_eq!(Hsts::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "subdomains", "365d,", "365d,all", "30d,subdomains,preload", "365d,preload"] {
            assert!(Hsts::parse(bad).is_err(), "{bad:?}");
        }
    }
}
