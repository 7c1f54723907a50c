//! `rivetr keys list`: what keys there are; never their private halves.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{table, time};
use crate::api::wire::{self, Key};

/// The arguments of `rivetr keys list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr keys list")]
pub struct List {}

impl List {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get("/api/keys").await?;
        session.show(&answer, |keys: wire::List<Key>| words(&keys.items))
    }
}

fn words(keys: &[Key]) -> String {
    if keys.is_empty() {
        return "There are no keys. `rivetr keys create NAME` makes one.\n".to_owned();
    }
    let row = |key: &Key| [key.name.clone(), key.kind.clone(), key.fingerprint.clone(), time(&key.created)];
    table(["NAME", "KIND", "FINGERPRINT", "CREATED"], &keys.iter().map(row).collect::<Vec<_>>())
}
