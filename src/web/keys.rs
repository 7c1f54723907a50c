//! Keys of SSH, the servers that are known by theirs, and sign-ins at registries: what rivetr shows to others.
//!
//! A private half and a password come in and never go out.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::moment::Moment;
use super::shell::{Hx, Shell, Visit};
use super::view;
use super::{Route, Web, app, registries, teams};
use crate::api::wire::{CreateKey, Hidden, Key};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Administer, Lead, Read};
use crate::domain::key::{KnownHost, SshHost};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::engine::Engine;

#[derive(Template)]
#[template(path = "keys/index.html")]
struct Page {
    shell: Shell,
    keys: Vec<Key>,
    teams: Vec<String>,
    hosts: Vec<Host>,
    registries: Vec<registries::Row>,
    new: New,
    errors: Errors,
    sign_in: registries::New,
    sign_in_errors: Errors,
}

/// One key, with those who use it.
#[derive(Template)]
#[template(path = "keys/one.html")]
struct OnePage {
    shell: Shell,
    key: Key,
    made: Moment,
    may_lead: bool,
    errors: Errors,
}

struct Host {
    name: String,
    /// As it stands in a path.
    path: String,
    kind: String,
    fingerprint: String,
    seen: Moment,
}

/// A key as a form asks for it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    name: String,
    #[serde(default)]
    private: String,
    #[serde(default)]
    team: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/keys", index),
        Route::post("/keys", create),
        Route::get("/keys/{name}", one),
        Route::post("/keys/{name}/delete", delete).asking_again(),
        Route::post("/known-hosts/{host}/forget", forget),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    view::show(&page(&engine, shell, &visit.person, Wrong::default()).await?)
}

async fn create(
    visit: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(new): Form<New>,
) -> Result<Response, PageError> {
    let private = Some(new.private.replace("\r\n", "\n")).filter(|text| !text.trim().is_empty());
    let wish = CreateKey { name: new.name.trim().to_owned(), private: private.map(Hidden), team: None };
    let team = teams::chosen(engine.reader(), &visit.person, &new.team).await?;
    let kept = match (wish.parse(), team) {
        (Err(errors), _) => Err(Ok(errors.into())),
        (Ok(_), None) => Err(Ok(Errors::one("team", "choose one of your teams"))),
        (Ok((name, given)), Some(team)) => {
            engine.create_key(team, name, given).await.map_err(Errors::of_engine)
        }
    };
    match kept {
        Ok(key) => {
            let fingerprint = key.public.fingerprint();
            let deed = Deed::new("key.kept", format!("key {}", key.name)).of(key.team);
            visit.record(deed.after(json!({ "fingerprint": fingerprint }))).await;
            Ok(view::go(hx, &format!("/keys/{}", key.name)))
        }
        Err(errors) => {
            let new = New { private: String::new(), ..new };
            let wrong = Wrong { new, errors: errors?, ..Wrong::default() };
            view::wrong(&page(&engine, shell, &visit.person, wrong).await?)
        }
    }
}

async fn one(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    view::show(&one_page(&engine, shell, &visit.person, &name, Errors::default()).await?)
}

async fn delete(
    visit: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let slug = Slug::parse(&name).map_err(|_| PageError::NotFound)?;
    let errors = match confirm.is(&name) {
        Ok(()) => match engine.delete_key(slug).await {
            Ok(()) => {
                visit.record(Deed::new("key.deleted", format!("key {name}"))).await;
                return Ok(view::go(hx, "/keys"));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    view::wrong(&one_page(&engine, shell, &visit.person, &name, errors).await?)
}

async fn forget(
    visit: Visit<Administer>,
    hx: Hx,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let host = SshHost::parse(&name).map_err(|_| PageError::NotFound)?;
    engine.forget_host(host).await?;
    visit.record(Deed::new("known_host.forgotten", format!("known host {name}"))).await;
    Ok(view::go(hx, "/keys#hosts"))
}

/// What is wrong with one of the page's forms, and what was typed.
#[derive(Default)]
pub(super) struct Wrong {
    new: New,
    errors: Errors,
    sign_in: registries::New,
    sign_in_errors: Errors,
}

impl Wrong {
    /// What is wrong with a sign-in.
    pub fn at_sign_in(sign_in: registries::New, sign_in_errors: Errors) -> Self {
        Self { sign_in, sign_in_errors, ..Self::default() }
    }
}

/// The page with the answer to a form of it.
pub(super) async fn wrong(
    engine: &Engine,
    shell: Shell,
    person: &Person,
    wrong: Wrong,
) -> Result<Response, PageError> {
    view::wrong(&page(engine, shell, person, wrong).await?)
}

async fn page(engine: &Engine, shell: Shell, person: &Person, wrong: Wrong) -> Result<Page, PageError> {
    let Wrong { new, errors, sign_in, sign_in_errors } = wrong;
    let keys = engine.reader().keys().await?;
    let keys = keys.iter().filter(|key| person.reach.sees(key.team)).map(|key| Key::of(key, &[])).collect();
    let teams =
        teams::led(engine.reader(), person).await?.into_iter().map(|team| team.slug.to_string()).collect();
    // Known servers and sign-ins are the instance's.
    let (hosts, registries) = if shell.may_administer() {
        (hosts(engine).await?, registries::rows(engine).await?)
    } else {
        (Vec::new(), Vec::new())
    };
    Ok(Page { shell, keys, teams, hosts, registries, new, errors, sign_in, sign_in_errors })
}

async fn hosts(engine: &Engine) -> Result<Vec<Host>, PageError> {
    let now = engine.now();
    let hosts = engine.reader().known_hosts().await?;
    let host = |known: &KnownHost| Host {
        name: known.key.host.to_string(),
        path: view::in_query(&known.key.host.to_string()),
        kind: known.key.key.kind().to_owned(),
        fingerprint: known.key.key.fingerprint(),
        seen: Moment::of(known.seen, now),
    };
    Ok(hosts.iter().map(host).collect())
}

async fn one_page(
    engine: &Engine,
    shell: Shell,
    person: &Person,
    name: &str,
    errors: Errors,
) -> Result<OnePage, PageError> {
    let slug = Slug::parse(name).map_err(|_| PageError::NotFound)?;
    let known = engine.reader().key(&slug).await?.filter(|(key, _)| person.reach.sees(key.team));
    let (key, apps) = known.ok_or(PageError::NotFound)?;
    let may_lead = app::may(&shell, Right::Lead, key.team);
    let mut seen = Vec::new();
    for app in apps {
        let found = engine.reader().app(&app).await?;
        if found.is_some_and(|found| view::sees(person, &found.project)) {
            seen.push(app);
        }
    }
    let made = Moment::of(key.created, engine.now());
    Ok(OnePage { shell, key: Key::of(&key, &seen), made, may_lead, errors })
}
