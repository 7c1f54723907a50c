//! What the proxy does with the requests of an app or a service. It holds at once, without a deployment.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::StatusCode;
use serde::Deserialize;
use serde_json::Value;

use super::super::domains::{Kind, page_of, word_for};
use super::super::error::PageError;
use super::super::form::{Errors, Form, Refused};
use super::super::shell::{Hx, Shell, Visit};
use super::super::{Route, Web, app, services, view};
use super::fields::{self, Group};
use super::{Sent, Told, tables};
use crate::api::wire::{Hidden, NewPassword, Patch, TrafficOptions};
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::right::Right;
use crate::engine::{DomainHolder, Engine};

/// The page of an app.
#[derive(Template)]
#[template(path = "settings/traffic_of_app.html")]
struct AppPage {
    shell: Shell,
    head: app::Head,
    part: &'static str,
    traffic: Traffic,
}

/// The page of a service.
#[derive(Template)]
#[template(path = "settings/traffic_of_service.html")]
struct ServicePage {
    shell: Shell,
    head: services::Head,
    traffic: Traffic,
}

/// What both have.
struct Traffic {
    /// Where the forms lead.
    path: String,
    may_manage: bool,
    /// What comes and goes while this stays: releases or revisions.
    through: &'static str,
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
    let app = ["/apps/{id}/traffic", "/apps/{id}/traffic/users", "/apps/{id}/traffic/users/remove"];
    let service =
        ["/services/{id}/traffic", "/services/{id}/traffic/users", "/services/{id}/traffic/users/remove"];
    [(Kind::App, app), (Kind::Service, service)]
        .into_iter()
        .flat_map(|(kind, at)| routes_of(kind, at))
        .collect()
}

fn routes_of(kind: Kind, [page, users, remove]: [&'static str; 3]) -> [Route<Web>; 4] {
    let show = move |visit: Visit<Read>,
                     shell: Shell,
                     engine: State<Engine>,
                     id: Path<String>,
                     told: Query<Told>| { show(kind, visit, shell, engine.0, id.0, told.0) };
    let save = move |visit: Visit<Manage>,
                     shell: Shell,
                     hx: Hx,
                     engine: State<Engine>,
                     id: Path<String>,
                     sent: Form<Sent>| {
        change(kind, (visit, shell, hx), engine.0, id.0, Asked::Options(sent.0))
    };
    let add = move |visit: Visit<Manage>,
                    shell: Shell,
                    hx: Hx,
                    engine: State<Engine>,
                    id: Path<String>,
                    user: Form<User>| {
        change(kind, (visit, shell, hx), engine.0, id.0, Asked::LetIn(user.0))
    };
    let take = move |visit: Visit<Manage>,
                     shell: Shell,
                     hx: Hx,
                     engine: State<Engine>,
                     id: Path<String>,
                     user: Form<User>| {
        change(kind, (visit, shell, hx), engine.0, id.0, Asked::KeepOut(user.0))
    };
    [Route::get(page, show), Route::post(page, save), Route::post(users, add), Route::post(remove, take)]
}

async fn show(
    kind: Kind,
    visit: Visit<Read>,
    shell: Shell,
    engine: Engine,
    id: String,
    Told { saved }: Told,
) -> Result<Response, PageError> {
    let of = kind.find(&engine, &visit.person, &id).await?;
    page(&engine, shell, &of, StatusCode::OK, Wrong { saved, ..Wrong::default() }).await
}

/// What a form asks for.
enum Asked {
    /// The options, each by the name of its field.
    Options(Sent),
    /// Somebody may come in by a password.
    LetIn(User),
    /// Somebody may no more.
    KeepOut(User),
}

async fn change(
    kind: Kind,
    (visit, shell, hx): (Visit<Manage>, Shell, Hx),
    engine: Engine,
    id: String,
    asked: Asked,
) -> Result<Response, PageError> {
    let of = kind.find(&engine, &visit.person, &id).await?;
    let before = options(&engine, &of).await?;
    let wish = match &asked {
        Asked::Options(sent) => fields::read(tables::TRAFFIC, sent).and_then(fields::typed::<TrafficOptions>),
        Asked::LetIn(User { name, password }) => {
            Ok(of_user(name, NewPassword(Some(Hidden(password.clone())))))
        }
        Asked::KeepOut(User { name, .. }) => Ok(of_user(name, NewPassword(None))),
    };
    let stored = match wish {
        Ok(wish) => store(&engine, &of, wish).await,
        Err(errors) => Err(Refused::Form(errors)),
    };
    let Err(refused) = stored else {
        let action = match of {
            DomainHolder::App(_) => "app.traffic_changed",
            DomainHolder::Service(_) => "service.traffic_changed",
        };
        visit.record(Deed::new(action, &of).before(before).after(options(&engine, &of).await?)).await;
        return Ok(view::go(hx, &format!("{}/traffic?saved=now", page_of(&of))));
    };
    let errors = refused.errors()?;
    let wrong = match asked {
        Asked::Options(sent) => Wrong { errors, sent: Some(sent), ..Wrong::default() },
        Asked::LetIn(user) | Asked::KeepOut(user) => {
            let user = User { password: String::new(), ..user };
            Wrong { user_errors: errors, user, ..Wrong::default() }
        }
    };
    page(&engine, shell, &of, StatusCode::UNPROCESSABLE_ENTITY, wrong).await
}

fn of_user(name: &str, password: NewPassword) -> TrafficOptions {
    let passwords = BTreeMap::from([(name.trim().to_owned(), password)]);
    TrafficOptions { passwords: Patch::Set(passwords), ..TrafficOptions::default() }
}

async fn store(engine: &Engine, of: &DomainHolder, wish: TrafficOptions) -> Result<(), Refused> {
    let change = |before| wish.lay_over(before).map_err(|errors| Refused::Form(errors.into()));
    engine.change_traffic(of.behind(), change).await.map(drop)
}

/// What is done with requests, in the words of the API; no password is among them.
async fn options(engine: &Engine, of: &DomainHolder) -> Result<Value, PageError> {
    let traffic = engine.traffic(of.behind()).await?;
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

async fn page(
    engine: &Engine,
    shell: Shell,
    of: &DomainHolder,
    status: StatusCode,
    wrong: Wrong,
) -> Result<Response, PageError> {
    let Wrong { errors, sent, user, user_errors, saved } = wrong;
    let found = engine.traffic(of.behind()).await?;
    let values = serde_json::to_value(TrafficOptions::of(&found)).map_err(PageError::internal)?;
    let traffic = Traffic {
        path: format!("{}/traffic", page_of(of)),
        may_manage: app::may(&shell, Right::Manage, of.project().team),
        through: if word_for(of) == "app" { "release" } else { "revision" },
        groups: fields::fill(tables::TRAFFIC, &values, sent.as_ref(), &errors),
        others: fields::others(tables::TRAFFIC, &errors),
        users: found.users.iter().map(|user| user.name.to_string()).collect(),
        user,
        user_errors,
        saved,
    };
    match of {
        DomainHolder::App(app) => {
            let head = app::head(engine, app, "settings").await?;
            view::with_status(status, &AppPage { shell, head, part: "traffic", traffic })
        }
        DomainHolder::Service(service) => {
            let head = services::Head::of(&engine.service_status(&service.slug).await?, "traffic");
            view::with_status(status, &ServicePage { shell, head, traffic })
        }
    }
}
