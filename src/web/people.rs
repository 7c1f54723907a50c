//! All people of the instance, for who administers it.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::moment::Moment;
use super::shell::{Hx, Shell, Visit};
use super::{Route, Web, sign_in, view};
use crate::auth::gate::Administer;
use crate::auth::{Auth, ChangeError, Person};
use crate::domain::person::UserId;
use crate::engine::Engine;
use crate::store::{Account, PeopleError, User};

#[derive(Template)]
#[template(path = "people/users.html")]
struct Page {
    shell: Shell,
    errors: Errors,
    users: Vec<Row>,
    link: Option<String>,
    link_for: String,
}

#[expect(clippy::struct_excessive_bools, reason = "what its template asks")]
struct Row {
    id: i64,
    login: String,
    administrator: bool,
    disabled: bool,
    myself: bool,
    teams: String,
    factor: bool,
    used: Option<Moment>,
    verbs: Vec<(&'static str, &'static str)>,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/users", index),
        Route::post("/users/{user}/disable", disable),
        Route::post("/users/{user}/enable", enable),
        Route::post("/users/{user}/promote", promote).asking_again(),
        Route::post("/users/{user}/demote", demote).asking_again(),
        Route::post("/users/{user}/reset", reset).asking_again(),
        Route::get("/users/{user}/delete", ask),
        Route::post("/users/{user}/delete", delete).asking_again(),
    ]
}

async fn index(
    by: Visit<Administer>,
    shell: Shell,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    view::show(&listed(&auth, &engine, &by.person, shell, Errors::default()).await?)
}

async fn listed(
    auth: &Auth,
    engine: &Engine,
    person: &Person,
    shell: Shell,
    errors: Errors,
) -> Result<Page, PageError> {
    let now = engine.now();
    let teams = engine.reader().teams().await?;
    let names: BTreeMap<_, _> = teams.iter().map(|team| (team.id, team.slug.to_string())).collect();
    let users = auth.users().await?.into_iter().map(|Account { user, teams, strict: _ }| {
        let parts = teams
            .iter()
            .map(|(team, role)| format!("{} ({role})", names.get(team).map_or("unknown", String::as_str)));
        Row {
            id: user.id.0,
            teams: parts.collect::<Vec<_>>().join(", "),
            myself: user.id == person.id,
            used: user.signed_in.map(|at| Moment::of(at, now)),
            verbs: verbs(&user),
            login: user.login.to_string(),
            administrator: user.administers,
            disabled: user.disabled,
            factor: user.second_factor,
        }
    });
    Ok(Page { shell, errors, users: users.collect(), link: None, link_for: String::new() })
}

/// What can be done with a user, as the last word of the address and on the button.
fn verbs(user: &User) -> Vec<(&'static str, &'static str)> {
    let disabled = if user.disabled { ("enable", "Let in again") } else { ("disable", "Keep out") };
    let part = if user.administers { ("demote", "No administrator") } else { ("promote", "Administrator") };
    vec![disabled, part, ("reset", "New password")]
}

async fn user(auth: &Auth, id: i64) -> Result<User, PageError> {
    let users = auth.users().await?.into_iter().map(|account| account.user);
    users.into_iter().find(|user| user.id == UserId(id)).ok_or(PageError::NotFound)
}

macro_rules! verb {
    ($name:ident, $does:expr) => {
        async fn $name(
            by: Visit<Administer>,
            shell: Shell,
            hx: Hx,
            State(auth): State<Auth>,
            State(engine): State<Engine>,
            Path(id): Path<i64>,
        ) -> Result<Response, PageError> {
            let user = user(&auth, id).await?;
            match $does(&auth, &by, &user).await {
                Ok(()) => Ok(view::go(hx, "/users")),
                Err(error) => {
                    let errors = of_change(error, "")?;
                    view::wrong(&listed(&auth, &engine, &by.person, shell, errors).await?)
                }
            }
        }
    };
}

verb!(disable, async |auth: &Auth, by: &Visit<Administer>, user: &User| {
    auth.disable_user(by.actor(), user, true).await
});
verb!(enable, async |auth: &Auth, by: &Visit<Administer>, user: &User| {
    auth.disable_user(by.actor(), user, false).await
});
verb!(promote, async |auth: &Auth, by: &Visit<Administer>, user: &User| {
    auth.set_administers(by.actor(), user, true).await
});
verb!(demote, async |auth: &Auth, by: &Visit<Administer>, user: &User| {
    auth.set_administers(by.actor(), user, false).await
});

/// A user is deleted only by who types the name.
#[derive(Template)]
#[template(path = "people/delete.html")]
struct Delete {
    shell: Shell,
    errors: Errors,
    id: i64,
    login: String,
}

async fn ask(
    _: Visit<Administer>,
    shell: Shell,
    State(auth): State<Auth>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let login = user(&auth, id).await?.login.to_string();
    view::show(&Delete { shell, errors: Errors::default(), id, login })
}

async fn delete(
    by: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(auth): State<Auth>,
    Path(id): Path<i64>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let user = user(&auth, id).await?;
    let login = user.login.to_string();
    let errors = match confirm.is(&login) {
        Ok(()) => match auth.delete_user(by.actor(), &user).await {
            Ok(()) => return Ok(view::go(hx, "/users")),
            Err(error) => of_change(error, "confirm")?,
        },
        Err(errors) => errors,
    };
    view::wrong(&Delete { shell, errors, id, login })
}

async fn reset(
    by: Visit<Administer>,
    shell: Shell,
    State(auth): State<Auth>,
    State(engine): State<Engine>,
    Path(id): Path<i64>,
) -> Result<Response, PageError> {
    let user = user(&auth, id).await?;
    let (link, errors) = match auth.reset_link(by.actor(), &user, false).await {
        Ok((secret, _)) => (Some(own_link(&engine, "reset", &secret)), Errors::default()),
        Err(error) => (None, of_change(error, "")?),
    };
    let page = listed(&auth, &engine, &by.person, shell, errors).await?;
    view::show(&Page { link, link_for: user.login.to_string(), ..page })
}

/// A one-time link, below the address that the instance is configured with and never the one that a browser names.
pub(super) fn own_link(engine: &Engine, word: &str, secret: &str) -> String {
    format!("{}/{word}/{secret}", engine.api_url())
}

/// What is wrong with a change of people; what is about no field of its own stands at `field`.
pub(super) fn of_change(error: ChangeError, field: &str) -> Result<Errors, PageError> {
    match error {
        ChangeError::Invalid(fields) => {
            Ok(Errors::of_fields(fields.into_iter().map(|(field, message)| (field.to_owned(), message))))
        }
        ChangeError::People(PeopleError::Store(error)) => Err(error.into()),
        ChangeError::People(PeopleError::NoUser | PeopleError::NoTeam | PeopleError::NoMember) => {
            Err(PageError::NotFound)
        }
        ChangeError::People(error) => Ok(Errors::one(field, error.to_string())),
        error @ ChangeError::Random(_) => Err(PageError::internal(error)),
        ChangeError::SignIn(error) => sign_in::wrong(error, field),
    }
}
