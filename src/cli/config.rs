//! `rivetr config check`: the configuration in force, and where each value came from.

use clap::Subcommand;
use serde_json::{Value, json};

use super::failure::{Exit, Failure};
use super::table::table;
use crate::config::environment::Environment;
use crate::config::{ConfigError, Effective, Flags, explain};

/// What can be done with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Config {
    /// Check it, and show each value and where it came from
    #[command(after_help = "Example: rivetr config check --config ./rivetr.toml")]
    Check,
}

impl Config {
    /// What is printed.
    pub(super) fn run(&self, flags: &Flags, environment: &Environment, json: bool) -> Result<String, Failure> {
        let Self::Check = self;
        let effective = explain(flags, environment).map_err(|error| failure(&error))?;
        Ok(if json { format!("{}\n", document(&effective)) } else { words(&effective) })
    }
}

/// Everything that is wrong with the configuration.
pub(super) fn failure(error: &ConfigError) -> Failure {
    Failure::new(Exit::Usage, format!("the configuration cannot be used\n{error}"))
}

fn document(effective: &Effective) -> Value {
    let values = effective.entries().map(|(key, value, origin)| {
        json!({
            "section": key.section,
            "key": key.name,
            "value": value,
            "from": origin.to_string(),
            "variable": key.variable(),
        })
    });
    let files = effective.files.iter().map(|path| path.display().to_string());
    json!({ "files": files.collect::<Value>(), "values": values.collect::<Value>() })
}

fn words(effective: &Effective) -> String {
    let rows: Vec<_> = effective
        .entries()
        .map(|(key, value, origin)| {
            let value = if value.is_null() { "-".to_owned() } else { value.to_string() };
            [format!("[{}] {}", key.section, key.name), value, origin.to_string()]
        })
        .collect();
    let files: Vec<_> = effective.files.iter().map(|path| path.display().to_string()).collect();
    let read = match files.as_slice() {
        [] => "No configuration file exists; the defaults hold.".to_owned(),
        files => format!("The configuration is good. Read: {}.", files.join(", ")),
    };
    format!("{}\n{read}\n", table(["KEY", "VALUE", "FROM"], &rows))
}
