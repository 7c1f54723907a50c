//! When something is backed up by itself.

use std::num::{NonZeroU32, NonZeroU64};

use rusqlite::{Connection, Row};

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::row;
use super::super::writer::Writer;
use super::{BackupError, destination, read_hold};
use crate::domain::backup::{Hold, Place, Retention, Schedule, Subject, When};
use crate::domain::time::Timestamp;

impl Writer {
    /// Gives something a schedule, in place of the one it had.
    pub async fn put_schedule(
        &self,
        subject: Subject,
        schedule: Schedule,
        now: Timestamp,
    ) -> Result<(), BackupError> {
        let Schedule { when, place, retention, check_days, hold } = schedule;
        let Retention { count, days, bytes } = retention;
        self.write(move |tx| {
            if !destination::exists(tx, &place)? {
                return Err(BackupError::NoPlace(place));
            }
            let columns = (
                subject.to_string(),
                when.to_string(),
                place.to_string(),
                count.map(NonZeroU32::get),
                days.map(NonZeroU32::get),
                bytes.map(|bytes| i64::try_from(bytes.get()).unwrap_or(i64::MAX)),
                check_days,
                now.0,
                hold.map(Hold::word),
            );
            tx.execute(
                "INSERT INTO backup_schedule \
                 (subject, at, place, keep_count, keep_days, keep_bytes, check_days, since, hold) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                 ON CONFLICT (subject) DO UPDATE SET at = ?2, place = ?3, keep_count = ?4, keep_days = ?5, \
                 keep_bytes = ?6, check_days = ?7, since = ?8, hold = ?9",
                columns,
            )
            .map_err(StoreError::from)?;
            Ok(())
        })
        .await
    }

    /// Takes the schedule of something away; whether it had one.
    pub async fn remove_schedule(&self, subject: &Subject) -> Result<bool, StoreError> {
        let subject = subject.to_string();
        let delete = "DELETE FROM backup_schedule WHERE subject = ?1";
        self.write(move |tx| Ok(tx.execute(delete, [subject])? > 0)).await
    }
}

impl Reader {
    /// The schedule of something, and since when it has it.
    pub async fn schedule(&self, subject: &Subject) -> Result<Option<(Schedule, Timestamp)>, StoreError> {
        let subject = subject.to_string();
        self.read(move |tx| of(tx, &subject)).await
    }

    /// Every schedule, and since when it holds.
    pub async fn schedules(&self) -> Result<Vec<(Subject, Schedule, Timestamp)>, StoreError> {
        self.read(|tx| {
            row::all(tx, "SELECT * FROM backup_schedule ORDER BY subject", [], |row| {
                let (schedule, since) = read(row)?;
                Ok((row::parsed(row, "subject", row::word(Subject::parse))?, schedule, since))
            })
        })
        .await
    }
}

pub(super) fn of(
    connection: &Connection,
    subject: &str,
) -> Result<Option<(Schedule, Timestamp)>, StoreError> {
    row::first(connection, "SELECT * FROM backup_schedule WHERE subject = ?1", [subject], read)
}

fn read(row: &Row<'_>) -> Result<(Schedule, Timestamp), StoreError> {
    let bytes: Option<i64> = row::number(row, "keep_bytes")?;
    let retention = Retention {
        count: row::number::<Option<u32>>(row, "keep_count")?.and_then(NonZeroU32::new),
        days: row::number::<Option<u32>>(row, "keep_days")?.and_then(NonZeroU32::new),
        bytes: bytes.and_then(|bytes| u64::try_from(bytes).ok()).and_then(NonZeroU64::new),
    };
    let schedule = Schedule {
        when: row::parsed(row, "at", When::parse)?,
        place: row::parsed(row, "place", Place::parse)?,
        retention,
        check_days: row::number(row, "check_days")?,
        hold: read_hold(row)?,
    };
    Ok((schedule, row::time(row, "since")?))
}
