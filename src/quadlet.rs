//! Unit files: a model of their text that escapes by default, and what rivetr's own nouns look like in it.
//!
//! Pure and deterministic: the same input gives the same bytes. Writing, checking and starting is for `host`.

pub mod app;
pub mod backup;
pub mod database;
pub mod features;
pub mod job;
pub mod options;
pub mod path;
pub mod plain;
pub mod project;
pub mod service;
pub mod stack;
pub mod unit;
pub mod volume;

use std::collections::BTreeMap;

use thiserror::Error;

use self::features::UnknownKey;
use self::path::{InvalidUnitPath, UnitPath};
use self::unit::{UnitParseError, UnitTextError};

/// Unit files by where they lie.
pub type UnitFiles = BTreeMap<UnitPath, String>;

/// Something that cannot be said as a unit.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuadletError {
    /// A value that a unit file cannot carry.
    #[error(transparent)]
    Text(#[from] UnitTextError),
    /// A key that the installed Podman does not read.
    #[error(transparent)]
    Key(#[from] UnknownKey),
    /// More than systemd reads.
    #[error(
        "the unit {unit} would be {bytes} bytes long, and {limit} is the limit; use fewer or shorter variables"
    )]
    TooLong {
        /// Its name.
        unit: String,
        /// How long it would be.
        bytes: usize,
        /// How long it may be.
        limit: usize,
    },
    /// A name that is no name of a unit.
    #[error(transparent)]
    Path(#[from] InvalidUnitPath),
    /// One of the bases that rivetr is built with.
    #[error("a unit that rivetr is built with cannot be read: {0}; please report this")]
    Base(#[from] UnitParseError),
}
