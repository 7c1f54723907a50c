//! A value of a compose file, with the keys that lead to it: how the typed parts of a stack are read out of a tree.
//!
//! Every reader tells the log what is wrong and goes on, so that all problems of a file are seen at once.

use std::collections::BTreeMap;
use std::time::Duration;

use super::keys::{Fate, Table};
use super::log::Log;
use super::node::{Entry, Kind, Node, Place, Scalar, Value};
use super::{scalar, units};

/// A node of the tree, and its path.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    pub node: &'a Node,
    pub path: String,
}

impl<'a> Field<'a> {
    pub fn new(node: &'a Node, path: impl Into<String>) -> Self {
        Self { node, path: path.into() }
    }

    pub fn place(&self) -> Place {
        self.node.place
    }

    pub fn problem(&self, log: &mut Log, message: impl Into<String>) {
        log.problem(self.node.place, &self.path, message);
    }

    pub fn warn(&self, log: &mut Log, message: impl Into<String>) {
        log.warn(self.node.place, &self.path, message);
    }

    fn child(&self, key: &str, node: &'a Node) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        Self { node, path }
    }

    /// The value of a key, unless there is none.
    pub fn get(&self, key: &str) -> Option<Self> {
        let Value::Map(map) = &self.node.value else { return None };
        map.get(key).filter(|entry| !entry.node.is_null()).map(|entry| self.child(key, &entry.node))
    }

    /// Its scalar, if it is one.
    pub fn scalar(&self) -> Option<&'a Scalar> {
        match &self.node.value {
            Value::Scalar(scalar) => Some(scalar),
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }

