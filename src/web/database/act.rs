//! What is done with a database as it is: started, stopped, renewed, given another name or password, deleted.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{find, overview, settings};
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Manage};
use crate::domain::database::Database;
use crate::domain::name::Slug;
use crate::engine::{Engine, EngineError};
use crate::web::error::PageError;
use crate::web::form::{Confirm, Errors, Form};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, view};

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::post("/databases/{id}/start", start),
        Route::post("/databases/{id}/stop", stop),
        Route::post("/databases/{id}/restart", restart),
        Route::post("/databases/{id}/upgrade", upgrade),
        Route::post("/databases/{id}/password", change_password),
        Route::post("/databases/{id}/rename", rename),
        Route::post("/databases/{id}/delete", delete).asking_again(),
    ]
}

fn deed(action: &'static str, database: &Database) -> Deed {
    Deed::new(action, format!("database {}", database.slug))
}

async fn start(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    visit.record(deed("database.started", &database)).await;
    let done = engine.start_database(&database.slug).await;
    on_to_overview(&engine, shell, hx, &database, done).await
}

async fn stop(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    visit.record(deed("database.stopped", &database)).await;
    let done = engine.stop_database(&database.slug).await;
    on_to_overview(&engine, shell, hx, &database, done).await
}

async fn restart(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    visit.record(deed("database.restarted", &database)).await;
    let done = engine.restart_database(&database.slug).await;
    on_to_overview(&engine, shell, hx, &database, done).await
}

/// To the overview, or to it with what could not be done.
async fn on_to_overview(
    engine: &Engine,
    shell: Shell,
    hx: Hx,
    database: &Database,
    done: Result<Database, EngineError>,
) -> Result<Response, PageError> {
    let errors = match done {
        Ok(database) => return Ok(view::go(hx, &format!("/databases/{}", database.slug))),
        Err(error) => Errors::of_engine(error)?,
    };
    let mut page = overview::page(engine, shell, database).await?;
    page.errors = errors;
    view::wrong(&page)
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
    Form(Confirm { confirm }): Form<Confirm>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let errors = if confirm.trim() == database.slug.as_str() {
        match engine.delete_database(&database.slug).await {
            Ok(_) => {
                visit.record(deed("database.deleted", &database)).await;
                return Ok(view::go(hx, "/databases#trash"));
            }
            Err(error) => Errors::of_engine(error)?,
        }
    } else {
        Errors::one("confirm", format!("type {} to delete it", database.slug))
    };
    settings::refused(&engine, shell, &visit.person, &database, errors).await
}
