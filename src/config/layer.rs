//! One layer: the entries of a file, or of the environment, applied to the settings. Every wrong entry is
//! reported, not only the first.

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::environment::{Environment, NOT_SETTINGS, PREFIX};
use super::keys::{KEYS, Key};
use super::nearest::nearest;
use super::raw::Raw;
use super::settings::Settings;
use super::{Origin, Problem};

/// What the layers have said so far.
pub(super) struct Draft {
    pub(super) settings: Settings,
    /// Which layer said it last, by key.
    pub(super) origins: Vec<(&'static Key, Origin)>,
    pub(super) problems: Vec<Problem>,
}

impl Draft {
    /// Applies a file's text.
    pub(super) fn apply_file(&mut self, path: &Path, text: &str) {
        let file = File { path, text };
        match DeTable::parse(text) {
            Ok(table) => table.get_ref().iter().for_each(|(name, value)| {
                self.apply_section(&file, name.get_ref(), name.span().start, value.get_ref());
            }),
            Err(error) => {
                let line = file.line(error.span().map_or(0, |span| span.start));
                let message = error.message().lines().collect::<Vec<_>>().join("; ");
                self.problems.push(Problem::Syntax { path: path.to_owned(), line, message });
            }
        }
    }

    /// Applies the variables that begin with `RIVETR_`.
    pub(super) fn apply_environment(&mut self, environment: &Environment) {
        for (variable, value) in environment.overrides() {
            let Some(key) = KEYS.iter().find(|key| key.variable() == variable) else {
                let known = KEYS.iter().map(Key::variable).chain(NOT_SETTINGS.map(str::to_owned));
                let nearest = nearest(&variable, PREFIX, known);
                self.problems.push(Problem::UnknownVariable { variable, nearest });
                continue;
            };
            let text = value.to_str();
            match text.and_then(|text| key.set(&mut self.settings, &Raw::Text(text))) {
                Some(()) => self.remember(key, Origin::Variable(variable)),
                None => self.problems.push(Problem::Value {
                    place: variable,
                    given: readable(&format!("{:?}", value.to_string_lossy())),
                    allowed: key.allowed(),
                }),
            }
        }
    }

    /// Remembers which layer said it last.
    pub(super) fn remember(&mut self, key: &'static Key, origin: Origin) {
        self.origins.retain(|(known, _)| !std::ptr::eq(*known, key));
        self.origins.push((key, origin));
    }

    fn apply_section(&mut self, file: &File<'_>, section: &str, at: usize, value: &DeValue<'_>) {
        let place = file.place(at);
        if !KEYS.iter().any(|key| key.section == section) {
            let hint = section_hint(section, value);
            self.problems.push(Problem::UnknownSection { place, section: readable(section), hint });
            return;
        }
        let Some(table) = value.as_table() else {
            self.problems.push(Problem::NotASection { place, section: section.to_owned() });
            return;
        };
        for (name, value) in table {
            self.apply_entry(file, section, (name.get_ref(), name.span().start), value);
        }
    }

    fn apply_entry(
        &mut self,
        file: &File<'_>,
        section: &str,
        (name, at): (&str, usize),
        value: &toml::Spanned<DeValue<'_>>,
    ) {
        let line = file.line(at);
        let Some(key) = Key::find(section, name) else {
            let known = KEYS.iter().filter(|key| key.section == section).map(|key| key.name.to_owned());
            let nearest = nearest(name, "", known);
            self.problems.push(Problem::UnknownKey {
                place: file.place(at),
                section: section.to_owned(),
                name: readable(name),
                nearest,
            });
            return;
        };
        match key.set(&mut self.settings, &Raw::Toml(value.get_ref())) {
            Some(()) => self.remember(key, Origin::File { path: file.path.to_owned(), line }),
            None => self.problems.push(Problem::Value {
                place: format!("{}: [{section}] {name}", file.place(at)),
                given: readable(file.text.get(value.span()).unwrap_or_default()),
                allowed: key.allowed(),
            }),
        }
    }
}

/// A file's path and text, to name places in it.
struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn line(&self, offset: usize) -> usize {
        1 + self.text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path.display(), self.line(offset))
    }
}

/// A name that no section has: a key outside of its section, or a slip.
fn section_hint(name: &str, value: &DeValue<'_>) -> String {
    if let Some(key) = KEYS.iter().find(|key| key.name == name && !value.is_table()) {
        return format!("put it below [{}]", key.section);
    }
    let sections = KEYS.iter().map(|key| key.section.to_owned());
    if let Some(section) = nearest(name, "", sections) {
        return format!("did you mean [{section}]?");
    }
    let mut sections: Vec<&str> = KEYS.iter().map(|key| key.section).collect();
    sections.dedup();
    format!("the sections are {}", sections.join(", "))
}

/// What somebody wrote, on one line and cut to a readable length.
fn readable(text: &str) -> String {
    const MOST: usize = 60;
    let cut: String = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().count() > MOST { format!("{cut}…") } else { cut }
}
