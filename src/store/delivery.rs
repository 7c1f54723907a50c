//! What was delivered to webhooks: each once, with its verdict, and with the deployment that it asked for.
//!
//! Delivery, deployment and tidying up are one transaction, so that nothing is answered twice and nothing is lost.

use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params_from_iter};

use super::deployment::{self, EnqueueError, Enqueued, Wish};
use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::app::AppId;
use crate::domain::deployment::{DeploymentId, Trigger};
use crate::domain::name::Slug;
use crate::domain::source::CommitId;
use crate::domain::time::Timestamp;
use crate::domain::variable::Variable;
use crate::domain::webhook::{Delivery, DeliveryId, Judgement, Provider, Verdict};

/// How long deliveries are kept and known again, in milliseconds: 7 days (SECURITY, W2).
const KEPT: i64 = 7 * 24 * 60 * 60 * 1000;
/// The most deliveries kept of one app.
const KEPT_MAX: i64 = 1000;
/// The most refused ones among them: strangers must not push out the others.
const REFUSED_MAX: i64 = 50;

/// A delivery that has come.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// The app.
    pub app: AppId,
    /// Who sent it, or says so.
    pub provider: Provider,
    /// The number that the provider gave it.
    pub name: Option<String>,
    /// The provider's word for what happened.
    pub event: String,
    /// What was sent, if it is kept.
    pub body: Option<Vec<u8>>,
    /// By this it is known again. None: it may come any number of times.
    pub body_hash: Option<[u8; 32]>,
    /// What is to become of it. A deployment is asked for here.
    pub judgement: Judgement,
    /// What rivetr tells the app about itself, if it is deployed.
    pub injected: Vec<Variable>,
    /// It is another one, looked at once more.
    pub replay_of: Option<DeliveryId>,
}

/// What has become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is in the log, with the deployment that it asked for.
    First {
        /// As it is in the log.
        delivery: Delivery,
        /// The deployment, and those that it took the place of.
        enqueued: Option<Box<Enqueued>>,
    },
    /// It had come before, as this one; nothing was changed.
    Again(Delivery),
}

impl Writer {
    /// Takes a delivery in, and asks for the deployment that it stands for.
    pub async fn take_delivery(&self, new: NewDelivery, now: Timestamp) -> Result<Taken, StoreError> {
        self.write(move |tx| take(tx, new, now)).await
    }
}

impl Reader {
    /// The newest `limit` deliveries to an app, before the one that a page ended with.
    pub async fn deliveries(
        &self,
        app: AppId,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let before = before.map_or(i64::MAX, |id| id.0);
        self.read(move |tx| {
            let sql = format!("{SELECT} WHERE d.app = ?1 AND d.id < ?2 ORDER BY d.id DESC LIMIT ?3");
            row::all(tx, &sql, (app.0, before, limit), read)
        })
        .await
    }

    /// The delivery of that number, with what was sent if it was kept.
    pub async fn delivery(&self, id: DeliveryId) -> Result<Option<(Delivery, Option<Vec<u8>>)>, StoreError> {
        self.read(move |tx| {
            row::first(tx, &format!("{SELECT} WHERE d.id = ?1"), [id.0], |row| {
                Ok((read(row)?, row::number(row, "body")?))
            })
        })
        .await
    }

    /// Whether a commit is no news to an app: it was deployed, or a delivery told of it.
    pub async fn knows_commit(&self, app: AppId, commit: &CommitId) -> Result<bool, StoreError> {
        let commit = commit.to_string();
        self.read(move |tx| {
            let sql = "SELECT EXISTS (SELECT 1 FROM deployment WHERE app = ?1 AND commit_id = ?2) \
                       OR EXISTS (SELECT 1 FROM webhook_delivery WHERE app = ?1 AND head = ?2)";
            Ok(tx.query_row(sql, (app.0, commit), |row| row.get(0))?)
        })
        .await
    }
}

const SELECT: &str = "SELECT d.id AS id, d.app AS app, app.slug AS slug, provider, name, event, body, received, \
     verdict, reason, deployment, replay_of FROM webhook_delivery AS d JOIN app ON app.id = d.app";

