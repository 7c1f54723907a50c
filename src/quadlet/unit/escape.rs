//! How a value is written so that it comes out of Quadlet's parser and of systemd's as it went in (FACTS 2).

use super::{Section, ValueProblem};

/// A value that is read as it stands.
pub(super) fn scalar(value: &str, section: Section) -> Result<String, ValueProblem> {
    check_line(value)?;
    if value.starts_with('"') || value.ends_with('"') {
        return Err(ValueProblem::OuterQuote);
    }
    let mut text = String::with_capacity(value.len());
    for c in value.chars() {
        push(&mut text, c, section);
    }
    Ok(text)
}

/// One word of several, in quotes.
pub(super) fn word(value: &str, section: Section) -> Result<String, ValueProblem> {
    match value {
        "" => Err(ValueProblem::EmptyWord),
        ";" | "\\;" => Err(ValueProblem::Semicolon),
        _ => {
            check_text(value)?;
            Ok(format!("\"{}\"", quoted(value, section)))
        }
    }
}

/// A word that stands in no need of quotes goes without, for people to read.
pub(super) fn argument(value: &str, section: Section) -> Result<String, ValueProblem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+".contains(c);
    match value {
        "" => Err(ValueProblem::EmptyWord),
        // Quadlet would write it without its quotes.
        ";" => Err(ValueProblem::Semicolon),
        _ if value.chars().all(plain) => Ok(value.to_owned()),
        _ => {
            check_text(value)?;
            Ok(format!("\"{}\"", quoted(value, section)))
        }
    }
}

/// One word of a command of systemd's own, which knows empty words and takes a semicolon in quotes for text.
pub(super) fn command_word(value: &str) -> Result<String, ValueProblem> {
    match argument(value, Section::Container) {
        Err(ValueProblem::EmptyWord | ValueProblem::Semicolon) => Ok(format!("\"{value}\"")),
        other => other,
    }
}

/// `NAME=value` as one word, in quotes. Podman's `--env` would turn CR LF into LF.
pub(super) fn assignment(name: &str, value: &str, section: Section) -> Result<String, ValueProblem> {
    if value.contains("\r\n") {
        return Err(ValueProblem::CrLf);
    }
    if name.is_empty() || name.chars().any(|c| c == '=' || c.is_whitespace() || c.is_control()) {
        return Err(ValueProblem::Name);
    }
    check_text(name)?;
    check_text(value)?;
    Ok(format!("\"{}={}\"", quoted(name, section), quoted(value, section)))
}

/// Whether text can stand behind `Key=` and come back whole, as far as lines go.
pub(super) fn check_line(text: &str) -> Result<(), ValueProblem> {
    check_text(text)?;
    let blank = |c: char| c.is_whitespace();
    if text.is_empty() {
        Err(ValueProblem::Empty)
    } else if text.chars().any(char::is_control) {
        Err(ValueProblem::Control)
    } else if text.starts_with(blank) || text.ends_with(blank) {
        Err(ValueProblem::OuterBlank)
    } else if text.ends_with('\\') {
        Err(ValueProblem::TrailingBackslash)
    } else {
        Ok(())
    }
}

fn check_text(text: &str) -> Result<(), ValueProblem> {
    if text.contains('\0') {
        return Err(ValueProblem::Nul);
    }
    if text.chars().any(is_unreadable) {
        return Err(ValueProblem::Unreadable);
    }
    Ok(())
}

/// A noncharacter of Unicode is broken UTF-8 to systemd, which then drops the unit; of U+0080 Quadlet makes a
/// lone byte, which is broken UTF-8 in truth and makes the unit's properties unreadable over D-Bus.
fn is_unreadable(c: char) -> bool {
    let code = u32::from(c);
    matches!(code, 0x80 | 0xFDD0..=0xFDEF) || code & 0xFFFE == 0xFFFE
}

fn quoted(value: &str, section: Section) -> String {
    let mut text = String::with_capacity(value.len() + 2);
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            '\t' => text.push_str("\\t"),
            '\0'..='\x1f' | '\x7f' => {
                let digits = [u32::from(c) / 16, u32::from(c) % 16];
                text.push_str("\\x");
                text.extend(digits.into_iter().filter_map(|digit| char::from_digit(digit, 16)));
            }
            _ => push(&mut text, c, section),
        }
    }
    text
}

/// systemd expands `%` in every value, and `$` in the words of a command.
fn push(text: &mut String, c: char, section: Section) {
    text.push(c);
    if c == '%' || (c == '$' && section.becomes_a_command()) {
        text.push(c);
    }
}
