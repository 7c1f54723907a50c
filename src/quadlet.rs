//! Unit files: a model of their text that escapes by default, and what rivetr's own nouns look like in it.
//!
//! Pure and deterministic: the same input gives the same bytes. Writing, checking and starting is for `host`.

pub mod path;
pub mod unit;
