//! `rivetr keys …`: keys that open repositories over SSH, and the servers that are known by theirs.

mod create;
mod delete;
mod hosts;
mod list;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;

/// What can be done with keys.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Keys {
    /// Keep a key: a new one, or one of your own
    Create(create::Create),
    /// List the keys
    List(list::List),
    /// Show one key, with the half that is given to servers
    Show(show::Show),
    /// Delete a key that no app uses
    Delete(delete::Delete),
    /// See and forget the servers that are known by their keys
    #[command(subcommand)]
    Hosts(hosts::Hosts),
}

impl Keys {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
            Self::Hosts(hosts) => hosts.run(session).await,
        }
    }
}
