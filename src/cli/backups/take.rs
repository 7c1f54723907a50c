//! `rivetr backups take`: by hand, or by the timer of a schedule.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::volumes::size;
use super::settle;
use crate::api::wire::{Backup, TakeBackup};
use crate::domain::name::Slug;

/// The arguments of `rivetr backups take`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr backups take orders --to offsite")]
pub struct Take {
    /// The database
    #[arg(value_parser = Slug::parse)]
    database: Slug,
    /// Where to: disk, or the name of a destination; without it as the schedule says, or to the disk
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    /// It is its time by the schedule
    #[arg(long)]
    scheduled: bool,
    /// Do not wait until it is there
    #[arg(long)]
    no_wait: bool,
}

impl Take {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { database, to, scheduled, no_wait } = self;
        let wish = TakeBackup { place: to, scheduled };
        let answer = session.client.post(&format!("/api/databases/{database}/backups"), &wish).await?;
        if no_wait {
            return session.show(&answer, |backup: Backup| format!("Backup {} is being made.\n", backup.id));
        }
        let backup: Backup = answer.decode()?;
        let failed = |backup: &Backup| {
            backup.failure.as_ref().map(|why| format!("the backup of {} failed: {why}", backup.name))
        };
        let said = |backup: &Backup| {
            let bytes = backup.bytes.map(size).unwrap_or_default();
            format!(
                "Backup {} of {} is there: {bytes}, {}, {}.\n",
                backup.id, backup.name, backup.place, backup.file
            )
        };
        settle(session, backup.id, failed, said).await
    }
}
