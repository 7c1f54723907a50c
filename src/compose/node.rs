//! A YAML document as a tree whose every node knows where it stands.
//!
//! The order of keys is not kept: nothing in a compose file depends on it.

use std::collections::BTreeMap;

/// Where something stands: in which of the sources, and at which line and column, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    pub source: usize,
    pub line: usize,
    pub column: usize,
}

/// A value and its place.
#[derive(Debug, Clone)]
pub struct Node {
    pub place: Place,
    pub mark: Option<Mark>,
    pub value: Value,
}

/// What a tag says about merging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// `!reset`: what was there before goes.
    Reset,
    /// `!override`: this stands in place of what was there before.
    Override,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum Value {
    Null,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Map),
}

/// A mapping.
pub type Map = BTreeMap<String, Entry>;

/// A value of a mapping, and where its key stands.
#[derive(Debug, Clone)]
pub struct Entry {
    pub key: Place,
    pub node: Node,
}

/// A scalar: its text, in the form in which docker compose would print it, and its type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar {
    pub text: String,
    pub kind: Kind,
}

/// The type of a scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Text,
    Bool,
    Int,
    Float,
    /// A date or a time, as it is written; [`super::scalar::date`] says how docker compose prints it.
    Date,
}

/// What a node without text weighs, in bytes.
pub const NODE_WEIGHT: usize = 64;

impl Node {
    pub fn new(place: Place, value: Value) -> Self {
        Self { place, mark: None, value }
    }

    pub fn text(place: Place, text: impl Into<String>) -> Self {
        Self::new(place, Value::Scalar(Scalar { text: text.into(), kind: Kind::Text }))
    }

    pub fn is_null(&self) -> bool {
        matches!(self.value, Value::Null)
    }

    /// Roughly how much memory it takes.
    pub fn weight(&self) -> usize {
        let inner = match &self.value {
            Value::Null => 0,
            Value::Scalar(scalar) => scalar.text.len(),
            Value::List(items) => items.iter().map(Self::weight).sum(),
            Value::Map(map) => map.iter().map(|(key, entry)| key.len() + entry.node.weight()).sum(),
        };
        NODE_WEIGHT + inner
    }

    /// Whether both say the same, wherever they stand.
    pub fn says_same(&self, other: &Self) -> bool {
        match (&self.value, &other.value) {
            (Value::Null, Value::Null) => true,
            (Value::Scalar(a), Value::Scalar(b)) => a == b,
            (Value::List(a), Value::List(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.says_same(b))
            }
            (Value::Map(a), Value::Map(b)) => {
                a.len() == b.len()
                    && a.iter().zip(b).all(|((a, x), (b, y))| a == b && x.node.says_same(&y.node))
            }
            (Value::Null | Value::Scalar(_) | Value::List(_) | Value::Map(_), _) => false,
        }
    }

    /// Takes out what is marked with `!reset`.
    pub fn strip_resets(&mut self) {
        match &mut self.value {
            Value::Null | Value::Scalar(_) => {}
            Value::List(items) => {
                items.retain(|item| item.mark != Some(Mark::Reset));
                items.iter_mut().for_each(Self::strip_resets);
            }
            Value::Map(map) => {
                map.retain(|_, entry| entry.node.mark != Some(Mark::Reset));
                for entry in map.values_mut() {
                    entry.node.strip_resets();
                }
            }
        }
    }
}