    pub fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// The keys of a mapping with their values, extensions left out.
    pub fn entries(&self, log: &mut Log) -> Vec<(&'a str, Self)> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::Map(map) => map
                .iter()
                .filter(|(key, _)| !key.starts_with("x-"))
                .map(|(key, entry)| (key.as_str(), self.child(key, &entry.node)))
                .collect(),
            Value::Scalar(_) | Value::List(_) => {
                self.problem(log, "this must be a mapping: write key: value");
                Vec::new()
            }
        }
    }

    /// The keys of a mapping whose names are the file's own, extensions among them.
    pub fn named(&self, log: &mut Log) -> Vec<(&'a str, Self)> {
        match &self.node.value {
            Value::Map(map) => {
                map.iter().map(|(key, entry)| (key.as_str(), self.child(key, &entry.node))).collect()
            }
            Value::Null | Value::Scalar(_) | Value::List(_) => self.entries(log),
        }
    }

    /// The items of a list.
    pub fn items(&self, log: &mut Log) -> Vec<Self> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => self.numbered(items),
            Value::Scalar(_) | Value::Map(_) => {
                self.problem(log, "this must be a list: write each item behind a dash");
                Vec::new()
            }
        }
    }

    /// The items of a list, or the one thing that stands in its place.
    pub fn one_or_many(&self) -> Vec<Self> {
        match &self.node.value {
            Value::Null => Vec::new(),
            Value::List(items) => self.numbered(items),
            Value::Scalar(_) | Value::Map(_) => vec![self.clone()],
        }
    }

    fn numbered(&self, items: &'a [Node]) -> Vec<Self> {
        let numbered = items.iter().enumerate();
        numbered.map(|(at, node)| Self { node, path: format!("{}[{at}]", self.path) }).collect()
    }

    /// Tells of keys that are unknown, mean nothing here, or are refused.
    pub fn known(&self, log: &mut Log, table: Table) {
        let Value::Map(map) = &self.node.value else { return };
        for (key, entry) in map.iter().filter(|(key, _)| !key.starts_with("x-")) {
            let path = self.child(key, &entry.node).path;
            match table.iter().find(|known| known.name == key).map(|known| known.fate) {
                None if log.is_full() => return,
                None => log.problem(entry.key, &path, unknown(key, table)),
                Some(Fate::Warned(why)) if says_something(entry) => log.warn(entry.key, &path, why),
                Some(Fate::Refused(why)) if says_something(entry) => log.problem(entry.key, &path, why),
                Some(Fate::Taken | Fate::Warned(_) | Fate::Refused(_)) => {}
            }
        }
    }

    /// Text; numbers and truth values as docker compose prints them.
    pub fn text(&self, log: &mut Log) -> Option<String> {
        match &self.node.value {
            Value::Null => None,
            Value::Scalar(scalar) => Some(scalar.text.clone()),
            Value::List(_) | Value::Map(_) => {
                self.problem(log, "this must be a single value");
                None
            }
        }
    }

    /// Text, a date as docker compose prints it.
    fn printed(&self, log: &mut Log) -> Option<String> {
        let date = self.scalar().filter(|scalar| scalar.kind == Kind::Date);
        date.and_then(|scalar| scalar::date(&scalar.text)).or_else(|| self.text(log))
    }

    /// Text that is not empty.
    pub fn filled(&self, log: &mut Log) -> Option<String> {
        self.text(log).filter(|text| !text.is_empty())
    }

    fn parsed<T>(&self, log: &mut Log, what: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let text = self.filled(log)?;
        let value = parse(text.trim());
        if value.is_none() {
            self.problem(log, format!("{text:?} is no {what}"));
        }
        value
    }

    pub fn boolean(&self, log: &mut Log) -> Option<bool> {
        self.parsed(log, "truth value: write true or false", units::boolean)
    }

    pub fn integer(&self, log: &mut Log) -> Option<i64> {
        self.parsed(log, "whole number", |text| {
            text.parse().ok().or_else(|| text.strip_suffix(".0").and_then(|text| text.parse().ok()))
        })
    }

    pub fn unsigned(&self, log: &mut Log) -> Option<u64> {
        self.parsed(log, "whole number of at least 0", |text| text.parse().ok())
    }

    /// A size in bytes.
    pub fn bytes(&self, log: &mut Log) -> Option<u64> {
        self.parsed(log, "size: write it as 512m or 1.5g", units::bytes)
    }

    /// A time; a number without a unit counts as seconds.
    pub fn duration(&self, log: &mut Log) -> Option<Duration> {
        let text = self.filled(log)?;
        if text != "0"
            && let Ok(seconds) = text.parse::<u64>()
        {
            self.warn(
                log,
                format!("{text} has no unit, and docker compose does not take it: read as {text}s"),
            );
            return Some(Duration::from_secs(seconds));
        }
        self.parsed(log, "time: write it as 90s or 1m30s", units::duration)
    }

    /// A number of processors, as it is printed; nothing where it is 0.
    pub fn number(&self, log: &mut Log) -> Option<String> {
        let text = self.filled(log)?;
        match text.trim().parse::<f64>() {
            Ok(number) if number.is_finite() && number >= 0.0 => {
                (number > 0.0).then(|| text.trim().to_owned())
            }
            Ok(_) | Err(_) => {
                self.problem(log, format!("{text:?} is no number of at least 0"));
                None
            }
        }
    }

    /// The texts of a list, each once; those that a variable left empty say nothing.
    pub fn texts(&self, log: &mut Log) -> Vec<String> {
        let items = self.items(log);
        once(items.iter().filter_map(|item| item.filled(log)).collect())
    }

    /// The texts of a list or of a single value, each once.
    pub fn text_or_texts(&self, log: &mut Log) -> Vec<String> {
        let items = self.one_or_many();
        once(items.iter().filter_map(|item| item.filled(log)).collect())
    }

    /// The words of a list, as often as they stand there.
    pub fn words(&self, log: &mut Log) -> Vec<String> {
        let items = self.items(log);
        // What is empty in YAML is still a word.
        items
            .iter()
            .filter_map(|item| if item.node.is_null() { Some(String::new()) } else { item.text(log) })
            .collect()
    }

    /// A mapping, or a list of `KEY=VALUE`: what has no value is kept without one.
    pub fn pairs(&self, log: &mut Log) -> BTreeMap<String, Option<String>> {
        if !self.is_list() {
            let named = self.named(log);
            return named.into_iter().map(|(key, field)| (key.to_owned(), field.printed(log))).collect();
        }
        let mut pairs = BTreeMap::new();
        for item in self.items(log) {
            let Some(text) = item.text(log) else { continue };
            match text.split_once('=') {
                Some((key, value)) => pairs.insert(key.to_owned(), Some(value.to_owned())),
                None => pairs.insert(text, None),
            };
        }
        pairs
    }

    /// The same where nothing and an empty value are the same.
    pub fn filled_pairs(&self, log: &mut Log) -> BTreeMap<String, String> {
        self.pairs(log).into_iter().map(|(key, value)| (key, value.unwrap_or_default())).collect()
    }
}

/// Each text once, where it stood first.
pub fn once(texts: Vec<String>) -> Vec<String> {
    let mut seen = std::collections::BTreeSet::new();
    texts.into_iter().filter(|text| seen.insert(text.clone())).collect()
}

/// Whether losing it could change anything.
fn says_something(entry: &Entry) -> bool {
    match &entry.node.value {
        Value::Null => false,
        Value::Scalar(scalar) => !matches!(scalar.text.as_str(), "" | "false" | "0"),
        Value::List(items) => !items.is_empty(),
        Value::Map(map) => !map.is_empty(),
    }
}

fn unknown(key: &str, table: Table) -> String {
    let near = table.iter().map(|known| known.name).min_by_key(|name| distance(key, name));
    match near.filter(|name| distance(key, name) <= 2) {
        Some(near) => format!("docker compose knows no key {key:?} here: is {near} meant?"),
        None => format!("docker compose knows no key {key:?} here: remove it, or call it x-{key}"),
    }
}

/// How many letters must change to make one word of the other.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(40).enumerate() {
        let mut left = i + 1;
        let mut next = vec![left];
        for (y, pair) in b.iter().zip(row.windows(2)) {
            let [corner, above] = pair else { continue };
            left = (left + 1).min(above + 1).min(corner + usize::from(x != *y));
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(usize::MAX)
}
