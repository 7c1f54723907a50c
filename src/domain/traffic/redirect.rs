//! A rule by which paths are redirected.

use std::fmt;

use regex::{Regex, RegexBuilder};

use crate::domain::name::{HostName, InvalidName};

/// The longest expression and the longest address, in bytes.
const WRITTEN_MAX: usize = 1000;
/// What an expression may take once it is compiled, in bytes: the proxy holds it in memory.
const COMPILED_MAX: usize = 1 << 20;
/// The statuses of a redirect, the first unless another is said: one that browsers do not keep.
const STATUSES: [u16; 5] = [302, 301, 303, 307, 308];

/// Where the paths go that fit an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    from: String,
    to: String,
    status: u16,
}

impl Redirect {
    /// Takes `FROM=TO` or `FROM=TO STATUS`: a regular expression over the whole path, and a path or an absolute address
    /// in which `$1` is what the first group captured and `$$` a dollar.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refused = |rule| InvalidName::new("redirect", text, rule);
        let redirect = Self::read(text)?;
        let expression = compile(&redirect.from).ok_or_else(|| {
            refused("what stands before the = is no regular expression, or too large a one")
        })?;
        if groups(&redirect.to).any(|group| group.is_none_or(|group| group >= expression.captures_len())) {
            return Err(refused(
                "it names a group that the expression does not have; a dollar itself is written $$",
            ));
        }
        Ok(redirect)
    }

    /// The same for what was parsed before: expressions take long to compile, and there may be thousands.
    pub fn read(text: &str) -> Result<Self, InvalidName> {
        let refused = || {
            let rule = "write it as ^/old/(.*)$=/new/$1: an expression for the whole path, and a path or an address that \
                        begins with http:// or https:// and a host; behind a space perhaps 301, 302, 303, 307 or 308";
            InvalidName::new("redirect", text, rule)
        };
        let (rest, status) = match text.rsplit_once(' ') {
            Some((rest, status)) => (rest, status.parse().ok()),
            None => (text, STATUSES.first().copied()),
        };
        let status = status.filter(|status| STATUSES.contains(status)).ok_or_else(refused)?;
        let (from, to) = split(rest).filter(|(_, to)| is_address(to)).ok_or_else(refused)?;
        Ok(Self { from: from.to_owned(), to: to.to_owned(), status })
    }

    /// The expression.
    #[must_use]
    pub fn from(&self) -> &str {
        &self.from
    }

    /// The path or address.
    #[must_use]
    pub fn to(&self) -> &str {
        &self.to
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }
}

/// The expression is for the whole path, whether or not it says so.
fn compile(from: &str) -> Option<Regex> {
    if from.is_empty() || from.len() > WRITTEN_MAX {
        return None;
    }
    // Alone first: `a)(b` is an expression only between the parentheses that are put around it.
    RegexBuilder::new(from).size_limit(COMPILED_MAX).build().ok()?;
    RegexBuilder::new(&format!(r"\A(?:{from})\z")).size_limit(COMPILED_MAX).build().ok()
}

/// At the first `=` that a path or an address follows.
fn split(text: &str) -> Option<(&str, &str)> {
    let begins = |to: &str| ["/", "http://", "https://"].iter().any(|start| to.starts_with(start));
    let mut parts =
        text.match_indices('=').filter_map(|(at, _)| Some((text.get(..at)?, text.get(at + 1..)?)));
    parts.find(|(_, to)| begins(to))
}

/// One slash and what follows, or a scheme and a host in which a visitor has no part.
fn is_address(to: &str) -> bool {
    let plain = to.len() <= WRITTEN_MAX && to.chars().all(|c| c.is_ascii_graphic() && c != '\\');
    let host = to.strip_prefix("https://").or_else(|| to.strip_prefix("http://")).map(|rest| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = authority.split_once(':').unwrap_or((authority, "80"));
        let is_port = port.chars().all(|c| c.is_ascii_digit()) && port.parse::<u16>().is_ok();
        is_port && HostName::parse(host).is_ok()
    });
    plain && host.unwrap_or(!to.starts_with("//"))
}

/// The groups that an address names, by number; none: a dollar that no number follows.
fn groups(to: &str) -> impl Iterator<Item = Option<usize>> {
    // In pairs they are dollars.
    let alone = to.split("$$").flat_map(|part| part.split('$').skip(1));
    alone.map(|after| after.get(..digits(after))?.parse().ok())
}

/// How many digits a text begins with.
fn digits(text: &str) -> usize {
    text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, status } = self;
        match STATUSES.first() {
            Some(usual) if usual == status => write!(f, "{from}={to}"),
            Some(_) | None => write!(f, "{from}={to} {status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules() {
        for text in [
            "^/old/(.*)$=/new/$1",
            "/a=https://example.org/b?x=$0 301",
            "/([0-9]{4})/.*=/archive/$1x",
            "/x=y=/z",
            "/price=/$$5",
        ] {
            assert_eq!(Redirect::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Redirect::parse("/a=/b 302").unwrap().to_string(), "/a=/b");
        for bad in [
            "",
            "=",
            "/a",
            "=/b",
            "/a=b",
            "/a=//evil.example",
            "/a=ftp://x",
            "/(.*)=https://$1/",
            "/(.*)=https://a.org$1",
            "/(.*)=https://a.org:$1",
            "(=/b",
            "a)(b=/c",
            "/a=/b 200",
            "/a=/b c",
            "/a=/$1",
            "/(a)=/$",
            "/(?<x>a)=/${x}",
            "/a=/b\n",
            "/a=/\\evil.example",
            "(a{1000}){1000}=/b",
        ] {
            assert!(Redirect::parse(bad).is_err(), "{bad:?}");
        }
    }
}
