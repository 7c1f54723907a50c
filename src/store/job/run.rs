//! The runs of jobs, as the journal tells of them: each once, however often it is told.

use std::collections::BTreeMap;

use rusqlite::{Row, Transaction};

use crate::domain::job::{JobId, Outcome, Run, RunId, Trigger};
use crate::domain::time::Timestamp;
use crate::store::error::StoreError;
use crate::store::reader::Reader;
use crate::store::row;
use crate::store::writer::Writer;

/// How much earlier than it was asked for a run may seem to have begun, in milliseconds: the journal and rivetr read
/// the clock each for itself.
const SLACK: i64 = 1000;

/// Something that was told of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotedRun {
    /// The job.
    pub job: JobId,
    /// systemd's name of the run.
    pub invocation: String,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: RunEvent,
}

/// What can be told of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunEvent {
    /// It began.
    Began,
    /// Its process ended with this status.
    Exited(i32),
    /// It ended because its process failed, as its status says.
    Failed,
    /// It ended.
    Ended(Outcome),
}

impl Writer {
    /// Stores what was told of runs, and how far the journal was read for it.
    pub async fn note_runs(&self, told: Vec<NotedRun>, cursor: Option<String>) -> Result<(), StoreError> {
        self.write(move |tx| {
            for run in &told {
                note(tx, run)?;
            }
            if let Some(cursor) = cursor {
                tx.execute("INSERT OR REPLACE INTO job_journal (one, cursor) VALUES (1, ?1)", [cursor])?;
            }
            Ok(())
        })
        .await
    }

    /// Remembers that a person asked for the end of a run.
    pub async fn cancel_run(&self, id: RunId) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE job_run SET cancelled = 1 WHERE id = ?1 AND ended IS NULL", [id.0])?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// How far the journal was read; none: never yet.
    pub async fn job_journal(&self) -> Result<Option<String>, StoreError> {
        self.read(|tx| row::first(tx, "SELECT cursor FROM job_journal", [], |row| row::number(row, "cursor")))
            .await
    }

    /// The newest `limit` runs of a job, before the one that a page ended with.
    pub async fn runs(&self, job: JobId, before: Option<RunId>, limit: u32) -> Result<Vec<Run>, StoreError> {
        let before = before.map_or(i64::MAX, |id| id.0);
        self.read(move |tx| {
            let sql = "SELECT * FROM job_run WHERE job = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
            row::all(tx, sql, (job.0, before, limit), read)
        })
        .await
    }

    /// A run of a job, by its number.
    pub async fn run(&self, job: JobId, id: RunId) -> Result<Option<Run>, StoreError> {
        self.read(move |tx| {
            row::first(tx, "SELECT * FROM job_run WHERE job = ?1 AND id = ?2", (job.0, id.0), read)
        })
        .await
    }

    /// The runs that have not ended.
    pub async fn open_runs(&self) -> Result<Vec<Run>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM job_run WHERE ended IS NULL ORDER BY id", [], read)).await
    }

    /// The newest run of each job that has one.
    pub async fn last_runs(&self) -> Result<BTreeMap<JobId, Run>, StoreError> {
        let newest = self
            .read(|tx| {
                let sql = "SELECT * FROM job_run WHERE id IN (SELECT max(id) FROM job_run GROUP BY job)";
                row::all(tx, sql, [], read)
            })
            .await?;
        Ok(newest.into_iter().map(|run| (run.job, run)).collect())
    }
}

fn note(tx: &Transaction<'_>, told: &NotedRun) -> Result<(), StoreError> {
    let NotedRun { job, invocation, at, event } = told;
    let is_there = "SELECT EXISTS (SELECT 1 FROM job WHERE id = ?1) AS there";
    if row::first(tx, is_there, [job.0], |row| row::number(row, "there"))? != Some(true) {
        return Ok(());
    }
    begin(tx, *job, invocation, *at)?;
    let end = |outcome: Outcome| {
        let (word, status) = outcome.word();
        let sql = "UPDATE job_run SET ended = ?3, outcome = ?4, status = coalesce(?5, status) \
                   WHERE job = ?1 AND invocation = ?2 AND ended IS NULL";
        tx.prepare_cached(sql)?.execute((job.0, invocation, at.0, word, status))
    };
    let state = "SELECT status, cancelled FROM job_run WHERE job = ?1 AND invocation = ?2";
    let read = |row: &Row<'_>| Ok((row::number(row, "status")?, row::number(row, "cancelled")?));
    let (status, cancelled): (Option<i32>, bool) =
        row::first(tx, state, (job.0, invocation), read)?.unwrap_or_default();
    match event {
        RunEvent::Began => {}
        RunEvent::Exited(status) => {
            let sql = "UPDATE job_run SET status = ?3 WHERE job = ?1 AND invocation = ?2 AND ended IS NULL";
            tx.prepare_cached(sql)?.execute((job.0, invocation, status))?;
        }
        RunEvent::Failed | RunEvent::Ended(_) if cancelled => {
            end(Outcome::Cancelled)?;
        }
        // Podman ends with 125 where it could not start the container.
        RunEvent::Failed => {
            end(status.filter(|status| *status != 125).map_or(Outcome::NotStarted, Outcome::Failed))?;
        }
        RunEvent::Ended(outcome) => {
            end(*outcome)?;
        }
    }
    Ok(())
}

/// The row of a run, made when it is first told of. The first that begins after a person has asked is theirs.
fn begin(tx: &Transaction<'_>, job: JobId, invocation: &str, at: Timestamp) -> Result<(), StoreError> {
    let sql = "INSERT OR IGNORE INTO job_run (job, invocation, started_by, began) SELECT id, ?2, \
               CASE WHEN asked <= ?3 + ?4 THEN 'hand' ELSE 'schedule' END, ?3 FROM job WHERE id = ?1";
    if tx.prepare_cached(sql)?.execute((job.0, invocation, at.0, SLACK))? == 0 {
        return Ok(());
    }
    let seen = "UPDATE job SET asked = NULL WHERE id = ?1 AND asked <= ?2 + ?3";
    tx.prepare_cached(seen)?.execute((job.0, at.0, SLACK))?;
    let tidy = "DELETE FROM job_run WHERE job = ?1 AND id <= (SELECT id FROM job_run WHERE job = ?1 \
                ORDER BY id DESC LIMIT 1 OFFSET ?2)";
    tx.prepare_cached(tidy)?.execute((job.0, Run::KEPT))?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Run, StoreError> {
    let status = row::number(row, "status")?;
    let outcome = |word: &str| Outcome::parse(word, status).ok_or(());
    let ended = row::maybe_time(row, "ended")?.zip(row::maybe_parsed(row, "outcome", outcome)?);
    Ok(Run {
        id: RunId(row::number(row, "id")?),
        job: JobId(row::number(row, "job")?),
        invocation: row::number(row, "invocation")?,
        trigger: row::parsed(row, "started_by", row::word(Trigger::parse))?,
        began: row::time(row, "began")?,
        ended,
    })
}
