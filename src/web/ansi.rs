//! Lines of logs as runs of one look: the colours of a terminal become classes, every other escape is dropped.

use serde::Serialize;

/// Text of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Run {
    /// The classes of its look, such as `a1 a31`; empty: none.
    #[serde(rename = "c", skip_serializing_if = "String::is_empty")]
    pub class: String,
    /// The text.
    #[serde(rename = "t")]
    pub text: String,
}

/// What is set at a place in a line.
#[derive(Default, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is set and unset by itself")]
struct Look {
    bold: bool,
    faint: bool,
    italic: bool,
    underlined: bool,
    colour: Option<u8>,
}

/// A line as runs. What a carriage return would have overwritten is not shown, as on a terminal.
pub(super) fn runs(line: &str) -> Vec<Run> {
    let shown = line.trim_end_matches('\r');
    let mut rest = shown.rsplit_once('\r').map_or(shown, |(_, last)| last);
    let (mut look, mut runs) = (Look::default(), Vec::<Run>::new());
    while !rest.is_empty() {
        let end = rest.find('\u{1b}').unwrap_or(rest.len());
        let (text, escape) = rest.split_at(end);
        let text: String = text.chars().filter(|c| *c == '\t' || !c.is_control()).collect();
        if !text.is_empty() {
            runs.push(Run { class: look.classes(), text });
        }
        rest = after_escape(escape, &mut look);
    }
    runs
}

/// What follows an escape sequence (ECMA-48): `ESC [ parameters letter`, `ESC ] … BEL`, or `ESC` and a character.
fn after_escape<'a>(text: &'a str, look: &mut Look) -> &'a str {
    let Some(text) = text.strip_prefix('\u{1b}') else { return text };
    if let Some(sequence) = text.strip_prefix('[') {
        let is_end = |c: char| ('\u{40}'..='\u{7e}').contains(&c);
        let Some(end) = sequence.find(is_end) else { return "" };
        let (parameters, last) = sequence.split_at(end);
        if last.starts_with('m') {
            look.set(parameters);
        }
        return last.get(1..).unwrap_or_default();
    }
    if let Some(command) = text.strip_prefix(']') {
        let end = command.find(['\u{7}', '\u{1b}']);
        let Some((_, last)) = end.map(|end| command.split_at(end)) else { return "" };
        return last.strip_prefix("\u{1b}\\").or_else(|| last.strip_prefix('\u{7}')).unwrap_or(last);
    }
    let mut characters = text.chars();
    characters.next();
    characters.as_str()
}

impl Look {
    fn set(&mut self, parameters: &str) {
        let mut numbers = parameters.split([';', ':']).map(|number| match number {
            "" => Some(0),
            _ => number.parse::<u16>().ok(),
        });
        while let Some(number) = numbers.next() {
            match number {
                Some(0) => *self = Self::default(),
                Some(1) => self.bold = true,
                Some(2) => self.faint = true,
                Some(3) => self.italic = true,
                Some(4) => self.underlined = true,
                Some(22) => (self.bold, self.faint) = (false, false),
                Some(23) => self.italic = false,
                Some(24) => self.underlined = false,
                Some(code @ (30..=37 | 90..=97)) => self.colour = u8::try_from(code).ok(),
                Some(39) => self.colour = None,
                // 256 colours and all others: the first sixteen have names, the rest are left plain.
                Some(kind @ (38 | 48)) => {
                    let named = match numbers.next() {
                        Some(Some(5)) => numbers.next().flatten().and_then(named),
                        Some(Some(2)) => {
                            numbers.by_ref().take(3).for_each(drop);
                            None
                        }
                        _ => None,
                    };
                    if kind == 38 {
                        self.colour = named;
                    }
                }
                Some(_) | None => {}
            }
        }
    }

    fn classes(&self) -> String {
        let flags = [(self.bold, 1), (self.faint, 2), (self.italic, 3), (self.underlined, 4)];
        let set = flags.into_iter().filter(|(is_set, _)| *is_set).map(|(_, code)| code);
        let all: Vec<String> = set.chain(self.colour).map(|code| format!("a{code}")).collect();
        all.join(" ")
    }
}

fn named(colour: u16) -> Option<u8> {
    let code = match colour {
        0..=7 => 30 + colour,
        8..=15 => 82 + colour,
        _ => return None,
    };
    u8::try_from(code).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &str, expect: &[(&str, &str)]) {
        let found = runs(line);
        let found: Vec<_> = found.iter().map(|run| (run.class.as_str(), run.text.as_str())).collect();
        assert_eq!(found, expect, "{line:?}");
    }

    #[test]
    fn colours_become_classes_and_nothing_else_is_left() {
        check("", &[]);
        check("plain", &[("", "plain")]);
        check("\u{1b}[1;31mno\u{1b}[0m yes", &[("a1 a31", "no"), ("", " yes")]);
        check("\u{1b}[32mgreen\u{1b}[39mplain", &[("a32", "green"), ("", "plain")]);
        check("\u{1b}[mx\u{1b}[Ky", &[("", "x"), ("", "y")]);
        check("\u{1b}[38;5;9mbright\u{1b}[38;2;1;2;3mtrue", &[("a91", "bright"), ("", "true")]);
        check("\u{1b}[48;5;1mground", &[("", "ground")]);
        check("\u{1b}]0;title\u{7}after", &[("", "after")]);
        check("\u{1b}]8;;http://x\u{1b}\\link", &[("", "link")]);
        check("10 %\r20 %\r", &[("", "20 %")]);
        check("a\u{0}b\tc", &[("", "ab\tc")]);
        check("<b>&\u{1b}[4mx", &[("", "<b>&"), ("a4", "x")]);
    }

    #[test]
    fn what_breaks_off_breaks_nothing() {
        for line in [
            "\u{1b}",
            "\u{1b}[",
            "\u{1b}[1;",
            "\u{1b}]0;no end",
            "\u{1b}\u{1b}\u{1b}",
            "\u{1b}[99999999m",
            "\u{1b}\u{e4}",
        ] {
            check(line, &[]);
        }
        check("\u{1b}[1;x1my", &[("", "1my")]);
    }
}
