//! `rivetr apps list`: the apps and where their code comes from.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{or_dash, table, time};
use crate::api::wire::{self, App};

/// The arguments of `rivetr apps list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr apps list --json")]
pub struct List {}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get("/api/apps").await?;
        session.show(&answer, |apps: wire::List<App>| words(&apps.items))
    }
}

fn words(apps: &[App]) -> String {
    if apps.is_empty() {
        return "There are no apps yet. `rivetr apps create NAME` makes one.\n".to_owned();
    }
    let rows: Vec<_> = apps
        .iter()
        .map(|app| {
            [
                app.name.clone(),
                app.project.clone(),
                app.git.clone().unwrap_or_else(|| "git push".to_owned()),
                app.branch.clone(),
                or_dash(Some(&app.hosts.join(" "))),
                time(&app.created),
            ]
        })
        .collect();
    table(["APP", "PROJECT", "SOURCE", "BRANCH", "HOSTS", "CREATED"], &rows)
}
