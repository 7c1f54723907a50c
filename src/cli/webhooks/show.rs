//! `rivetr webhooks show`: one delivery, with what was sent.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{facts, harmless, or_dash, time};
use crate::api::wire::{Delivery, ShownDelivery};

/// The arguments of `rivetr webhooks show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr webhooks show 12")]
pub struct Show {
    /// The delivery's ID, as `rivetr webhooks list` shows it
    #[arg(value_parser = clap::value_parser!(i64).range(1..))]
    id: i64,
}

impl Show {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get(&format!("/api/webhook-deliveries/{}", self.id)).await?;
        session.show(&answer, |shown: ShownDelivery| words(&shown))
    }
}

fn words(ShownDelivery { delivery, body }: &ShownDelivery) -> String {
    let Delivery {
        id,
        app,
        service,
        provider,
        name,
        event,
        received,
        verdict,
        reason,
        deployment,
        revision,
        replay_of,
    } = delivery;
    let number = |number: &Option<i64>| or_dash(number.map(|number| number.to_string()).as_deref());
    let facts = facts(&[
        ("delivery", id.to_string()),
        (if service.is_some() { "service" } else { "app" }, or_dash(service.as_deref().or(app.as_deref()))),
        ("from", provider.clone()),
        ("number there", or_dash(name.as_deref().map(harmless).as_deref())),
        ("event", harmless(event)),
        ("received", time(received)),
        ("verdict", verdict.clone()),
        ("why", harmless(reason)),
        match revision {
            Some(revision) => ("revision", revision.to_string()),
            None => ("deployment", number(deployment)),
        },
        ("replay of", number(replay_of)),
    ]);
    match body {
        Some(body) => {
            let lines: String = body.lines().flat_map(|line| [harmless(line), "\n".to_owned()]).collect();
            format!("{facts}\n{lines}")
        }
        None => format!("{facts}\nWhat was sent was not kept.\n"),
    }
}
