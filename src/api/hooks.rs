//! Webhooks as providers call them: who sends is verified over the raw body, then the body is read, then the engine
//! is asked. One file a provider says how it signs and what its payloads mean; none of them does anything.
//!
//! These routes are open: each request is counted by peer, its body is bounded, and whoever cannot sign learns
//! neither whether the app or service is there nor what is wrong.

mod bitbucket;
mod desk;
mod generic;
mod gitea;
mod github;
pub mod gitlab;
mod push;
mod registry;
mod sign;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use super::error::ApiError;
use super::{input, wire};
use crate::auth::gate::Open;
use crate::domain::webhook::{Event, Key, Provider, Webhook};
use crate::engine::hooks::{Hooked, Outcome, Received, sha256};
use crate::engine::{Engine, EngineError};

pub use desk::Desk;

/// The largest delivery, in bytes: the cap of GitHub, which is the largest of all.
const BODY_MAX: usize = 25 * 1024 * 1024;

/// Looks at a secret, the fields and the body of a request.
type Verify = fn(&[u8], &HeaderMap, &[u8]) -> Result<(), &'static str>;

/// How a provider speaks.
struct Dialect {
    /// The fields that name the event; the first that is there counts.
    event: &'static [&'static str],
    /// The fields that number the delivery.
    delivery: &'static [&'static str],
    /// Whether a request was signed with a secret; otherwise what is wrong.
    verify: Verify,
    /// What an event and its body mean.
    read: fn(&str, &[u8]) -> serde_json::Result<Event>,
}

fn dialect(provider: Provider) -> Dialect {
    match provider {
        Provider::Github => github::DIALECT,
        Provider::Gitlab => gitlab::DIALECT,
        Provider::Gitea => gitea::DIALECT,
        Provider::Bitbucket => bitbucket::DIALECT,
        Provider::Dockerhub => registry::DOCKER_HUB,
        Provider::Ghcr => registry::GHCR,
        Provider::Generic => generic::DIALECT,
    }
}

/// What a delivery of this provider means; otherwise why it cannot be read.
pub fn read(provider: Provider, event: &str, body: &[u8]) -> Result<Event, String> {
    (dialect(provider).read)(event, body)
        .map_err(|error| format!("the payload cannot be read as JSON of {provider}: {error}"))
}

pub(super) async fn receive(
    _: Open,
    State(engine): State<Engine>,
    State(desk): State<Desk>,
    Path((provider, app)): Path<(String, String)>,
    (headers, body): (HeaderMap, Body),
) -> Result<Response, ApiError> {
    take(&engine, &desk, (&provider, &app, None), &headers, body).await
}

/// For a provider that signs nothing: the last part of the address is the secret.
pub(super) async fn receive_at_secret(
    _: Open,
    State(engine): State<Engine>,
    State(desk): State<Desk>,
    Path((provider, app, secret)): Path<(String, String, String)>,
    (headers, body): (HeaderMap, Body),
) -> Result<Response, ApiError> {
    take(&engine, &desk, (&provider, &app, Some(&secret)), &headers, body).await
}

async fn take(
    engine: &Engine,
    desk: &Desk,
    (provider, app, secret): (&str, &str, Option<&str>),
    headers: &HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    desk.admit(headers, Instant::now())?;
    let mut room = desk.room();
    let body = input::whole(body, BODY_MAX, |length| room.grow(length)).await?;
    // Asked last: how long it takes to refuse tells nobody what there is.
    let Some((hooked, webhook)) = addressed(engine, provider, app).await? else { return Err(refusal()) };
    let Dialect { event, delivery, .. } = dialect(webhook.provider);
    let event = field(headers, event).unwrap_or("push").to_owned();
    if let Err(why) = verify(engine, &webhook, secret, headers, &body)? {
        if desk.notes_refusal(Instant::now()) {
            engine.refuse_delivery(webhook.target, webhook.provider, &event, why).await?;
        }
        return Err(refusal());
    }
    let read = read(webhook.provider, &event, &body);
    let name = field(headers, delivery).map(str::to_owned);
    let received = Received { name, event, body_hash: sha256(&body), body };
    let outcome = engine.deliver(&hooked, &webhook, received, &read).await?;
    let status = match (outcome.again, read.is_err()) {
        (true, _) => StatusCode::OK,
        (false, true) => StatusCode::BAD_REQUEST,
        (false, false) => StatusCode::ACCEPTED,
    };
    Ok((status, Json(answer(&outcome))).into_response())
}

/// The app or service and its webhook, if the address names both.
async fn addressed(
    engine: &Engine,
    provider: &str,
    name: &str,
) -> Result<Option<(Hooked, Webhook)>, ApiError> {
    let Some(provider) = Provider::parse(provider) else { return Ok(None) };
    let Some(hooked) = engine.hooked_at(name).await? else { return Ok(None) };
    let webhook = engine.reader().webhook(hooked.target(), provider).await?;
    Ok(webhook.map(|webhook| (hooked, webhook)))
}

/// Whether the sender has the secret; otherwise what is wrong, for the log of whom it was for.
fn verify(
    engine: &Engine,
    webhook: &Webhook,
    in_address: Option<&str>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Result<(), &'static str>, EngineError> {
    Ok(match (&webhook.key, in_address) {
        (Key::Sealed(sealed), None) => {
            let secret = engine.webhook_secret(webhook.target, webhook.provider, sealed)?;
            (dialect(webhook.provider).verify)(secret.reveal(), headers, body)
        }
        (Key::Hash(hash), Some(secret)) if sign::same(&sha256(secret.as_bytes()), hash) => Ok(()),
        (Key::Hash(_), Some(_)) => Err("the secret in the address is wrong"),
        (Key::Hash(_), None) => Err("the address ends before the secret"),
        (Key::Sealed(_), Some(_)) => Err("the address goes on after the name of the app"),
    })
}

fn answer(Outcome { delivery, again }: &Outcome) -> wire::DeliveryAnswer {
    let (verdict, reason) = if *again {
        ("duplicate".to_owned(), "it came before; nothing was done".to_owned())
    } else {
        (delivery.verdict.as_str().to_owned(), delivery.reason.clone())
    };
    let deployment = delivery.deployment.map(|id| id.0);
    let revision = delivery.revision;
    wire::DeliveryAnswer { delivery: delivery.id.0, verdict, reason, deployment, revision }
}

/// The same for every stranger.
fn refusal() -> ApiError {
    let message = "there is no such webhook, or its signature is missing or wrong";
    ApiError::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
}

/// The value of the first of these fields that is there.
fn field<'a>(headers: &'a HeaderMap, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| headers.get(*name)).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests;
