//! What a report of a bug has of rivetr and its host, as JSON. Values that may be secret are not in it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What rivetr knows of itself and its host, without secrets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The version of rivetr that answers.
    pub version: String,
    /// When it was asked (RFC 3339, UTC).
    pub taken: String,
    /// The configuration in force. What is secret lies in files, whose paths stand here.
    pub configuration: Vec<ReportedKey>,
    /// What should run.
    pub wanted: Vec<ReportedObject>,
    /// The units of rivetr and of all that it runs.
    pub units: Vec<ReportedUnit>,
    /// Unit files that somebody changed by hand: their names, and what was done.
    pub drift: Vec<String>,
}

/// One thing that is configured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReportedKey {
    /// Its name: `[build] memory_mb`.
    pub key: String,
    /// Its value in force.
    pub value: serde_json::Value,
    /// Who said so.
    pub from: String,
}

/// An app, a database or a service, as rivetr wants it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportedObject {
    /// Its kind and name: `app blog`.
    pub name: String,
    /// What is wanted of it, in words.
    pub wanted: String,
}

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportedUnit {
    /// Its name.
    pub unit: String,
    /// How it does, in systemd's words; null: it is not loaded.
    pub state: Option<String>,
    /// Its file and its drop-ins, with their values hidden where they may be secret.
    pub files: Vec<ReportedFile>,
}

/// A unit file or a drop-in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReportedFile {
    /// Where it lies.
    pub path: String,
    /// What stands in it.
    pub text: String,
}
