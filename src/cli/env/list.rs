//! `rivetr env list`: the names, and the values that may be seen.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{harmless, table};
use super::whose::{Shared, Whose};
use crate::api::wire::{self, Variable};

/// The most characters of a value in a line.
const SHOWN: usize = 60;

/// The arguments of `rivetr env list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples: rivetr env list blog\n          rivetr env list --project default")]
pub struct List {
    /// The app; none with --project
    #[arg(value_name = "APP")]
    words: Vec<String>,
    #[command(flatten)]
    shared: Shared,
}

impl List {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let whose = self.shared.alone(self.words)?;
        let answer = session.client.get(&whose.path()).await?;
        session.show(&answer, |list: wire::List<Variable>| words(&whose, &list.items))
    }
}

fn words(whose: &Whose, variables: &[Variable]) -> String {
    if variables.is_empty() {
        return format!("{whose} has no variables of its own.\n");
    }
    let rows: Vec<_> = variables
        .iter()
        .map(|variable| [variable.key.clone(), value(variable), variable.usage.to_string()])
        .collect();
    table(["NAME", "VALUE", "WHEN"], &rows)
}

fn value(Variable { value, secret, error, .. }: &Variable) -> String {
    match (value, error) {
        (Some(value), _) => {
            let line = harmless(value).replace('\t', "␉");
            let cut: String = line.chars().take(SHOWN).collect();
            if cut.len() < line.len() { format!("{cut}…") } else { cut }
        }
        (None, Some(error)) => format!("({error})"),
        (None, None) if *secret => "(secret)".to_owned(),
        (None, None) => String::new(),
    }
}
