//! Two texts line by line: what stays, what goes, what comes.

use crate::engine::Texts;

/// Above so many pairs of lines, all that differs counts as changed: nobody reads more, and it takes time.
const PAIRS_MAX: usize = 4_000_000;

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
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let (old_rest, new_rest) = (old.get(head..).unwrap_or(&[]), new.get(head..).unwrap_or(&[]));
    let tail =
        old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(one, other)| one == other).count();
    let (old_middle, new_middle) = (
        old_rest.get(..old_rest.len() - tail).unwrap_or(&[]),
        new_rest.get(..new_rest.len() - tail).unwrap_or(&[]),
    );
    let line = |class, text: &&str| Line { class, text: (*text).to_owned() };
    let mut lines: Vec<Line> = old.iter().take(head).map(|text| line("", text)).collect();
    lines.extend(middle(old_middle, new_middle));
    lines.extend(old_rest.iter().skip(old_middle.len()).map(|text| line("", text)));
    lines
}

/// By the longest lines that both have in common.
fn middle(old: &[&str], new: &[&str]) -> Vec<Line> {
    let line = |class, text: &str| Line { class, text: text.to_owned() };
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        let gone = old.iter().map(|text| line("minus", text));
        return gone.chain(new.iter().map(|text| line("plus", text))).collect();
    }
    // In each place, how many lines the rests behind it have in common.
    let width = new.len() + 1;
    let mut common = vec![0_usize; (old.len() + 1) * width];
    let at = |common: &[usize], i: usize, j: usize| common.get(i * width + j).copied().unwrap_or(0);
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            let best = if old.get(i) == new.get(j) {
                at(&common, i + 1, j + 1) + 1
            } else {
                at(&common, i + 1, j).max(at(&common, i, j + 1))
            };
            if let Some(place) = common.get_mut(i * width + j) {
                *place = best;
            }
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    loop {
        match (old.get(i), new.get(j)) {
            (Some(one), Some(other)) if one == other => {
                lines.push(line("", one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push(line("minus", one));
                i += 1;
            }
            (_, Some(other)) => {
                lines.push(line("plus", other));
                j += 1;
            }
            (_, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_marked_and_nothing_else() {
        let check = |old: &str, new: &str, expect: &str| {
            let sign = |line: &Line| match line.class {
                "plus" => format!("+{}", line.text),
                "minus" => format!("-{}", line.text),
                _ => line.text.clone(),
            };
            let seen: Vec<String> = lines(old, new).iter().map(sign).collect();
            assert_eq!(seen.join(" "), expect);
        };
        check("a\nb\nc", "a\nb\nc", "a b c");
        check("a\nb\nc", "a\nx\nc", "a -b +x c");
        check("a\nb\nc", "a\nc", "a -b c");
        check("a\nc", "a\nb\nc\nd", "a +b c +d");
        check("", "a", "+a");
        check("a", "", "-a");
        check("a\nb\nc\nd\ne", "b\nx\nd\ne\na", "-a b -c +x d e +a");
    }

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
