//! From two texts of a unit to what a drop-in has to say, so that one becomes the other.
//!
//! Only keys and values count. Whether Podman makes the same of it is for its generator to say.

use std::fmt::Write as _;

use super::{Line, Section, Unit};

impl Unit {
    /// What a drop-in beside this unit has to say, so that both together say what the other does; empty where both say
    /// the same already.
    #[must_use]
    pub fn changes_to(&self, other: &Self) -> String {
        let mut text = String::new();
        for section in Section::ALL {
            let (before, after) = (self.entries(section), other.entries(section));
            let mut lines = String::new();
            let mut seen: Vec<&str> = Vec::new();
            for (key, _) in after.iter().chain(&before) {
                if !seen.contains(key) {
                    seen.push(key);
                    change(&mut lines, key, &values(&before, key), &values(&after, key));
                }
            }
            if !lines.is_empty() {
                let gap = if text.is_empty() { "" } else { "\n" };
                // To write into a string cannot fail.
                write!(text, "{gap}[{section}]\n{lines}").unwrap_or_default();
            }
        }
        text
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

/// A key that only gets more values gets those; any other is emptied first.
fn change(lines: &mut String, key: &str, before: &[&str], after: &[&str]) {
    if before == after {
        return;
    }
    let added = match after.strip_prefix(before) {
        Some(added) => added,
        None => {
            writeln!(lines, "{key}=").unwrap_or_default();
            after
        }
    };
    for value in added {
        writeln!(lines, "{key}={value}").unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_in_says_what_changed() {
        let check = |before: &str, after: &str, expect: &str| {
            let unit = |text| Unit::parse(text).unwrap();
            assert_eq!(unit(before).changes_to(&unit(after)), expect);
        };
        let base = "[Container]\nImage=a\nEnvironment=A=1\nEnvironment=B=2\n\n[Service]\nRestart=always\n";
        check(base, base, "");
        check(base, &base.replace("Image", "# mine\nImage"), "");
        check(base, &base.replace("Restart", "MemoryMax=1G\nRestart"), "[Service]\nMemoryMax=1G\n");
        check(
            base,
            &base.replace("Image=a", "Image=b").replace("B=2", "B=3"),
            "[Container]\nImage=\nImage=b\nEnvironment=\nEnvironment=A=1\nEnvironment=B=3\n",
        );
        check(
            base,
            &base.replace("B=2\n", "B=2\nEnvironment=C=3\n").replace("Restart=always\n", ""),
            "[Container]\nEnvironment=C=3\n\n[Service]\nRestart=\n",
        );
        check(base, &format!("{base}\n[Install]\nWantedBy=x.target\n"), "[Install]\nWantedBy=x.target\n");
    }

    #[test]
    fn what_is_disabled_has_no_wish_to_come_up() {
        let unit = Unit::parse("[Unit]\nDescription=a\n\n[Install]\nWantedBy=default.target\n").unwrap();
        assert_eq!(unit.disabled(), "[Unit]\nDescription=a\n");
    }
}
