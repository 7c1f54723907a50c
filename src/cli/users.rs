//! `rivetr users …`: who can sign in.

mod change;
mod create;
mod list;
mod setup_link;

use std::io::Write;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;
use super::table::time;
use crate::api::wire::Link;

/// What can be done with users.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Users {
    /// List the users
    List(list::List),
    /// Make a user, with a link by which they set a password
    Create(create::Create),
    /// Keep a user out: their sessions and tokens end
    Disable(change::Login),
    /// Let a user in again
    Enable(change::Login),
    /// Delete a user, with their sessions and tokens
    Delete(change::Login),
    /// Make a link by which a user sets a new password
    Reset(change::Reset),
    /// Make a user an administrator of the instance
    Admin(change::Admin),
    /// Make the link by which the first user comes in
    SetupLink(setup_link::SetupLink),
}

impl Users {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(list) => list.run(session).await,
            Self::Create(create) => create.run(session).await,
            Self::Disable(user) => user.disable(session, true).await,
            Self::Enable(user) => user.disable(session, false).await,
            Self::Delete(user) => user.delete(session).await,
            Self::Reset(reset) => reset.run(session).await,
            Self::Admin(admin) => admin.run(session).await,
            Self::SetupLink(link) => link.run(session).await,
        }
    }
}

/// Says on standard error what the link is for that follows on standard output.
fn announce(session: &Session, link: &Link, what: &str) -> Result<(), Failure> {
    if !session.json {
        writeln!(std::io::stderr(), "{what} Good once, until {}:", time(&link.expires))?;
    }
    Ok(())
}
