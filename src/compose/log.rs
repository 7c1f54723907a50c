//! What was noticed while reading, and the files that were read.

use std::path::{Path, PathBuf};

use super::Notice;
use super::node::Place;

/// The most problems, and the most warnings, that are kept: nobody reads more.
const NOTICES_MAX: usize = 500;

/// The longest message, in characters: what it quotes may be of any length.
const MESSAGE_MAX: usize = 500;
/// The longest path of keys, in characters.
const KEY_MAX: usize = 200;

/// A file, and the folder that relative paths in it are relative to.
#[derive(Debug, Clone)]
pub struct Source {
    pub path: PathBuf,
    pub base: PathBuf,
}

/// Problems and warnings, and the sources that their places are in.
#[derive(Debug, Default)]
pub struct Log {
    sources: Vec<Source>,
    pub problems: Vec<Notice>,
    pub warnings: Vec<Notice>,
}

impl Log {
    /// Makes a file known, and gives the number that places in it carry.
    pub fn add_source(&mut self, path: PathBuf, base: PathBuf) -> usize {
        self.sources.push(Source { path, base });
        self.sources.len() - 1
    }

    /// The folder that a relative path at a place is relative to.
    pub fn base(&self, place: Place) -> &Path {
        self.sources.get(place.source).map_or(Path::new("/"), |source| &source.base)
    }

    /// The file that a place is in.
    pub fn file(&self, place: Place) -> &Path {
        self.sources.get(place.source).map_or(Path::new(""), |source| &source.path)
    }

    /// How many files have been read.
    pub fn sources(&self) -> usize {
        self.sources.len()
    }

    /// Something for which the file is refused.
    pub fn problem(&mut self, place: Place, key: &str, message: impl Into<String>) {
        let notice = self.notice(place, key, &message.into());
        if self.problems.len() < NOTICES_MAX && !self.problems.contains(&notice) {
            self.problems.push(notice);
        }
    }

    /// Something that the reader should know.
    pub fn warn(&mut self, place: Place, key: &str, message: impl Into<String>) {
        let notice = self.notice(place, key, &message.into());
        if self.warnings.len() < NOTICES_MAX && !self.warnings.contains(&notice) {
            self.warnings.push(notice);
        }
    }

    /// Whether further problems are not told any more.
    pub fn is_full(&self) -> bool {
        self.problems.len() >= NOTICES_MAX
    }

    fn notice(&self, place: Place, key: &str, message: &str) -> Notice {
        let file = self.file(place).to_path_buf();
        let (key, message) = (cut(key, KEY_MAX), cut(message, MESSAGE_MAX));
        Notice { file, line: place.line, column: place.column, key, message }
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most).and_then(|(at, _)| text.get(..at)) {
        Some(start) => format!("{start}…"),
        None => text.to_owned(),
    }
}
