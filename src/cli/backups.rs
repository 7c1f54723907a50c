//! `rivetr backups …`: backups of databases and volumes, taken, restored, and looked after.

mod destinations;
mod files;
mod of;
mod restore;
mod schedule;
mod take;

use clap::{Args, Subcommand};

pub(super) use self::of::Of;
use super::failure::{Exit, Failure};
use super::session::Session;
use super::table::{facts, or_dash, table, time};
use super::volumes::size;
use crate::api::wire::{self, Backup, BackupKey};

/// How long one question waits at the daemon for an end, in seconds.
const WAIT: u64 = 20;

/// What can be done with backups.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Backups {
    /// Back a database or a volume up
    Take(take::Take),
    /// List the backups of a database or a volume, or of all
    List(List),
    /// Show one backup
    #[command(after_help = "Example: rivetr backups show 12")]
    Show(One),
    /// Restore a backup
    Restore(restore::Restore),
    /// Restore a backup into a container or a volume that goes again, to see whether it is good
    #[command(after_help = "Example: rivetr backups check 12")]
    Check(One),
    /// Write the file of a backup
    Download(files::Download),
    /// Hand in what was written out elsewhere, as a backup
    Import(files::Import),
    /// Delete a backup with its file
    #[command(after_help = "Example: rivetr backups delete 12 --yes")]
    Delete(Delete),
    /// See or change when a database or a volume is backed up by itself
    Schedule(schedule::Schedule),
    /// Storages where backups may lie
    #[command(subcommand)]
    Destinations(destinations::Destinations),
    /// Show the key that opens backups; keep it apart from this machine
    #[command(after_help = "Example: rivetr backups key > backups.key; age -d -i backups.key FILE | zstd -d")]
    Key,
}

/// The arguments of `rivetr backups list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr backups list orders")]
pub struct List {
    /// The database, or the volume as `rivetr volumes list` names it
    #[arg(value_name = "NAME", value_parser = Of::parse)]
    of: Option<Of>,
}

/// The backup that is meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct One {
    /// Its number
    id: i64,
}

/// The arguments of `rivetr backups delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Delete {
    /// Its number
    id: i64,
    /// It is meant
    #[arg(long, required = true)]
    yes: bool,
}

impl Backups {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Take(take) => take.run(session).await,
            Self::List(List { of }) => {
                let path =
                    of.map_or_else(|| "/api/backups".to_owned(), |of| format!("{}/backups", of.path()));
                let answer = session.client.get(&path).await?;
                session.show(&answer, |backups: wire::List<Backup>| words(&backups.items))
            }
            Self::Show(One { id }) => {
                let answer = session.client.get(&format!("/api/backups/{id}")).await?;
                session.show(&answer, |backup: Backup| details(&backup))
            }
            Self::Restore(restore) => restore.run(session).await,
            Self::Check(One { id }) => restore::check(session, id).await,
            Self::Download(download) => download.run(session).await,
            Self::Import(import) => import.run(session).await,
            Self::Delete(Delete { id, yes: _ }) => {
                session.client.delete(&format!("/api/backups/{id}")).await?;
                if session.json { Ok(()) } else { session.line(&format!("Backup {id} is deleted.")) }
            }
            Self::Schedule(schedule) => schedule.run(session).await,
            Self::Destinations(destinations) => destinations.run(session).await,
            Self::Key => {
                let answer = session.client.get("/api/backup-key").await?;
                session.show(&answer, |BackupKey { recipient, key }| {
                    format!("# public key: {recipient}\n{key}\n")
                })
            }
        }
    }
}

/// Waits until nothing of a backup is under way, and shows it; an error if `failed` finds one.
async fn settle(
    session: &mut Session,
    id: i64,
    failed: impl Fn(&Backup) -> Option<String>,
    said: impl Fn(&Backup) -> String,
) -> Result<(), Failure> {
    loop {
        let answer = session.client.get(&format!("/api/backups/{id}?wait={WAIT}")).await?;
        let backup: Backup = answer.decode()?;
        let made = matches!(backup.state.as_str(), "done" | "failed");
        if made && backup.restores.iter().all(|restore| restore.ended.is_some()) {
            return match failed(&backup) {
                Some(why) => Err(Failure::new(Exit::Failed, why)),
                None => session.show(&answer, |backup: Backup| said(&backup)),
            };
        }
    }
}

/// How what uses a volume is to be held, as the API has it.
fn hold(stop: bool, pause: bool) -> Option<String> {
    let word = if stop { Some("stop") } else { pause.then_some("pause") };
    word.map(str::to_owned)
}

fn words(backups: &[Backup]) -> String {
    if backups.is_empty() {
        return "There are no backups. `rivetr backups take NAME` makes one.\n".to_owned();
    }
    let row = |backup: &Backup| {
        [
            backup.id.to_string(),
            backup.name.clone(),
            backup.state.clone(),
            time(&backup.created),
            or_dash(backup.bytes.map(size).as_deref()),
            backup.place.clone(),
            verdict(backup),
        ]
    };
    let rows: Vec<_> = backups.iter().map(row).collect();
    table(["BACKUP", "OF", "STATE", "CREATED", "SIZE", "PLACE", "CHECKED"], &rows)
}

fn verdict(backup: &Backup) -> String {
    match &backup.verdict {
        Some(verdict) if verdict.good => format!("good: {}", verdict.found),
        Some(verdict) => format!("BROKEN: {}", verdict.found),
        None => "not yet".to_owned(),
    }
}

fn details(backup: &Backup) -> String {
    facts(&[
        ("backup", backup.id.to_string()),
        (if backup.kind == "volume" { "volume" } else { "database" }, backup.name.clone()),
        ("state", backup.state.clone()),
        ("created", time(&backup.created)),
        ("reason", backup.reason.clone()),
        ("place", backup.place.clone()),
        ("file", backup.file.clone()),
        ("written out", or_dash(backup.plain.map(size).as_deref())),
        ("size", or_dash(backup.bytes.map(size).as_deref())),
        ("sha256", or_dash(backup.sha256.as_deref())),
        ("sealed for", backup.recipient.clone()),
        ("checked", verdict(backup)),
        ("failure", or_dash(backup.failure.as_deref())),
    ])
}
