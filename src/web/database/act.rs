//! What is done with a database as it is: started, stopped, renewed, given another name or password, deleted.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{find, overview, settings};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::domain::database::Database;
use crate::domain::name::Slug;
use crate::engine::{Engine, EngineError};
use crate::web::error::PageError;
use crate::web::form::{Confirm, Errors, Form};
use crate::web::operate::{self, Act, Operated, Operation};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, view};

pub(super) fn routes() -> Vec<Route<Web>> {
    let own = vec![
        Route::post("/databases/{id}/upgrade", upgrade),
        Route::post("/databases/{id}/password", change_password),
        Route::post("/databases/{id}/rename", rename),
        Route::post("/databases/{id}/delete", delete).asking_again(),
    ];
    own.into_iter().chain(operate::routes::<Database>()).collect()
}

fn deed(action: &'static str, database: &Database) -> Deed {
    Deed::new(action, database.object())
}

impl Operated for Database {
    const OPERATIONS: &'static [Operation] = &[
        ("/databases/{id}/start", Act::Start, "database.started"),
        ("/databases/{id}/stop", Act::Stop, "database.stopped"),
        ("/databases/{id}/restart", Act::Restart, "database.restarted"),
    ];

    async fn find(engine: &Engine, person: &Person, id: &str) -> Result<Self, PageError> {
        find(engine.reader(), person, id).await
    }

    fn object(&self) -> String {
        format!("database {}", self.slug)
    }

    fn path(&self) -> String {
        format!("/databases/{}", self.slug)
    }

    async fn operate(&self, engine: &Engine, act: Act) -> Result<(), EngineError> {
        let done = match act {
            Act::Start => engine.start_database(&self.slug).await,
            Act::Stop => engine.stop_database(&self.slug).await,
            Act::Restart => engine.restart_database(&self.slug).await,
        };
        done.map(drop)
    }

    async fn refused(&self, engine: &Engine, shell: Shell, errors: Errors) -> Result<Response, PageError> {
        let mut page = overview::page(engine, shell, self).await?;
        page.errors = errors;
        view::wrong(&page)
    }
}

async fn upgrade(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let done = engine.upgrade_database(&database.slug).await;
    if done.is_ok() {
        visit.record(deed("database.upgraded", &database)).await;
    }
    on_to_settings(&engine, shell, hx, &visit, &database, done.map(|_| ())).await
}

async fn change_password(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let done = engine.change_database_password(&database.slug).await;
    if done.is_ok() {
        visit.record(deed("database.password_changed", &database)).await;
    }
    on_to_settings(&engine, shell, hx, &visit, &database, done.map(|_| ())).await
}

/// To the settings, or to them with what could not be done.
async fn on_to_settings(
    engine: &Engine,
    shell: Shell,
    hx: Hx,
    visit: &Visit<Manage>,
    database: &Database,
    done: Result<(), EngineError>,
) -> Result<Response, PageError> {
    let errors = match done {
        Ok(()) => return Ok(view::go(hx, &format!("/databases/{}", database.slug))),
        Err(error) => Errors::of_engine(error)?,
    };
    settings::refused(engine, shell, &visit.person, database, errors).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Name {
    #[serde(default)]
    name: String,
}

async fn rename(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Name { name }): Form<Name>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let errors = match Slug::parse(name.trim()) {
        Err(error) => Errors::one("name", error.to_string()),
        Ok(to) => match engine.rename_database(&database.slug, to).await {
            Ok(after) => {
                let renamed = deed("database.renamed", &database);
                visit.record(renamed.after(json!({ "name": after.slug.as_str() }))).await;
                return Ok(view::go(hx, &format!("/databases/{}", after.slug)));
            }
            Err(error) => Errors::of_engine(error)?,
        },
    };
    settings::refused(&engine, shell, &visit.person, &database, errors).await
}

async fn delete(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let errors = match confirm.is(database.slug.as_str()) {
        Ok(()) => match engine.delete_database(&database.slug).await {
            Ok(_) => {
                visit.record(deed("database.deleted", &database)).await;
                return Ok(view::go(hx, "/databases#trash"));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    settings::refused(&engine, shell, &visit.person, &database, errors).await
}
