//! A unit as it is being written: each line by the key of the stack that asks for it, so that what cannot be said is
//! told with that key.

use std::collections::BTreeSet;

use super::super::unit::{Argument, Section, SectionWriter, Unit, UnitTextError};
use super::Note;

/// What cannot be said as it was meant.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Where little is lost.
    pub(super) notes: Vec<Note>,
    /// Where too much would be.
    pub(super) problems: Vec<Note>,
}

/// A unit, and where in the stack its lines come from.
pub(super) struct Draft<'n> {
    unit: Unit,
    main: Section,
    place: String,
    notes: &'n mut Notes,
    linked: BTreeSet<(&'static str, String)>,
}

impl Notes {
    /// Notes it once, however many replicas say it.
    pub(super) fn note(&mut self, key: String, message: impl Into<String>) {
        push(&mut self.notes, key, message.into());
    }

    pub(super) fn refuse(&mut self, key: String, message: impl Into<String>) {
        push(&mut self.problems, key, message.into());
    }
}

impl<'n> Draft<'n> {
    /// A unit whose own section is `main`, for what `place` says: `services.web`.
    pub(super) fn new(main: Section, place: String, notes: &'n mut Notes) -> Self {
        Self { unit: Unit::default(), main, place, notes, linked: BTreeSet::new() }
    }

    pub(super) fn finish(self) -> Unit {
        self.unit
    }

    pub(super) fn remark(&mut self, text: &str) {
        self.unit.remark(text);
    }

    /// What is not quite as `of` says.
    pub(super) fn note(&mut self, of: &str, message: impl Into<String>) {
        self.notes.note(key(&self.place, of), message);
    }

    /// Why it cannot be as `of` says.
    pub(super) fn refuse(&mut self, of: &str, message: impl Into<String>) {
        self.notes.refuse(key(&self.place, of), message);
    }

    /// A key of Quadlet that is read as it stands. What it cannot carry goes to Podman as its `flag`.
    pub(super) fn option(&mut self, of: &str, key: &'static str, flag: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        if self.writer().scalar(key, value).is_err() {
            self.podman(of, &format!("{flag}={value}"));
        }
    }

    /// A key that is read as it stands, and that no flag can stand for.
    pub(super) fn scalar(&mut self, of: &str, key: &'static str, value: &str) {
        let outcome = self.writer().scalar(key, value).map(drop);
        self.told(of, outcome);
    }

    /// A key that is a list of words.
    pub(super) fn words<'w>(
        &mut self,
        of: &str,
        key: &'static str,
        words: impl IntoIterator<Item = &'w str>,
    ) {
        let outcome = self.writer().arguments(key, words.into_iter().map(Argument::Text)).map(drop);
        self.told(of, outcome);
    }

    /// A key that is a list of words, some of which are variables of the service.
    pub(super) fn arguments(&mut self, of: &str, key: &'static str, words: Vec<Argument<'_>>) {
        let outcome = self.writer().arguments(key, words).map(drop);
        self.told(of, outcome);
    }

    /// A word of a key that takes backslashes and quotes within words for what they are: such a word goes to Podman
    /// as its `flag`.
    pub(super) fn plain_word(&mut self, of: &str, key: &'static str, flag: &str, word: &str) {
        if word.contains(|c: char| c.is_control() || "\\\"'".contains(c)) {
            self.podman(of, &format!("{flag}={word}"));
        } else {
            self.words(of, key, [word]);
        }
    }

    /// One argument for Podman itself.
    pub(super) fn podman(&mut self, of: &str, argument: &str) {
        self.words(of, "PodmanArgs", [argument]);
    }

    /// A `name=value` of a key that holds such pairs.
    pub(super) fn pair(&mut self, of: &str, key: &'static str, name: &str, value: &str) {
        if name.is_empty() {
            self.note(of, "an entry without a name is left out: Podman takes none");
            return;
        }
        let text = format!("{name}={value}");
        let outcome = self.writer().words(key, [text.as_str()]).map(drop);
        self.told(&format!("{of}.{name}"), outcome);
    }

    /// A line of the program's own, in any section.
    pub(super) fn own(&mut self, section: Section, key: &'static str, text: &str) {
        let outcome = self.unit.section(section).raw(key, text).map(drop);
        self.told("", outcome);
    }

    /// A line of any section that carries text.
    pub(super) fn text(&mut self, of: &str, section: Section, key: &'static str, value: &str) {
        let outcome = self.unit.section(section).scalar(key, value).map(drop);
        self.told(of, outcome);
    }

    /// A variable of the service, which stands in front of Podman's own.
    pub(super) fn variable(&mut self, of: &str, name: &str, value: &str) {
        let text = format!("{name}={value}");
        let outcome = self.unit.section(Section::Service).words("Environment", [text.as_str()]).map(drop);
        self.told(of, outcome);
    }

    /// A command that systemd runs.
    pub(super) fn command<'w>(
        &mut self,
        of: &str,
        key: &'static str,
        program: &'static str,
        words: impl IntoIterator<Item = &'w str>,
    ) {
        let outcome = self.unit.section(Section::Service).command(key, program, words).map(drop);
        self.told(of, outcome);
    }

    /// How it depends on another service: `Requires`, `After` and the like, each once.
    pub(super) fn link(&mut self, key: &'static str, service: &str) {
        if self.linked.insert((key, service.to_owned())) {
            self.text("depends_on", Section::Unit, key, service);
        }
    }

    fn writer(&mut self) -> SectionWriter<'_> {
        self.unit.section(self.main)
    }

    fn told(&mut self, of: &str, outcome: Result<(), UnitTextError>) {
        if let Err(error) = outcome {
            self.refuse(of, error.to_string());
        }
    }
}

/// The keys that lead to `of` at a place.
fn key(place: &str, of: &str) -> String {
    if of.is_empty() { place.to_owned() } else { format!("{place}.{of}") }
}

fn push(notes: &mut Vec<Note>, key: String, message: String) {
    let note = Note { key, message };
    if !notes.contains(&note) {
        notes.push(note);
    }
}
