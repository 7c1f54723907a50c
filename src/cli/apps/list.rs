//! `rivetr apps list`: the apps, where their code comes from and where they answer.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{or_dash, table, time};
use super::source::{place, reference};
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
                or_dash(app.release.map(|number| number.to_string()).as_deref()),
                place(app),
                reference(app),
                time(&app.created),
                or_dash(Some(&app.urls.join(" "))),
            ]
        })
        .collect();
    table(["APP", "RELEASE", "SOURCE", "DEPLOYED", "CREATED", "ADDRESS"], &rows)
}
