//! Webhooks: made and ended, and what is done with a delivery that a face has verified and read.
//!
//! What a sender says decides only whether an app's own branch is fetched anew; what is deployed is what its
//! repository has then.

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::secret::{Sealed, Secret};
use crate::domain::watch::Watch;
use crate::domain::webhook::{self, Delivery, DeliveryId, Event, Judgement, Key, Provider, Verdict, Webhook};
use crate::store::{NewDelivery, Taken};

/// The largest body that is kept for a replay, in bytes: the payloads of most pushes are below 30 KiB.
const BODY_KEPT: usize = 256 * 1024;
/// The longest of a sender's own words that is kept, in characters.
const WORD_MAX: usize = 100;

/// A delivery whose signature was looked at.
#[derive(Debug)]
pub struct Received {
    /// The number that the provider gave it.
    pub name: Option<String>,
    /// The provider's word for what happened.
    pub event: String,
    /// What was sent.
    pub body: Vec<u8>,
    /// SHA-256 of that.
    pub body_hash: [u8; 32],
}

/// What has become of a delivery.
#[derive(Debug)]
pub struct Outcome {
    /// As it is in the log.
    pub delivery: Delivery,
    /// It had come before; nothing was done.
    pub again: bool,
}

impl Engine {
    /// Lets an app take deliveries of a provider, with a new secret. Without `watch` an earlier one is kept.
    pub async fn enable_webhook(
        &self,
        app: &App,
        provider: Provider,
        watch: Option<Watch>,
    ) -> Result<(Webhook, Secret), EngineError> {
        let refused = |message| EngineError::Conflict { field: "provider", message };
        provider.fits(&app.source).map_err(refused)?;
        let secret = new_secret()?;
        let _sealing = self.0.sealing.read().await;
        let key = if provider.signs() {
            let sealed = self.vault().seal(&place(app, provider), &secret);
            Key::Sealed(sealed.map_err(|error| EngineError::Unavailable(error.to_string()))?)
        } else {
            Key::Hash(sha256(secret.reveal()))
        };
        let before = self.reader().webhook(app.id, provider).await?.map(|before| before.watch);
        let watch = watch.or(before).unwrap_or_default();
        let webhook = Webhook { app: app.id, provider, key, watch, created: self.now() };
        self.0.writer.put_webhook(webhook.clone()).await?;
        Ok((webhook, secret))
    }

    /// Ends a webhook; false: there was none.
    pub async fn disable_webhook(&self, app: &App, provider: Provider) -> Result<bool, EngineError> {
        Ok(self.0.writer.remove_webhook(app.id, provider).await?)
    }

    /// The secret with which a provider signs.
    pub fn webhook_secret(
        &self,
        app: &App,
        provider: Provider,
        sealed: &Sealed,
    ) -> Result<Secret, EngineError> {
        self.vault().open(&place(app, provider), sealed).map_err(EngineError::internal)
    }

    /// Does what a delivery asks for, once. An event that could not be read comes with the reason.
    pub async fn deliver(
        &self,
        app: &App,
        webhook: &Webhook,
        received: Received,
        event: &Result<Event, String>,
    ) -> Result<Outcome, EngineError> {
        let Received { name, event: word, body, body_hash } = received;
        self.take(NewDelivery {
            app: app.id,
            provider: webhook.provider,
            name: name.map(|name| shortened(&name)),
            event: shortened(&word),
            body: (body.len() <= BODY_KEPT).then_some(body),
            body_hash: Some(body_hash),
            judgement: judgement(app, &webhook.watch, event),
            injected: Vec::new(),
            replay_of: None,
        })
        .await
    }

    /// Notes that somebody sent what does not have the right signature.
    pub async fn refuse_delivery(
        &self,
        app: &App,
        provider: Provider,
        word: &str,
        why: &str,
    ) -> Result<(), EngineError> {
        let refused = NewDelivery {
            app: app.id,
            provider,
            name: None,
            event: shortened(word),
            body: None,
            body_hash: None,
            judgement: Verdict::Refused.because(why),
            injected: Vec::new(),
            replay_of: None,
        };
        self.take(refused).await.map(drop)
    }

    /// Looks at an earlier delivery once more, as the app is set now.
    pub async fn replay_delivery(
        &self,
        app: &App,
        delivery: &Delivery,
        event: &Result<Event, String>,
    ) -> Result<Outcome, EngineError> {
        let webhook = self.reader().webhook(app.id, delivery.provider).await?;
        let webhook = webhook.ok_or_else(|| EngineError::Conflict {
            field: "delivery",
            message: format!("{} has no webhook of {} any more", app.slug, delivery.provider),
        })?;
        let DeliveryId(number) = delivery.id;
        let Judgement { verdict, reason, head } = judgement(app, &webhook.watch, event);
        let reason = format!("replay of delivery {number}: {reason}");
        self.take(NewDelivery {
            app: app.id,
            provider: delivery.provider,
            name: delivery.name.clone(),
            event: delivery.event.clone(),
            body: None,
            body_hash: None,
            judgement: Judgement { head, ..verdict.because(reason) },
            injected: Vec::new(),
            replay_of: Some(delivery.id),
        })
        .await
    }

    /// Stores a delivery with what it asks for; the deployment is seen to after the answer.
    async fn take(&self, mut new: NewDelivery) -> Result<Outcome, EngineError> {
        let _sealing = self.0.sealing.read().await;
        if new.judgement.verdict == Verdict::Deployed
            && let Some(app) = self.reader().app_by_id(new.app).await?
        {
            new.injected = self.injected(&app).await?;
        }
        let (delivery, enqueued) = match self.0.writer.take_delivery(new, self.now()).await? {
            Taken::Again(delivery) => return Ok(Outcome { delivery, again: true }),
            Taken::First { delivery, enqueued } => (delivery, enqueued),
        };
        let Delivery { id, app_slug, provider, event, verdict, reason, .. } = &delivery;
        let verdict = verdict.as_str();
        tracing::info!(app = %app_slug, delivery = id.0, %provider, event, verdict, reason, "webhook");
        if let Some(enqueued) = enqueued {
            let engine = self.clone();
            self.0.tasks.spawn(async move {
                if let Err(error) = engine.take_up(&enqueued).await {
                    let app = &enqueued.deployment.app_slug;
                    tracing::warn!(%app, %error, "an older deployment may not have been superseded");
                }
            });
        }
        Ok(Outcome { delivery, again: false })
    }
}

fn judgement(app: &App, watch: &Watch, event: &Result<Event, String>) -> Judgement {
    match event {
        Ok(event) => webhook::judge(&app.source, watch, event),
        Err(why) => Verdict::Failed.because(why),
    }
}

/// What a sealed secret is bound to.
fn place(app: &App, provider: Provider) -> String {
    format!("webhook/{}/{provider}", app.id.0)
}

/// 32 random bytes in hexadecimal, as providers take it.
fn new_secret() -> Result<Secret, EngineError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(EngineError::internal)?;
    let mut text = Vec::with_capacity(2 * random.len());
    for byte in random {
        text.extend(format!("{byte:02x}").into_bytes());
    }
    Ok(Secret::new(text))
}

/// SHA-256 of any bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).into()
}

/// A sender's word as it may stand in a log.
fn shortened(word: &str) -> String {
    word.chars().filter(|c| !c.is_control()).take(WORD_MAX).collect()
}
