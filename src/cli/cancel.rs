//! `rivetr cancel`: ends a deployment that is not past checking.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::wire::Deployment;

/// Cancel a deployment that is under way
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr cancel 42")]
pub struct Cancel {
    /// The deployment's ID, as `rivetr deployments` shows it
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
}

impl Cancel {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/deployments/{}/cancel", self.id);
        let answer = session.client.post(&path, &serde_json::Map::new()).await?;
        session.show(&answer, |Deployment { app, number, state, .. }| format!("{app} {number} is {state}.\n"))
    }
}
