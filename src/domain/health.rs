//! How to tell that a release answers, and how patiently.

use std::fmt;
use std::time::Duration;

use super::name::InvalidName;
use super::runtime::Words;

/// How to tell that a release answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// What is asked.
    pub ask: HealthAsk,
    /// How long a new release may take until it answers; failures count from then on.
    pub timeout: Duration,
    /// How long one answer may take.
    pub attempt: Duration,
    /// The pause between two questions to a release that serves.
    pub interval: Duration,
    /// How many answers in a row must fail until a release that serves counts as unhealthy.
    pub retries: u32,
}

/// What is asked to tell whether a release answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthAsk {
    /// A TCP connection is enough.
    Connect,
    /// `GET` of a path.
    Http {
        /// The path.
        path: HealthPath,
        /// The statuses that count as an answer.
        statuses: Statuses,
    },
    /// A command in the container that ends with status 0.
    Command(Words),
}

/// The path of a health check: origin-form, visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthPath(String);

/// A range of HTTP statuses: `200-399`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statuses {
    first: u16,
    last: u16,
}

impl HealthCheck {
    /// How long a new release may take until it answers, unless the app says otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_mins(1);
    /// The longest time that it may be given.
    pub const TIMEOUT_MAX: Duration = Duration::from_hours(1);
    /// The longest wait for one answer.
    pub const ATTEMPT_MAX: Duration = Duration::from_mins(1);
    /// The longest pause between two questions.
    pub const INTERVAL_MAX: Duration = Duration::from_mins(10);
    /// The most failures that may be forgiven.
    pub const RETRIES_MAX: u32 = 100;
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            ask: HealthAsk::Connect,
            timeout: Self::DEFAULT_TIMEOUT,
            attempt: Duration::from_secs(10),
            interval: Duration::from_secs(10),
            retries: 3,
        }
    }
}

impl HealthPath {
    /// Takes a path that begins with one slash, with an optional query.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let visible = |c: char| c.is_ascii_graphic() && c != '#';
        if text.starts_with('/') && !text.starts_with("//") && text.len() <= 1000 && text.chars().all(visible)
        {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new("health path", text, "begin it with one slash and use visible ASCII characters"))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Statuses {
    /// Takes one status or a range of them.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let status = |text: &str| {
            let digits = text.len() == 3 && text.chars().all(|c| c.is_ascii_digit());
            text.parse::<u16>().ok().filter(|status| digits && (100..=599).contains(status))
        };
        match (status(first), status(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            _ => Err(InvalidName::new(
                "status",
                text,
                "write one status such as 200, or a range such as 200-399",
            )),
        }
    }

    /// The first and the last.
    #[must_use]
    pub fn bounds(self) -> (u16, u16) {
        (self.first, self.last)
    }
}

impl Default for Statuses {
    fn default() -> Self {
        Self { first: 200, last: 399 }
    }
}

impl fmt::Display for Statuses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { first, last } = self;
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

#[cfg(test)]
mod tests {
    use super::super::runtime::check;
    use super::*;

    #[test]
    fn statuses() {
        let good = [("200", "200"), ("200-399", "200-399"), ("404-404", "404")];
        check(
            Statuses::parse,
            &good,
            &["", "-", "200-", "99", "600", "300-200", "0200", "2xx", "200-299-399", "+20"],
        );
    }
}
