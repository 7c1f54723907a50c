//! The tab of an app's deployments, page by page.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use crate::auth::gate::Read;
use crate::domain::deployment::DeploymentId;
use crate::engine::Engine;
use crate::web::app::{Head, find, head};
use crate::web::deployment::Line;
use crate::web::error::PageError;
use crate::web::shell::{Shell, Visit};
use crate::web::{Route, Web, view};

/// Deployments on one page.
const PAGE: usize = 25;

#[derive(Template)]
#[template(path = "app/deployments.html")]
struct Page {
    shell: Shell,
    head: Head,
    lines: Vec<Line>,
    /// This is not the first page.
    is_later: bool,
    /// Where the next page begins.
    next: Option<i64>,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/apps/{id}/deployments", index)]
}

#[derive(Debug, Deserialize)]
struct Before {
    before: Option<i64>,
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Before { before }): Query<Before>,
) -> Result<Response, PageError> {
    let app = find(engine.reader(), &visit.person, &id).await?;
    let head = head(&engine, &app, "deployments").await?;
    let limit = u32::try_from(PAGE + 1).unwrap_or(u32::MAX);
    let found = engine.reader().deployments_of(app.id, before.map(DeploymentId), limit).await?;
    let now = engine.now();
    let lines: Vec<_> = found.iter().take(PAGE).map(|one| Line::of(one, app.live, now)).collect();
    let next = lines.last().filter(|_| found.len() > PAGE).map(|line| line.id);
    view::show(&Page { shell, head, lines, is_later: before.is_some(), next })
}
