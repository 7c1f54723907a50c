//! Every database that a person sees, and those in the trash until their data goes.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use axum::response::sse::Event;

use super::{mark, problem, runs};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::database::{Database, DatabaseId};
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::domain::time::Timestamp;
use crate::engine::{Engine, TRASH_KEPT};
use crate::store::Reader;
use crate::web::error::PageError;
use crate::web::form::{Confirm, Errors, Form};
use crate::web::live::{Live, Look, Sent};
use crate::web::moment::Moment;
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::view::{self, Mark};
use crate::web::{Route, Web};

#[derive(Template)]
#[template(path = "database/index.html")]
struct Page {
    shell: Shell,
    rows: Vec<Row>,
    trash: Vec<Trashed>,
}

/// The list alone.
#[derive(Template)]
#[template(path = "database/list.html")]
struct ShownList<'a> {
    shell: &'a Shell,
    rows: &'a [Row],
}

/// One database.
struct Row {
    slug: Slug,
    runs: String,
    project: Slug,
    mark: Mark,
    problem: String,
    port: Option<u16>,
    apps: Vec<Slug>,
}

/// One in the trash.
struct Trashed {
    id: i64,
    slug: Slug,
    runs: String,
    project: Slug,
    deleted: Moment,
    until: String,
    may_manage: bool,
    errors: Errors,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/databases", index),
        Route::get("/live/databases", watch),
        Route::post("/trashed-databases/{id}/restore", restore),
        Route::post("/trashed-databases/{id}/delete", purge).asking_again(),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    view::show(&page(&engine, shell, &visit.person).await?)
}

async fn page(engine: &Engine, shell: Shell, person: &Person) -> Result<Page, PageError> {
    let rows = rows(engine, person).await?;
    let now = engine.now();
    let kept = i64::try_from(TRASH_KEPT.as_millis()).unwrap_or(i64::MAX);
    let trashed = engine.reader().trashed_databases().await?;
    let seen = trashed.into_iter().filter(|database| view::sees(person, &database.project));
    let trash = seen.filter_map(|database| {
        let deleted = database.deleted?;
        Some(Trashed {
            id: database.id.0,
            runs: runs(&database),
            may_manage: person.reach.allows_in(Right::Manage, database.project.team),
            deleted: Moment::of(deleted, now),
            until: Moment::day(Timestamp(deleted.0.saturating_add(kept))),
            slug: database.slug,
            project: database.project.slug,
            errors: Errors::default(),
        })
    });
    Ok(Page { shell, rows, trash: trash.collect() })
}

async fn rows(engine: &Engine, person: &Person) -> Result<Vec<Row>, PageError> {
    let mut databases = engine.reader().databases().await?;
    databases.retain(|database| view::sees(person, &database.project));
    let (standings, links) = tokio::try_join!(engine.database_standings(&databases), engine.linked(None))?;
    let row = |(database, standing): (&Database, _)| Row {
        slug: database.slug.clone(),
        runs: runs(database),
        project: database.project.slug.clone(),
        mark: mark(standing),
        problem: problem(database),
        port: database.settings.public.as_ref().map(|public| public.port.get()),
        apps: links
            .iter()
            .filter(|link| link.database == database.slug)
            .map(|link| link.app.clone())
            .collect(),
    };
    Ok(databases.iter().zip(standings).map(row).collect())
}

async fn watch(visit: Visit<Read>, shell: Shell, State(live): State<Live>) -> Result<Response, PageError> {
    let (engine, person) = (live.engine.clone(), visit.person.clone());
    let events = live.follow(Watching { engine, shell, person });
    Ok(live.answer(visit.person, events))
}

struct Watching {
    engine: Engine,
    shell: Shell,
    person: Person,
}

impl Look for Watching {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let rows = rows(&self.engine, &self.person).await?;
        let list = ShownList { shell: &self.shell, rows: &rows };
        Ok(sent.event("databases", &list)?.into_iter().collect())
    }
}

/// One in the trash, if the person may know of it.
async fn trashed(reader: &Reader, person: &Person, id: &str) -> Result<Database, PageError> {
    let number = id.parse().map_err(|_| PageError::NotFound)?;
    let found = reader.database_by_id(DatabaseId(number)).await?;
    let found = found.filter(|database| database.deleted.is_some() && view::sees(person, &database.project));
    found.ok_or(PageError::NotFound)
}

async fn restore(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = trashed(engine.reader(), &visit.person, &id).await?;
    match engine.restore_database(database.id).await {
        Ok(database) => {
            visit.record(Deed::new("database.restored", format!("database {}", database.slug))).await;
            Ok(view::go(hx, &format!("/databases/{}", database.slug)))
        }
        Err(error) => refused(&engine, shell, &visit.person, &database, Errors::of_engine(error)?).await,
    }
}

async fn purge(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let database = trashed(engine.reader(), &visit.person, &id).await?;
    let errors = match confirm.is(database.slug.as_str()) {
        Ok(()) => match engine.purge_database(database.id).await {
            Ok(()) => {
                let deed = Deed::new("database.purged", format!("database {}", database.slug));
                visit.record(deed.before(serde_json::json!({ "volume": database.volume }))).await;
                return Ok(view::go(hx, "/databases"));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    refused(&engine, shell, &visit.person, &database, errors).await
}

/// The list, with what could not be done with one in the trash.
async fn refused(
    engine: &Engine,
    shell: Shell,
    person: &Person,
    database: &Database,
    errors: Errors,
) -> Result<Response, PageError> {
    let mut page = page(engine, shell, person).await?;
    if let Some(row) = page.trash.iter_mut().find(|row| row.id == database.id.0) {
        row.errors = errors;
    }
    view::wrong(&page)
}
