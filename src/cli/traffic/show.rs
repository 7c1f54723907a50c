//! `rivetr traffic show`: the options that are not the default.

use clap::Args;
use serde_json::Value;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{facts, harmless};
use super::Kind;
use crate::api::wire::TrafficOptions;
use crate::domain::name::Slug;

/// The arguments of `rivetr traffic show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Show {
    /// The app or service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl Show {
    pub(super) async fn run(&self, session: &mut Session, kind: Kind) -> Result<(), Failure> {
        let answer = session.client.get(&kind.path(&self.name)).await?;
        session.show(&answer, |traffic: TrafficOptions| words(&self.name, &traffic))
    }
}

/// One line an option, and one an entry of those that are lists.
pub(super) fn words(app: &Slug, traffic: &TrafficOptions) -> String {
    let nothing = || format!("The requests of {app} are passed on as they are.\n");
    let Ok(Value::Object(options)) = serde_json::to_value(traffic) else { return nothing() };
    let mut lines = Vec::new();
    for (name, value) in &options {
        let items = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        lines.extend(items.iter().map(|item| (name.as_str(), text(item))));
    }
    if lines.is_empty() { nothing() } else { facts(&lines) }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), harmless)
}
