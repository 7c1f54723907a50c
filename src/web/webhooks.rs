//! Webhooks of an app or a service, what was delivered to them, and one delivery, which can be looked at once more.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::app::{self, Head};
use super::domains::Kind;
use super::error::PageError;
use super::form::{Errors, Form};
use super::moment::Moment;
use super::shell::{Hx, Shell, Visit};
use super::view::{self, Mark};
use super::{Route, Web, services};
use crate::api::wire::{self, EnabledWebhook};
use crate::api::{enabled_webhook, read_delivery};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Manage, Read};
use crate::domain::right::Right;
use crate::domain::webhook::{Delivery, DeliveryId, Provider, Target, Verdict};
use crate::engine::Engine;
use crate::engine::hooks::Hooked;

/// Deliveries on one page.
const SHOWN: u32 = 50;

/// The webhooks of an app.
#[derive(Template)]
#[template(path = "webhooks/app.html")]
struct Page {
    shell: Shell,
    head: Head,
    part: &'static str,
    shown: Shown,
}

/// The webhooks of a service.
#[derive(Template)]
#[template(path = "webhooks/service.html")]
struct ServicePage {
    shell: Shell,
    head: services::Head,
    shown: Shown,
}

/// What a page of webhooks shows, whoever takes them.
struct Shown {
    /// Where whoever takes them has its pages: `/apps/blog`.
    base: String,
    may_manage: bool,
    hooks: Vec<Hook>,
    providers: Vec<Choice>,
    refusal: String,
    watch: String,
    errors: Errors,
    enabled: Option<EnabledWebhook>,
    rows: Vec<Row>,
    next: Option<i64>,
}

/// One delivery to an app.
#[derive(Template)]
#[template(path = "webhooks/delivery.html")]
struct DeliveryPage {
    shell: Shell,
    head: Head,
    part: &'static str,
    shown: ShownDelivery,
}

/// One delivery to a service.
#[derive(Template)]
#[template(path = "webhooks/service_delivery.html")]
struct ServiceDeliveryPage {
    shell: Shell,
    head: services::Head,
    shown: ShownDelivery,
}

/// What the page of a delivery shows, whoever took it.
struct ShownDelivery {
    base: String,
    may_deploy: bool,
    row: Row,
    name: String,
    body: Option<String>,
    replay_of: Option<i64>,
    wrong: String,
}

struct Hook {
    provider: Provider,
    watch: Vec<String>,
    made: Moment,
}

struct Choice {
    word: &'static str,
    chosen: bool,
}

/// A delivery in a list.
struct Row {
    id: i64,
    provider: Provider,
    event: String,
    received: Moment,
    mark: Mark,
    reason: String,
    deployment: Option<i64>,
    revision: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct Told {
    before: Option<i64>,
}

/// A webhook as a form asks for it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    provider: String,
    #[serde(default)]
    watch: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let app = ["/apps/{id}/webhooks", "/apps/{id}/webhooks/{provider}/disable"];
    let service = ["/services/{id}/webhooks", "/services/{id}/webhooks/{provider}/disable"];
    let own = [(Kind::App, app), (Kind::Service, service)].into_iter();
    let deliveries = [
        Route::get("/webhook-deliveries/{id}", show),
        Route::post("/webhook-deliveries/{id}/replay", replay),
    ];
    own.flat_map(|(kind, at)| routes_of(kind, at)).chain(deliveries).collect()
}

