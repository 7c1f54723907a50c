//! The jobs of apps.

mod run;

use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params_from_iter};
use thiserror::Error;

pub use self::run::{NotedRun, RunEvent};
use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{app, resident, row};
use crate::domain::app::AppId;
use crate::domain::job::{Job, JobId, JobPlan, Place, Schedule, Zone};
use crate::domain::name::Slug;
use crate::domain::runtime::Words;
use crate::domain::time::Timestamp;

/// Why a job is not stored.
#[derive(Debug, Error)]
pub enum JobError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// There is no such job.
    #[error("there is no such job")]
    NoJob,
    /// The app is being deleted.
    #[error("the app {0} is being deleted")]
    Deleting(Slug),
    /// The app has one of that name.
    #[error("there is a job {0} already: choose another name, or change that one")]
    Taken(Slug),
    /// The app has as many as it may have.
    #[error("{0} has {max} jobs, and no app has more: delete one first", max = Job::MAX)]
    TooMany(Slug),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Gives an app a job.
    pub async fn create_job(&self, app: AppId, plan: JobPlan, now: Timestamp) -> Result<Job, JobError> {
        self.write(move |tx| create(tx, app, &plan, now)).await
    }

    /// Changes a job; its name stays.
    pub async fn change_job(&self, id: JobId, plan: JobPlan) -> Result<Job, JobError> {
        self.write(move |tx| {
            let sql = "UPDATE job SET schedule = ?2, zone = ?3, command = ?4, place = ?5, seconds = ?6, \
                       catch_up = ?7, enabled = ?8 WHERE id = ?1";
            let [_name, rest @ ..] = columns(&plan)?;
            let values = [vec![Value::from(id.0)], rest.to_vec()].concat();
            tx.execute(sql, params_from_iter(values)).map_err(StoreError::from)?;
            by_id(tx, id)?.ok_or(JobError::NoJob)
        })
        .await
    }

    /// Forgets a job, its runs and its address. Can be done twice.
    pub async fn delete_job(&self, job: &Job) -> Result<(), StoreError> {
        let (id, unit) = (job.id, job.unit_name());
        self.write(move |tx| {
            tx.execute("DELETE FROM job WHERE id = ?1", [id.0])?;
            resident::free(tx, &unit)
        })
        .await
    }

    /// Gives the addresses of an app's jobs back, and forgets the jobs. Can be done twice.
    pub async fn delete_jobs_of(&self, app: AppId) -> Result<(), StoreError> {
        self.write(move |tx| {
            for job in of_app(tx, Some(app))? {
                resident::free(tx, &job.unit_name())?;
            }
            tx.execute("DELETE FROM job WHERE app = ?1", [app.0])?;
            Ok(())
        })
        .await
    }

    /// Remembers that a person asked for a run, so that the next one that begins counts as theirs.
    pub async fn ask_for_run(&self, job: JobId, since: Option<Timestamp>) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE job SET asked = ?2 WHERE id = ?1", (job.0, since.map(|since| since.0)))?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// The jobs of an app, or of all, by name.
    pub async fn jobs(&self, app: Option<AppId>) -> Result<Vec<Job>, StoreError> {
        self.read(move |tx| of_app(tx, app)).await
    }

    /// A job of an app, by name.
    pub async fn job(&self, app: AppId, name: &Slug) -> Result<Option<Job>, StoreError> {
        let name = name.to_string();
        self.read(move |tx| {
            row::first(tx, &format!("{SELECT} WHERE app = ?1 AND name = ?2"), (app.0, name), read)
        })
        .await
    }
}

const SELECT: &str = "SELECT job.id AS id, app, app.slug AS slug, name, schedule, zone, command, place, seconds, \
     catch_up, enabled, job.created AS created FROM job JOIN app ON app.id = job.app";

fn create(tx: &Transaction<'_>, id: AppId, plan: &JobPlan, now: Timestamp) -> Result<Job, JobError> {
    let app = app::by_id(tx, id)?.ok_or(JobError::NoApp)?;
    if app.deleting {
        return Err(JobError::Deleting(app.slug));
    }
    let jobs = of_app(tx, Some(id))?;
    if jobs.iter().any(|job| job.plan.name == plan.name) {
        return Err(JobError::Taken(plan.name.clone()));
    }
    if jobs.len() >= Job::MAX {
        return Err(JobError::TooMany(app.slug));
    }
    let sql = "INSERT INTO job (app, name, schedule, zone, command, place, seconds, catch_up, enabled, created) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    let values = [vec![Value::from(id.0)], columns(plan)?.to_vec(), vec![Value::from(now.0)]].concat();
    tx.execute(sql, params_from_iter(values)).map_err(StoreError::from)?;
    by_id(tx, JobId(tx.last_insert_rowid()))?.ok_or(JobError::NoJob)
}

fn columns(plan: &JobPlan) -> Result<[Value; 8], StoreError> {
    let JobPlan { name, schedule, zone, command, place, limit, catch_up, enabled } = plan;
    let command = serde_json::to_string(command.as_slice()).map_err(|_| StoreError::Malformed("command"))?;
    Ok([
        Value::from(name.to_string()),
        Value::from(schedule.to_string()),
        Value::from(zone.as_ref().map(ToString::to_string)),
        Value::from(command),
        Value::from(place.as_str().to_owned()),
        Value::from(i64::try_from(limit.as_secs()).unwrap_or(i64::MAX)),
        Value::from(*catch_up),
        Value::from(*enabled),
    ])
}

fn of_app(tx: &Transaction<'_>, app: Option<AppId>) -> Result<Vec<Job>, StoreError> {
    let sql = format!("{SELECT} WHERE ?1 IS NULL OR app = ?1 ORDER BY slug, name");
    row::all(tx, &sql, [app.map(|app| app.0)], read)
}

fn by_id(tx: &Transaction<'_>, id: JobId) -> Result<Option<Job>, StoreError> {
    row::first(tx, &format!("{SELECT} WHERE job.id = ?1"), [id.0], read)
}

fn read(row: &Row<'_>) -> Result<Job, StoreError> {
    Ok(Job {
        id: JobId(row::number(row, "id")?),
        app: AppId(row::number(row, "app")?),
        app_slug: row::parsed(row, "slug", Slug::parse)?,
        plan: JobPlan {
            name: row::parsed(row, "name", Slug::parse)?,
            schedule: row::parsed(row, "schedule", Schedule::parse)?,
            zone: row::maybe_parsed(row, "zone", Zone::parse)?,
            command: row::parsed(row, "command", row::word(parse_words))?,
            place: row::parsed(row, "place", row::word(Place::parse))?,
            limit: Duration::from_secs(row::number::<u32>(row, "seconds")?.into()),
            catch_up: row::number(row, "catch_up")?,
            enabled: row::number(row, "enabled")?,
        },
        created: row::time(row, "created")?,
    })
}

fn parse_words(json: &str) -> Option<Words> {
    Words::new(serde_json::from_str(json).ok()?).ok()
}

#[cfg(test)]
mod tests;
