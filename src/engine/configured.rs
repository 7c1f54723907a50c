//! The configuration in force, as people see it. It is read elsewhere; here it is only shown.

use serde_json::Value;

use super::Engine;

/// The configuration in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Configuration {
    /// The files that were read, in order.
    pub files: Vec<String>,
    /// Everything that can be configured, in the order people read it.
    pub keys: Vec<Configured>,
}

/// One thing that is configured. None of it is secret: what is lies in a file, and its path stands here.
#[derive(Debug, Clone, PartialEq)]
pub struct Configured {
    /// Its section: `build`.
    pub section: &'static str,
    /// Its name in the section.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// Its value in force; null: it has none.
    pub value: Value,
    /// Who said so: `default`, a file with its line, or a variable.
    pub from: String,
    /// The environment variable that would say it.
    pub variable: String,
}

impl Configured {
    /// Where it stands: `[build] memory_mb`.
    #[must_use]
    pub fn key(&self) -> String {
        format!("[{}] {}", self.section, self.name)
    }

    /// Its value in words.
    #[must_use]
    pub fn words(&self) -> String {
        if self.value.is_null() { "-".to_owned() } else { self.value.to_string() }
    }
}

impl Engine {
    /// The configuration in force, as it was read when rivetr started.
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        &self.0.settings.configuration
    }
}