fn routes_of(kind: Kind, [page, end]: [&'static str; 2]) -> [Route<Web>; 3] {
    let index =
        move |visit: Visit<Read>,
              shell: Shell,
              engine: State<Engine>,
              id: Path<String>,
              told: Query<Told>| { index(kind, visit, shell, engine.0, id.0, told.0) };
    let enable =
        move |visit: Visit<Manage>,
              shell: Shell,
              engine: State<Engine>,
              id: Path<String>,
              wish: Form<Wish>| { enable(kind, visit, shell, engine.0, id.0, wish.0) };
    let disable = move |visit: Visit<Manage>, hx: Hx, engine: State<Engine>, of: Path<(String, String)>| {
        disable(kind, visit, hx, engine.0, of.0)
    };
    [Route::get(page, index), Route::post(page, enable), Route::post(end, disable)]
}

async fn index(
    kind: Kind,
    visit: Visit<Read>,
    shell: Shell,
    engine: Engine,
    id: String,
    Told { before }: Told,
) -> Result<Response, PageError> {
    let hooked = kind.find(&engine, &visit.person, &id).await?.into();
    page(&engine, shell, &hooked, Extra { before, ..Extra::default() }).await
}

async fn enable(
    kind: Kind,
    visit: Visit<Manage>,
    shell: Shell,
    engine: Engine,
    id: String,
    wish: Wish,
) -> Result<Response, PageError> {
    let hooked = Hooked::from(kind.find(&engine, &visit.person, &id).await?);
    match make(&engine, &hooked, &wish).await? {
        Ok(enabled) => {
            let provider = &enabled.provider;
            let deed = Deed::new("webhook.enabled", format!("webhook {provider} of {}", hooked.named()));
            visit.record(deed).await;
            // The one answer that holds the secret: it is not in any address, and nothing leads back to it.
            let state = Extra { enabled: Some(enabled), ..Extra::default() };
            page(&engine, shell, &hooked, state).await
        }
        Err(errors) => {
            let state = Extra { errors, watch: Some(wish.watch), ..Extra::default() };
            page(&engine, shell, &hooked, state).await
        }
    }
}

async fn make(
    engine: &Engine,
    hooked: &Hooked,
    wish: &Wish,
) -> Result<Result<EnabledWebhook, Errors>, PageError> {
    let lines = wish.watch.lines().map(str::trim).filter(|line| !line.is_empty());
    let watch = Some(lines.map(str::to_owned).collect());
    let asked = wire::EnableWebhook { provider: Some(wish.provider.clone()), watch };
    let (provider, watch) = match asked.parse() {
        Ok((Some(provider), watch)) => (provider, watch),
        Ok((None, _)) => return Ok(Err(Errors::one("provider", "choose who sends"))),
        Err(errors) => return Ok(Err(errors.into())),
    };
    match engine.enable_webhook(hooked, provider, watch).await {
        Ok((webhook, secret)) => {
            enabled_webhook(engine, hooked, &webhook, &secret).map(Ok).map_err(PageError::internal)
        }
        Err(error) => Errors::of_engine(error).map(Err),
    }
}

async fn disable(
    kind: Kind,
    visit: Visit<Manage>,
    hx: Hx,
    engine: Engine,
    (id, provider): (String, String),
) -> Result<Response, PageError> {
    let hooked = Hooked::from(kind.find(&engine, &visit.person, &id).await?);
    let parsed = Provider::parse(&provider).ok_or(PageError::NotFound)?;
    if !engine.disable_webhook(&hooked, parsed).await? {
        return Err(PageError::NotFound);
    }
    let deed = Deed::new("webhook.disabled", format!("webhook {provider} of {}", hooked.named()));
    visit.record(deed).await;
    Ok(view::go(hx, &format!("{}/webhooks", base(&hooked))))
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let found = find(&engine, &visit.person, &id).await?;
    delivery_page(&engine, shell, found, "").await
}

async fn replay(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (hooked, delivery, body) = find(&engine, &visit.person, &id).await?;
    // The address names no app and no service.
    if !visit.person.reach.allows_in(Right::Deploy, hooked.project().team) {
        return Err(PageError::NotFound);
    }
    let Some(bytes) = &body else {
        let wrong = "what was sent was not kept, so it cannot be looked at once more";
        return delivery_page(&engine, shell, (hooked, delivery, body), wrong).await;
    };
    let event = read_delivery(delivery.provider, &delivery.event, bytes);
    match engine.replay_delivery(&hooked, &delivery, &event).await {
        Ok(outcome) => {
            let deed = Deed::new("webhook.replayed", format!("delivery {id} of {}", hooked.named()));
            visit.record(deed).await;
            Ok(view::go(hx, &format!("/webhook-deliveries/{}", outcome.delivery.id.0)))
        }
        Err(error) => {
            let errors = Errors::of_engine(error)?;
            let wrong = errors.others(&[]).join("; ");
            delivery_page(&engine, shell, (hooked, delivery, body), &wrong).await
        }
    }
}

type Found = (Hooked, Delivery, Option<Vec<u8>>);

/// A delivery, and whom it was for, if the person may know of it.
async fn find(engine: &Engine, person: &Person, id: &str) -> Result<Found, PageError> {
    let id = id.parse().map(DeliveryId).map_err(|_| PageError::NotFound)?;
    let (delivery, body) = engine.reader().delivery(id).await?.ok_or(PageError::NotFound)?;
    let kind = match delivery.target {
        Target::App(_) => Kind::App,
        Target::Service(_) => Kind::Service,
    };
    let hooked = kind.find(engine, person, delivery.slug.as_str()).await?;
    Ok((hooked.into(), delivery, body))
}

/// Where whoever takes deliveries has its pages.
fn base(hooked: &Hooked) -> String {
    match hooked {
        Hooked::App(app) => format!("/apps/{}", app.slug),
        Hooked::Service(service) => format!("/services/{}", service.slug),
    }
}

/// What a page of webhooks shows besides what is stored.
#[derive(Default)]
struct Extra {
    before: Option<i64>,
    watch: Option<String>,
    errors: Errors,
    enabled: Option<EnabledWebhook>,
}

/// The page; with errors, as the answer to what was wrong.
async fn page(engine: &Engine, shell: Shell, hooked: &Hooked, state: Extra) -> Result<Response, PageError> {
    let is_wrong = !state.errors.is_empty();
    let mut shown = shown(engine, hooked, state).await?;
    match hooked {
        Hooked::App(app) => {
            let head = app::head(engine, app, "settings").await?;
            shown.may_manage = head.may_manage(&shell) && !head.deleting;
            answer(&Page { shell, head, part: "webhooks", shown }, is_wrong)
        }
        Hooked::Service(service) => {
            let status = engine.service_status(&service.slug).await?;
            let head = services::Head::of(&status, "webhooks");
            shown.may_manage = head.may_manage(&shell) && !service.deleting;
            answer(&ServicePage { shell, head, shown }, is_wrong)
        }
    }
}

fn answer(page: &impl Template, is_wrong: bool) -> Result<Response, PageError> {
    if is_wrong { view::wrong(page) } else { view::show(page) }
}

async fn shown(engine: &Engine, hooked: &Hooked, state: Extra) -> Result<Shown, PageError> {
    let Extra { before, watch, errors, enabled } = state;
    let (now, target) = (engine.now(), hooked.target());
    let stored = engine.reader().webhooks(Some(target)).await?;
    let hooks = stored.iter().map(|hook| Hook {
        provider: hook.provider,
        watch: hook.watch.patterns().to_vec(),
        made: Moment::of(hook.created, now),
    });
    let hooks: Vec<Hook> = hooks.collect();
    let (providers, refusal) = choices(hooked);
    let mut found = engine.reader().deliveries(target, before.map(DeliveryId), SHOWN + 1).await?;
    let more = found.len() > usize::try_from(SHOWN).unwrap_or(usize::MAX);
    found.truncate(usize::try_from(SHOWN).unwrap_or(usize::MAX));
    let next = found.last().filter(|_| more).map(|last| last.id.0);
    let rows = found.iter().map(|delivery| Row::of(delivery, now)).collect();
    let watch = watch.unwrap_or_default();
    let base = base(hooked);
    Ok(Shown { base, may_manage: false, hooks, providers, refusal, watch, errors, enabled, rows, next })
}

/// Who may send; or why nobody may.
fn choices(hooked: &Hooked) -> (Vec<Choice>, String) {
    let usual = hooked.source().as_ref().and_then(Provider::of);
    let mut refusal = String::new();
    let mut fitting = Vec::new();
    for provider in Provider::ALL {
        match hooked.fits(provider) {
            Ok(()) => fitting.push(Choice { word: provider.as_str(), chosen: usual == Some(provider) }),
            Err(why) => refusal = why,
        }
    }
    if fitting.is_empty() { (fitting, refusal) } else { (fitting, String::new()) }
}

async fn delivery_page(
    engine: &Engine,
    shell: Shell,
    (hooked, delivery, body): Found,
    wrong: &str,
) -> Result<Response, PageError> {
    let is_wrong = !wrong.is_empty();
    let mut shown = ShownDelivery {
        base: base(&hooked),
        may_deploy: false,
        row: Row::of(&delivery, engine.now()),
        name: delivery.name.unwrap_or_default(),
        body: body.map(|body| readable(&body)),
        replay_of: delivery.replay_of.map(|first| first.0),
        wrong: wrong.to_owned(),
    };
    match &hooked {
        Hooked::App(app) => {
            let head = app::head(engine, app, "settings").await?;
            shown.may_deploy = head.may_deploy(&shell) && !head.deleting;
            answer(&DeliveryPage { shell, head, part: "webhooks", shown }, is_wrong)
        }
        Hooked::Service(service) => {
            let status = engine.service_status(&service.slug).await?;
            let head = services::Head::of(&status, "webhooks");
            shown.may_deploy = head.may_deploy(&shell) && !service.deleting;
            answer(&ServiceDeliveryPage { shell, head, shown }, is_wrong)
        }
    }
}

/// A payload as people read it: JSON with its lines, anything else as it came.
fn readable(body: &[u8]) -> String {
    let parsed = serde_json::from_slice::<serde_json::Value>(body);
    let pretty = parsed.and_then(|value| serde_json::to_string_pretty(&value));
    pretty.unwrap_or_else(|_| String::from_utf8_lossy(body).into_owned())
}

impl Row {
    fn of(delivery: &Delivery, now: crate::domain::time::Timestamp) -> Self {
        Self {
            id: delivery.id.0,
            provider: delivery.provider,
            event: delivery.event.clone(),
            received: Moment::of(delivery.received, now),
            mark: mark(delivery.verdict),
            reason: delivery.reason.clone(),
            deployment: delivery.deployment.map(|id| id.0),
            revision: delivery.revision,
        }
    }
}

/// A verdict as people see it.
fn mark(verdict: Verdict) -> Mark {
    let mark = |class, icon, word| Mark { class, icon, word };
    match verdict {
        Verdict::Deployed => mark("good", "ok", "deployed"),
        Verdict::Ping => mark("good", "ok", "test"),
        Verdict::Ignored => mark("", "stopped", "ignored"),
        Verdict::Skipped => mark("", "stopped", "skipped"),
        Verdict::Refused => mark("bad", "failed", "refused"),
        Verdict::Failed => mark("bad", "failed", "failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_shown_as_text() {
        assert_eq!(readable(b"{\"a\":1}"), "{\n  \"a\": 1\n}");
        assert_eq!(readable(b"a=\xff"), "a=\u{fffd}");
    }
}
