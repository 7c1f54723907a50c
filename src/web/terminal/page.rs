//! The page of a terminal: which containers there are to look into, and who may.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::IDLE_MAX;
use crate::auth::gate::Manage;
use crate::auth::{Person, Refusal};
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::right::Right;
use crate::engine::Engine;
use crate::store::Reader;
use crate::web::app::{self, Head};
use crate::web::error::PageError;
use crate::web::shell::{Shell, Visit};
use crate::web::{services, view};

#[derive(Template)]
#[template(path = "terminal/index.html")]
struct Page {
    shell: Shell,
    head: Head,
    screen: Screen,
}

#[derive(Template)]
#[template(path = "terminal/service.html")]
struct ServicePage {
    shell: Shell,
    head: services::Head,
    screen: Screen,
}

/// The part of a page that a terminal is in.
struct Screen {
    /// The path of the page of which it is a part.
    of: String,
    /// Whose containers these are.
    slug: Slug,
    /// The containers there are to choose from, by their value and how they are called; none: nothing runs.
    containers: Vec<(String, String)>,
    /// The one that is chosen.
    chosen: String,
    /// What does the same on the host.
    by_hand: String,
    idle_minutes: u64,
}

/// Which container a page was led here for.
#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    container: String,
}

pub(super) async fn show(
    visit: Visit<Manage>,
    shell: Shell,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let app = find(&reader, &visit.person, &id).await?;
    let head = app::head(&engine, &app, "terminal").await?;
    let live = match app.live {
        Some(id) if !head.stopped => reader.deployment(id).await?,
        Some(_) | None => None,
    };
    let replicas = live.iter().flat_map(|live| live.replicas().map(|(replica, _)| replica));
    let replicas: Vec<u8> = replicas.collect();
    let called = |replica: &u8| (replica.to_string(), format!("{replica} of {}", replicas.len()));
    let screen = Screen {
        of: format!("/apps/{}", app.slug),
        containers: replicas.iter().map(called).collect(),
        chosen: String::new(),
        by_hand: format!("rivetr exec {} -- sh", app.slug),
        slug: app.slug,
        idle_minutes: IDLE_MAX.as_secs() / 60,
    };
    view::show(&Page { shell, head, screen })
}

pub(super) async fn show_service(
    visit: Visit<Manage>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Chosen { container }): Query<Chosen>,
) -> Result<Response, PageError> {
    let slug = find_service(&engine, &visit.person, &id).await?;
    let status = engine.service_status(&slug).await?;
    let head = services::Head::of(&status, "terminal");
    let there = status.parts.into_iter().filter(|_| head.is_live && !head.stopped).map(|part| part.part.name);
    let screen = Screen {
        of: format!("/services/{slug}"),
        containers: there.map(|name| (name.clone(), name)).collect(),
        by_hand: format!("rivetr services exec {slug} CONTAINER -- sh"),
        chosen: container,
        slug,
        idle_minutes: IDLE_MAX.as_secs() / 60,
    };
    view::show(&ServicePage { shell, head, screen })
}

/// The app, if the person may do with it what a terminal can do: everything.
pub(super) async fn find(reader: &Reader, person: &Person, id: &str) -> Result<App, PageError> {
    let app = app::find(reader, person, id).await?;
    may_manage(person, app.project.team)?;
    Ok(app)
}

/// The same of a service.
pub(super) async fn find_service(engine: &Engine, person: &Person, id: &str) -> Result<Slug, PageError> {
    let service = services::find(engine, person, id).await?;
    may_manage(person, service.project.team)?;
    Ok(service.slug)
}

fn may_manage(person: &Person, team: TeamId) -> Result<(), PageError> {
    if person.reach.allows_in(Right::Manage, team) {
        return Ok(());
    }
    let refusal = Refusal::Forbidden { caller: person.login.clone(), needs: "a wider role in its team" };
    Err(PageError::Refused(Arc::new(refusal)))
}
