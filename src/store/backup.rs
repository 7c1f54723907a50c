//! Backups, and what was restored from them. Keys are sealed before they get here.

mod destination;
mod head;
mod key;
mod restore;
mod schedule;

use rusqlite::{Connection, Row, Transaction};
use thiserror::Error;

pub use self::destination::{DestinationError, StoredDestination};
pub use self::head::{BackupHead, BackupsOf};
pub use self::key::BackupKey;
pub use self::restore::DataOf;
use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::backup::{
    Backup, BackupId, Form, Hold, IllegalMove, Place, Reason, State, Stored, Subject, Verdict,
};
use crate::domain::person::TeamId;
use crate::domain::time::Timestamp;

/// A backup that is to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBackup {
    /// Of what.
    pub subject: Subject,
    /// How that is called.
    pub name: String,
    /// Whose it is.
    pub team: TeamId,
    /// Why.
    pub reason: Reason,
    /// Where to.
    pub place: Place,
    /// What the file will hold.
    pub form: Form,
    /// For which key.
    pub recipient: String,
    /// How what uses it is held meanwhile.
    pub hold: Option<Hold>,
}

/// Why there is no such backup, or not now.
#[derive(Debug, Error)]
pub enum BackupError {
    /// One is made already.
    #[error("a backup of {0} is being made already: wait for it")]
    UnderWay(String),
    /// There is no such destination.
    #[error("there is no destination {0} for backups: choose disk, or make the destination first")]
    NoPlace(Place),
    /// There is no such backup.
    #[error("there is no backup {}", .0.0)]
    NoBackup(BackupId),
    /// It is not there yet, or has failed.
    #[error("backup {} is {state}, so this cannot be done with it", id.0)]
    Illegal {
        /// Which.
        id: BackupId,
        /// How it is.
        state: &'static str,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// A row for a backup, before anything is done for it.
    pub async fn queue_backup(&self, new: NewBackup, now: Timestamp) -> Result<Backup, BackupError> {
        self.write(move |tx| queue(tx, new, now)).await
    }

    /// Makes one of the moves that the state allows.
    pub async fn move_backup(
        &self,
        id: BackupId,
        to: impl FnOnce(State) -> Result<State, IllegalMove> + Send + 'static,
    ) -> Result<Backup, BackupError> {
        self.write(move |tx| {
            let backup = by_id(tx, id)?.ok_or(BackupError::NoBackup(id))?;
            let word = backup.state.word();
            let state = to(backup.state).map_err(|IllegalMove| BackupError::Illegal { id, state: word })?;
            store_state(tx, id, &state)?;
            Ok(Backup { state, ..backup })
        })
        .await
    }

    /// Forgets a backup whose file is gone; whether there was one.
    pub async fn remove_backup(&self, id: BackupId) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute("DELETE FROM backup WHERE id = ?1", [id.0])? > 0)).await
    }

    /// Forgets failures from before a moment, but for the last of each subject; nobody asks for them any more.
    pub async fn forget_failed_backups(&self, before: Timestamp) -> Result<usize, StoreError> {
        let delete = "DELETE FROM backup WHERE state = 'failed' AND moved < ?1 \
                      AND id < (SELECT max(id) FROM backup AS other WHERE other.subject = backup.subject)";
        self.write(move |tx| Ok(tx.execute(delete, [before.0])?)).await
    }
}

impl Reader {
    /// One backup.
    pub async fn backup(&self, id: BackupId) -> Result<Option<Backup>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }

    /// The backups of something, newest first.
    pub async fn backups_of(&self, subject: &Subject) -> Result<Vec<Backup>, StoreError> {
        let subject = subject.to_string();
        self.read(move |tx| {
            row::all(tx, "SELECT * FROM backup WHERE subject = ?1 ORDER BY id DESC", [subject], read)
        })
        .await
    }

    /// Every backup, newest first; those of a team alone, if one is given.
    pub async fn backups(&self, team: Option<TeamId>) -> Result<Vec<Backup>, StoreError> {
        let team = team.map(|team| team.0);
        let select = "SELECT * FROM backup WHERE ?1 IS NULL OR team = ?1 ORDER BY id DESC";
        self.read(move |tx| row::all(tx, select, [team], read)).await
    }

    /// Those that are queued or being made.
    pub async fn backups_under_way(&self) -> Result<Vec<Backup>, StoreError> {
        let select = "SELECT * FROM backup WHERE state IN ('queued', 'running') ORDER BY id";
        self.read(move |tx| row::all(tx, select, [], read)).await
    }
}

