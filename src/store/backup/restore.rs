//! What was restored from backups, and what was tried.

use rusqlite::Row;

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::row;
use super::super::writer::Writer;
use super::{BackupError, by_id};
use crate::domain::backup::{BackupId, Restore, RestoreId, State, Target};
use crate::domain::database::DatabaseId;
use crate::domain::name::Slug;
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;
use crate::domain::volume::VolumeName;

/// What a database is to have from now on.
#[derive(Debug, Clone)]
pub struct DataOf {
    /// Which.
    pub database: DatabaseId,
    /// Its volume.
    pub volume: String,
    /// The password of its user, sealed for this volume.
    pub password: Sealed,
    /// That of its administrator, likewise.
    pub root_password: Sealed,
}

impl Writer {
    /// A row for a restore, before anything is done for it.
    pub async fn begin_restore(
        &self,
        backup: BackupId,
        target: Target,
        now: Timestamp,
    ) -> Result<Restore, BackupError> {
        self.write(move |tx| {
            let from = by_id(tx, backup)?.ok_or(BackupError::NoBackup(backup))?;
            if !matches!(from.state, State::Done { .. }) {
                return Err(BackupError::Illegal { id: backup, state: from.state.word() });
            }
            tx.execute(
                "INSERT INTO restore (backup, target, created) VALUES (?1, ?2, ?3)",
                (backup.0, word(&target), now.0),
            )
            .map_err(StoreError::from)?;
            let id = RestoreId(tx.last_insert_rowid());
            Ok(Restore { id, backup, target, created: now, swapped: false, ended: None })
        })
        .await
    }

    /// Gives each of two databases the data of the other, and the passwords, which are sealed for the data's place.
    /// `swapped` says whether the restore has come to its new data by that; the other one is in the trash then, so that
    /// nobody brings it up, and with the old data it is more than what a restore made for itself. All or nothing.
    pub async fn swap_data(
        &self,
        restore: RestoreId,
        swapped: bool,
        one: DataOf,
        other: DataOf,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let trash = "UPDATE database SET deleted = ifnull(deleted, ?2), problem = NULL, scratch = ?3 WHERE id = ?1";
            tx.execute(trash, (other.database.0, now.0, !swapped))?;
            let parked = "UPDATE database SET volume = 'parked' WHERE id = ?1";
            tx.execute(parked, [one.database.0])?;
            for DataOf { database, volume, password, root_password } in [other, one] {
                tx.execute(
                    "UPDATE database SET volume = ?2, password = ?3, root_password = ?4 WHERE id = ?1",
                    (database.0, volume, password.0, root_password.0),
                )?;
            }
            tx.execute("UPDATE restore SET swapped = ?2 WHERE id = ?1", (restore.0, swapped))?;
            Ok(())
        })
        .await
    }

    /// Says how a restore has ended; what was said first holds.
    pub async fn end_restore(
        &self,
        id: RestoreId,
        failure: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = "UPDATE restore SET ended = ?2, failure = ?3 WHERE id = ?1 AND ended IS NULL";
        self.write(move |tx| {
            tx.execute(update, (id.0, now.0, failure))?;
            Ok(())
        })
        .await
    }
}

impl Writer {
    /// Says that a restore is about to have, or has not, put its data in the place of those that were there.
    pub async fn set_swapped(&self, id: RestoreId, swapped: bool) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE restore SET swapped = ?2 WHERE id = ?1", (id.0, swapped))?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// What was restored from a backup, newest first.
    pub async fn restores_of(&self, backup: BackupId) -> Result<Vec<Restore>, StoreError> {
        let select = "SELECT * FROM restore WHERE backup = ?1 ORDER BY id DESC";
        self.read(move |tx| row::all(tx, select, [backup.0], read)).await
    }

    /// Those that have not ended.
    pub async fn restores_under_way(&self) -> Result<Vec<Restore>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM restore WHERE ended IS NULL ORDER BY id", [], read)).await
    }
}

fn word(target: &Target) -> String {
    match target {
        Target::Check => "check".to_owned(),
        Target::InPlace => "in-place".to_owned(),
        Target::New(name) => format!("new/{name}"),
        Target::NewVolume(name) => format!("new-volume/{name}"),
    }
}

fn target(text: &str) -> Option<Target> {
    match text {
        "check" => Some(Target::Check),
        "in-place" => Some(Target::InPlace),
        _ => match text.split_once('/')? {
            ("new", name) => Slug::parse(name).ok().map(Target::New),
            ("new-volume", name) => VolumeName::parse(name).ok().map(Target::NewVolume),
            _ => None,
        },
    }
}

fn read(row: &Row<'_>) -> Result<Restore, StoreError> {
    let failure: Option<String> = row::number(row, "failure")?;
    Ok(Restore {
        id: RestoreId(row::number(row, "id")?),
        backup: BackupId(row::number(row, "backup")?),
        target: row::parsed(row, "target", row::word(target))?,
        created: row::time(row, "created")?,
        swapped: row::number(row, "swapped")?,
        ended: row::maybe_time(row, "ended")?.map(|ended| (ended, failure)),
    })
}
