//! Env files as docker compose reads them, which is not how rivetr's own are read: values are interpolated, keys may
//! be followed by a colon, and a key may stand without a value.
//!
//! - `KEY=VALUE` or `KEY: VALUE`, with `export ` before it or not; a lone `KEY` takes the reader's variable.
//! - A value without quotes ends at its line or at a blank and `#`; variables in it are filled in.
//! - `"…"` may hold lines, knows `\n`, `\"` and the like, and variables in it are filled in.
//! - `'…'` may hold lines and is taken as it stands, but for `\'`.

use std::collections::{BTreeMap, BTreeSet};

use super::interpolate::{Lookup, VALUE_MAX, interpolate};
use super::yaml::TEXT_MAX;

/// What all the values of one file may hold together, in bytes.
const VALUES_MAX: usize = VALUE_MAX;

/// The variables of a file, by name; and those that it refers to although they are not set.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Read {
    pub values: BTreeMap<String, String>,
    pub unset: BTreeSet<String>,
}

/// Reads an env file into what others gave: what it refers to is looked up outside first, then among what stands
/// above.
pub fn parse(text: &str, outside: Lookup<'_>, mut read: Read) -> Result<Read, (usize, String)> {
    if text.len() > TEXT_MAX {
        return Err((0, format!("the file is longer than {} MiB", TEXT_MAX >> 20)));
    }
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut held = 0;
    let (mut line, mut counted) = (1, rest);
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(read);
        }
        let passed = counted.len().saturating_sub(rest.len());
        line += counted.bytes().take(passed).filter(|byte| *byte == b'\n').count();
        counted = rest;
        if rest.starts_with('#') {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        let fail = |message: String| (line, message);
        let (key, value, after) = statement(rest).map_err(fail)?;
        rest = after;
        let Some(value) = value else {
            if let Some(value) = outside(&key) {
                read.values.insert(key, value);
            }
            continue;
        };
        let value = fill_in(value, outside, &mut read).map_err(fail)?;
        held += value.len();
        if held > VALUES_MAX {
            return Err(fail(format!("the values of this file grow beyond {} MiB", VALUES_MAX >> 20)));
        }
        read.values.insert(key, value);
    }
}

/// Reads an env file of the format `raw`: lines `KEY=VALUE` that mean just what they say.
pub fn parse_raw(text: &str, outside: Lookup<'_>, mut read: Read) -> Result<Read, (usize, String)> {
    for (at, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').map_or((line, None), |(key, value)| (key, Some(value)));
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err((at + 1, "this names no variable: write it as KEY=VALUE".to_owned()));
        }
        if let Some(value) = value.map(str::to_owned).or_else(|| outside(key)) {
            read.values.insert(key.to_owned(), value);
        }
    }
    Ok(read)
}

enum Raw {
    /// As it stands.
    Literal(String),
    /// With variables to fill in.
    Template(String),
}

fn fill_in(value: Raw, outside: Lookup<'_>, read: &mut Read) -> Result<String, String> {
    match value {
        Raw::Literal(text) => Ok(text),
        Raw::Template(text) => {
            let values = &read.values;
            let lookup = |name: &str| outside(name).or_else(|| values.get(name).cloned());
            interpolate(&text, &lookup, &mut read.unset)
        }
    }
}

/// A name, its value, and what follows.
fn statement(text: &str) -> Result<(String, Option<Raw>, &str), String> {
    let text = match text.strip_prefix("export") {
        Some(after) if after.starts_with(blank) => after.trim_start_matches(blank),
        Some(_) | None => text,
    };
    let end = text.find(['=', ':', '\n']);
    let (name, rest) = end.and_then(|end| text.split_at_checked(end)).unwrap_or((text, ""));
    let name = name.trim_end();
    let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '[' | ']');
    if let Some(wrong) = name.chars().find(|c| !legal(*c)) {
        return Err(match wrong {
            ' ' | '\t' => format!("the name {name:?} has a blank in it: write it as KEY=VALUE"),
            _ => format!("{wrong:?} cannot stand in the name of a variable: write it as KEY=VALUE"),
        });
    }
    if name.is_empty() {
        return Err("there is no name before the value: write it as KEY=VALUE".to_owned());
    }
    let Some(rest) = rest.strip_prefix(['=', ':']) else {
        return Ok((name.to_owned(), None, rest));
    };
    let rest = rest.trim_start_matches(blank);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''));
    let (value, rest) = match quote {
        Some(quote) => quoted(rest.get(1..).unwrap_or_default(), quote)?,
        None => unquoted(rest),
    };
    Ok((name.to_owned(), Some(value), rest))
}

/// A blank that is no end of a line.
fn blank(c: char) -> bool {
    c.is_whitespace() && c != '\n'
}

