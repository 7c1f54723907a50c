//! Apps are told of a database, or no more.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::find;
use super::overview::page;
use crate::api::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::engine::Engine;
use crate::web::error::PageError;
use crate::web::form::{Errors, Form};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, app, view};

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::post("/databases/{id}/links", link),
        Route::post("/databases/{id}/links/{app}/remove", unlink),
    ]
}

/// Who is to be told, and by which variables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    app: String,
    #[serde(default)]
    prefix: String,
}

async fn link(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Wish { app, prefix }): Form<Wish>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let wish = wire::LinkDatabase { app: app.clone(), prefix: Some(prefix.trim().to_owned()) };
    let errors = match (app::find(engine.reader(), &visit.person, &app).await, wish.parse()) {
        (Err(PageError::NotFound), _) => Errors::one("app", "choose an app of this project"),
        (Err(error), _) => return Err(error),
        (Ok(_), Err(errors)) => errors.into(),
        (Ok(found), Ok(prefix)) => match engine.link_database(&found.slug, &database.slug, prefix).await {
            Ok(linked) => {
                let link = wire::DatabaseLink::of(&linked.app, &linked.database, &linked.prefix);
                let deed = Deed::new("database.linked", format!("database {}", database.slug));
                visit.record(deed.after(wire::value(&link))).await;
                return Ok(view::go(hx, &format!("/databases/{}#links", database.slug)));
            }
            Err(error) => Errors::of_engine(error)?,
        },
    };
    let mut page = page(&engine, shell, &database).await?;
    (page.app, page.prefix, page.errors) = (app, prefix, errors);
    view::wrong(&page)
}

async fn unlink(
    visit: Visit<Manage>,
    hx: Hx,
    State(engine): State<Engine>,
    Path((id, app)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let app = app::find(engine.reader(), &visit.person, &app).await?;
    engine.unlink_database(&app.slug, &database.slug).await?;
    let deed = Deed::new("database.unlinked", format!("database {}", database.slug));
    visit.record(deed.before(json!({ "app": app.slug.as_str() }))).await;
    Ok(view::go(hx, &format!("/databases/{}#links", database.slug)))
}
