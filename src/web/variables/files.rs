//! Files that are mounted into an app's container: their paths are shown, what stands in them never.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::super::app;
use super::super::error::PageError;
use super::super::form::{Errors, Form};
use super::super::shell::{Hx, Shell, Visit};
use super::super::{Route, Web, view};
use super::app_page;
use super::level::{Wrong, as_typed};
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::domain::mount::{FileContent, MountPath};
use crate::engine::Engine;

/// A file as a form sends it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct New {
    path: String,
    content: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    path: String,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::post("/apps/{id}/files", set), Route::post("/apps/{id}/files/remove", remove)]
}

async fn set(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(New { path, content }): Form<New>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let stored = match parse(&path, &content) {
        Ok((at, content)) => match engine.set_file(app.id, at, content).await {
            Ok(()) => Ok(()),
            Err(error) => Err(Errors::of_engine(error)?),
        },
        Err(errors) => Err(errors),
    };
    match stored {
        Ok(()) => {
            visit.record(Deed::new("file.set", format!("file {path} of app {}", app.slug))).await;
            Ok(view::go(hx, &format!("/apps/{}/variables?saved=true", app.slug)))
        }
        Err(errors) => {
            let at = format!("/apps/{}/files", app.slug);
            let wrong = Wrong { at, errors, file: path, ..Wrong::default() };
            view::wrong(&app_page(&engine, shell, &app, wrong, false).await?)
        }
    }
}

async fn remove(
    visit: Visit<Manage>,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(At { path }): Form<At>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    let parsed = MountPath::parse(&path).map_err(|_| PageError::NotFound)?;
    engine.unset_file(app.id, &parsed).await?;
    visit.record(Deed::new("file.removed", format!("file {path} of app {}", app.slug))).await;
    Ok(view::go(hx, &format!("/apps/{}/variables?saved=true", app.slug)))
}

fn parse(path: &str, content: &str) -> Result<(MountPath, FileContent), Errors> {
    let path = MountPath::parse(path.trim()).map_err(|error| Errors::one("path", error.to_string()))?;
    let content = FileContent::new(as_typed(content).into_bytes());
    Ok((path, content.map_err(|error| Errors::one("content", error.to_string()))?))
}
