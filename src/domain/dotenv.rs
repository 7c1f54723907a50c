//! Variables as text, in the manner of `.env` files. Nothing is interpolated and no shell is asked.
//!
//! - A variable is `KEY=VALUE`, with `export ` in front of it or not, and no blanks around the equals sign.
//! - Empty lines and lines that begin with `#` say nothing.
//! - A value without quotes ends with its line; blanks at both its ends are cut, and a `#` behind a blank begins a
//!   comment. Quotes and backslashes inside it are what they are.
//! - `'…'` is taken as it stands and may hold lines.
//! - `"…"` may hold lines, and in it `\n \r \t \" \\ \$` mean what they do in C; no other letter follows a
//!   backslash.
//! - Behind the closing quote only a comment may follow.
//! - A `$` is a `$`: there are no references to other variables.
//! - A name may stand there once.
//!
//! Every line that is wrong is reported, and then nothing is taken. A message names no value.

use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

use super::name::EnvKey;
use super::variable::EnvValue;

/// A line that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// Which, from 1.
    pub line: usize,
    /// What is wrong, and what is allowed.
    pub problem: Problem,
}

/// What is wrong with a line, and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Problem {
    /// No equals sign.
    #[error("this is no variable: write it as KEY=VALUE")]
    NoAssignment,
    /// Something else than a name stands before it.
    #[error(
        "what stands before = is no name: use letters, digits and underscores, begin with a letter or an \
         underscore, and leave no blank before ="
    )]
    Name,
    /// The text ends before the quote does.
    #[error("the quote that begins here is never closed: close it with the same quote")]
    Unclosed,
    /// A backslash in double quotes with another letter than the known ones.
    #[error(
        "in double quotes a backslash is followed by n, r, t, \", \\ or $; write \\\\ for a backslash, or use \
         single quotes"
    )]
    Escape,
    /// Something stands behind the closing quote.
    #[error("behind the closing quote only a comment may follow: put the whole value into the quotes")]
    Trailing,
    /// The same name again.
    #[error("{key} is set in line {first} already: name it once")]
    Twice {
        /// The name.
        key: String,
        /// The line of the first.
        first: usize,
    },
    /// A value that no variable can hold.
    #[error("{0}")]
    Value(&'static str),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.problem)
    }
}

/// The variables of a text in their order, or every line that is wrong.
pub fn parse(text: &str) -> Result<Vec<(EnvKey, EnvValue)>, Vec<LineError>> {
    // Editors on Windows put a mark in front.
    let mut reader = Reader { rest: text.strip_prefix('\u{feff}').unwrap_or(text), line: 1 };
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    let mut seen = BTreeMap::new();
    while !reader.rest.is_empty() {
        let line = reader.line;
        let mut wrong = |problem| errors.push(LineError { line, problem });
        match reader.variable() {
            Ok(None) => {}
            Ok(Some((key, value))) => match (seen.get(&key), EnvValue::parse(&value)) {
                (Some(first), _) => wrong(Problem::Twice { key: key.as_str().to_owned(), first: *first }),
                (None, Err(error)) => wrong(Problem::Value(error.rule)),
                (None, Ok(value)) => {
                    seen.insert(key.clone(), line);
                    found.push((key, value));
                }
            },
            Err(problem) => wrong(problem),
        }
    }
    if errors.is_empty() { Ok(found) } else { Err(errors) }
}

/// A variable as a line that [`parse`] reads back, and that shells read the same way.
#[must_use]
pub fn line(key: &EnvKey, value: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if value.chars().all(plain) {
        return format!("{}={value}\n", key.as_str());
    }
    let mut text = format!("{}=\"", key.as_str());
    for c in value.chars() {
        match c {
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '"' | '\\' | '$' => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
    text.push_str("\"\n");
    text
}

/// What is left of the text, and the number of the line it begins in.
struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl<'a> Reader<'a> {
    /// Reads up to the end of a line that no value goes beyond.
    fn variable(&mut self) -> Result<Option<(EnvKey, String)>, Problem> {
        self.rest = self.rest.trim_start_matches(BLANKS);
        let current = self.rest.split('\n').next().unwrap_or_default();
        if current.trim().is_empty() || current.starts_with('#') {
            self.take_line();
            return Ok(None);
        }
        let Some((before, _)) = current.split_once('=') else {
            self.take_line();
            return Err(Problem::NoAssignment);
        };
        let name = before.strip_prefix("export").filter(|name| name.starts_with(BLANKS));
        let key = EnvKey::parse(name.unwrap_or(before).trim_start_matches(BLANKS));
        self.advance(before.len() + 1);
        // Also behind a wrong name: the value may hold lines, which are not variables.
        let value = self.value();
        Ok(Some((key.map_err(|_| Problem::Name)?, value?)))
    }

    fn value(&mut self) -> Result<String, Problem> {
        let quote = self.rest.trim_start_matches(BLANKS).chars().next().filter(|c| matches!(c, '"' | '\''));
        let Some(quote) = quote else { return Ok(unquoted(self.take_line()).to_owned()) };
        self.rest = self.rest.trim_start_matches(BLANKS);
        self.advance(1);
        let (value, problem) = self.quoted(quote)?;
        let behind = self.take_line();
        let comment = behind.trim_start_matches(BLANKS);
        let only_a_comment = comment.is_empty() || comment.starts_with('#') && comment.len() < behind.len();
        match problem {
            Some(problem) => Err(problem),
            None if only_a_comment => Ok(value),
            None => Err(Problem::Trailing),
        }
    }

    /// Up to the closing quote and past it; a wrong escape does not end the value.
    fn quoted(&mut self, quote: char) -> Result<(String, Option<Problem>), Problem> {
        let (mut value, mut problem) = (String::new(), None);
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.advance(at + 1);
                return Ok((value, problem));
            }
            if c != '\\' || quote == '\'' {
                value.push(c);
                continue;
            }
            match chars.next().map(|(_, c)| c) {
                Some('n') => value.push('\n'),
                Some('r') => value.push('\r'),
                Some('t') => value.push('\t'),
                Some(c @ ('"' | '\\' | '$')) => value.push(c),
                Some(_) => problem = Some(Problem::Escape),
                None => break,
            }
        }
        // All that is left stands inside of it.
        self.advance(self.rest.len());
        Err(Problem::Unclosed)
    }

    /// The rest of this line, without its end.
    fn take_line(&mut self) -> &'a str {
        let (line, length) = self
            .rest
            .split_once('\n')
            .map_or((self.rest, self.rest.len()), |(line, _)| (line, line.len() + 1));
        self.advance(length);
        line.strip_suffix('\r').unwrap_or(line)
    }

    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += passed.matches('\n').count();
        self.rest = rest;
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

