//! From two texts of a unit to what a drop-in has to say, so that one becomes the other.
//!
//! Only keys and values count. Whether Podman makes the same of it is for its generator to say. A drop-in goes on to later
//! releases, so it adds to a list and never takes the place of one, and leaves alone what each release has of its own.

use std::fmt::Write as _;

use super::{Line, Section, Unit};

/// Keys whose values are pairs; of two of one name the last counts.
const PAIRS: [&str; 3] = ["Annotation", "Environment", "Label"];
/// Keys whose values are those of one release.
const OF_A_RELEASE: [&str; 4] = ["ContainerName", "Image", "Network", "Secret"];

impl Unit {
    /// What a drop-in beside this unit has to say, so that both together say what the other does; empty where both say
    /// the same already, none where no drop-in could say it for later releases too.
    #[must_use]
    pub fn changes_to(&self, other: &Self) -> Option<String> {
        let mut text = String::new();
        for section in Section::ALL {
            let (before, after) = (self.entries(section), other.entries(section));
            let mut lines = String::new();
            let mut seen: Vec<&str> = Vec::new();
            for (key, _) in after.iter().chain(&before) {
                if !seen.contains(key) {
                    seen.push(key);
                    for value in change(key, &values(&before, key), &values(&after, key))? {
                        // To write into a string cannot fail.
                        writeln!(lines, "{key}={value}").unwrap_or_default();
                    }
                }
            }
            if !lines.is_empty() {
                let gap = if text.is_empty() { "" } else { "\n" };
                write!(text, "{gap}[{section}]\n{lines}").unwrap_or_default();
            }
        }
        Some(text)
    }

    /// Whether it has a section.
    #[must_use]
    pub fn has(&self, section: Section) -> bool {
        self.sections.contains_key(&section)
    }

    /// The text without what has it come up by itself.
    #[must_use]
    pub fn disabled(mut self) -> String {
        self.drop_section(Section::Install);
        self.to_string()
    }

    fn entries(&self, section: Section) -> Vec<(&str, &str)> {
        let lines = self.sections.get(&section).map_or(&[][..], Vec::as_slice);
        let entry = |line| match line {
            &Line::Comment(_) => None,
            Line::Entry { key, text } => Some((key.as_ref(), text.as_str())),
        };
        lines.iter().filter_map(entry).collect()
    }
}

fn values<'a>(entries: &[(&'a str, &'a str)], of: &str) -> Vec<&'a str> {
    entries.iter().filter(|(key, _)| *key == of).map(|(_, value)| *value).collect()
}

/// The values that a drop-in gives a key; none: it cannot.
fn change<'a>(key: &str, before: &[&str], after: &[&'a str]) -> Option<Vec<&'a str>> {
    if before == after {
        return Some(Vec::new());
    }
    let mut rest = before.iter().peekable();
    let added: Vec<&str> =
        after.iter().copied().filter(|value| rest.next_if(|next| *next == value).is_none()).collect();
    if rest.peek().is_none() {
        return Some(added);
    }
    if PAIRS.contains(&key) {
        let added: Vec<&str> = after.iter().copied().filter(|value| !before.contains(value)).collect();
        let given = |value: &&&str| after.iter().any(|other| name(other) == name(value));
        return before.iter().all(|value| given(&value)).then_some(added);
    }
    let single = before.len() <= 1 && after.len() <= 1 && !OF_A_RELEASE.contains(&key);
    // What a list is emptied of first cannot add up with what stands there.
    single.then(|| std::iter::once("").chain(after.iter().copied()).collect())
}

/// The name of a pair, in quotes or not.
fn name(pair: &str) -> &str {
    pair.split_once('=').map_or(pair, |(name, _)| name).trim_start_matches('"')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_in_says_what_changed() {
        let check = |before: &str, after: &str, expect: Option<&str>| {
            let unit = |text| Unit::parse(text).unwrap();
            assert_eq!(unit(before).changes_to(&unit(after)).as_deref(), expect, "{after}");
        };
        let base = "[Container]\nImage=a\nEnvironment=A=1\nEnvironment=\"B=2\"\nVolume=a:/a\nVolume=b:/b\nExec=run\n\n\
            [Service]\nRestart=always\n";
        check(base, base, Some(""));
        check(base, &base.replace("Image", "# mine\nImage"), Some(""));
        check(base, &base.replace("Restart", "MemoryMax=1G\nRestart"), Some("[Service]\nMemoryMax=1G\n"));
        check(
            base,
            &base.replace("Image=a", "Environment=C=3\nVolume=c:/c\nImage=a"),
            Some("[Container]\nEnvironment=C=3\nVolume=c:/c\n"),
        );
        check(base, &base.replace("B=2", "B=3"), Some("[Container]\nEnvironment=\"B=3\"\n"));
        check(
            base,
            &base.replace("Exec=run", "Exec=serve").replace("Restart=always\n", ""),
            Some("[Container]\nExec=\nExec=serve\n\n[Service]\nRestart=\n"),
        );
        check(
            base,
            &format!("{base}\n[Install]\nWantedBy=x.target\n"),
            Some("[Install]\nWantedBy=x.target\n"),
        );
        // A list would stay as it is for all releases to come, and these belong to one alone.
        check(base, &base.replace("Volume=b:/b\n", ""), None);
        check(base, &base.replace("Environment=A=1\n", ""), None);
        check(base, &base.replace("Image=a", "Image=b"), None);
    }

    #[test]
    fn what_is_disabled_has_no_wish_to_come_up() {
        let unit = Unit::parse("[Unit]\nDescription=a\n\n[Install]\nWantedBy=default.target\n").unwrap();
        assert!(unit.has(Section::Install) && !unit.has(Section::Timer));
        assert_eq!(unit.disabled(), "[Unit]\nDescription=a\n");
    }
}
