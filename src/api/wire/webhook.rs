//! Webhooks and deliveries on the wire. A secret is in one answer, the one to its making.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, time};
use crate::domain::watch::Watch;
use crate::domain::webhook::{self, Provider};

/// A wish to take webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnableWebhook {
    /// Who sends: `github`, `gitlab`, `gitea` (also Forgejo), `bitbucket`, `dockerhub`, `ghcr` or `generic`; without
    /// it, as the repository's host says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// Globs of the files that matter, such as `api/**` and `!**/*.md`; without them, as before, or all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watch: Option<Vec<String>>,
}

/// A webhook that was just made: the only time its secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EnabledWebhook {
    /// Who sends.
    pub provider: String,
    /// Where to send; null: rivetr has no address but on its own machine.
    pub url: Option<String>,
    /// The path of that address.
    pub path: String,
    /// With what the provider signs; null: the address itself is the secret.
    pub secret: Option<String>,
    /// The same for GitLab's signing token.
    pub signing_token: Option<String>,
    /// Globs of the files that matter; none: all.
    pub watch: Vec<String>,
}

impl fmt::Debug for EnabledWebhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnabledWebhook").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// The webhooks of an app or a service and one page of what was delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhooks {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
    /// The deliveries of this page, newest first.
    pub items: Vec<Delivery>,
    /// Where the next page begins; null: this is the last one.
    pub next: Option<i64>,
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Who sends.
    pub provider: String,
    /// Globs of the files that matter; none: all.
    pub watch: Vec<String>,
    /// When its secret was made (RFC 3339, UTC).
    pub created: String,
}

/// A delivery.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Its number.
    pub id: i64,
    /// The name of the app it was for; null: it was for a service.
    pub app: Option<String>,
    /// The name of the service it was for; null: it was for an app.
    pub service: Option<String>,
    /// Who sent it.
    pub provider: String,
    /// The number that the provider gave it.
    pub name: Option<String>,
    /// The provider's word for what happened.
    pub event: String,
    /// When it came (RFC 3339, UTC).
    pub received: String,
    /// What became of it: `deployed`, `ping`, `ignored`, `skipped`, `refused` or `failed`.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The deployment of the app that it asked for.
    pub deployment: Option<i64>,
    /// The revision of the service that it asked for.
    pub revision: Option<u32>,
    /// The delivery that it looks at once more.
    pub replay_of: Option<i64>,
}

/// A delivery with what was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShownDelivery {
    /// The delivery.
    pub delivery: Delivery,
    /// What was sent; null: it was refused, is a replay, or was too large to keep.
    pub body: Option<String>,
}

/// What the sender of a delivery is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeliveryAnswer {
    /// The delivery's number.
    pub delivery: i64,
    /// What became of it; `duplicate`: it had come before.
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// The deployment of the app that it asked for.
    pub deployment: Option<i64>,
    /// The revision of the service that it asked for.
    pub revision: Option<u32>,
}

impl EnableWebhook {
    /// The provider and the patterns that are asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<(Option<Provider>, Option<Watch>), FieldErrors> {
        let Self { provider, watch } = self;
        let provider = provider.map(|word| parse_provider(&word)).transpose()?;
        let watch = watch.map(|patterns| Watch::parse(&patterns)).transpose();
        Ok((provider, watch.map_err(|error| FieldErrors::one("watch", error.to_string()))?))
    }
}

/// The provider of a word.
pub fn parse_provider(word: &str) -> Result<Provider, FieldErrors> {
    let all = Provider::ALL.map(Provider::as_str).join(", ");
    Provider::parse(word).ok_or_else(|| FieldErrors::one("provider", format!("use one of {all}")))
}

impl From<&webhook::Webhook> for Webhook {
    fn from(webhook: &webhook::Webhook) -> Self {
        Self {
            provider: webhook.provider.to_string(),
            watch: webhook.watch.patterns().to_vec(),
            created: time(webhook.created),
        }
    }
}

impl From<&webhook::Delivery> for Delivery {
    fn from(delivery: &webhook::Delivery) -> Self {
        let webhook::Delivery {
            id,
            target,
            slug,
            provider,
            name,
            event,
            received,
            verdict,
            reason,
            deployment,
            revision,
            replay_of,
        } = delivery;
        let (app, service) = match target {
            webhook::Target::App(_) => (Some(slug.to_string()), None),
            webhook::Target::Service(_) => (None, Some(slug.to_string())),
        };
        Self {
            id: id.0,
            app,
            service,
            provider: provider.to_string(),
            name: name.clone(),
            event: event.clone(),
            received: time(*received),
            verdict: verdict.as_str().to_owned(),
            reason: reason.clone(),
            deployment: deployment.map(|id| id.0),
            revision: *revision,
            replay_of: replay_of.map(|id| id.0),
        }
    }
}
