//! Two texts line by line: what stays, what goes, what comes.

use std::fmt::Write as _;

/// Above so many pairs of lines, all that differs counts as changed: nobody reads more, and it takes time.
const PAIRS_MAX: usize = 4_000_000;
/// How many lines around a change a unified diff shows.
const AROUND: usize = 3;

/// What becomes of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Both texts have it.
    Stays,
    /// The second one has it no more.
    Goes,
    /// Only the second one has it.
    Comes,
}

/// The lines of two texts.
#[must_use]
pub fn lines<'a>(old: &'a str, new: &'a str) -> Vec<(Fate, &'a str)> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let (old_rest, new_rest) = (old.get(head..).unwrap_or(&[]), new.get(head..).unwrap_or(&[]));
    let tail =
        old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(one, other)| one == other).count();
    let (old_middle, new_middle) = (
        old_rest.get(..old_rest.len() - tail).unwrap_or(&[]),
        new_rest.get(..new_rest.len() - tail).unwrap_or(&[]),
    );
    let mut lines: Vec<(Fate, &str)> = old.iter().take(head).map(|text| (Fate::Stays, *text)).collect();
    lines.extend(middle(old_middle, new_middle));
    lines.extend(old_rest.iter().skip(old_middle.len()).map(|text| (Fate::Stays, *text)));
    lines
}

/// The difference of two texts as `diff -u` shows it, under the names that it is told; empty where there is none.
#[must_use]
pub fn unified(old: (&str, &str), new: (&str, &str)) -> String {
    let lines = lines(old.1, new.1);
    let changed: Vec<usize> =
        lines.iter().enumerate().filter(|(_, (fate, _))| *fate != Fate::Stays).map(|(at, _)| at).collect();
    if changed.is_empty() {
        return String::new();
    }
    let mut text = format!("--- {}\n+++ {}\n", old.0, new.0);
    let (mut at, mut old_line, mut new_line) = (0, 1_usize, 1_usize);
    for (first, last) in hunks(&changed, lines.len()) {
        let skipped = first - at;
        (old_line, new_line) = (old_line + skipped, new_line + skipped);
        let hunk = lines.get(first..last).unwrap_or(&[]);
        let count = |but: Fate| hunk.iter().filter(|(fate, _)| *fate != but).count();
        let (olds, news) = (count(Fate::Comes), count(Fate::Goes));
        let begin = |line: usize, count: usize| if count == 0 { line - 1 } else { line };
        let head = (begin(old_line, olds), begin(new_line, news));
        // To write into a string cannot fail.
        writeln!(text, "@@ -{},{olds} +{},{news} @@", head.0, head.1).unwrap_or_default();
        for (fate, line) in hunk {
            text.push(match fate {
                Fate::Stays => ' ',
                Fate::Goes => '-',
                Fate::Comes => '+',
            });
            text.push_str(line);
            text.push('\n');
        }
        (at, old_line, new_line) = (last, old_line + olds, new_line + news);
    }
    text
}

/// Ranges of lines that hold the changes with what is around them; what would overlap is one.
fn hunks(changed: &[usize], lines: usize) -> Vec<(usize, usize)> {
    let mut hunks: Vec<(usize, usize)> = Vec::new();
    for at in changed {
        let (first, last) = (at.saturating_sub(AROUND), (at + 1 + AROUND).min(lines));
        match hunks.last_mut() {
            Some((_, end)) if first <= *end => *end = last,
            _ => hunks.push((first, last)),
        }
    }
    hunks
}

/// By the longest lines that both have in common.
fn middle<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(Fate, &'a str)> {
    if old.len().saturating_mul(new.len()) > PAIRS_MAX {
        let gone = old.iter().map(|text| (Fate::Goes, *text));
        return gone.chain(new.iter().map(|text| (Fate::Comes, *text))).collect();
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
                lines.push((Fate::Stays, *one));
                (i, j) = (i + 1, j + 1);
            }
            (Some(one), other) if other.is_none() || at(&common, i + 1, j) >= at(&common, i, j + 1) => {
                lines.push((Fate::Goes, *one));
                i += 1;
            }
            (_, Some(other)) => {
                lines.push((Fate::Comes, *other));
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
            let sign = |(fate, text): &(Fate, &str)| match fate {
                Fate::Comes => format!("+{text}"),
                Fate::Goes => format!("-{text}"),
                Fate::Stays => (*text).to_owned(),
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
    fn a_unified_diff_is_what_diff_prints() {
        let check = |old: &str, new: &str, expect: &str| {
            assert_eq!(unified(("old", old), ("new", new)), expect);
        };
        check("a\n", "a\n", "");
        check("a\nb\nc\n", "a\nx\nc\n", "--- old\n+++ new\n@@ -1,3 +1,3 @@\n a\n-b\n+x\n c\n");
        check("a\n", "", "--- old\n+++ new\n@@ -1,1 +0,0 @@\n-a\n");
        check("", "a\n", "--- old\n+++ new\n@@ -0,0 +1,1 @@\n+a\n");
        let long: Vec<String> = (1..=20).map(|line| line.to_string()).collect();
        let mut changed = long.clone();
        changed[1] = "two".to_owned();
        changed.remove(17);
        check(
            &long.join("\n"),
            &changed.join("\n"),
            "--- old\n+++ new\n@@ -1,5 +1,5 @@\n 1\n-2\n+two\n 3\n 4\n 5\n\
             @@ -15,6 +15,5 @@\n 15\n 16\n 17\n-18\n 19\n 20\n",
        );
    }
}
