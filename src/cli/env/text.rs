//! `rivetr env import` and `rivetr env export`: variables as `.env` text, which reads back as it was written.

use std::path::Path;

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::change::put;
use super::read::read_variables;
use super::whose::{Kind, Shared, usage};
use crate::api::wire::{self, Variable};
use crate::domain::dotenv;
use crate::domain::name::EnvKey;

/// The arguments of `rivetr env import`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples: rivetr env import blog .env\n          \
                  rivetr env import blog - --secret < secrets.env\n\n\
                  The file holds lines of KEY=VALUE, with `export ` in front of them or not:\n  \
                  - Empty lines and lines that begin with # say nothing.\n  \
                  - A value without quotes ends with its line. Blanks at both its ends are cut, and a # behind a\n    \
                  blank begins a comment.\n  \
                  - '…' is taken as it stands and may hold lines.\n  \
                  - \"…\" may hold lines, and in it \\n \\r \\t \\\" \\\\ \\$ mean what they do in C.\n  \
                  - A $ is a $: there are no references to other variables.\n\
                  Where a line is wrong, each wrong one is said and nothing is changed.")]
pub struct Import {
    /// The app, unless --project is given; then the file, or - for standard input
    #[arg(value_name = "APP FILE", required = true)]
    words: Vec<String>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    kind: Kind,
    /// Remove the variables that are not in the file
    #[arg(long)]
    replace: bool,
}

impl Import {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let (whose, files) = self.shared.split(self.words)?;
        let [file] = files.as_slice() else { return Err(usage("name one file, or - for standard input")) };
        put(session, &whose, &self.kind, read_variables(Path::new(file))?, self.replace).await
    }
}

/// The arguments of `rivetr env export`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr env export blog > blog.env")]
pub struct Export {
    /// The app; none with --project
    #[arg(value_name = "APP")]
    words: Vec<String>,
    #[command(flatten)]
    shared: Shared,
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let whose = self.shared.alone(self.words)?;
        let answer = session.client.get(&whose.path()).await?;
        session.show(&answer, |list: wire::List<Variable>| list.items.iter().map(line).collect())
    }
}

/// A value that is not there is said in a comment, so that an import leaves it as it is.
fn line(Variable { key, value, error, .. }: &Variable) -> String {
    match (EnvKey::parse(key), value) {
        (Ok(key), Some(value)) => dotenv::line(&key, value),
        (Err(_), _) | (_, None) => {
            let why = error.as_deref().unwrap_or("secret, so its value is not shown");
            format!("# {key}: {}\n", why.replace(['\n', '\r'], " "))
        }
    }
}
