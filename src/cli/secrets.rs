//! `rivetr secrets …`: the key that seals all secrets at rest.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use crate::api::wire::Rotated;

/// What can be done with the key.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Secrets {
    /// Change the master key: a new one is made, everything is sealed anew under it, the old one is forgotten
    RotateKey(RotateKey),
}

/// The arguments of `rivetr secrets rotate-key`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr secrets rotate-key\n\n\
                  It can be given again when it was broken off. Backups from before need the old key: keep a copy of\n\
                  the key file with them.")]
pub struct RotateKey {}

impl Secrets {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self::RotateKey(RotateKey {}) = self;
        let answer = session.client.post("/api/secrets/rotate-key", &serde_json::Map::new()).await?;
        session.show(&answer, |rotated: Rotated| words(&rotated))
    }
}

fn words(Rotated { key, resealed, unreadable, by_hand }: &Rotated) -> String {
    let mut text = format!("Master key {key} seals from now on; {resealed} values were sealed anew.\n");
    if !unreadable.is_empty() {
        text.push_str("These could not be opened, and were left as they are; set them again:\n");
        text.extend(unreadable.iter().map(|one| format!("  {one}\n")));
    }
    if *by_hand {
        text.push_str("Now take the older keys out of the systemd credential, and restart rivetr.\n");
    }
    text
}
