//! `rivetr tokens …`: keys for machines and for `git push`.

mod create;
mod list;
mod revoke;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;

/// What can be done with tokens.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Tokens {
    /// Make a token; its secret is shown this once
    Create(create::Create),
    /// List the tokens
    List(list::List),
    /// Make a token worthless
    Revoke(revoke::Revoke),
}

impl Tokens {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Revoke(revoke) => revoke.run(session).await,
        }
    }
}
