//! `rivetr apps …`: create, list, show and delete apps.

mod create;
mod delete;
mod list;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;

/// What can be done with apps.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Apps {
    /// Create an app; the code comes later
    Create(create::Create),
    /// List the apps
    List(list::List),
    /// Show one app and how it does
    Show(show::Show),
    /// Delete an app with everything it has
    Delete(delete::Delete),
}

impl Apps {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
        }
    }
}
