//! Two texts line by line: what stays, what goes, what comes.

use crate::domain::diff::{self, Fate};
use crate::engine::Texts;

/// A unit as it would be, with what changes.
#[derive(Debug, PartialEq, Eq)]
pub struct UnitDiff {
    /// The name of its file.
    pub name: String,
    /// Whether it is new, changed, gone, or as it was.
    pub fate: &'static str,
    /// Its lines.
    pub lines: Vec<Line>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// `plus`, `minus`, or empty.
    pub class: &'static str,
    /// Its text.
    pub text: String,
}

/// Units before and after by the name of their files; `compared`: there was something before.
pub fn units(before: &Texts, after: &Texts, compared: bool) -> Vec<UnitDiff> {
    let text = |texts: &Texts, name: &str| {
        texts.iter().find(|(known, _)| known == name).map(|(_, text)| text.clone())
    };
    let mut names: Vec<&String> = before.iter().chain(after).map(|(name, _)| name).collect();
    names.sort();
    names.dedup();
    let unit = |name: &String| {
        let (old, new) = (text(before, name), text(after, name));
        let fate = match (&old, &new) {
            (None, _) if compared => "new",
            (Some(_), None) => "gone",
            (Some(old), Some(new)) if old != new => "changed",
            _ => "",
        };
        let lines = if compared {
            lines(&old.unwrap_or_default(), &new.unwrap_or_default())
        } else {
            plain(&new.unwrap_or_default())
        };
        UnitDiff { name: name.clone(), fate, lines }
    };
    names.into_iter().map(unit).collect()
}

/// A text in which nothing changes.
pub fn plain(text: &str) -> Vec<Line> {
    text.lines().map(|line| Line { class: "", text: line.to_owned() }).collect()
}

/// The lines of two texts.
pub fn lines(old: &str, new: &str) -> Vec<Line> {
    let shown = |(fate, text): (Fate, &str)| {
        let class = match fate {
            Fate::Stays => "",
            Fate::Goes => "minus",
            Fate::Comes => "plus",
        };
        Line { class, text: text.to_owned() }
    };
    diff::lines(old, new).into_iter().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_come_change_and_go() {
        let texts = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect::<Texts>()
        };
        let (before, after) =
            (texts(&[("a", "x"), ("b", "x"), ("c", "x")]), texts(&[("a", "x"), ("b", "y"), ("d", "x")]));
        let fates: Vec<_> = units(&before, &after, true).into_iter().map(|unit| unit.fate).collect();
        assert_eq!(fates, ["", "changed", "gone", "new"]);
        let first = units(&texts(&[]), &after, false);
        assert!(
            first
                .iter()
                .all(|unit| unit.fate.is_empty() && unit.lines.iter().all(|line| line.class.is_empty()))
        );
    }
}
