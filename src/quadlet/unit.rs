//! A unit file as sections of lines. Values are escaped as they are put in; raw text only by name.
//!
//! Section names and keys are fixed in the program, so text that a person typed can only ever become a value,
//! and no value leaves its line. What the keys mean is not known here.

mod dropin;
mod escape;
mod parse;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use thiserror::Error;

pub use self::parse::{SyntaxProblem, UnitParseError};

/// A unit file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unit {
    head: Vec<Line>,
    sections: BTreeMap<Section, Vec<Line>>,
}

/// The sections that rivetr writes, in the order in which they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Section {
    /// What any unit of systemd has.
    Unit,
    /// A Quadlet's container.
    Container,
    /// A Quadlet's network.
    Network,
    /// A Quadlet's volume.
    Volume,
    /// A Quadlet's image that is built.
    Build,
    /// What Podman's generator adds of its own accord.
    Quadlet,
    /// The service that a Quadlet becomes.
    Service,
    /// When a timer elapses.
    Timer,
    /// What pulls the unit in.
    Install,
}

/// A line of a section, or one above the first.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Line {
    Comment(String),
    Entry { key: Cow<'static, str>, text: String },
}

/// The end of one section, to which lines are added.
#[derive(Debug)]
pub struct SectionWriter<'a> {
    section: Section,
    lines: &'a mut Vec<Line>,
}

/// What becomes of a key that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    /// It stays as it is.
    Keep,
    /// It goes.
    Drop,
    /// It gets another text, which is written as it stands: made of the one that was there.
    Text(String),
}

/// A word of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Argument<'a> {
    /// Text, taken as it is.
    Text(&'a str),
    /// What the service's variable of this name holds, be it empty: always one word.
    Variable(&'static str),
}

/// A value that a unit file cannot carry to where it belongs. Never shows the value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{name} cannot be written into a unit: {problem}")]
pub struct UnitTextError {
    /// What it was for: the key, and of an assignment also the name: `Environment GREETING`.
    pub name: String,
    /// Why not, and what would do.
    pub problem: ValueProblem,
}

/// Why a value cannot be carried, and what would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ValueProblem {
    /// No string of a process can hold NUL.
    #[error("it holds a NUL byte, which no process can receive; remove it")]
    Nul,
    /// systemd drops units with Unicode's noncharacters, and Quadlet breaks U+0080.
    #[error("it holds U+0080 or a Unicode noncharacter such as U+FFFE, which systemd cannot read; remove it")]
    Unreadable,
    /// `podman run --env` turns CR LF into LF.
    #[error("it holds a Windows line ending (CR LF), which Podman would change to LF; use LF alone")]
    CrLf,
    /// A key that is read as it stands has no way to say a control character.
    #[error("it holds a line break or another control character, which this key cannot carry; remove it")]
    Control,
    /// Blanks at both ends of a line are cut.
    #[error("it begins or ends with a blank, which would be cut; remove it")]
    OuterBlank,
    /// Quadlet strips double quotes from both ends.
    #[error("it begins or ends with a double quote, which would be cut; remove it")]
    OuterQuote,
    /// A backslash at the end joins the next line to this one.
    #[error("it ends with a backslash, which would swallow the next line; remove it")]
    TrailingBackslash,
    /// An empty line resets a list, or says nothing.
    #[error("it is empty; leave it out or give it a value")]
    Empty,
    /// Quadlet drops an empty argument and all that follow (FACTS 13.7).
    #[error("one of its words is empty, which would drop the words after it; leave it out")]
    EmptyWord,
    /// systemd ends a command at a semicolon that stands alone (FACTS 13.7).
    #[error("one of its words is a lone semicolon, which would end the command; join it to another word")]
    Semicolon,
    /// A name in front of `=` that would be read as something else.
    #[error("its name is empty or holds a blank, a control character or an equals sign; use another name")]
    Name,
}

impl Unit {
    /// Reads a unit file that rivetr wrote or ships. Lines joined by a backslash are refused.
    pub fn parse(text: &str) -> Result<Self, UnitParseError> {
        parse::parse(text)
    }

