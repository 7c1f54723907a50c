//! `rivetr keys show`: one key, with the half that is given to servers, and the apps that use it.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{facts, or_dash, time};
use crate::api::wire::Key;
use crate::domain::name::Slug;

/// The arguments of `rivetr keys show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr keys show deploy")]
pub struct Show {
    /// The key
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl Show {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get(&format!("/api/keys/{}", self.name)).await?;
        session.show(&answer, |key: Key| words(&key))
    }
}

fn words(Key { name, kind: _, public, fingerprint, created, apps }: &Key) -> String {
    facts(&[
        ("key", name.clone()),
        ("public", public.clone()),
        ("fingerprint", fingerprint.clone()),
        ("apps", or_dash(Some(&apps.join(" ")))),
        ("created", time(created)),
    ])
}
