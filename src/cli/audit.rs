//! `rivetr audit`: what was done, by whom and from where.

use clap::Args;

use super::failure::{Exit, Failure};
use super::files::encoded;
use super::session::Session;
use super::table::{harmless, or_dash, table, time};
use crate::api::wire::{self, Deed, Verified};

/// Entries of one request of an export.
const AT_ONCE: u32 = 100;

/// See what was done, by whom and from where
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr audit --team main --action app.\n\
                  Example: rivetr audit --export --since 2026-11-01T00:00:00Z > audit.jsonl")]
pub struct Audit {
    /// Only what is about this team
    #[arg(long)]
    team: Option<String>,
    /// Only what this user did
    #[arg(long, value_name = "LOGIN")]
    user: Option<String>,
    /// Only actions that begin so, such as app. or session.
    #[arg(long)]
    action: Option<String>,
    /// Only where this stands in the object
    #[arg(long)]
    object: Option<String>,
    /// Only from this moment on, as 2026-11-29T17:00:00Z
    #[arg(long)]
    since: Option<String>,
    /// Only before this moment
    #[arg(long)]
    until: Option<String>,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
    /// All of it, one JSON object a line
    #[arg(long, conflicts_with = "limit")]
    export: bool,
    /// Look whether every entry is as it was written
    #[arg(long, conflicts_with_all = ["export", "limit", "team", "user", "action", "object", "since", "until"])]
    verify: bool,
}

impl Audit {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        if self.verify {
            return verify(session).await;
        }
        if self.export {
            return self.export(session).await;
        }
        let answer = session.client.get(&self.path(self.limit, None)).await?;
        session.show(&answer, |page: wire::List<Deed>| words(&page.items))
    }

    /// Page by page, the last deed first.
    async fn export(&self, session: &mut Session) -> Result<(), Failure> {
        let mut before = None;
        loop {
            let answer = session.client.get(&self.path(AT_ONCE, before)).await?;
            let page: wire::List<Deed> = answer.decode()?;
            for deed in &page.items {
                session.document(deed)?;
            }
            before = page.next;
            if before.is_none() {
                return Ok(());
            }
        }
    }

    fn path(&self, limit: u32, before: Option<i64>) -> String {
        let words = [
            ("team", &self.team),
            ("user", &self.user),
            ("action", &self.action),
            ("object", &self.object),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let said = words
            .iter()
            .filter_map(|(name, value)| value.as_ref().map(|value| format!("&{name}={}", encoded(value))));
        let before = before.map(|before| format!("&before={before}"));
        let rest: Vec<String> = said.chain(before).collect();
        format!("/api/audit?limit={limit}{}", rest.concat())
    }
}

async fn verify(session: &mut Session) -> Result<(), Failure> {
    let answer = session.client.get("/api/audit/verify").await?;
    let Verified { whole, broken_at, .. } = answer.decode()?;
    session.show(&answer, |Verified { entries, last, .. }| match (entries, last) {
        (Some(entries), Some(last)) => {
            format!("{entries} entries are as they were written; the last is {last}.\n")
        }
        _ => String::new(),
    })?;
    if whole {
        return Ok(());
    }
    let at = broken_at.unwrap_or_default();
    let words = format!("entry {at} of the audit is not as it was written, or the one before it is missing");
    Err(Failure::new(Exit::Failed, words).cure("compare it with an export or a backup from before"))
}

fn words(deeds: &[Deed]) -> String {
    if deeds.is_empty() {
        return "Nothing of this was done.\n".to_owned();
    }
    let rows: Vec<_> = deeds
        .iter()
        .map(|deed| {
            [
                deed.id.to_string(),
                time(&deed.at),
                harmless(&deed.by),
                deed.action.clone(),
                harmless(&deed.object),
                or_dash(deed.team.as_deref()),
                or_dash(deed.address.as_deref()),
            ]
        })
        .collect();
    table(["ID", "AT", "BY", "ACTION", "OBJECT", "TEAM", "FROM"], &rows)
}
