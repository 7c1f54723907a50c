//! Redirects: a regular expression over the whole path, and the address that takes its place.
//!
//! Where a redirect leads to is written by whoever runs the app; a visitor may fill in parts of a path, never a
//! host or a scheme.

use http::{HeaderValue, StatusCode};
use regex::{Captures, Regex, RegexBuilder};

use super::super::refusal::Refusal;
use super::policy::RuleError;
use crate::domain::name::HostName;

/// The most memory that one compiled expression may take, in bytes.
const PROGRAM_BYTES: usize = 1 << 20;
/// The longest expression and address, in bytes: what people write by hand is a tenth of it.
const WRITTEN_BYTES: usize = 1024;

/// One redirect.
#[derive(Debug)]
pub(super) struct Redirect {
    from: Regex,
    to: Vec<Part>,
    pub(super) status: StatusCode,
}

/// A piece of the address.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// What the group with this number captured.
    Group(usize),
}

impl Redirect {
    pub(super) fn check(redirect: &super::Redirect) -> Result<Self, RuleError> {
        let super::Redirect { from, to, status } = redirect;
        let wrong = |why: String| RuleError::new("redirects", from, why);
        if from.len().max(to.len()) > WRITTEN_BYTES {
            return Err(wrong(format!("it is longer than {WRITTEN_BYTES} bytes")));
        }
        let regex = |text: &str| {
            let built = RegexBuilder::new(text).size_limit(PROGRAM_BYTES).build();
            built.map_err(|error| wrong(format!("it is no regular expression that can be used: {error}")))
        };
        // By itself first: `a)|(b` is one only between our brackets.
        regex(from)?;
        let from_whole = regex(&format!(r"\A(?:{from})\z"))?;
        let status = StatusCode::from_u16(*status)
            .ok()
            .filter(|status| matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308))
            .ok_or_else(|| {
                wrong(format!("{status} is no status of a redirect; use 308, 307, 301, 302 or 303"))
            })?;
        let to = parts(to, from_whole.captures_len()).map_err(|why| wrong(format!("{to:?}: {why}")))?;
        Ok(Self { from: from_whole, to, status })
    }

    /// Where `path` is redirected to; none if it is not. The query stays unless the new address has its own.
    pub(super) fn location(&self, path: &str, query: Option<&str>) -> Option<Result<HeaderValue, Refusal>> {
        let captures = self.from.captures(path)?;
        let mut location = self.fill(&captures);
        if location == path {
            // It would lead to itself for ever.
            return None;
        }
        if let Some(query) = query.filter(|_| !location.contains(['?', '#'])) {
            location.push('?');
            location.push_str(query);
        }
        let value = HeaderValue::from_bytes(location.as_bytes());
        Some(value.map_err(|_| Refusal::Malformed("the path cannot stand in an address")))
    }

    fn fill(&self, captures: &Captures<'_>) -> String {
        let mut whole = String::new();
        for part in &self.to {
            match part {
                Part::Text(text) => whole.push_str(text),
                Part::Group(number) => {
                    whole.push_str(captures.get(*number).map_or("", |found| found.as_str()));
                }
            }
        }
        if !whole.starts_with('/') {
            return whole;
        }
        // Two slashes at its beginning would make a host of what the visitor wrote.
        let rest = whole.trim_start_matches(['/', '\\']);
        format!("/{rest}")
    }
}

/// Takes an address apart; `groups` counts those of the expression, the whole of it included.
fn parts(to: &str, groups: usize) -> Result<Vec<Part>, String> {
    if to.chars().any(|c| c.is_control() || c == ' ' || c == '\\') {
        return Err("spaces, backslashes and control characters cannot stand in an address".to_owned());
    }
    check_beginning(to)?;
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = to;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(behind) = after.strip_prefix('$') {
            text.push('$');
            rest = behind;
            continue;
        }
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, behind) = after.split_at(digits);
        let number = digits.parse::<usize>().ok().filter(|number| *number < groups).ok_or_else(|| {
            format!("${digits} is no group of the expression; a dollar sign itself is written $$")
        })?;
        if !text.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut text)));
        }
        parts.push(Part::Group(number));
        rest = behind;
    }
    text.push_str(rest);
    if !text.is_empty() {
        parts.push(Part::Text(text));
    }
    Ok(parts)
}

