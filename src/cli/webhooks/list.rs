//! `rivetr webhooks list`: of whom an app takes webhooks, and the newest deliveries with their verdicts.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{harmless, or_dash, table, time};
use crate::api::wire::{Delivery, Webhook, Webhooks};
use crate::domain::name::Slug;

/// The arguments of `rivetr webhooks list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr webhooks list blog --limit 5")]
pub struct List {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// How many deliveries
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/apps/{}/webhooks?limit={}", self.name, self.limit);
        let answer = session.client.get(&path).await?;
        session.show(&answer, |page: Webhooks| words(&self.name, &page))
    }
}

fn words(app: &Slug, page: &Webhooks) -> String {
    let webhook = |webhook: &Webhook| {
        let watched = if webhook.watch.is_empty() { "all files".to_owned() } else { webhook.watch.join(" ") };
        format!("{app} takes webhooks of {}: {watched}.\n", webhook.provider)
    };
    let webhooks: String = if page.webhooks.is_empty() {
        format!("{app} takes no webhooks. `rivetr webhooks enable {app}` lets it.\n")
    } else {
        page.webhooks.iter().map(webhook).collect()
    };
    if page.items.is_empty() {
        return webhooks + "Nothing was delivered yet.\n";
    }
    let rows: Vec<_> = page.items.iter().map(row).collect();
    webhooks + "\n" + &table(["ID", "RECEIVED", "FROM", "EVENT", "VERDICT", "DEPLOYMENT", "WHY"], &rows)
}

fn row(delivery: &Delivery) -> [String; 7] {
    [
        delivery.id.to_string(),
        time(&delivery.received),
        delivery.provider.clone(),
        harmless(&delivery.event),
        delivery.verdict.clone(),
        or_dash(delivery.deployment.map(|id| id.to_string()).as_deref()),
        harmless(&delivery.reason),
    ]
}
