//! What a database writes, as what an app writes is shown.

use askama::Template;
use axum::BoxError;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use http::HeaderMap;

use super::{AT_ONCE, CHOICES, DOWNLOAD, Row, Wanted, file, rows_event};
use crate::api::wire;
use crate::auth::gate::Read;
use crate::engine::{Engine, RuntimeLine};
use crate::web::database::{self as page, Head};
use crate::web::error::PageError;
use crate::web::live::Live;
use crate::web::shell::{Shell, Visit};
use crate::web::{Route, Web, view};

#[derive(Template)]
#[template(path = "database/logs.html")]
struct Page {
    shell: Shell,
    head: Head,
    rows: Vec<Row>,
    lines: usize,
    choices: [usize; 4],
    /// Where the lines of the page end, as it stands in a query.
    after: String,
    by_hand: String,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/databases/{id}/logs", index),
        Route::get("/databases/{id}/logs/text", download),
        Route::get("/live/databases/{id}/logs", watch),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let database = page::find(engine.reader(), &visit.person, &id).await?;
    let head = page::head(&engine, &database, "logs").await?;
    let log = engine.database_log(&database, Some(wanted.lines()), false, None)?;
    let lines: Vec<RuntimeLine> = log.try_collect().await?;
    let after = lines.last().map(|line| view::in_query(&line.cursor)).unwrap_or_default();
    let rows = lines.iter().map(Row::clocked).collect();
    let by_hand = engine.by_hand(&database.unit_name()).journal;
    view::show(&Page { shell, head, rows, lines: wanted.lines(), choices: CHOICES, after, by_hand })
}

async fn download(
    visit: Visit<Read>,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = page::find(engine.reader(), &visit.person, &id).await?;
    let log = engine.database_log(&database, Some(DOWNLOAD), false, None)?;
    let text = log.map_ok(|line| format!("{} {}\n", wire::time(line.at), line.text));
    Ok(file(&database.slug, text.map_err(BoxError::from)))
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let database = page::find(&live.reader, &visit.person, &id).await?;
    let after = wanted.after(&headers);
    let log = live.engine.database_log(&database, Some(wanted.lines()), true, after)?;
    let lines = log.ready_chunks(AT_ONCE).map(|lines| {
        let lines = lines.into_iter().collect::<Result<Vec<_>, _>>()?;
        let id = lines.last().map(|line| line.cursor.clone()).unwrap_or_default();
        rows_event(&lines.iter().map(Row::clocked).collect::<Vec<_>>(), &id)
    });
    let heads = page::heads(&live, shell, visit.person.clone(), id, "logs");
    Ok(live.answer(visit.person, stream::select(lines, heads)))
}
