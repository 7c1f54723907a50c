//! `rivetr registries …`: sign-ins at registries of images.

mod add;
mod list;
mod remove;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;

/// What can be done with registries.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Registries {
    /// Sign in at a registry, for pulls and for the images that builds begin from
    Add(add::Add),
    /// List the registries that rivetr signs in at
    List(list::List),
    /// Forget the sign-in at a registry
    Remove(remove::Remove),
}

impl Registries {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Add(add) => add.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Remove(remove) => remove.run(session).await,
        }
    }
}
