//! What the proxy does with the requests of an app. It holds at once, without a deployment.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::Value;

use super::super::app::{self, Head};
use super::super::error::PageError;
use super::super::form::{Errors, Form};
use super::super::shell::{Hx, Shell, Visit};
use super::super::{Route, Web, view};
use super::fields::{self, Group};
use super::{Refused, Sent, Told, tables};
use crate::api::wire::{Hidden, NewPassword, Patch, TrafficOptions};
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::app::App;
use crate::engine::Engine;

#[derive(Template)]
#[template(path = "settings/traffic.html")]
struct Page {
    shell: Shell,
    head: Head,
    part: &'static str,
    groups: Vec<Group>,
    others: Vec<String>,
    users: Vec<String>,
    user: User,
    user_errors: Errors,
    saved: String,
}

/// Somebody who may come in, as a form sends it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct User {
    name: String,
    #[serde(default)]
    password: String,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/apps/{id}/traffic", show),
        Route::post("/apps/{id}/traffic", save),
        Route::post("/apps/{id}/traffic/users", add_user),
        Route::post("/apps/{id}/traffic/users/remove", remove_user),
    ]
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Told { saved }): Query<Told>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    view::show(&page(&engine, shell, &app, Wrong { saved, ..Wrong::default() }).await?)
}

async fn save(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(sent): Form<Sent>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let before = options(&engine, &app).await?;
    let wish = fields::read(tables::TRAFFIC, &sent).and_then(fields::typed::<TrafficOptions>);
    let stored = match wish {
        Ok(wish) => store(&engine, &app, wish).await,
        Err(errors) => Err(Refused::Form(errors)),
    };
    match stored {
        Ok(()) => done(&engine, &app, before, &visit, hx).await,
        Err(refused) => {
            let wrong = Wrong { errors: refused.errors()?, sent: Some(sent), ..Wrong::default() };
            view::wrong(&page(&engine, shell, &app, wrong).await?)
        }
    }
}

async fn add_user(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(user): Form<User>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let before = options(&engine, &app).await?;
    let password = NewPassword(Some(Hidden(user.password.clone())));
    match store(&engine, &app, of_user(&user.name, password)).await {
        Ok(()) => done(&engine, &app, before, &visit, hx).await,
        Err(refused) => {
            let user = User { password: String::new(), ..user };
            let wrong = Wrong { user_errors: refused.errors()?, user, ..Wrong::default() };
            view::wrong(&page(&engine, shell, &app, wrong).await?)
        }
    }
}

async fn remove_user(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(user): Form<User>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let before = options(&engine, &app).await?;
    match store(&engine, &app, of_user(&user.name, NewPassword(None))).await {
        Ok(()) => done(&engine, &app, before, &visit, hx).await,
        Err(refused) => {
            let wrong = Wrong { user_errors: refused.errors()?, user, ..Wrong::default() };
            view::wrong(&page(&engine, shell, &app, wrong).await?)
        }
    }
}

fn of_user(name: &str, password: NewPassword) -> TrafficOptions {
    let passwords = BTreeMap::from([(name.trim().to_owned(), password)]);
    TrafficOptions { passwords: Patch::Set(passwords), ..TrafficOptions::default() }
}

async fn store(engine: &Engine, app: &App, wish: TrafficOptions) -> Result<(), Refused> {
    let change = |before| wish.lay_over(before).map_err(|errors| Refused::Form(errors.into()));
    engine.change_traffic(&app.slug, change).await.map(drop)
}

async fn done(
    engine: &Engine,
    app: &App,
    before: Value,
    visit: &Visit<Manage>,
    hx: Hx,
) -> Result<Response, PageError> {
    let deed = Deed::new("app.traffic_changed", format!("app {}", app.slug));
    visit.record(deed.before(before).after(options(engine, app).await?)).await;
    Ok(view::go(hx, &format!("/apps/{}/traffic?saved=now", app.slug)))
}

/// What is done with requests, in the words of the API; no password is among them.
async fn options(engine: &Engine, app: &App) -> Result<Value, PageError> {
    let traffic = engine.traffic(&app.slug).await?;
    serde_json::to_value(TrafficOptions::of(&traffic)).map_err(PageError::internal)
}

/// What is wrong, and what was sent.
#[derive(Default)]
struct Wrong {
    errors: Errors,
    sent: Option<Sent>,
    user: User,
    user_errors: Errors,
    saved: String,
}

async fn page(engine: &Engine, shell: Shell, app: &App, wrong: Wrong) -> Result<Page, PageError> {
    let Wrong { errors, sent, user, user_errors, saved } = wrong;
    let head = app::head(engine, app, "settings").await?;
    let traffic = engine.traffic(&app.slug).await?;
    let values = serde_json::to_value(TrafficOptions::of(&traffic)).map_err(PageError::internal)?;
    let groups = fields::fill(tables::TRAFFIC, &values, sent.as_ref(), &errors);
    let others = fields::others(tables::TRAFFIC, &errors);
    let users = traffic.users.iter().map(|user| user.name.to_string()).collect();
    Ok(Page { shell, head, part: "traffic", groups, others, users, user, user_errors, saved })
}
