//! `rivetr webhooks replay`: a delivery once more, as whom it was for is set now.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::harmless;
use crate::api::wire::Delivery;

/// The arguments of `rivetr webhooks replay`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr webhooks replay 12")]
pub struct Replay {
    /// The delivery's ID, as `rivetr webhooks list` shows it
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
}

impl Replay {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/webhook-deliveries/{}/replay", self.id);
        let answer = session.client.post(&path, &serde_json::json!({})).await?;
        session.show(&answer, |delivery: Delivery| {
            let asked = match (delivery.deployment, delivery.revision) {
                (Some(id), _) => format!("Deployment {id} was asked for.\n"),
                (None, Some(number)) => format!("Revision {number} was asked for.\n"),
                (None, None) => String::new(),
            };
            format!("{}: {}\n{asked}", delivery.verdict, harmless(&delivery.reason))
        })
    }
}
