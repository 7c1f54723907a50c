//! `rivetr env …`: variables of an app, and those that the apps of a project or of an environment share.

mod change;
mod list;
mod read;
mod text;
mod whose;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;
pub use read::{bytes, read_variables};

/// What can be done with variables.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Env {
    /// List variables; secret values are not shown
    List(list::List),
    /// Set variables; the next deployment gets them
    Set(change::Set),
    /// Remove variables
    Unset(change::Unset),
    /// Set the variables of a .env file, all or none
    Import(text::Import),
    /// Print the variables as a .env file, without the secret ones
    Export(text::Export),
}

impl Env {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Set(set) => set.run(session).await,
            Self::Unset(unset) => unset.run(session).await,
            Self::Import(import) => import.run(session).await,
            Self::Export(export) => export.run(session).await,
        }
    }
}
