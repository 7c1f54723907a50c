//! Deployments: asked for, moved from state to state, made live, and listed.
//!
//! A move is stored only over a state that it may come from, so that of two who move the same
//! deployment (the pipeline, and somebody who cancels) the second is told instead of obeyed.

mod error;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Params, Row, Transaction, params_from_iter};

pub use self::error::{EnqueueError, SaveError};
use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{address, app, database, mount, route, row, settings, variable};
use crate::domain::app::{App, AppId, Settings};
use crate::domain::deployment::{Deployment, DeploymentId, Failure, IllegalMove, ImageId, State, Trigger};
use crate::domain::image::Digest;
use crate::domain::name::Slug;
use crate::domain::source::CommitId;
use crate::domain::time::Timestamp;
use crate::domain::variable::{Variable, merge};

/// A new deployment, and those that it took the place of while they waited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueued {
    /// The new one.
    pub deployment: Deployment,
    /// Those that waited until now.
    pub superseded: Vec<Deployment>,
}

/// A wish for a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// What asks for it.
    pub trigger: Trigger,
    /// The commit; none: what the app's source says when its turn has come.
    pub commit: Option<CommitId>,
    /// What was handed in with the wish, told by its digest.
    pub content: Option<Digest>,
    /// What rivetr tells the app about itself; the variables of its project, its environment and itself go over it.
    pub injected: Vec<Variable>,
    /// Nothing of its build comes from the cache, whatever the app says.
    pub no_cache: bool,
}

impl Wish {
    /// Whatever is there, as the app says.
    #[must_use]
    pub fn of(trigger: Trigger) -> Self {
        Self { trigger, commit: None, content: None, injected: Vec::new(), no_cache: false }
    }
}

/// A wish to bring back what an earlier deployment ran: its image, its commit and its settings, but for how many
/// containers there are, which is as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Return {
    /// The earlier deployment, or one that brought it back itself.
    pub to: DeploymentId,
    /// What asks for it.
    pub trigger: Trigger,
    /// Why, where rivetr itself asks.
    pub reason: Option<String>,
    /// Only while this one is live and nothing of its app waits or is at work.
    pub instead_of: Option<DeploymentId>,
    /// What rivetr tells the app anew, over what that deployment was told: how it reaches its databases, whose
    /// passwords may be others by now.
    pub told: Vec<Variable>,
}

impl Writer {
    /// Asks for a deployment of what the app is set to now; those of the app that still wait are superseded.
    pub async fn enqueue(&self, app: AppId, wish: Wish, now: Timestamp) -> Result<Enqueued, EnqueueError> {
        self.write(move |tx| enqueue(tx, app, wish, now)).await
    }

    /// Asks for a deployment that brings an earlier one back; those of the app that still wait are superseded.
    /// None: what it was to be instead of is not what there is any more.
    pub async fn enqueue_return(
        &self,
        app: AppId,
        wish: Return,
        now: Timestamp,
    ) -> Result<Option<Enqueued>, EnqueueError> {
        self.write(move |tx| enqueue_return(tx, app, &wish, now)).await
    }

    /// Forgets the deployments of an app that have ended, but for the newest `keep`, the live one, those that have
    /// addresses, and those of `numbers`.
    pub async fn forget_deployments(
        &self,
        app: AppId,
        keep: u32,
        numbers: BTreeSet<u32>,
    ) -> Result<(), StoreError> {
        self.write(move |tx| forget(tx, app, keep, &numbers)).await
    }

    /// Stores where a deployment has got to. To `Switching` is the same as [`Writer::switch`].
    /// Its addresses are not stored here: [`Writer::allocate_addresses`] and [`Writer::free_addresses`] do that.
    pub async fn save(&self, deployment: &Deployment, now: Timestamp) -> Result<(), SaveError> {
        let deployment = deployment.clone();
        self.write(move |tx| advance(tx, &deployment, now).map(drop)).await
    }

    /// The commit of a deployment: its state, the app's live release and the routes change together.
    /// Returns the new generation of the routes.
    pub async fn switch(&self, deployment: &Deployment, now: Timestamp) -> Result<u64, SaveError> {
        let deployment = deployment.clone();
        self.write(move |tx| {
            let not_switching = IllegalMove { from: deployment.state, to: State::Switching };
            advance(tx, &deployment, now)?.ok_or(SaveError::Stale(not_switching))
        })
        .await
    }
}

