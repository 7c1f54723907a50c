//! Reading unit text back: what rivetr ships as bases, and what it wrote.
//!
//! Narrower than systemd: no joined lines, no section twice, no section of a name that rivetr does not write.

use std::borrow::Cow;

use thiserror::Error;

use super::{Line, Section, Unit};

/// Unit text that cannot be read, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct UnitParseError {
    /// The line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: SyntaxProblem,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SyntaxProblem {
    /// A section that rivetr does not write.
    #[error("the section [{0}] is not one that rivetr writes")]
    UnknownSection(String),
    /// A section that came before.
    #[error("the section [{0}] is there already; put its lines together")]
    RepeatedSection(Section),
    /// An entry above every section.
    #[error("a key stands above the first section")]
    NoSection,
    /// Neither a comment nor a section nor `Key=value`.
    #[error("it is neither a comment nor [Section] nor Key=value")]
    NotALine,
    /// A line that goes on in the next.
    #[error("it ends with a backslash; write it on one line")]
    JoinedLine,
}

pub(super) fn parse(text: &str) -> Result<Unit, UnitParseError> {
    let mut unit = Unit::default();
    let mut current = None;
    for (index, line) in text.lines().enumerate() {
        let at = |problem| UnitParseError { line: index + 1, problem };
        let line = line.trim();
        if line.ends_with('\\') {
            return Err(at(SyntaxProblem::JoinedLine));
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            let section = known_section(name).map_err(at)?;
            if unit.sections.insert(section, Vec::new()).is_some() {
                return Err(at(SyntaxProblem::RepeatedSection(section)));
            }
            current = Some(section);
        } else if let Some(comment) = line.strip_prefix(['#', ';']) {
            let lines = match current {
                None => &mut unit.head,
                Some(section) => unit.sections.entry(section).or_default(),
            };
            lines.push(Line::Comment(comment.to_owned()));
        } else if !line.is_empty() {
            let entry = entry(line).map_err(at)?;
            let section = current.ok_or_else(|| at(SyntaxProblem::NoSection))?;
            unit.sections.entry(section).or_default().push(entry);
        }
    }
    Ok(unit)
}

fn known_section(name: &str) -> Result<Section, SyntaxProblem> {
    let known = Section::ALL.into_iter().find(|section| section.as_str() == name);
    known.ok_or_else(|| SyntaxProblem::UnknownSection(name.to_owned()))
}

fn entry(line: &str) -> Result<Line, SyntaxProblem> {
    let (key, text) = line.split_once('=').ok_or(SyntaxProblem::NotALine)?;
    let key = key.trim_end();
    if key.is_empty() || !key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err(SyntaxProblem::NotALine);
    }
    Ok(Line::Entry { key: Cow::Owned(key.to_owned()), text: text.trim_start().to_owned() })
}
