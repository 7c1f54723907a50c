//! Webhooks: made and ended, and what is done with a delivery that a face has verified and read.
//!
//! What a sender says decides only whether the branch that an app or a service follows is fetched anew; what is deployed
//! is what the repository has then.

use super::{DomainHolder, Engine, EngineError};
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::domain::project::Project;
use crate::domain::secret::{Sealed, Secret};
use crate::domain::service::{Followed, Service};
use crate::domain::source::Source;
use crate::domain::watch::Watch;
use crate::domain::webhook::{
    self, Delivery, DeliveryId, Event, Judgement, Key, Provider, Target, Verdict, Webhook,
};
use crate::store::{NewDelivery, Taken};

/// The largest body that is kept for a replay, in bytes: the payloads of most pushes are below 30 KiB.
const BODY_KEPT: usize = 256 * 1024;
/// The longest of a sender's own words that is kept, in characters.
const WORD_MAX: usize = 100;

/// Who takes deliveries, with what they are judged by.
#[derive(Debug, Clone)]
pub enum Hooked {
    /// An app.
    App(Box<App>),
    /// A service.
    Service(Box<Service>),
}

impl From<DomainHolder> for Hooked {
    fn from(holder: DomainHolder) -> Self {
        match holder {
            DomainHolder::App(app) => Self::App(app),
            DomainHolder::Service(service) => Self::Service(service),
        }
    }
}

