//! Webhooks over the API: make, end, list, and the log of deliveries. What providers call is in `hooks`.

use std::string::FromUtf8Error;

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::app::{self, Page};
use super::error::ApiError;
use super::input::{Input, Params};
use super::{hooks, service, wire};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy, Manage, Read};
use crate::domain::secret::Secret;
use crate::domain::webhook::{Delivery, DeliveryId, Provider, Webhook};
use crate::engine::Engine;
use crate::engine::hooks::Hooked;
use crate::store::Reader;

pub(super) async fn list(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(page): Params<Page>,
) -> Result<Json<wire::Webhooks>, ApiError> {
    listed(&engine, &of_app(&engine, &id).await?, page).await
}

pub(super) async fn list_of_service(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Params(page): Params<Page>,
) -> Result<Json<wire::Webhooks>, ApiError> {
    listed(&engine, &of_service(&engine, &id).await?, page).await
}

async fn listed(engine: &Engine, hooked: &Hooked, page: Page) -> Result<Json<wire::Webhooks>, ApiError> {
    let (reader, target) = (engine.reader(), hooked.target());
    let webhooks = reader.webhooks(Some(target)).await?.iter().map(wire::Webhook::from).collect();
    let (before, limit) = page.bounds();
    let found = reader.deliveries(target, before.map(DeliveryId), limit + 1).await?;
    let (items, next) = Page::cut(found, limit, |delivery| delivery.id.0);
    let items = items.iter().map(wire::Delivery::from).collect();
    Ok(Json(wire::Webhooks { webhooks, items, next }))
}

pub(super) async fn enable(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::EnableWebhook>,
) -> Result<impl IntoResponse, ApiError> {
    let hooked = of_app(&engine, &id).await?;
    made(&by, &engine, &hooked, wish).await
}

pub(super) async fn enable_of_service(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Input(wish): Input<wire::EnableWebhook>,
) -> Result<impl IntoResponse, ApiError> {
    let hooked = of_service(&engine, &id).await?;
    made(&by, &engine, &hooked, wish).await
}

async fn made(
    by: &Authorized<Manage>,
    engine: &Engine,
    hooked: &Hooked,
    wish: wire::EnableWebhook,
) -> Result<(StatusCode, Json<wire::EnabledWebhook>), ApiError> {
    let (provider, watch) = wish.parse()?;
    let usual = || hooked.source().as_ref().and_then(Provider::of);
    let provider = match provider.or_else(usual) {
        Some(provider) => provider,
        None => wire::parse_provider("")?,
    };
    let (webhook, secret) = engine.enable_webhook(hooked, provider, watch).await?;
    by.record(Deed::new("webhook.enabled", format!("webhook {provider} of {}", hooked.named()))).await;
    let enabled = enabled(engine, hooked, &webhook, &secret).map_err(ApiError::internal)?;
    Ok((StatusCode::CREATED, Json(enabled)))
}

/// What the sender is told, once: where to send, and how to sign.
pub fn enabled(
    engine: &Engine,
    hooked: &Hooked,
    webhook: &Webhook,
    secret: &Secret,
) -> Result<wire::EnabledWebhook, FromUtf8Error> {
    let provider = webhook.provider;
    let mut path = format!("/webhooks/{provider}/{}", hooked.target().address(hooked.slug()));
    let text = String::from_utf8(secret.reveal().to_vec())?;
    if !provider.signs() {
        path = format!("{path}/{text}");
    }
    let of_gitlab = (provider == Provider::Gitlab).then_some(secret);
    Ok(wire::EnabledWebhook {
        provider: provider.to_string(),
        url: engine.own_url().map(|own| format!("{own}{path}")),
        path,
        secret: provider.signs().then_some(text),
        signing_token: of_gitlab.and_then(|secret| hooks::gitlab::signing_token(secret.reveal())),
        watch: webhook.watch.patterns().to_vec(),
    })
}

pub(super) async fn disable(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path((id, provider)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let hooked = of_app(&engine, &id).await?;
    ended(&by, &engine, &hooked, &provider).await
}

pub(super) async fn disable_of_service(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path((id, provider)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let hooked = of_service(&engine, &id).await?;
    ended(&by, &engine, &hooked, &provider).await
}

async fn ended(
    by: &Authorized<Manage>,
    engine: &Engine,
    hooked: &Hooked,
    provider: &str,
) -> Result<StatusCode, ApiError> {
    let parsed = wire::parse_provider(provider)?;
    if !engine.disable_webhook(hooked, parsed).await? {
        return Err(ApiError::not_found("webhook", provider));
    }
    by.record(Deed::new("webhook.disabled", format!("webhook {provider} of {}", hooked.named()))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Json<wire::ShownDelivery>, ApiError> {
    let (delivery, body) = find(&reader, &id).await?;
    let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
    Ok(Json(wire::ShownDelivery { delivery: wire::Delivery::from(&delivery), body }))
}

pub(super) async fn replay(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Json<wire::Delivery>, ApiError> {
    let (delivery, body) = find(engine.reader(), &id).await?;
    let body = body.ok_or_else(|| {
        let message = match delivery.replay_of {
            Some(DeliveryId(first)) => format!("this is a replay itself: replay delivery {first}"),
            None => "what was sent was not kept: it was refused, or too large".to_owned(),
        };
        ApiError::new(StatusCode::CONFLICT, "conflict", message)
    })?;
    let hooked = engine.hooked(delivery.target).await?;
    let hooked = hooked.ok_or_else(|| ApiError::not_found("delivery", &id))?;
    let event = hooks::read(delivery.provider, &delivery.event, &body);
    let outcome = engine.replay_delivery(&hooked, &delivery, &event).await?;
    by.record(Deed::new("webhook.replayed", format!("delivery {id} of {}", hooked.named()))).await;
    Ok(Json(wire::Delivery::from(&outcome.delivery)))
}

async fn of_app(engine: &Engine, id: &str) -> Result<Hooked, ApiError> {
    Ok(Hooked::App(Box::new(app::find(engine.reader(), id).await?)))
}

async fn of_service(engine: &Engine, id: &str) -> Result<Hooked, ApiError> {
    Ok(Hooked::Service(Box::new(service::one(engine, &service::slug(id)?).await?)))
}

async fn find(reader: &Reader, id: &str) -> Result<(Delivery, Option<Vec<u8>>), ApiError> {
    let found = match id.parse() {
        Ok(number) => reader.delivery(DeliveryId(number)).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| ApiError::not_found("delivery", id))
}
