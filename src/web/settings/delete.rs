//! An app is deleted, with its volumes or without: only by whoever types its name.

use std::time::Duration;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::super::app::{self, Head};
use super::super::error::PageError;
use super::super::form::{Confirm, Errors, Form};
use super::super::shell::{Hx, Shell, Visit};
use super::super::{Route, Web, view};
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::domain::app::App;
use crate::domain::volume::Mount;
use crate::engine::Engine;

/// For how long a person waits for the end of it; it goes on without them.
const WAIT: Duration = Duration::from_secs(3);

#[derive(Template)]
#[template(path = "settings/delete.html")]
struct Page {
    shell: Shell,
    head: Head,
    part: &'static str,
    volumes: Vec<String>,
    errors: Errors,
    take: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    confirm: String,
    #[serde(default)]
    volumes: bool,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/apps/{id}/delete", ask), Route::post("/apps/{id}/delete", delete).asking_again()]
}

async fn ask(
    visit: Visit<Manage>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    view::show(&page(&engine, shell, &app, Errors::default(), false).await?)
}

async fn delete(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Wish { confirm, volumes }): Form<Wish>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    if let Err(errors) = (Confirm { confirm }).is(app.slug.as_str()) {
        return view::wrong(&page(&engine, shell, &app, errors, volumes).await?);
    }
    let deed = Deed::new("app.deleted", format!("app {}", app.slug));
    visit.record(deed.before(json!({ "volumes": volumes }))).await;
    match tokio::time::timeout(WAIT, engine.delete_app(&app.slug, volumes)).await {
        // Time is over: it goes on, and the overview shows it until it is gone.
        Ok(Ok(())) | Err(_) => Ok(view::go(hx, "/")),
        Ok(Err(error)) => {
            let errors = Errors::of_engine(error)?;
            view::wrong(&page(&engine, shell, &app, errors, volumes).await?)
        }
    }
}

async fn page(
    engine: &Engine,
    shell: Shell,
    app: &App,
    errors: Errors,
    take: bool,
) -> Result<Page, PageError> {
    let head = app::head(engine, app, "settings").await?;
    let mounts = app.settings.runtime.mounts.iter();
    let volumes = mounts.filter_map(Mount::volume).map(ToString::to_string).collect();
    Ok(Page { shell, head, part: "delete", volumes, errors, take })
}