fn take(tx: &Transaction<'_>, new: NewDelivery, now: Timestamp) -> Result<Taken, StoreError> {
    if let Some(before) = known(tx, &new, now)? {
        return Ok(Taken::Again(before));
    }
    let mut judgement = new.judgement.clone();
    let mut enqueued = None;
    if judgement.verdict == Verdict::Deployed {
        let wish = Wish { injected: new.injected.clone(), ..Wish::of(Trigger::Webhook) };
        match deployment::enqueue(tx, new.app, wish, now) {
            Ok(asked) => enqueued = Some(Box::new(asked)),
            Err(EnqueueError::Store(error)) => return Err(error),
            Err(refused @ (EnqueueError::NoApp | EnqueueError::Deleting(_))) => {
                judgement = Verdict::Failed.because(refused.to_string());
            }
        }
    }
    let deployment = enqueued.as_ref().map(|asked| asked.deployment.id);
    let id = insert(tx, new, judgement, deployment, now)?;
    let delivery = row::first(tx, &format!("{SELECT} WHERE d.id = ?1"), [id.0], read)?;
    let delivery = delivery.ok_or(StoreError::Malformed("webhook_delivery"))?;
    tidy(tx, delivery.app, now)?;
    Ok(Taken::First { delivery, enqueued })
}

/// The delivery of which this one is another copy: it has the same number, or the same body. The number alone does
/// not tell, for it is not signed.
fn known(tx: &Transaction<'_>, new: &NewDelivery, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
    let Some(hash) = new.body_hash else { return Ok(None) };
    let since = now.0.saturating_sub(KEPT);
    let of_provider = "d.app = ?1 AND provider = ?2 AND body_hash IS NOT NULL AND received > ?3";
    let same_body = format!("{SELECT} WHERE {of_provider} AND body_hash = ?4 LIMIT 1");
    let provider = new.provider.as_str();
    if let Some(found) = row::first(tx, &same_body, (new.app.0, provider, since, hash), read)? {
        return Ok(Some(found));
    }
    let same_name = format!("{SELECT} WHERE {of_provider} AND name = ?4 LIMIT 1");
    row::first(tx, &same_name, (new.app.0, provider, since, new.name.as_deref()), read)
}

fn insert(
    tx: &Transaction<'_>,
    new: NewDelivery,
    judgement: Judgement,
    deployment: Option<DeploymentId>,
    now: Timestamp,
) -> Result<DeliveryId, StoreError> {
    let NewDelivery { app, provider, name, event, body, body_hash, judgement: _, injected: _, replay_of } =
        new;
    let Judgement { verdict, reason, head } = judgement;
    tx.prepare_cached(
        "INSERT INTO webhook_delivery (app, provider, name, event, body, body_hash, head, received, verdict, \
         reason, deployment, replay_of) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params_from_iter([
        Value::from(app.0),
        Value::from(provider.as_str().to_owned()),
        Value::from(name),
        Value::from(event),
        Value::from(body),
        Value::from(body_hash.map(|hash| hash.to_vec())),
        Value::from(head.map(|head| head.to_string())),
        Value::from(now.0),
        Value::from(verdict.as_str().to_owned()),
        Value::from(reason),
        Value::from(deployment.map(|id| id.0)),
        Value::from(replay_of.map(|id| id.0)),
    ]))?;
    Ok(DeliveryId(tx.last_insert_rowid()))
}

/// Forgets what is too old or too much.
fn tidy(tx: &Transaction<'_>, app: AppId, now: Timestamp) -> Result<(), StoreError> {
    tx.prepare_cached("DELETE FROM webhook_delivery WHERE received <= ?1")?
        .execute([now.0.saturating_sub(KEPT)])?;
    tx.prepare_cached(
        "DELETE FROM webhook_delivery WHERE app = ?1 AND verdict = 'refused' AND id <= (SELECT id \
         FROM webhook_delivery WHERE app = ?1 AND verdict = 'refused' ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute((app.0, REFUSED_MAX))?;
    tx.prepare_cached(
        "DELETE FROM webhook_delivery WHERE app = ?1 AND id <= (SELECT id FROM webhook_delivery \
         WHERE app = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
    )?
    .execute((app.0, KEPT_MAX))?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: DeliveryId(row::number(row, "id")?),
        app: AppId(row::number(row, "app")?),
        app_slug: row::parsed(row, "slug", Slug::parse)?,
        provider: row::parsed(row, "provider", row::word(Provider::parse))?,
        name: row::number(row, "name")?,
        event: row::number(row, "event")?,
        received: row::time(row, "received")?,
        verdict: row::parsed(row, "verdict", row::word(Verdict::parse))?,
        reason: row::number(row, "reason")?,
        deployment: row::number::<Option<i64>>(row, "deployment")?.map(DeploymentId),
        replay_of: row::number::<Option<i64>>(row, "replay_of")?.map(DeliveryId),
    })
}

#[cfg(test)]
mod tests;
