//! `rivetr users setup-link`: prints the link alone on standard output, so that a script can take it.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::announce;
use crate::api::wire::Link;

/// The arguments of `rivetr users setup-link`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr users setup-link\n\n\
                  There is one while there is no user. A new one ends the one before.")]
pub struct SetupLink {}

impl SetupLink {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self {} = self;
        let answer = session.client.post("/api/setup-link", &serde_json::Map::new()).await?;
        announce(session, &answer.decode()?, "Open this to become the first administrator.")?;
        session.show(&answer, |link: Link| format!("{}\n", link.url))
    }
}