fn queue(tx: &Transaction<'_>, new: NewBackup, now: Timestamp) -> Result<Backup, BackupError> {
    let NewBackup { subject, name, team, reason, place, form, recipient, hold } = new;
    if !destination::exists(tx, &place)? {
        return Err(BackupError::NoPlace(place));
    }
    let other = "SELECT id FROM backup WHERE subject = ?1 AND state IN ('queued', 'running')";
    let other = row::first(tx, other, [subject.to_string()], |row| row::number::<i64>(row, "id"))?;
    if other.is_some() {
        return Err(BackupError::UnderWay(name));
    }
    let insert = "INSERT INTO backup (subject, name, team, reason, place, form, recipient, created, state, moved, \
                  hold) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'queued', ?8, ?9)";
    let columns = (
        subject.to_string(),
        &name,
        team.0,
        reason.word(),
        place.to_string(),
        form.ending(),
        &recipient,
        now.0,
        hold.map(Hold::word),
    );
    tx.execute(insert, columns).map_err(StoreError::from)?;
    let id = BackupId(tx.last_insert_rowid());
    let state = State::Queued;
    Ok(Backup { id, subject, name, team, reason, place, form, recipient, hold, created: now, state })
}

fn store_state(tx: &Transaction<'_>, id: BackupId, state: &State) -> Result<(), StoreError> {
    let mut moved = None;
    let (mut file, mut failure, mut verdict) = (None, None, None);
    match state {
        State::Queued => {}
        State::Running { since } => moved = Some(*since),
        State::Failed { at, reason } => (moved, failure) = (Some(*at), Some(reason)),
        State::Done { at, file: stored, verdict: judged } => {
            (moved, file, verdict) = (Some(*at), Some(stored), judged.as_ref());
        }
    }
    let update = "UPDATE backup SET state = ?2, moved = ?3, plain = ?4, bytes = ?5, sha256 = ?6, failure = ?7, \
                  judged = ?8, good = ?9, found = ?10, items = ?11 WHERE id = ?1";
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let columns = (
        id.0,
        state.word(),
        moved.map(|moved| moved.0),
        file.map(|file| size(file.plain)),
        file.map(|file| size(file.bytes)),
        file.map(|file| file.sha256.to_vec()),
        failure,
        verdict.map(|verdict| verdict.at.0),
        verdict.map(|verdict| verdict.good),
        verdict.map(|verdict| &verdict.found),
        file.and_then(|file| file.items).map(size),
    );
    tx.execute(update, columns)?;
    Ok(())
}

fn by_id(connection: &Connection, id: BackupId) -> Result<Option<Backup>, StoreError> {
    row::first(connection, "SELECT * FROM backup WHERE id = ?1", [id.0], read)
}

fn read(row: &Row<'_>) -> Result<Backup, StoreError> {
    Ok(Backup {
        id: BackupId(row::number(row, "id")?),
        subject: row::parsed(row, "subject", row::word(Subject::parse))?,
        name: row::number(row, "name")?,
        team: TeamId(row::number(row, "team")?),
        reason: row::parsed(row, "reason", row::word(Reason::of_word))?,
        place: row::parsed(row, "place", Place::parse)?,
        form: row::parsed(row, "form", row::word(Form::of_ending))?,
        recipient: row::number(row, "recipient")?,
        hold: read_hold(row)?,
        created: row::time(row, "created")?,
        state: read_state(row)?,
    })
}

/// How what uses something is held, as a row says it.
fn read_hold(row: &Row<'_>) -> Result<Option<Hold>, StoreError> {
    let word: Option<String> = row::number(row, "hold")?;
    word.map(|word| Hold::of_word(&word).ok_or(StoreError::Malformed("hold"))).transpose()
}

fn read_state(row: &Row<'_>) -> Result<State, StoreError> {
    let state: String = row::number(row, "state")?;
    Ok(match state.as_str() {
        "queued" => State::Queued,
        "running" => State::Running { since: row::time(row, "moved")? },
        "failed" => State::Failed { at: row::time(row, "moved")?, reason: row::number(row, "failure")? },
        "done" => {
            let verdict = row::maybe_time(row, "judged")?.map(|at| {
                let (good, found) = (row::number(row, "good")?, row::number(row, "found")?);
                Ok::<_, StoreError>(Verdict { at, good, found })
            });
            let file = Stored {
                plain: size(row, "plain")?,
                bytes: size(row, "bytes")?,
                items: row::number::<Option<i64>>(row, "items")?.and_then(|items| u64::try_from(items).ok()),
                sha256: row::number(row, "sha256")?,
            };
            State::Done { at: row::time(row, "moved")?, file, verdict: verdict.transpose()? }
        }
        _ => return Err(StoreError::Malformed("state")),
    })
}

fn size(row: &Row<'_>, column: &'static str) -> Result<u64, StoreError> {
    u64::try_from(row::number::<i64>(row, column)?).map_err(|_| StoreError::Malformed(column))
}

#[cfg(test)]
mod tests;
