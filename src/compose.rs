//! Compose files: what `docker compose config` would make of one becomes a [`Stack`], or a list of what is wrong
//! with it, each with its place.
//!
//! Pure: the text of the first file and the reader's environment come in as values, further files through a
//! function. Nothing is started or written, and what a stack may do on this host is not judged here.

mod dotenv;
mod environment;
mod field;
mod interpolate;
mod keys;
mod load;
mod log;
mod merge;
mod node;
mod scalar;
mod service;
mod stack;
mod template;
mod units;
mod words;
mod yaml;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use self::load::Loader;
pub use self::load::absolute;
use self::node::{Node, Value};
use self::service::Context;
pub use self::template::template;
use crate::domain::stack::Stack;

/// What is to be read, and for whom.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Request {
    /// The compose file: absolute. Relative paths in it are relative to its folder.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// The name that the reader wants for the project.
    pub project_name: Option<String>,
    /// The profiles that the reader asks for, besides those of `COMPOSE_PROFILES`; `*` for all.
    pub profiles: Vec<String>,
    /// The environment of the reader.
    pub environment: BTreeMap<String, String>,
    /// Env files in place of the `.env` beside the compose file: absolute, the last wins.
    pub env_files: Vec<PathBuf>,
}

/// Gives the text of a file by its absolute path: `NotFound` where there is none, `InvalidData` where it is no UTF-8.
pub type Files<'a> = &'a dyn Fn(&Path) -> io::Result<String>;

/// A stack, and what a person should know of how it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// What the file says.
    pub stack: Stack,
    /// What it says that has no meaning here, or another one.
    pub warnings: Vec<Notice>,
    places: BTreeMap<String, Place>,
}

impl Reading {
    /// Where something stands: of `services`, `web`, `logging` the deepest part that is known.
    #[must_use]
    pub fn place(&self, path: &[&str]) -> Option<&Place> {
        let mut deepest = self.places.get("");
        let mut key = String::new();
        for part in path {
            if !key.is_empty() {
                key.push('.');
            }
            key.push_str(part);
            deepest = self.places.get(&key).or(deepest);
        }
        deepest
    }
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file: absolute.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}", self.line)?;
        }
        Ok(())
    }
}

/// Why a file was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Everything that is wrong, as far as it could be read; never empty.
    pub problems: Vec<Notice>,
    /// What was noticed besides.
    pub warnings: Vec<Notice>,
}

/// A remark about a place in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notice {
    /// The file: absolute.
    pub file: PathBuf,
    /// The line, from 1; 0 where it is about the file as a whole.
    pub line: usize,
    /// The column in characters, from 1; 0 where it is about the file as a whole.
    pub column: usize,
    /// The keys that lead there: `services.web.ports[0]`; may be empty.
    pub key: String,
    /// What is wrong, and what to do about it.
    pub message: String,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        if !self.key.is_empty() {
            write!(f, " {}:", self.key)?;
        }
        write!(f, " {}", self.message)
    }
}

/// Reads a compose file, with all that it refers to, into a stack.
pub fn read(request: &Request, files: Files<'_>) -> Result<Reading, Refusal> {
    let folder = request.file.parent().unwrap_or(Path::new("/"));
    let mut loader = Loader::new(files);
    let mut stack = Stack::default();
    let mut places = BTreeMap::new();
    if let Some(documents) = loader.parse(&request.file, folder, &request.text) {
        let mut environment = environment::of_request(request, folder, files, &mut loader.log);
        let project =
            environment::project_name(request, &documents, folder, &mut environment, &mut loader.log);
        let profiles = environment::profiles(request, &environment);
        let tree = loader.assemble(&request.file, documents, &environment, &mut Vec::new());
        let home = request.environment.get("HOME").filter(|home| home.starts_with('/')).map(PathBuf::from);
        let tree =
            tree.unwrap_or_else(|| Node::new(node::Place { line: 1, column: 1, source: 0 }, Value::Null));
        let mut context = Context {
            log: std::mem::take(&mut loader.log),
            files,
            environment,
            home,
            services: BTreeSet::new(),
            enabled: BTreeSet::new(),
            networks: BTreeSet::new(),
            volumes: BTreeSet::new(),
            secrets: BTreeMap::new(),
            configs: BTreeMap::new(),
            held: 0,
            links: Vec::new(),
        };
        stack = stack::read(&project, &tree, &profiles, &mut context);
        note_places(&tree, "", PLACES_DEPTH, &context.log, &mut places);
        loader.log = context.log;
    }
    places.insert(String::new(), Place { file: request.file.clone(), line: 0 });
    let log::Log { mut problems, mut warnings, .. } = loader.log;
    for notices in [&mut problems, &mut warnings] {
        for notice in notices.iter_mut().filter(|notice| notice.file.as_os_str().is_empty()) {
            notice.file.clone_from(&request.file);
        }
        notices.sort();
        notices.dedup();
    }
    if problems.is_empty() {
        Ok(Reading { stack, warnings, places })
    } else {
        Err(Refusal { problems, warnings })
    }
}

/// How many keys deep places are kept: `services.web.logging`.
const PLACES_DEPTH: usize = 3;

fn note_places(node: &Node, above: &str, depth: usize, log: &log::Log, places: &mut BTreeMap<String, Place>) {
    let Value::Map(map) = &node.value else { return };
    for (key, entry) in map {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        if depth > 1 {
            note_places(&entry.node, &path, depth - 1, log, places);
        }
        places.insert(path, Place { file: log.file(entry.key).to_path_buf(), line: entry.key.line });
    }
}

#[cfg(test)]
mod tests;