/// A value without quotes: up to a comment, without the blanks around it.
fn unquoted(line: &str) -> &str {
    let comment = line
        .match_indices('#')
        .find(|(at, _)| line.get(..*at).is_some_and(|before| before.ends_with(BLANKS)));
    let value = comment.map_or(line, |(at, _)| line.get(..at).unwrap_or(line));
    value.trim_matches(BLANKS)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let found = parse(text).unwrap_or_else(|errors| panic!("{text:?}: {errors:?}"));
        found.iter().map(|(key, value)| (key.as_str().to_owned(), value.as_str().to_owned())).collect()
    }

    #[test]
    fn values() {
        for (line, value) in [
            ("A=1", "1"),
            ("A=", ""),
            ("export A=1", "1"),
            ("  export\tA=1", "1"),
            ("A= x y  ", "x y"),
            ("A=x=\"y\"", "x=\"y\""),
            ("A=it's C:\\new $HOME ${X}", "it's C:\\new $HOME ${X}"),
            ("A=1 # one", "1"),
            ("A= # nothing", ""),
            ("A=#1#2", "#1#2"),
            ("A='1 # \"\\n$X'", "1 # \"\\n$X"),
            ("A='' # nothing", ""),
            ("A=\"a\\n\\r\\t\\\"\\\\\\$b'\" # c", "a\n\r\t\"\\$b'"),
            ("A=  \" x \"  ", " x "),
            ("A='one\n# two\n'\n", "one\n# two\n"),
            ("A=\"one\ntwo\"", "one\ntwo"),
            ("A=1\r\n", "1"),
            ("\u{feff}A=1", "1"),
            ("A=\"ü🦀\"", "ü🦀"),
        ] {
            assert_eq!(read(line), [("A".to_owned(), value.to_owned())], "{line:?}");
        }
        assert_eq!(read("# a\n\n \t\n  # b\n\r\n"), []);
        let found = read("B=1\nexport_=2\nA='x\ny'\nC=3");
        let expect = [("B", "1"), ("export_", "2"), ("A", "x\ny"), ("C", "3")];
        assert_eq!(found, expect.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn every_wrong_line_is_named_and_no_value_is_said() {
        let text = "A=1\nsecret\n1B=secret\nC =secret\nA=secret\nD=\"secret\\q\n\" # c\nE='secret'secret\n\
                    F=\"secret\"#no\nG=secret\0\nexport H\n=secret\nI='secret\nJ=2\n";
        let errors = parse(text).unwrap_err();
        let lines: Vec<usize> = errors.iter().map(|error| error.line).collect();
        assert_eq!(lines, [2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13]);
        let problems: Vec<_> = errors.iter().map(|error| error.problem.clone()).collect();
        let twice = Problem::Twice { key: "A".to_owned(), first: 1 };
        assert_eq!(problems[..4], [Problem::NoAssignment, Problem::Name, Problem::Name, twice]);
        assert_eq!(problems[4..7], [Problem::Escape, Problem::Trailing, Problem::Trailing]);
        assert_eq!(problems[10], Problem::Unclosed);
        for error in errors {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec("[^\0]*", 0..5)) {
            let key = |n: usize| EnvKey::parse(&format!("KEY_{n}")).unwrap();
            let text: String = values.iter().enumerate().map(|(n, value)| line(&key(n), value)).collect();
            let found = read(&text);
            prop_assert_eq!(found.into_iter().map(|(_, value)| value).collect::<Vec<_>>(), values);
        }

        #[test]
        fn any_text_is_read_or_refused_with_its_lines(text in "[AB=\"'\\\\#n \n\r\t$]{0,40}") {
            if let Err(errors) = parse(&text) {
                let last = text.split('\n').count();
                prop_assert!(errors.iter().all(|error| (1..=last).contains(&error.line)));
            }
        }
    }
}
