//! `rivetr backups restore` and `check`: into what a backup is restored.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::{settle, verdict};
use crate::api::wire::{self, Backup, RestoreBackup};

/// The arguments of `rivetr backups restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Examples: rivetr backups restore 12 --new orders-copy; rivetr backups restore 12 --in-place --yes\n\n\
                  The data that a database had before are in the trash for a week. Those of a volume are as long in a volume beside\n\
                  it, which `rivetr volumes list` shows."
)]
pub struct Restore {
    /// The number of the backup
    id: i64,
    /// Into a new database of this name, or a new volume of the same app or service
    #[arg(long, value_name = "NAME", required_unless_present = "in_place")]
    new: Option<String>,
    /// Into the database or volume that it is of, in place of the data there
    #[arg(long, conflicts_with = "new", requires = "yes")]
    in_place: bool,
    /// It is meant
    #[arg(long)]
    yes: bool,
}

impl Restore {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let wish = match self.new {
            Some(name) => RestoreBackup { target: "new".to_owned(), name: Some(name) },
            None => RestoreBackup { target: "in-place".to_owned(), name: None },
        };
        ask(session, self.id, wish, |backup, restore| {
            let name = restore.name.as_deref().unwrap_or(&backup.name);
            format!("{name} has the data of backup {}.\n", backup.id)
        })
        .await
    }
}

pub(super) async fn check(session: &mut Session, id: i64) -> Result<(), Failure> {
    let wish = RestoreBackup { target: "check".to_owned(), name: None };
    ask(session, id, wish, |backup, _| format!("Backup {}: {}.\n", backup.id, verdict(backup))).await
}

async fn ask(
    session: &mut Session,
    id: i64,
    wish: RestoreBackup,
    said: impl Fn(&Backup, &wire::Restore) -> String,
) -> Result<(), Failure> {
    let answer = session.client.post(&format!("/api/backups/{id}/restore"), &wish).await?;
    let begun: wire::Restore = answer.decode()?;
    let this = |backup: &Backup| backup.restores.iter().find(|restore| restore.id == begun.id).cloned();
    let failed = |backup: &Backup| {
        let why = this(backup)?.failure?;
        Some(format!("backup {id} was not restored: {why}"))
    };
    let said = |backup: &Backup| said(backup, &this(backup).unwrap_or_else(|| begun.clone()));
    settle(session, id, failed, said).await
}
