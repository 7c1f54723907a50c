//! `rivetr registries list`: where rivetr signs in, and as whom.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{table, time};
use crate::api::wire::{self, Registry};

/// The arguments of `rivetr registries list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr registries list")]
pub struct List {}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get("/api/registries").await?;
        session.show(&answer, |registries: wire::List<Registry>| words(&registries.items))
    }
}

fn words(registries: &[Registry]) -> String {
    if registries.is_empty() {
        return "rivetr signs in nowhere. `rivetr registries add HOST` makes it.\n".to_owned();
    }
    let row = |Registry { host, user, changed }: &Registry| [host.clone(), user.clone(), time(changed)];
    table(["REGISTRY", "USER", "CHANGED"], &registries.iter().map(row).collect::<Vec<_>>())
}
