//! What was delivered to webhooks: each once, with its verdict, and with the deployment or the revision that it asked for.
//!
//! Delivery, what it asks for and tidying up are one transaction, so that nothing is answered twice and nothing is lost.

use rusqlite::types::Value;
use rusqlite::{Row, Transaction, params_from_iter};

use super::deployment::{self, EnqueueError, Enqueued, Wish};
use super::error::StoreError;
use super::reader::Reader;
use super::webhook::{columns, target};
use super::writer::Writer;
use super::{ServiceError, row, service};
use crate::domain::deployment::{DeploymentId, Trigger};
use crate::domain::name::Slug;
use crate::domain::service::RevisionId;
use crate::domain::source::CommitId;
use crate::domain::time::Timestamp;
use crate::domain::variable::Variable;
use crate::domain::webhook::{Delivery, DeliveryId, Judgement, Provider, Target, Verdict};

/// How long deliveries are kept and known again, in milliseconds: 7 days (SECURITY, W2).
const KEPT: i64 = 7 * 24 * 60 * 60 * 1000;
/// The most deliveries kept of one app or service.
const KEPT_MAX: i64 = 1000;
/// The most refused ones among them: strangers must not push out the others.
const REFUSED_MAX: i64 = 50;

/// A delivery that has come.
#[derive(Debug, Clone)]
pub struct NewDelivery {
    /// Whom it is for.
    pub target: Target,
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
    /// What is to become of it. A deployment, or a revision of a service, is asked for here.
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
    /// The newest `limit` deliveries to an app or a service, before the one that a page ended with.
    pub async fn deliveries(
        &self,
        target: Target,
        before: Option<DeliveryId>,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let before = before.map_or(i64::MAX, |id| id.0);
        self.read(move |tx| {
            let (app, service) = columns(target);
            let sql = format!("{SELECT} WHERE {OF_TARGET} AND d.id < ?3 ORDER BY d.id DESC LIMIT ?4");
            row::all(tx, &sql, (app, service, before, limit), read)
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

    /// Whether a commit is no news to an app or a service: it was deployed, or a delivery told of it.
    pub async fn knows_commit(&self, target: Target, commit: &CommitId) -> Result<bool, StoreError> {
        let commit = commit.to_string();
        self.read(move |tx| {
            let (app, service) = columns(target);
            let sql = format!(
                "SELECT EXISTS (SELECT 1 FROM deployment WHERE app = ?1 AND commit_id = ?3) \
                 OR EXISTS (SELECT 1 FROM revision WHERE service = ?2 AND commit_id = ?3) \
                 OR EXISTS (SELECT 1 FROM webhook_delivery AS d WHERE {OF_TARGET} AND head = ?3)"
            );
            Ok(tx.query_row(&sql, (app, service, commit), |row| row.get(0))?)
        })
        .await
    }
}

const SELECT: &str = "SELECT d.id AS id, d.app AS app, d.service AS service, ifnull(app.slug, service.slug) AS slug, \
     provider, name, event, body, received, verdict, reason, deployment, revision.number AS revision, replay_of \
     FROM webhook_delivery AS d LEFT JOIN app ON app.id = d.app LEFT JOIN service ON service.id = d.service \
     LEFT JOIN revision ON revision.id = d.revision";
/// The first two parameters are those of [`columns`].
const OF_TARGET: &str = "d.app IS ?1 AND d.service IS ?2";

fn take(tx: &Transaction<'_>, new: NewDelivery, now: Timestamp) -> Result<Taken, StoreError> {
    if let Some(before) = known(tx, &new, now)? {
        return Ok(Taken::Again(before));
    }
    let mut judgement = new.judgement.clone();
    let mut enqueued = None;
    let mut asked = Asked::default();
    if judgement.verdict == Verdict::Deployed {
        match ask(tx, &new, now)? {
            Ok((found, deployment)) => (asked, enqueued) = (found, deployment),
            Err(why) => judgement = Verdict::Failed.because(why),
        }
    }
    let id = insert(tx, new, judgement, &asked, now)?;
    let delivery = row::first(tx, &format!("{SELECT} WHERE d.id = ?1"), [id.0], read)?;
    let delivery = delivery.ok_or(StoreError::Malformed("webhook_delivery"))?;
    tidy(tx, delivery.target, now)?;
    Ok(Taken::First { delivery, enqueued })
}

/// What a delivery asked for.
#[derive(Default)]
struct Asked {
    deployment: Option<DeploymentId>,
    revision: Option<RevisionId>,
}

/// Asks for what a delivery stands for; or why nothing could be asked for.
#[expect(clippy::type_complexity, reason = "the deployment is taken up by whoever stored it")]
fn ask(
    tx: &Transaction<'_>,
    new: &NewDelivery,
    now: Timestamp,
) -> Result<Result<(Asked, Option<Box<Enqueued>>), String>, StoreError> {
    match new.target {
        Target::App(app) => {
            let wish = Wish { injected: new.injected.clone(), ..Wish::of(Trigger::Webhook) };
            match deployment::enqueue(tx, app, wish, now) {
                Ok(enqueued) => {
                    let deployment = Some(enqueued.deployment.id);
                    Ok(Ok((Asked { deployment, revision: None }, Some(Box::new(enqueued)))))
                }
                Err(EnqueueError::Store(error)) => Err(error),
                Err(refused @ (EnqueueError::NoApp | EnqueueError::Deleting(_))) => {
                    Ok(Err(refused.to_string()))
                }
            }
        }
        // A push is nobody's whom rivetr knows, least of all an administrator's.
        Target::Service(service) => match service::enqueue(tx, service, false, now) {
            Ok(revision) => Ok(Ok((Asked { deployment: None, revision: Some(revision.id) }, None))),
            Err(ServiceError::Store(error)) => Err(error),
            Err(refused) => Ok(Err(refused.to_string())),
        },
    }
}

/// The delivery of which this one is another copy: it has the same number, or the same body. The number alone does
/// not tell, for it is not signed.
fn known(tx: &Transaction<'_>, new: &NewDelivery, now: Timestamp) -> Result<Option<Delivery>, StoreError> {
    let Some(hash) = new.body_hash else { return Ok(None) };
    let since = now.0.saturating_sub(KEPT);
    let (app, service) = columns(new.target);
    let of_provider = format!("{OF_TARGET} AND provider = ?3 AND body_hash IS NOT NULL AND received > ?4");
    let same_body = format!("{SELECT} WHERE {of_provider} AND body_hash = ?5 LIMIT 1");
    let provider = new.provider.as_str();
    if let Some(found) = row::first(tx, &same_body, (app, service, provider, since, hash), read)? {
        return Ok(Some(found));
    }
    let same_name = format!("{SELECT} WHERE {of_provider} AND d.name = ?5 LIMIT 1");
    row::first(tx, &same_name, (app, service, provider, since, new.name.as_deref()), read)
}

fn insert(
    tx: &Transaction<'_>,
    new: NewDelivery,
    judgement: Judgement,
    Asked { deployment, revision }: &Asked,
    now: Timestamp,
) -> Result<DeliveryId, StoreError> {
    let NewDelivery { target, provider, name, event, body, body_hash, judgement: _, injected: _, replay_of } =
        new;
    let Judgement { verdict, reason, head } = judgement;
    let (app, service) = columns(target);
    tx.prepare_cached(
        "INSERT INTO webhook_delivery (app, service, provider, name, event, body, body_hash, head, received, verdict, \
         reason, deployment, revision, replay_of) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
    )?
    .execute(params_from_iter([
        Value::from(app),
        Value::from(service),
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
        Value::from(revision.map(|id| id.0)),
        Value::from(replay_of.map(|id| id.0)),
    ]))?;
    Ok(DeliveryId(tx.last_insert_rowid()))
}

/// Forgets what is too old or too much.
fn tidy(tx: &Transaction<'_>, target: Target, now: Timestamp) -> Result<(), StoreError> {
    let (app, service) = columns(target);
    tx.prepare_cached("DELETE FROM webhook_delivery WHERE received <= ?1")?
        .execute([now.0.saturating_sub(KEPT)])?;
    tx.prepare_cached(
        "DELETE FROM webhook_delivery WHERE app IS ?1 AND service IS ?2 AND verdict = 'refused' AND id <= \
         (SELECT id FROM webhook_delivery WHERE app IS ?1 AND service IS ?2 AND verdict = 'refused' \
         ORDER BY id DESC LIMIT 1 OFFSET ?3)",
    )?
    .execute((app, service, REFUSED_MAX))?;
    tx.prepare_cached(
        "DELETE FROM webhook_delivery WHERE app IS ?1 AND service IS ?2 AND id <= (SELECT id FROM webhook_delivery \
         WHERE app IS ?1 AND service IS ?2 ORDER BY id DESC LIMIT 1 OFFSET ?3)",
    )?
    .execute((app, service, KEPT_MAX))?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: DeliveryId(row::number(row, "id")?),
        target: target(row)?,
        slug: row::parsed(row, "slug", Slug::parse)?,
        provider: row::parsed(row, "provider", row::word(Provider::parse))?,
        name: row::number(row, "name")?,
        event: row::number(row, "event")?,
        received: row::time(row, "received")?,
        verdict: row::parsed(row, "verdict", row::word(Verdict::parse))?,
        reason: row::number(row, "reason")?,
        deployment: row::number::<Option<i64>>(row, "deployment")?.map(DeploymentId),
        revision: row::number(row, "revision")?,
        replay_of: row::number::<Option<i64>>(row, "replay_of")?.map(DeliveryId),
    })
}

#[cfg(test)]
mod tests;