impl Reader {
    /// The deployment of that number over all apps.
    pub async fn deployment(&self, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
        Ok(self.select("WHERE deployment.id = ?1", [id.0]).await?.pop())
    }

    /// The deployment of that number of an app.
    pub async fn deployment_numbered(
        &self,
        app: AppId,
        number: u32,
    ) -> Result<Option<Deployment>, StoreError> {
        let rest = "WHERE deployment.app = ?1 AND deployment.number = ?2";
        Ok(self.select(rest, [app.0, i64::from(number)]).await?.pop())
    }

    /// The newest `limit` deployments of an app, or of all, before the one that a page ended with.
    pub async fn deployments(
        &self,
        app: Option<AppId>,
        before: Option<DeploymentId>,
        limit: u32,
    ) -> Result<Vec<Deployment>, StoreError> {
        let before = before.map_or(i64::MAX, |id| id.0);
        let tail = "deployment.id < ?1 ORDER BY deployment.id DESC LIMIT ?2";
        match app {
            Some(app) => {
                let rest = format!("WHERE deployment.app = ?3 AND {tail}");
                self.select(&rest, [before, i64::from(limit), app.0]).await
            }
            None => self.select(&format!("WHERE {tail}"), [before, i64::from(limit)]).await,
        }
    }

    /// Those that wait or are at work, oldest first.
    pub async fn unfinished(&self) -> Result<Vec<Deployment>, StoreError> {
        self.select("WHERE ended IS NULL ORDER BY deployment.id", []).await
    }

    /// Those of an app that have an address: what serves, what is to serve, and what is not removed yet.
    pub async fn releases(&self, app: AppId) -> Result<Vec<Deployment>, StoreError> {
        let rest = "WHERE deployment.app = ?1 AND deployment.id IN (SELECT deployment FROM address) \
                    ORDER BY deployment.number";
        self.select(rest, [app.0]).await
    }

    /// Those of every app that have an address.
    pub async fn all_releases(&self) -> Result<Vec<Deployment>, StoreError> {
        self.select("WHERE deployment.id IN (SELECT deployment FROM address) ORDER BY deployment.id", [])
            .await
    }

    /// The states a deployment has come through, and when.
    pub async fn events(&self, id: DeploymentId) -> Result<Vec<(State, Timestamp)>, StoreError> {
        self.read(move |tx| {
            row::all(
                tx,
                "SELECT state, at FROM deployment_event WHERE deployment = ?1 ORDER BY id",
                [id.0],
                |row| Ok((row::parsed(row, "state", row::word(State::parse))?, row::time(row, "at")?)),
            )
        })
        .await
    }

    async fn select(
        &self,
        rest: &str,
        params: impl Params + Send + 'static,
    ) -> Result<Vec<Deployment>, StoreError> {
        let sql = format!("{SELECT} {rest}");
        self.read(move |tx| row::all(tx, &sql, params, read)).await
    }
}

const SELECT: &str = "SELECT deployment.id AS id, deployment.app AS app, app.slug AS slug, number, requested_by, \
     back_to, reason, deployment.settings AS settings, commit_id, digest, image, state, failed_during, failure, \
     deployment.created AS created, ended, subnet, \
     (SELECT json_group_array(container.host ORDER BY container.number) FROM container \
     WHERE container.deployment = deployment.id) AS hosts \
     FROM deployment JOIN app ON app.id = deployment.app JOIN project ON project.id = app.project";

/// A new deployment in the queue, in the transaction at hand.
pub(super) fn enqueue(
    tx: &Transaction<'_>,
    app: AppId,
    Wish { trigger, commit, content, injected, no_cache }: Wish,
    now: Timestamp,
) -> Result<Enqueued, EnqueueError> {
    let found = deployable(tx, app)?;
    let superseded = supersede_waiting(tx, app, now)?;
    let levels = std::iter::once(injected).chain(variable::levels(tx, app)?);
    let mut settings = Settings {
        variables: merge(levels),
        files: mount::of_app(tx, app)?,
        linked: database::linked_names(tx, app)?,
        ..found.settings
    };
    settings.build.cache &= !no_cache;
    let id = insert(tx, app, trigger, (commit.as_ref(), content.as_ref()), &settings, now)?;
    queued(tx, id, superseded, now)
}

