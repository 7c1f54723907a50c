//! `$NAME` and `${NAME…}` in values: the grammar of docker compose.
//!
//! | form | becomes |
//! | --- | --- |
//! | `$A`, `${A}` | the variable; empty, with a warning, where it is not set |
//! | `${A:-b}`, `${A-b}` | b where A is not set, or with the colon also where it is empty |
//! | `${A:?e}`, `${A?e}` | a refusal with the text e in that case |
//! | `${A:+b}`, `${A+b}` | b where A is set, or with the colon set and not empty, and else nothing |
//! | `$$` | `$` |
//!
//! b and e may hold such forms themselves. A `$` before anything else stays what it is.

use std::collections::BTreeSet;

/// The deepest nesting of one form in another.
const DEPTH_MAX: usize = 32;
/// The longest value that may come of it, in bytes.
pub const VALUE_MAX: usize = 4 << 20;

/// Gives the value of a variable, if it is set.
pub type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Fills in what a text refers to, and gathers the names of variables that are not set.
pub fn interpolate(text: &str, lookup: Lookup<'_>, unset: &mut BTreeSet<String>) -> Result<String, String> {
    expand(text, lookup, unset, 0)
}

fn expand(
    text: &str,
    lookup: Lookup<'_>,
    unset: &mut BTreeSet<String>,
    depth: usize,
) -> Result<String, String> {
    if depth > DEPTH_MAX {
        return Err(format!("variables are nested more than {DEPTH_MAX} levels deep"));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let name_end = name_length(after);
        if let Some(after) = after.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(inner) = after.strip_prefix('{') {
            let (form, after) =
                braced(inner).ok_or_else(|| format!("the ${{ in {text:?} is never closed"))?;
            out.push_str(&substitute(form, lookup, unset, depth)?);
            rest = after;
        } else if name_end > 0 {
            let (name, after) = after.split_at_checked(name_end).unwrap_or((after, ""));
            out.push_str(&plain(name, lookup, unset));
            rest = after;
        } else {
            out.push('$');
            rest = after;
        }
        if out.len() > VALUE_MAX {
            return Err(format!("with its variables the value grows beyond {} MiB", VALUE_MAX >> 20));
        }
    }
    out.push_str(rest);
    Ok(out)
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|c: char| c.is_ascii_digit()) {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// Parts what follows `${` at the brace that closes it; if none does, at the last one of the line.
fn braced(text: &str) -> Option<(&str, &str)> {
    let line = text.split_once('\n').map_or(text, |(line, _)| line);
    let (form, rest) = text.split_at_checked(closing(text).or_else(|| line.rfind('}'))?)?;
    Some((form, rest.strip_prefix('}')?))
}

/// Every brace opens another pair, be it of a variable or not, and what follows it at once is passed over.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 1_usize;
    let mut opened = true;
    for (at, c) in text.char_indices() {
        if std::mem::take(&mut opened) {
            continue;
        }
        match c {
            '{' => {
                depth += 1;
                opened = true;
            }
            '}' if depth == 1 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn plain(name: &str, lookup: Lookup<'_>, unset: &mut BTreeSet<String>) -> String {
    lookup(name).unwrap_or_else(|| {
        unset.insert(name.to_owned());
        String::new()
    })
}

fn substitute(
    form: &str,
    lookup: Lookup<'_>,
    unset: &mut BTreeSet<String>,
    depth: usize,
) -> Result<String, String> {
    let (name, operation) = form.split_at_checked(name_length(form)).unwrap_or((form, ""));
    if name.is_empty() {
        return Err(format!(
            "${{{form}}} names no variable: write $$ for a dollar sign that is meant as one"
        ));
    }
    let (or_empty, operation) = match operation.strip_prefix(':') {
        Some(rest) => (true, rest),
        None => (false, operation),
    };
    let value = lookup(name).filter(|value| !(or_empty && value.is_empty()));
    let mut operation = operation.chars();
    match (operation.next(), or_empty) {
        (None, false) => Ok(plain(name, lookup, unset)),
        (Some('-'), _) => match value {
            Some(value) => Ok(value),
            None => expand(operation.as_str(), lookup, unset, depth + 1),
        },
        (Some('+'), _) => match value {
            Some(_) => expand(operation.as_str(), lookup, unset, depth + 1),
            None => Ok(String::new()),
        },
        (Some('?'), _) => {
            if let Some(value) = value {
                return Ok(value);
            }
            let said = expand(operation.as_str(), lookup, unset, depth + 1)?;
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            Err(format!("the variable {name} must have a value{said}"))
        }
        _ => Err(format!("${{{form}}} is none of the forms ${{A}}, ${{A:-b}}, ${{A:?b}} and ${{A:+b}}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<(String, Vec<String>), String> {
        let lookup = |name: &str| match name {
            "A" => Some("a".to_owned()),
            "E" => Some(String::new()),
            "D" => Some("$A".to_owned()),
            _ => None,
        };
        let mut unset = BTreeSet::new();
        interpolate(text, &lookup, &mut unset).map(|text| (text, unset.into_iter().collect()))
    }

    fn check(text: &str, expect: &str) {
        assert_eq!(read(text), Ok((expect.to_owned(), Vec::new())), "{text:?}");
    }

    #[test]
    fn forms() {
        for (text, expect) in [
            ("", ""),
            ("x", "x"),
            ("$A", "a"),
            ("${A}", "a"),
            ("$A$A", "aa"),
            ("$A-b", "a-b"),
            ("x${A}y", "xay"),
            ("$$A", "$A"),
            ("$$$$", "$$"),
            ("$$${A}", "$a"),
            ("$D", "$A"),
            ("$", "$"),
            ("a$", "a$"),
            ("$1", "$1"),
            ("$ x", "$ x"),
            ("$(A)", "$(A)"),
            ("$/", "$/"),
            ("^.*$|", "^.*$|"),
            ("${A:-b}", "a"),
            ("${E:-b}", "b"),
            ("${E-b}", ""),
            ("${N:-b}", "b"),
            ("${N-b}", "b"),
            ("${N:-}", ""),
            ("${A:+b}", "b"),
            ("${E:+b}", ""),
            ("${E+b}", "b"),
            ("${N:+b}", ""),
            ("${N+b}", ""),
            ("${A:?e}", "a"),
            ("${A?e}", "a"),
            ("${E?e}", ""),
            ("${N:-${A}}", "a"),
            ("${N:-${M:-${A:-z}}}", "a"),
            ("${N:-x${A}y}z", "xayz"),
            ("${N:-$A}", "a"),
            ("${A:-${N:?no}}", "a"),
            ("${A:+${A}}", "a"),
            ("${N:-a:b}", "a:b"),
            ("${N:-a-b}", "a-b"),
            ("${N:-a?b}", "a?b"),
            ("${N:-{\"x\":1}}", "{\"x\":1}"),
            ("${A:-{\"x\":{\"y\":1}}}", "a"),
            ("${E+{{ x }}}", "{{ x }}"),
            ("${E-{{ x }}}", "}"),
            ("${N:-{}}z", "{}z"),
            ("${A}{b}", "a{b}"),
            ("${N:-a$$b}", "a$b"),
            ("${N:- b }", " b "),
            ("http://${A}:80/${N:-p}", "http://a:80/p"),
            ("ä${A}ö", "aäö".get(1..).map_or("", |_| "äaö")),
        ] {
            check(text, expect);
        }
    }

    #[test]
    fn unset() {
        assert_eq!(read("$N-${M}-${N}"), Ok(("--".to_owned(), vec!["M".to_owned(), "N".to_owned()])));
    }

    #[test]
    fn refused() {
        for (text, expect) in [
            ("${", "never closed"),
            ("${A", "never closed"),
            ("${N:-${A}", "never closed"),
            ("${}", "names no"),
            ("${1}", "names no"),
            ("${A.b}", "none of the forms"),
            ("${A!b}", "none of the forms"),
            ("${A:}", "none of"),
            ("${N:?set it}", "must have a value: set it"),
            ("${E:?x}", "must have"),
            ("${N?}", "must have a value"),
            ("${N:?${A}}", "value: a"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(expect), "{text:?} gave {error}");
        }
    }

    #[test]
    fn deep() {
        let text = "${N:-".repeat(40) + &"}".repeat(40);
        assert!(read(&text).unwrap_err().contains("levels deep"));
    }
}