    /// The section to add lines to; made if there is none yet.
    pub fn section(&mut self, section: Section) -> SectionWriter<'_> {
        SectionWriter { section, lines: self.sections.entry(section).or_default() }
    }

    /// Adds a remark above the first section; what would end its line is left out.
    pub fn remark(&mut self, text: &str) {
        let text: String = text.chars().filter(|c| !c.is_control()).collect();
        self.head.push(Line::Comment(format!(" {}", text.trim_end_matches(['\\', ' ']))));
    }

    /// Takes a section out, with all its lines.
    pub fn drop_section(&mut self, section: Section) {
        self.sections.remove(&section);
    }

    /// Takes every remark out.
    pub fn drop_remarks(&mut self) {
        self.head.clear();
        for lines in self.sections.values_mut() {
            lines.retain(|line| matches!(line, Line::Entry { .. }));
        }
    }

    /// Goes through every key with its text as it stands in the file. A section that is left without one goes too.
    pub fn edit(&mut self, mut decide: impl FnMut(Section, &str, &str) -> Edit) {
        for (section, lines) in &mut self.sections {
            lines.retain_mut(|line| match line {
                Line::Comment(_) => true,
                Line::Entry { key, text } => match decide(*section, key, text) {
                    Edit::Keep => true,
                    Edit::Drop => false,
                    Edit::Text(new) => {
                        *text = new;
                        true
                    }
                },
            });
        }
        self.sections.retain(|_, lines| !lines.is_empty());
    }

    /// The texts of a key, as they stand in the file.
    pub fn texts<'a>(&'a self, section: Section, wanted: &'a str) -> impl Iterator<Item = &'a str> {
        let lines = self.sections.get(&section).map_or(&[][..], Vec::as_slice);
        lines.iter().filter_map(move |line| match line {
            Line::Entry { key, text } if key == wanted => Some(text.as_str()),
            Line::Entry { .. } | Line::Comment(_) => None,
        })
    }

    /// Every key that is given a value, in order.
    pub fn keys(&self) -> impl Iterator<Item = (Section, &str)> {
        self.sections.iter().flat_map(|(section, lines)| {
            lines.iter().filter_map(|line| match line {
                Line::Comment(_) => None,
                Line::Entry { key, .. } => Some((*section, key.as_ref())),
            })
        })
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.head {
            writeln!(f, "{line}")?;
        }
        let mut blank_line_above = !self.head.is_empty();
        for (section, lines) in &self.sections {
            let gap = if blank_line_above { "\n" } else { "" };
            blank_line_above = true;
            writeln!(f, "{gap}[{section}]")?;
            for line in lines {
                writeln!(f, "{line}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Comment(text) => write!(f, "#{text}"),
            Self::Entry { key, text } => write!(f, "{key}={text}"),
        }
    }
}

impl SectionWriter<'_> {
    /// A key whose value is read as it stands, such as `Image=` or `Description=`.
    pub fn scalar(self, key: &'static str, value: &str) -> Result<Self, UnitTextError> {
        let text = escape::scalar(value, self.section).map_err(|problem| named(key, problem))?;
        Ok(self.entry(key, text))
    }

    /// A key whose value is a list of words, such as `Exec=` or `PodmanArgs=`: each in quotes.
    pub fn words<'w>(
        self,
        key: &'static str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Result<Self, UnitTextError> {
        let mut text = String::new();
        for word in words {
            let gap = if text.is_empty() { "" } else { " " };
            text.push_str(gap);
            text.push_str(&escape::word(word, self.section).map_err(|problem| named(key, problem))?);
        }
        if text.is_empty() {
            return Err(named(key, ValueProblem::Empty));
        }
        Ok(self.entry(key, text))
    }

    /// A key whose value becomes words of a command of Podman, such as `Exec=`: in quotes where they need them, and
    /// variables of the service where no text could stand.
    pub fn arguments<'w>(
        self,
        key: &'static str,
        words: impl IntoIterator<Item = Argument<'w>>,
    ) -> Result<Self, UnitTextError> {
        let words = words.into_iter().map(|word| match word {
            Argument::Text(text) => escape::argument(text, self.section),
            Argument::Variable(name) => Ok(format!("${{{name}}}")),
        });
        let words: Vec<_> = words.collect::<Result<_, _>>().map_err(|problem| named(key, problem))?;
        if words.is_empty() {
            return Err(named(key, ValueProblem::Empty));
        }
        Ok(self.entry(key, words.join(" ")))
    }

    /// A command that systemd itself runs, such as `ExecStartPre=`: the program as it stands, any words after it.
    pub fn command<'w>(
        self,
        key: &'static str,
        program: &'static str,
        words: impl IntoIterator<Item = &'w str>,
    ) -> Result<Self, UnitTextError> {
        let mut text = program.to_owned();
        for word in words {
            text.push(' ');
            text.push_str(&escape::command_word(word).map_err(|problem| named(key, problem))?);
        }
        Ok(self.entry(key, text))
    }

    /// One `NAME=value` of a key that holds such pairs, such as `Environment=` or `Label=`. Any value but one
    /// with a line ending of Windows survives.
    pub fn assignment(self, key: &'static str, name: &str, value: &str) -> Result<Self, UnitTextError> {
        let text = escape::assignment(name, value, self.section)
            .map_err(|problem| named(&format!("{key} {}", readable(name)), problem))?;
        Ok(self.entry(key, text))
    }

    /// A value that is to be read with its specifiers, variables and quotes: text of the program's own.
    pub fn raw(self, key: &'static str, text: &str) -> Result<Self, UnitTextError> {
        escape::check_line(text).map_err(|problem| named(key, problem))?;
        Ok(self.entry(key, text.to_owned()))
    }

    fn entry(self, key: &'static str, text: String) -> Self {
        self.lines.push(Line::Entry { key: Cow::Borrowed(key), text });
        self
    }
}

impl Section {
    /// Every section, in order.
    pub const ALL: [Self; 9] = [
        Self::Unit,
        Self::Container,
        Self::Network,
        Self::Volume,
        Self::Build,
        Self::Quadlet,
        Self::Service,
        Self::Timer,
        Self::Install,
    ];

    /// The word between the brackets.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unit => "Unit",
            Self::Container => "Container",
            Self::Network => "Network",
            Self::Volume => "Volume",
            Self::Build => "Build",
            Self::Quadlet => "Quadlet",
            Self::Service => "Service",
            Self::Timer => "Timer",
            Self::Install => "Install",
        }
    }

    /// Whether Quadlet makes words of an `ExecStart=` of its values, in which systemd expands variables.
    fn becomes_a_command(self) -> bool {
        match self {
            Self::Container | Self::Network | Self::Volume | Self::Build => true,
            Self::Unit | Self::Quadlet | Self::Service | Self::Timer | Self::Install => false,
        }
    }
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn named(name: &str, problem: ValueProblem) -> UnitTextError {
    UnitTextError { name: name.to_owned(), problem }
}

/// A name that may itself be the problem, fit for a message.
fn readable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).take(80).collect()
}
