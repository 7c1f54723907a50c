//! The known name nearest to a mistyped one.

/// The known name that takes the fewest changes, if those are at most two in five letters.
pub(super) fn nearest(typed: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    // Far longer than any name there is: not worth a comparison.
    const LONGEST: usize = 80;
    if typed.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|name| (changes(typed, &name), name))
        .filter(|(changes, name)| changes * 5 <= 2 * name.len().max(typed.len()))
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, name)| name)
}

/// How many letters must be put in, taken out or replaced to turn one word into the other (Levenshtein).
fn changes(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // The costs from the letters of `from` seen so far to each beginning of `to`.
    let mut costs: Vec<usize> = (0..=to.len()).collect();
    for (row, letter) in from.chars().enumerate() {
        let mut next = vec![row + 1];
        let mut left = row + 1;
        for ((diagonal, above), other) in costs.iter().zip(costs.iter().skip(1)).zip(&to) {
            let replaced = diagonal + usize::from(letter != *other);
            left = replaced.min(above + 1).min(left + 1);
            next.push(left);
        }
        costs = next;
    }
    costs.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expect) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("abc", "abc", 0),
            ("kitten", "sitting", 3),
            ("ab", "ba", 2),
        ] {
            assert_eq!(changes(from, to), expect, "{from} → {to}");
        }
    }

    #[test]
    fn only_a_slip_is_corrected() {
        let known = || ["memory_mb", "timeout_s", "cpu_percent"].map(str::to_owned);
        assert_eq!(nearest("memory", known()).as_deref(), Some("memory_mb"));
        assert_eq!(nearest("time_out_s", known()).as_deref(), Some("timeout_s"));
        assert_eq!(nearest("colour", known()), None);
        assert_eq!(nearest(&"m".repeat(1_000_000), known()), None);
    }
}
