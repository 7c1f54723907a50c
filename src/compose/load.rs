//! From files to one tree: parsed, with variables filled in, included files taken in and `extends` resolved.

mod extend;
mod include;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::Files;
use super::environment::Environment;
use super::interpolate::interpolate;
use super::log::Log;
use super::merge;
use super::node::{Map, Node, Place, Value};
use super::yaml::{self, WEIGHT_MAX};

/// The most files that one may be made of.
pub const FILES_MAX: usize = 200;
/// The most files that may include one another in a row.
const INCLUDES_MAX: usize = 16;
/// The most services that may extend one another in a row.
const EXTENDS_MAX: usize = 32;

/// Reads files into trees.
pub struct Loader<'a> {
    files: Files<'a>,
    pub log: Log,
    /// What all trees together weigh, in bytes.
    weight: usize,
    /// Files that services extend others of.
    extended: BTreeMap<PathBuf, Option<Rc<Node>>>,
    /// Files that are no YAML: they are not read again.
    broken: BTreeSet<PathBuf>,
    /// Variables of which it was said that they are not set.
    unset: BTreeSet<String>,
}

impl<'a> Loader<'a> {
    pub fn new(files: Files<'a>) -> Self {
        Self {
            files,
            log: Log::default(),
            weight: 0,
            extended: BTreeMap::new(),
            broken: BTreeSet::new(),
            unset: BTreeSet::new(),
        }
    }

    /// The documents of a file, whose relative paths are relative to `base`.
    pub fn parse(&mut self, path: &Path, base: &Path, text: &str) -> Option<Vec<Node>> {
        let source = self.log.add_source(path.to_path_buf(), base.to_path_buf());
        match yaml::parse(text, source) {
            Ok((documents, flaws)) => {
                for (place, message) in flaws {
                    self.log.problem(place, "", message);
                }
                let weight = documents.iter().map(Node::weight).sum();
                let place = Place { source, line: 0, column: 0 };
                self.charge(weight, place).then_some(documents)
            }
            Err((place, message)) => {
                self.log.problem(place, "", message);
                self.broken.insert(path.to_path_buf());
                None
            }
        }
    }

    /// One tree of the documents of a file, with all that it includes.
    pub fn assemble(
        &mut self,
        path: &Path,
        documents: Vec<Node>,
        environment: &Environment,
        including: &mut Vec<PathBuf>,
    ) -> Option<Node> {
        let mut tree = self.join(documents, environment)?;
        including.push(path.to_path_buf());
        self.include(&mut tree, environment, including);
        including.pop();
        self.extend_all(path, &mut tree, environment);
        tree.strip_resets();
        Some(tree)
    }

    /// One tree of documents, with variables filled in.
    fn join(&mut self, documents: Vec<Node>, environment: &Environment) -> Option<Node> {
        let mut tree: Option<Node> = None;
        for mut document in documents {
            match &document.value {
                Value::Null => continue,
                Value::Map(_) => {}
                Value::Scalar(_) | Value::List(_) => {
                    self.log.problem(
                        document.place,
                        "",
                        "a compose file is a mapping with the key services: this is none",
                    );
                    continue;
                }
            }
            self.fill_in(&mut document, environment, None);
            tree = match tree.take() {
                None => Some(document),
                Some(under) => self.lay_over(under, document, &mut Vec::new()),
            };
        }
        tree
    }

    /// Lays one tree over another, which costs memory once more.
    fn lay_over(&mut self, under: Node, over: Node, path: &mut Vec<String>) -> Option<Node> {
        let place = over.place;
        if !self.charge(under.weight() + over.weight(), place) {
            return None;
        }
        match merge::merge(under, over, path) {
            Ok(node) => Some(node),
            Err((place, message)) => {
                self.log.problem(place, "", message);
                None
            }
        }
    }

