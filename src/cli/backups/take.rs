//! `rivetr backups take`: by hand, or by the timer of a schedule.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::volumes::size;
use super::{Of, hold, settle};
use crate::api::wire::{Backup, TakeBackup};

/// The arguments of `rivetr backups take`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Examples: rivetr backups take orders --to offsite; rivetr backups take rivetr-vol-blog-data --stop\n\n\
                  What uses a volume is paused until its files are copied on this machine, or stopped and started again."
)]
pub struct Take {
    /// The database, or the volume as `rivetr volumes list` names it
    #[arg(value_name = "NAME", value_parser = Of::parse)]
    of: Of,
    /// Where to: disk, or the name of a destination; without it as the schedule says, or to the disk
    #[arg(long, value_name = "PLACE")]
    to: Option<String>,
    /// It is its time by the schedule
    #[arg(long)]
    scheduled: bool,
    #[command(flatten)]
    hold: Hold,
    /// Do not wait until it is there
    #[arg(long)]
    no_wait: bool,
}

/// What becomes of what uses a volume while its files are copied.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
struct Hold {
    /// Stop what uses the volume while its files are copied, in place of what the schedule says
    #[arg(long, conflicts_with = "pause")]
    stop: bool,
    /// Pause it
    #[arg(long)]
    pause: bool,
}

impl Take {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { of, to, scheduled, hold: Hold { stop, pause }, no_wait } = self;
        let wish = TakeBackup { place: to, scheduled, hold: hold(stop, pause) };
        let answer = session.client.post(&format!("{}/backups", of.path()), &wish).await?;
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
