//! `rivetr config check`: the configuration in force, and where each value came from.

use clap::Subcommand;
use serde_json::{Value, json};

use super::failure::{Exit, Failure};
use super::table::table;
use crate::config::environment::Environment;
use crate::config::{Effective, Flags, explain};

/// What can be done with the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Config {
    /// Check it, and show each value and where it came from
    #[command(after_help = "Example: rivetr config check --config ./rivetr.toml")]
    Check,
}

impl Config {
    /// What is printed.
    pub(super) fn run(
        &self,
        flags: &Flags,
        environment: &Environment,
        json: bool,
    ) -> Result<String, Failure> {
        let Self::Check = self;
        let effective = explain(flags, environment).map_err(|error| {
            Failure::new(Exit::Usage, format!("the configuration cannot be used\n{error}"))
        })?;
        Ok(if json { format!("{}\n", document(&effective)) } else { words(&effective) })
    }
}

fn document(effective: &Effective) -> Value {
    let shown = effective.shown();
    let values = shown.keys.into_iter().map(|key| {
        json!({
            "section": key.section,
            "key": key.name,
            "value": key.value,
            "from": key.from,
            "variable": key.variable,
        })
    });
    json!({ "files": shown.files, "values": values.collect::<Value>() })
}

fn words(effective: &Effective) -> String {
    let shown = effective.shown();
    let rows: Vec<_> = shown.keys.into_iter().map(|key| [key.key(), key.words(), key.from]).collect();
    let read = match shown.files.as_slice() {
        [] => "No configuration file exists; the defaults hold.".to_owned(),
        files => format!("The configuration is good. Read: {}.", files.join(", ")),
    };
    format!("{}\n{read}\n", table(["KEY", "VALUE", "FROM"], &rows))
}