    /// Whether there is room for a tree of this weight.
    fn charge(&mut self, weight: usize, place: Place) -> bool {
        self.weight += weight;
        let fits = self.weight <= WEIGHT_MAX;
        if !fits {
            let limit = WEIGHT_MAX >> 20;
            self.log.problem(
                place,
                "",
                format!("the files unfold to more than {limit} MiB: extend and include less"),
            );
        }
        fits
    }

    fn fill_in(&mut self, node: &mut Node, environment: &Environment, trail: Option<&Trail<'_>>) {
        match &mut node.value {
            Value::Null => {}
            Value::Scalar(scalar) => {
                if !scalar.text.contains('$') {
                    return;
                }
                let lookup = |name: &str| environment.get(name).cloned();
                let mut unset = BTreeSet::new();
                match interpolate(&scalar.text, &lookup, &mut unset) {
                    Ok(text) => {
                        let grown = text.len().saturating_sub(scalar.text.len());
                        scalar.text = text;
                        self.charge(grown, node.place);
                    }
                    Err(message) => self.log.problem(node.place, &Trail::path(trail), message),
                }
                for name in unset {
                    if self.unset.insert(name.clone()) {
                        let message = format!("the variable {name} is not set, and counts as empty");
                        self.log.warn(node.place, &Trail::path(trail), message);
                    }
                }
            }
            Value::List(items) => {
                for (at, item) in items.iter_mut().enumerate() {
                    self.fill_in(item, environment, Some(&Trail { above: trail, step: Step::At(at) }));
                }
            }
            Value::Map(map) => {
                for (key, entry) in map {
                    self.fill_in(
                        &mut entry.node,
                        environment,
                        Some(&Trail { above: trail, step: Step::Key(key) }),
                    );
                }
            }
        }
    }

    /// The text of another file that a place refers to.
    fn text_of(&mut self, path: &Path, place: Place, key: &str) -> Option<String> {
        if self.broken.contains(path) {
            return None;
        }
        if self.log.sources() >= FILES_MAX {
            self.log.problem(place, key, format!("this is made of more than {FILES_MAX} files"));
            return None;
        }
        match (self.files)(path) {
            Ok(text) => Some(text),
            Err(error) => {
                self.log.problem(place, key, format!("the file {} cannot be read: {error}", path.display()));
                None
            }
        }
    }
}

/// The way to a node, told only where it is needed.
struct Trail<'a> {
    above: Option<&'a Trail<'a>>,
    step: Step<'a>,
}

enum Step<'a> {
    Key(&'a str),
    At(usize),
}

impl Trail<'_> {
    fn path(trail: Option<&Self>) -> String {
        let Some(trail) = trail else { return String::new() };
        let above = Trail::path(trail.above);
        match trail.step {
            Step::Key(key) if above.is_empty() => key.to_owned(),
            Step::Key(key) => format!("{above}.{key}"),
            Step::At(at) => format!("{above}[{at}]"),
        }
    }
}

/// The mapping below a key, if it is one.
fn section<'a>(tree: &'a Node, key: &str) -> Option<&'a Map> {
    let Value::Map(map) = &tree.value else { return None };
    match &map.get(key)?.node.value {
        Value::Map(section) => Some(section),
        Value::Null | Value::Scalar(_) | Value::List(_) => None,
    }
}

/// A path of this host: below `~/` in the reader's home, where that is known, and else relative to a folder.
pub fn at_home(home: Option<&Path>, base: &Path, path: &str) -> PathBuf {
    match home.zip(path.strip_prefix("~/")) {
        Some((home, below)) => absolute(home, below),
        None => absolute(base, path),
    }
}

/// A path without `.` and `..`, relative ones relative to a folder.
pub fn absolute(base: &Path, path: impl AsRef<Path>) -> PathBuf {
    let mut out = PathBuf::new();
    for part in base.join(path).components() {
        match part {
            Component::ParentDir => {
                out.pop();
            }
            Component::CurDir => {}
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => out.push(part),
        }
    }
    out
}
