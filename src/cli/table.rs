//! Text that a person reads: aligned columns, times, and lines of strangers made harmless.

use std::fmt::Write;

/// Rows under a heading, each column as wide as its widest cell.
#[must_use]
pub fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let mut widths = heading.map(width);
    for row in rows {
        for (most, cell) in widths.iter_mut().zip(row) {
            *most = width(cell).max(*most);
        }
    }
    let mut text = line(heading, widths);
    for row in rows {
        text.push_str(&line(row.each_ref().map(String::as_str), widths));
    }
    text
}

/// Names and values, the values aligned.
#[must_use]
pub fn facts(facts: &[(&str, String)]) -> String {
    let widest = facts.iter().map(|(name, _)| width(name)).max().unwrap_or_default();
    let lines = facts.iter().map(|(name, value)| line([name, value], [widest, 0]));
    lines.collect()
}

/// A time of the API as a person reads it: `2026-11-23 11:24:38`, UTC.
#[must_use]
pub fn time(rfc3339: &str) -> String {
    let to_seconds = rfc3339.get(..19).unwrap_or(rfc3339);
    to_seconds.replacen('T', " ", 1)
}

/// A value that may be missing.
#[must_use]
pub fn or_dash(value: Option<&str>) -> String {
    value.filter(|value| !value.is_empty()).unwrap_or("-").to_owned()
}

/// A line of a build or an app: colours are taken out, and what else could drive a terminal is shown as a symbol.
#[must_use]
pub fn harmless(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = after_colour(rest) {
            rest = after;
            continue;
        }
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        text.push(match c {
            '\t' => '\t',
            // The Unicode block "Control Pictures" has the first 32 in their order.
            '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
            c if c.is_control() => '\u{fffd}',
            c => c,
        });
    }
    text
}

/// What follows a sequence such as `ESC [ 1 ; 32 m` that begins here.
fn after_colour(text: &str) -> Option<&str> {
    let rest = text.strip_prefix("\x1b[")?;
    rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';').strip_prefix('m')
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn line<const N: usize>(cells: [&str; N], widths: [usize; N]) -> String {
    let mut text = String::new();
    for (cell, width) in cells.into_iter().zip(widths) {
        // Writing to a String cannot fail.
        write!(text, "{cell:width$}  ").unwrap_or_default();
    }
    format!("{}\n", text.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_lines_have_no_tail() {
        let rows = [["blog", "running", ""], ["a-long-name", "-", "ä.example.org"]]
            .map(|row| row.map(str::to_owned));
        let expect = "NAME         STATE    HOSTS\n\
                      blog         running\n\
                      a-long-name  -        ä.example.org\n";
        assert_eq!(table(["NAME", "STATE", "HOSTS"], &rows), expect);
        assert_eq!(table(["NAME"], &[]), "NAME\n");
    }

    #[test]
    fn facts_are_aligned() {
        assert_eq!(facts(&[("name", "blog".to_owned()), ("hosts", String::new())]), "name   blog\nhosts\n");
    }

    #[test]
    fn times() {
        assert_eq!(time("2026-11-23T11:24:38.123Z"), "2026-11-23 11:24:38");
        assert_eq!(time("never"), "never");
    }

    #[test]
    fn terminals_are_not_driven() {
        for (line, expect) in [
            ("plain\tä", "plain\tä"),
            ("\x1b[1;32mok\x1b[0m", "ok"),
            ("\x1b]0;title\x07", "␛]0;title␇"),
            ("\x1b[2J", "␛[2J"),
            ("a\rb\0", "a␍b␀"),
            ("\u{9b}31m\x7f", "\u{fffd}31m\u{fffd}"),
            ("\x1b[", "␛["),
        ] {
            assert_eq!(harmless(line), expect, "{line:?}");
        }
    }
}
