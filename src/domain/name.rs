//! Names that people give: each is parsed once, at the edge, and cannot be wrong afterwards.

use std::fmt;

use thiserror::Error;

/// The longest slug, in characters: with `rivetr-app-` and a number it stays well below a DNS label's 63.
pub const SLUG_MAX: usize = 40;

/// The longest host name, in characters (RFC 1035).
pub const HOST_MAX: usize = 253;

/// A name that cannot be taken as it was typed, and what would do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{what} {value:?} cannot be used: {rule}")]
pub struct InvalidName {
    /// What was being named: "name", "host", "variable".
    pub what: &'static str,
    /// What was typed, cut to a readable length.
    pub value: String,
    /// What is allowed.
    pub rule: &'static str,
}

impl InvalidName {
    pub(crate) fn new(what: &'static str, value: &str, rule: &'static str) -> Self {
        Self { what, value: value.chars().take(80).collect(), rule }
    }
}

/// The name of an app or a project, as it stands in units, networks, images and URLs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slug(String);

impl Slug {
    /// Takes `[a-z0-9]([a-z0-9-]*[a-z0-9])?` of at most [`SLUG_MAX`] characters.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let well_formed = !text.is_empty()
            && text.len() <= SLUG_MAX
            && text.chars().all(inner)
            && !text.starts_with('-')
            && !text.ends_with('-');
        if well_formed {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new(
            "name",
            text,
            "use at most 40 lower-case letters, digits and dashes, with a letter or digit at both ends",
        ))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of an environment variable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvKey(String);

impl EnvKey {
    /// Takes `[A-Za-z_][A-Za-z0-9_]*` of at most 255 characters.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let well_formed = !text.is_empty()
            && text.len() <= 255
            && text.chars().all(inner)
            && !text.starts_with(|c: char| c.is_ascii_digit());
        if well_formed {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new(
            "variable",
            text,
            "use letters, digits and underscores, and begin with a letter or an underscore",
        ))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A host name (or an address) that a request may carry in its Host field, lower-cased, without port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostName(String);

impl HostName {
    /// Takes DNS labels of letters, digits and dashes, or an IPv4 address; folds case and one trailing dot.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let folded = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
        let well_formed = folded.len() <= HOST_MAX && !folded.is_empty() && folded.split('.').all(is_label);
        if well_formed {
            return Ok(Self(folded));
        }
        Err(InvalidName::new(
            "host",
            text,
            "use a host name such as blog.example.org: labels of letters, digits and dashes, joined by dots",
        ))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs() {
        let long = "a".repeat(40);
        for good in ["a", "blog", "my-blog-2", "0", long.as_str()] {
            assert_eq!(Slug::parse(good).unwrap().as_str(), good);
        }
        let too_long = "a".repeat(41);
        for bad in
            ["", "-", "-a", "a-", "A", "a_b", "a.b", "a b", "ä", "a\n", "--help", "../x", too_long.as_str()]
        {
            let error = Slug::parse(bad).unwrap_err().to_string();
            assert!(error.contains("lower-case letters"), "{bad:?} gave {error}");
        }
    }

    #[test]
    fn variables() {
        for good in ["A", "_", "DATABASE_URL", "a1"] {
            assert_eq!(EnvKey::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "1A", "A-B", "A B", "A=B", "A\nB", "Ä", "A\0"] {
            assert!(EnvKey::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts() {
        for (typed, host) in [
            ("Blog.Example.org", "blog.example.org"),
            ("blog.example.org.", "blog.example.org"),
            ("127.0.0.1", "127.0.0.1"),
            ("localhost", "localhost"),
        ] {
            assert_eq!(HostName::parse(typed).unwrap().as_str(), host);
        }
        for bad in ["", ".", "a..b", "-a.b", "a_b", "a b", "a/b", "a:80", "*.a", "a@b", "a\r\nb"] {
            assert!(HostName::parse(bad).is_err(), "{bad:?}");
        }
    }
}