fn enqueue_return(
    tx: &Transaction<'_>,
    app: AppId,
    wish: &Return,
    now: Timestamp,
) -> Result<Option<Enqueued>, EnqueueError> {
    let found = deployable(tx, app)?;
    if let Some(live) = wish.instead_of
        && (found.live != Some(live) || has_unfinished(tx, app)?)
    {
        return Ok(None);
    }
    let superseded = supersede_waiting(tx, app, now)?;
    let id = insert_return(tx, app, wish, now)?;
    tell(tx, id, &found, &wish.told)?;
    queued(tx, id, superseded, now).map(Some)
}

fn deployable(tx: &Transaction<'_>, app: AppId) -> Result<App, EnqueueError> {
    let found = app::by_id(tx, app)?.ok_or(EnqueueError::NoApp)?;
    if found.deleting { Err(EnqueueError::Deleting(found.slug)) } else { Ok(found) }
}

fn queued(
    tx: &Transaction<'_>,
    id: DeploymentId,
    superseded: Vec<Deployment>,
    now: Timestamp,
) -> Result<Enqueued, EnqueueError> {
    note(tx, id, State::Queued, now)?;
    let deployment = by_id(tx, id)?.ok_or(StoreError::Malformed("deployment"))?;
    Ok(Enqueued { deployment, superseded })
}

fn supersede_waiting(
    tx: &Transaction<'_>,
    app: AppId,
    now: Timestamp,
) -> Result<Vec<Deployment>, StoreError> {
    let mut waiting =
        row::all(tx, &format!("{SELECT} WHERE deployment.app = ?1 AND state = 'queued'"), [app.0], read)?;
    for deployment in &mut waiting {
        deployment.supersede(now).map_err(|_| StoreError::Malformed("deployment.state"))?;
        update(tx, deployment)?;
        note(tx, deployment.id, deployment.state, now)?;
    }
    Ok(waiting)
}

fn insert(
    tx: &Transaction<'_>,
    app: AppId,
    trigger: Trigger,
    (commit, content): (Option<&CommitId>, Option<&Digest>),
    settings: &Settings,
    now: Timestamp,
) -> Result<DeploymentId, StoreError> {
    tx.prepare_cached("UPDATE app SET last_number = last_number + 1 WHERE id = ?1")?.execute([app.0])?;
    tx.prepare_cached(
        "INSERT INTO deployment (app, number, requested_by, settings, commit_id, digest, state, created) \
         SELECT id, last_number, ?2, ?5, ?3, ?6, 'queued', ?4 FROM app WHERE id = ?1",
    )?
    .execute((
        app.0,
        trigger.as_str(),
        commit.map(CommitId::as_str),
        now.0,
        settings::to_json(settings)?,
        content.map(Digest::as_str),
    ))?;
    Ok(DeploymentId(tx.last_insert_rowid()))
}

fn insert_return(
    tx: &Transaction<'_>,
    app: AppId,
    wish: &Return,
    now: Timestamp,
) -> Result<DeploymentId, StoreError> {
    let Return { to, trigger, reason, instead_of: _, told: _ } = wish;
    tx.prepare_cached("UPDATE app SET last_number = last_number + 1 WHERE id = ?1")?.execute([app.0])?;
    tx.prepare_cached(
        "INSERT INTO deployment \
         (app, number, requested_by, back_to, reason, settings, commit_id, digest, image, state, created) \
         SELECT app.id, last_number, ?3, coalesce(old.back_to, old.number), ?4, \
         json_set(old.settings, '$.replicas', coalesce(app.settings ->> '$.replicas', 1)), \
         old.commit_id, old.digest, old.image, 'queued', ?5 \
         FROM app JOIN deployment AS old ON old.app = app.id WHERE app.id = ?1 AND old.id = ?2",
    )?
    .execute((app.0, to.0, trigger.as_str(), reason, now.0))?;
    if tx.changes() == 0 {
        // It was forgotten meanwhile.
        return Err(StoreError::Malformed("deployment"));
    }
    Ok(DeploymentId(tx.last_insert_rowid()))
}