impl Hooked {
    /// Who it is to the store.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::App(app) => Target::App(app.id),
            Self::Service(service) => Target::Service(service.id),
        }
    }

    /// Its name.
    #[must_use]
    pub fn slug(&self) -> &Slug {
        match self {
            Self::App(app) => &app.slug,
            Self::Service(service) => &service.slug,
        }
    }

    /// Its project.
    #[must_use]
    pub fn project(&self) -> &Project {
        match self {
            Self::App(app) => &app.project,
            Self::Service(service) => &service.project,
        }
    }

    /// Where its code comes from; none: it is a service whose files are handed in.
    #[must_use]
    pub fn source(&self) -> Option<Source> {
        match self {
            Self::App(app) => Some(app.source.clone()),
            Self::Service(service) => service.followed.as_ref().map(Followed::source),
        }
    }

    /// In the words of the audit: `app blog`.
    #[must_use]
    pub fn named(&self) -> String {
        format!("{} {}", self.target().what(), self.slug())
    }

    /// Whether deliveries of a provider are of any use to it; otherwise why not.
    pub fn fits(&self, provider: Provider) -> Result<(), String> {
        match self.source() {
            Some(source) => provider.fits(&source),
            None => Err(format!(
                "the files of this service are handed in: there is nothing that rivetr could fetch when a webhook comes. \
                 `rivetr services source {} --repository URL` has it follow a repository",
                self.slug()
            )),
        }
    }

    fn judge(&self, watch: &Watch, event: &Result<Event, String>) -> Judgement {
        match (event, self.source()) {
            (Ok(event), Some(source)) => webhook::judge(&source, watch, event),
            (Ok(_), None) => Verdict::Ignored.because("this service follows no repository"),
            (Err(why), _) => Verdict::Failed.because(why),
        }
    }
}

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
    /// Whom a delivery was for; none: it is gone.
    pub async fn hooked(&self, target: Target) -> Result<Option<Hooked>, EngineError> {
        Ok(match target {
            Target::App(app) => self.reader().app_by_id(app).await?.map(|app| Hooked::App(Box::new(app))),
            Target::Service(service) => {
                let found = self.reader().service_by_id(service).await?;
                found.map(|service| Hooked::Service(Box::new(service)))
            }
        })
    }

    /// Who is called so in the address that a provider sends to.
    pub async fn hooked_at(&self, address: &str) -> Result<Option<Hooked>, EngineError> {
        let (name, is_service) = match address.strip_prefix(webhook::SERVICE_ADDRESS) {
            Some(name) => (name, true),
            None => (address, false),
        };
        let Ok(slug) = Slug::parse(name) else { return Ok(None) };
        if is_service {
            let found = self.reader().service(&slug).await?;
            return Ok(found.map(|service| Hooked::Service(Box::new(service))));
        }
        Ok(self.reader().app(&slug).await?.map(|app| Hooked::App(Box::new(app))))
    }

    /// Lets an app or a service take deliveries of a provider, with a new secret. Without `watch` an earlier one is kept.
    pub async fn enable_webhook(
        &self,
        hooked: &Hooked,
        provider: Provider,
        watch: Option<Watch>,
    ) -> Result<(Webhook, Secret), EngineError> {
        let refused = |message| EngineError::Conflict { field: "provider", message };
        hooked.fits(provider).map_err(refused)?;
        let target = hooked.target();
        let secret = new_secret()?;
        let _sealing = self.0.sealing.read().await;
        let key = if provider.signs() {
            let sealed = self.vault().seal(&target.place(provider), &secret);
            Key::Sealed(sealed.map_err(|error| EngineError::Unavailable(error.to_string()))?)
        } else {
            Key::Hash(sha256(secret.reveal()))
        };
        let before = self.reader().webhook(target, provider).await?.map(|before| before.watch);
        let watch = watch.or(before).unwrap_or_default();
        let webhook = Webhook { target, provider, key, watch, created: self.now() };
        self.0.writer.put_webhook(webhook.clone()).await?;
        Ok((webhook, secret))
    }

    /// Ends a webhook; false: there was none.
    pub async fn disable_webhook(&self, hooked: &Hooked, provider: Provider) -> Result<bool, EngineError> {
        Ok(self.0.writer.remove_webhook(hooked.target(), provider).await?)
    }

    /// The secret with which a provider signs.
    pub fn webhook_secret(
        &self,
        target: Target,
        provider: Provider,
        sealed: &Sealed,
    ) -> Result<Secret, EngineError> {
        self.vault().open(&target.place(provider), sealed).map_err(EngineError::internal)
    }

    /// Does what a delivery asks for, once. An event that could not be read comes with the reason.
    pub async fn deliver(
        &self,
        hooked: &Hooked,
        webhook: &Webhook,
        received: Received,
        event: &Result<Event, String>,
    ) -> Result<Outcome, EngineError> {
        let Received { name, event: word, body, body_hash } = received;
        self.take(NewDelivery {
            target: hooked.target(),
            provider: webhook.provider,
            name: name.map(|name| shortened(&name)),
            event: shortened(&word),
            body: (body.len() <= BODY_KEPT).then_some(body),
            body_hash: Some(body_hash),
            judgement: hooked.judge(&webhook.watch, event),
            injected: Vec::new(),
            replay_of: None,
        })
        .await
    }

    /// Notes that somebody sent what does not have the right signature.
    pub async fn refuse_delivery(
        &self,
        target: Target,
        provider: Provider,
        word: &str,
        why: &str,
    ) -> Result<(), EngineError> {
        let refused = NewDelivery {
            target,
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

    /// Looks at an earlier delivery once more, as whom it is for is set now.
    pub async fn replay_delivery(
        &self,
        hooked: &Hooked,
        delivery: &Delivery,
        event: &Result<Event, String>,
    ) -> Result<Outcome, EngineError> {
        let webhook = self.reader().webhook(hooked.target(), delivery.provider).await?;
        let webhook = webhook.ok_or_else(|| EngineError::Conflict {
            field: "delivery",
            message: format!("{} has no webhook of {} any more", hooked.slug(), delivery.provider),
        })?;
        let DeliveryId(number) = delivery.id;
        let Judgement { verdict, reason, head } = hooked.judge(&webhook.watch, event);
        let reason = format!("replay of delivery {number}: {reason}");
        self.take(NewDelivery {
            target: hooked.target(),
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

    /// Stores a delivery with what it asks for, which is seen to after the answer.
    async fn take(&self, mut new: NewDelivery) -> Result<Outcome, EngineError> {
        let _sealing = self.0.sealing.read().await;
        if new.judgement.verdict == Verdict::Deployed
            && let Target::App(app) = new.target
            && let Some(app) = self.reader().app_by_id(app).await?
        {
            new.injected = self.injected(&app).await?;
        }
        let (delivery, enqueued) = match self.0.writer.take_delivery(new, self.now()).await? {
            Taken::Again(delivery) => return Ok(Outcome { delivery, again: true }),
            Taken::First { delivery, enqueued } => (delivery, enqueued),
        };
        let Delivery { id, target, slug, provider, event, verdict, reason, .. } = &delivery;
        let (whose, verdict) = (target.what(), verdict.as_str());
        tracing::info!(whose, name = %slug, delivery = id.0, %provider, event, verdict, reason, "webhook");
        if let (Target::Service(service), Some(_)) = (target, delivery.revision) {
            self.stir();
            self.work_on(*service);
        }
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
