//! What the containers of a service write, in one stream.

use askama::Template;
use axum::BoxError;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::{TryStreamExt as _, stream};
use http::HeaderMap;

use super::{CHOICES, DOWNLOAD, Row, Wanted, Whose, file, follow};
use crate::api::wire;
use crate::auth::gate::Read;
use crate::domain::name::Slug;
use crate::engine::{Engine, EngineError, RuntimeLine};
use crate::web::error::PageError;
use crate::web::live::Live;
use crate::web::services::{self as page, Head};
use crate::web::shell::{Shell, Visit};
use crate::web::{Route, Web, view};

#[derive(Template)]
#[template(path = "services/logs.html")]
struct Page {
    shell: Shell,
    head: Head,
    rows: Vec<Row>,
    lines: usize,
    choices: [usize; 4],
    /// Where the lines of the page end, as it stands in a query.
    after: String,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/services/{id}/logs", index),
        Route::get("/services/{id}/logs/text", download),
        Route::get("/live/services/{id}/logs", watch),
    ]
}

/// What the names of a service's containers begin with.
pub(super) fn prefix(service: &Slug) -> String {
    format!("rivetr-svc-{service}-")
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let slug = page::find(&engine, &visit.person, &id).await?.slug;
    let head = Head::of(&engine.service_status(&slug).await?, "logs");
    let lines: Vec<RuntimeLine> =
        match engine.service_log(&slug, None, Some(wanted.lines()), false, None).await {
            Ok(log) => log.try_collect().await?,
            // No revision has containers yet.
            Err(EngineError::NotFound { .. }) => Vec::new(),
            Err(error) => return Err(error.into()),
        };
    let after = lines.last().map(|line| view::in_query(&line.cursor)).unwrap_or_default();
    let rows = lines.iter().map(|line| Row::of(line, &prefix(&slug))).collect();
    view::show(&Page { shell, head, rows, lines: wanted.lines(), choices: CHOICES, after })
}

async fn download(
    visit: Visit<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let slug = page::find(&engine, &visit.person, &id).await?.slug;
    let log = engine.service_log(&slug, None, Some(DOWNLOAD), false, None).await?;
    let text = log.map_ok(|line| format!("{} {} {}\n", wire::time(line.at), line.unit, line.text));
    Ok(file(&slug, text.map_err(BoxError::from)))
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let slug = page::find(&live.engine, &visit.person, &id).await?.slug;
    let lines = follow(&live, Whose::Service(slug), &wanted, &headers);
    let heads = page::heads(&live, shell, visit.person.clone(), id, "logs");
    Ok(live.answer(visit.person, stream::select(lines, heads)))
}