/// Sets what rivetr tells an app, but for what the app sets itself.
fn tell(tx: &Transaction<'_>, id: DeploymentId, app: &App, told: &[Variable]) -> Result<(), StoreError> {
    let mut settings = by_id(tx, id)?.ok_or(StoreError::Malformed("deployment"))?.settings;
    let told = told.iter().filter(|variable| !app.variables.contains(&variable.key)).cloned().collect();
    settings.variables = merge([std::mem::take(&mut settings.variables), told]);
    settings.linked = database::linked_names(tx, app.id)?;
    let sql = "UPDATE deployment SET settings = ?2 WHERE id = ?1";
    tx.execute(sql, (id.0, settings::to_json(&settings)?))?;
    Ok(())
}

fn has_unfinished(tx: &Transaction<'_>, app: AppId) -> Result<bool, StoreError> {
    let sql = "SELECT EXISTS (SELECT 1 FROM deployment WHERE app = ?1 AND ended IS NULL)";
    Ok(tx.prepare_cached(sql)?.query_row([app.0], |row| row.get(0))?)
}

fn forget(tx: &Transaction<'_>, app: AppId, keep: u32, numbers: &BTreeSet<u32>) -> Result<(), StoreError> {
    let old = row::all(
        tx,
        "SELECT id, number FROM deployment WHERE app = ?1 AND ended IS NOT NULL \
         AND id NOT IN (SELECT deployment FROM address) \
         AND id NOT IN (SELECT live FROM app WHERE live IS NOT NULL) \
         AND id NOT IN (SELECT id FROM deployment WHERE app = ?1 AND ended IS NOT NULL \
         ORDER BY id DESC LIMIT ?2)",
        (app.0, keep),
        |row| Ok((row::number::<i64>(row, "id")?, row::number::<u32>(row, "number")?)),
    )?;
    for (id, _) in old.into_iter().filter(|(_, number)| !numbers.contains(number)) {
        tx.prepare_cached("DELETE FROM deployment_event WHERE deployment = ?1")?.execute([id])?;
        tx.prepare_cached("DELETE FROM deployment WHERE id = ?1")?.execute([id])?;
    }
    Ok(())
}

/// Stores a move; the routes' new generation when it is the one that makes a release live.
fn advance(tx: &Transaction<'_>, deployment: &Deployment, now: Timestamp) -> Result<Option<u64>, SaveError> {
    let stored = stored_state(tx, deployment.id)?.ok_or(SaveError::Gone)?;
    if !may_come_from(deployment.state).contains(&stored) {
        return Err(SaveError::Stale(IllegalMove { from: stored, to: deployment.state }));
    }
    if let Some(other) = another_at_work(tx, deployment)? {
        return Err(SaveError::AnotherAtWork(other));
    }
    update(tx, deployment)?;
    note(tx, deployment.id, deployment.state, now)?;
    if deployment.state == State::Switching { make_live(tx, deployment).map(Some) } else { Ok(None) }
}

fn make_live(tx: &Transaction<'_>, deployment: &Deployment) -> Result<u64, SaveError> {
    let app = app::by_id(tx, deployment.app)?.ok_or(SaveError::Gone)?;
    if app.deleting {
        return Err(SaveError::Deleting(app.slug));
    }
    if !address::holds(tx, deployment.id)? {
        return Err(SaveError::NoAddress);
    }
    // Who deploys a stopped app wants it to run.
    tx.execute("UPDATE app SET live = ?2, wish = 'run' WHERE id = ?1", (deployment.app.0, deployment.id.0))
        .map_err(StoreError::from)?;
    tx.execute("UPDATE replica SET serves = 1 WHERE deployment = ?1 AND number > 0", [deployment.id.0])
        .map_err(StoreError::from)?;
    Ok(route::bump(tx)?)
}

