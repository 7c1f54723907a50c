//! `rivetr certs rotate-account-key`: for when the key of the ACME account may be known to others, or is old.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;

/// The arguments of `rivetr certs rotate-account-key`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr certs rotate-account-key")]
pub struct Rotate {}

impl Rotate {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        // It waits for the orders that are under way.
        let answer =
            session.client.post_patiently("/api/acme-account/rotate-key", &serde_json::Map::new()).await?;
        session
            .done(&answer, "The account at the ACME server has a new key; the old one is good for nothing.")
    }
}
