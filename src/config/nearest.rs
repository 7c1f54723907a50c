//! The known name nearest to a mistyped one.

/// The known name that takes the fewest changes, if those are at most two in five letters. A beginning that all of them
/// share by rule says nothing of which one was meant, and does not count: `RIVETR_`.
pub(super) fn nearest(typed: &str, prefix: &str, known: impl IntoIterator<Item = String>) -> Option<String> {
    // Far longer than any name there is: not worth a comparison.
    const LONGEST: usize = 80;
    if typed.len() > LONGEST {
        return None;
    }
    known
        .into_iter()
        .map(|name| (changes(own(typed, prefix), own(&name, prefix)), name))
        .filter(|(changes, name)| changes * 5 <= 2 * own(name, prefix).len().max(own(typed, prefix).len()))
        .min_by_key(|(changes, _)| *changes)
        .map(|(_, name)| name)
}

/// A name without what it begins with by rule.
fn own<'a>(name: &'a str, prefix: &str) -> &'a str {
    name.strip_prefix(prefix).unwrap_or(name)
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
        let nearest_of = |typed: &str| nearest(typed, "", known());
        assert_eq!(nearest_of("memory").as_deref(), Some("memory_mb"));
        assert_eq!(nearest_of("time_out_s").as_deref(), Some("timeout_s"));
        assert_eq!(nearest_of("colour"), None);
        assert_eq!(nearest_of(&"m".repeat(1_000_000)), None);
    }

    #[test]
    fn a_beginning_that_all_share_is_no_likeness() {
        let known = || ["RIVETR_CA", "RIVETR_TOKEN", "RIVETR_LOG_LEVEL"].map(str::to_owned);
        let nearest_of = |typed: &str| nearest(typed, "RIVETR_", known());
        assert_eq!(nearest_of("RIVETR_XY"), None, "as unlike RIVETR_CA as can be");
        assert_eq!(nearest_of("RIVETR_FOO"), None);
        assert_eq!(nearest_of("RIVETR_TOKNE").as_deref(), Some("RIVETR_TOKEN"));
        assert_eq!(nearest_of("RIVETR_LOGLEVEL").as_deref(), Some("RIVETR_LOG_LEVEL"));
    }
}