fn unquoted(text: &str) -> (Raw, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    let value = line.split_once(" #").map_or(line, |(value, _)| value);
    (Raw::Template(value.trim_end().to_owned()), rest)
}

fn quoted(text: &str, quote: char) -> Result<(Raw, &str), String> {
    let mut value = String::new();
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        if escaped {
            if c != quote {
                value.push('\\');
            }
            value.push(c);
            escaped = false;
        } else if c == '\\' {
            escaped = true;
        } else if c == quote {
            let rest = text.get(at + 1..).unwrap_or_default();
            let value = if quote == '"' { Raw::Template(unescape(&value)) } else { Raw::Literal(value) };
            return Ok((value, rest));
        } else {
            value.push(c);
        }
    }
    Err("the quote of this value is never closed".to_owned())
}

/// What stands behind a backslash in double quotes, with `\$` left for the interpolation as `$$`.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let mut chars = after.chars();
        let meant = match chars.next() {
            Some('a') => "\u{7}",
            Some('b') => "\u{8}",
            Some('f') => "\u{c}",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\u{b}",
            Some('"') => "\"",
            Some('\\') => "\\",
            Some('$') => "$$",
            _ => {
                out.push('\\');
                rest = after;
                continue;
            }
        };
        out.push_str(meant);
        rest = chars.as_str();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outside(name: &str) -> Option<String> {
        (name == "OUT").then(|| "o".to_owned())
    }

    fn check(text: &str, expect: &[(&str, &str)]) {
        let read =
            parse(text, &outside, Read::default()).unwrap_or_else(|error| panic!("{text:?}: {error:?}"));
        let found: Vec<_> = read.values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, expect, "{text:?}");
    }

    #[test]
    fn values() {
        check("", &[]);
        check("\u{feff}A=1\r\nB=2\r\n", &[("A", "1"), ("B", "2")]);
        check("# c\n\n  A=1\n#B=2", &[("A", "1")]);
        check("export A=1\nexported=2", &[("A", "1"), ("exported", "2")]);
        check("A = 1 \nB: 2\nC:3", &[("A", "1"), ("B", "2"), ("C", "3")]);
        check("A=a b # c\nB=a#b\nC= # c", &[("A", "a b"), ("B", "a#b"), ("C", "# c")]);
        check("A=\nB=", &[("A", ""), ("B", "")]);
        check("OUT\nNONE\nOUT2", &[("OUT", "o")]);
        check("A='x y' # c\nB=\"x#y\"", &[("A", "x y"), ("B", "x#y")]);
        check(r#"A="a\nb\t\"q\" \\ \x"B='a\nb\'c'"#, &[("A", "a\nb\t\"q\" \\ \\x"), ("B", "a\\nb'c")]);
        check("A=\"one\ntwo\"\nB='three\nfour'", &[("A", "one\ntwo"), ("B", "three\nfour")]);
        check(
            "A=1\nB=$A${A}\nC=\"$A\"\nD='$A'\nE=$OUT",
            &[("A", "1"), ("B", "11"), ("C", "1"), ("D", "$A"), ("E", "o")],
        );
        check(
            r#"A="\$X"
B=a$$b
C=${Z:-z}"#,
            &[("A", "$X"), ("B", "a$b"), ("C", "z")],
        );
        check("A=1\nA=2", &[("A", "2")]);
        check("a.b=1\nc-d=2", &[("a.b", "1"), ("c-d", "2")]);
        check("URL=http://x:80/?a=b&c", &[("URL", "http://x:80/?a=b&c")]);
    }

    #[test]
    fn refused() {
        for (text, line, expect) in [
            ("A B=1", 1, "blank"),
            ("X=1\nA*B=1", 2, "cannot stand"),
            ("A=\"x", 1, "never closed"),
            ("A=1\n\nB=${", 3, "never closed"),
            ("=1", 1, "no name"),
        ] {
            let (at, message) = parse(text, &outside, Read::default()).unwrap_err();
            assert!(at == line && message.contains(expect), "{text:?} gave {at}: {message}");
        }
    }

    #[test]
    fn growth() {
        let first = format!("A0={}\n", "x".repeat(1000));
        let doubled: Vec<_> = (0..40).map(|n| format!("A{}=$A{n}$A{n}\n", n + 1)).collect();
        let text = first + &doubled.concat();
        assert!(parse(&text, &outside, Read::default()).unwrap_err().1.contains("MiB"));
    }

    #[test]
    fn raw() {
        let read = parse_raw("A='x' # y\n# c\nB=$A\nOUT\n", &outside, Read::default()).unwrap();
        let expect = [("A", "'x' # y"), ("B", "$A"), ("OUT", "o")];
        let found: Vec<_> = read.values.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(found, expect);
    }
}