/// Scheme and host are fixed: a visitor has no part in them.
fn check_beginning(to: &str) -> Result<(), String> {
    const EXPECTED: &str = "it must begin with one slash, or with http:// or https:// and a host";
    if to.starts_with('/') {
        return if to.starts_with("//") { Err(EXPECTED.to_owned()) } else { Ok(()) };
    }
    let rest = to.strip_prefix("https://").or_else(|| to.strip_prefix("http://")).ok_or(EXPECTED)?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('$') {
        return Err("the host must not come from the path; put a slash behind it".to_owned());
    }
    let (name, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    if HostName::parse(name).is_err() || !is_port {
        return Err(EXPECTED.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirect(from: &str, to: &str, status: u16) -> Result<Redirect, RuleError> {
        Redirect::check(&super::super::Redirect { from: from.into(), to: to.into(), status })
    }

    #[test]
    fn where_paths_lead() {
        for (from, to, path, query, expected) in [
            ("/old", "/new", "/old", None, Some("/new")),
            ("/old", "/new", "/old/x", None, None),
            ("/old", "/new", "/very/old", None, None),
            ("/old(/.*)?", "/new$1", "/old/x/y", Some("a=b"), Some("/new/x/y?a=b")),
            ("/old(/.*)?", "/new$1", "/old", None, Some("/new")),
            ("/(a|b)/(.*)", "https://$$.test/$2/$1", "/a/x", None, None),
            ("/(a|b)/(.*)", "https://c.test/$2/$1", "/a/x", None, Some("https://c.test/x/a")),
            ("/(.*)", "/x?to=$1", "/y", Some("q"), Some("/x?to=y")),
            ("/(.*)", "/x#$1", "/y", Some("q"), Some("/x#y")),
            ("/p/(.*)", "/$1", "/p//evil.test", None, Some("/evil.test")),
            ("/(.*)", "/$1", "/y", None, None),
            ("a|/b", "/c", "/b", None, Some("/c")),
            ("/cost", "/$$5", "/cost", None, Some("/$5")),
        ] {
            let Ok(rule) = redirect(from, to, 308) else {
                assert_eq!(expected, None, "{from} {to}");
                continue;
            };
            let location = rule.location(path, query).map(Result::unwrap);
            assert_eq!(location.as_ref().map(|value| value.to_str().unwrap()), expected, "{from} on {path}");
        }
    }

    #[test]
    fn what_is_no_redirect() {
        for (from, to, status, why) in [
            ("/(", "/a", 308, "no regular expression"),
            ("/a)|(/b", "/a", 308, "no regular expression"),
            (r"/(\w{1000}){1000}", "/a", 308, "no regular expression"),
            ("/a", "/b", 200, "200 is no status"),
            ("/a", "/b", 304, "304 is no status"),
            ("/a", "b", 308, "must begin with"),
            ("/a", "//b.test/", 308, "must begin with"),
            ("/a", "ftp://b.test/", 308, "must begin with"),
            ("/a", "javascript:alert(1)", 308, "must begin with"),
            ("/a", "https://u@b.test/", 308, "must begin with"),
            ("/a", "https:///x", 308, "must begin with"),
            ("/(.*)", "https://$1/", 308, "the host must not come from the path"),
            ("/(.*)", "https://b.test$1", 308, "the host must not come from the path"),
            ("/a", "/$1", 308, "$1 is no group"),
            ("/a", "/$x", 308, "$ is no group"),
            ("/a", "/b\r\nSet-Cookie: a=b", 308, "control characters"),
            ("/a", "/\\b.test", 308, "backslashes"),
        ] {
            let error = redirect(from, to, status).unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("redirects"), "{from} to {to} gave {error}");
        }
        assert!(redirect(&"a".repeat(2000), "/", 308).is_err());
    }
}
