//! `rivetr webhooks list`: of whom an app or a service takes webhooks, and the newest deliveries with their verdicts.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{harmless, or_dash, table, time};
use super::Whose;
use crate::api::wire::{Delivery, Webhook, Webhooks};

/// The arguments of `rivetr webhooks list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr webhooks list blog --limit 5")]
pub struct List {
    #[command(flatten)]
    whose: Whose,
    /// How many deliveries
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("{}?limit={}", self.whose.path(), self.limit);
        let answer = session.client.get(&path).await?;
        session.show(&answer, |page: Webhooks| words(&self.whose, &page))
    }
}

fn words(whose: &Whose, page: &Webhooks) -> String {
    let name = &whose.name;
    let flag = if whose.service { " --service" } else { "" };
    let webhook = |webhook: &Webhook| {
        let watched = if webhook.watch.is_empty() { "all files".to_owned() } else { webhook.watch.join(" ") };
        format!("{name} takes webhooks of {}: {watched}.\n", webhook.provider)
    };
    let webhooks: String = if page.webhooks.is_empty() {
        format!("{name} takes no webhooks. `rivetr webhooks enable {name}{flag}` lets it.\n")
    } else {
        page.webhooks.iter().map(webhook).collect()
    };
    if page.items.is_empty() {
        return webhooks + "Nothing was delivered yet.\n";
    }
    let rows: Vec<_> = page.items.iter().map(row).collect();
    webhooks + "\n" + &table(["ID", "RECEIVED", "FROM", "EVENT", "VERDICT", "ASKED FOR", "WHY"], &rows)
}

/// What a delivery asked for.
fn asked(delivery: &Delivery) -> Option<String> {
    let deployment = delivery.deployment.map(|id| format!("deployment {id}"));
    deployment.or_else(|| delivery.revision.map(|number| format!("revision {number}")))
}

fn row(delivery: &Delivery) -> [String; 7] {
    [
        delivery.id.to_string(),
        time(&delivery.received),
        delivery.provider.clone(),
        harmless(&delivery.event),
        delivery.verdict.clone(),
        or_dash(asked(delivery).as_deref()),
        harmless(&delivery.reason),
    ]
}