/// The states that a move to `to` may start from: the moves of [`Deployment`], read backwards.
fn may_come_from(to: State) -> &'static [State] {
    use State::{Building, Checking, Fetching, Queued, Retiring, Starting, Switching};
    match to {
        State::Queued => &[],
        Fetching => &[Queued],
        Building => &[Fetching],
        Starting | State::Superseded => &[Queued, Fetching, Building],
        Checking => &[Starting],
        Switching => &[Checking],
        Retiring => &[Switching],
        State::Live => &[Retiring],
        State::Failed | State::Cancelled => &[Queued, Fetching, Building, Starting, Checking],
    }
}

fn stored_state(tx: &Transaction<'_>, id: DeploymentId) -> Result<Option<State>, StoreError> {
    row::first(tx, "SELECT state FROM deployment WHERE id = ?1", [id.0], |row| {
        row::parsed(row, "state", row::word(State::parse))
    })
}

fn another_at_work(tx: &Transaction<'_>, deployment: &Deployment) -> Result<Option<u32>, StoreError> {
    if deployment.state.is_end() {
        return Ok(None);
    }
    let other = tx
        .prepare_cached(
            "SELECT number FROM deployment \
             WHERE app = ?1 AND id <> ?2 AND ended IS NULL AND state <> 'queued'",
        )?
        .query_row((deployment.app.0, deployment.id.0), |row| row.get(0))
        .optional()?;
    Ok(other)
}

/// Writes what a move may change. What a deployment was asked for with stays as it is; so does its address.
fn update(tx: &Transaction<'_>, deployment: &Deployment) -> Result<(), StoreError> {
    let Deployment {
        id,
        app: _,
        app_slug: _,
        number: _,
        trigger: _,
        back_to: _,
        reason: _,
        settings: _,
        commit,
        digest,
        image,
        addresses: _,
        state,
        failure,
        created: _,
        ended,
    } = deployment;
    tx.prepare_cached(
        "UPDATE deployment SET commit_id = ?2, image = ?3, state = ?4, failed_during = ?5, failure = ?6, \
         ended = ?7, digest = ?8 WHERE id = ?1",
    )?
    .execute(params_from_iter([
        Value::from(id.0),
        Value::from(commit.as_ref().map(|commit| commit.as_str().to_owned())),
        Value::from(image.as_ref().map(|image| image.as_str().to_owned())),
        Value::from(state.as_str().to_owned()),
        Value::from(failure.as_ref().map(|failure| failure.during.as_str().to_owned())),
        Value::from(failure.as_ref().map(|failure| failure.reason.clone())),
        Value::from(ended.map(|time| time.0)),
        Value::from(digest.as_ref().map(|digest| digest.as_str().to_owned())),
    ]))?;
    Ok(())
}

fn note(tx: &Transaction<'_>, id: DeploymentId, state: State, at: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("INSERT INTO deployment_event (deployment, state, at) VALUES (?1, ?2, ?3)")?
        .execute((id.0, state.as_str(), at.0))?;
    Ok(())
}

fn by_id(tx: &Transaction<'_>, id: DeploymentId) -> Result<Option<Deployment>, StoreError> {
    row::first(tx, &format!("{SELECT} WHERE deployment.id = ?1"), [id.0], read)
}

fn read(row: &Row<'_>) -> Result<Deployment, StoreError> {
    let during = row::maybe_parsed(row, "failed_during", row::word(State::parse))?;
    let reason: Option<String> = row::number(row, "failure")?;
    Ok(Deployment {
        id: DeploymentId(row::number(row, "id")?),
        app: AppId(row::number(row, "app")?),
        app_slug: row::parsed(row, "slug", Slug::parse)?,
        number: row::number(row, "number")?,
        trigger: row::parsed(row, "requested_by", row::word(Trigger::parse))?,
        back_to: row::number(row, "back_to")?,
        reason: row::number(row, "reason")?,
        settings: row::parsed(row, "settings", settings::from_json)?,
        commit: row::maybe_parsed(row, "commit_id", CommitId::parse)?,
        digest: row::maybe_parsed(row, "digest", Digest::parse)?,
        image: row::maybe_parsed(row, "image", ImageId::parse)?,
        addresses: address::read(row)?,
        state: row::parsed(row, "state", row::word(State::parse))?,
        failure: during.zip(reason).map(|(during, reason)| Failure { during, reason }),
        created: row::time(row, "created")?,
        ended: row::maybe_time(row, "ended")?,
    })
}
