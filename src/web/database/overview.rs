//! The first tab of a database: how it does, how programs reach it, who is told of it, and where its data lies.

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;

use super::{Following, Head, find, head};
use crate::api::database::revealed;
use crate::api::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::app::App;
use crate::domain::backup::Subject;
use crate::domain::database::{Connection, Database, Prefix};
use crate::domain::name::Slug;
use crate::engine::{ByHand, Engine};
use crate::web::backups::{self, Alarm};
use crate::web::error::PageError;
use crate::web::form::Errors;
use crate::web::live::{Live, Viewer};
use crate::web::moment::Moment;
use crate::web::shell::{Shell, Visit};
use crate::web::usage::InUse;
use crate::web::{Route, Web, view};

/// What stands in the place of the password until somebody asks for it.
const HIDDEN: &str = "••••••••";

#[derive(Template)]
#[template(path = "database/overview.html")]
pub(super) struct Page {
    shell: Shell,
    head: Head,
    about: About,
    in_use: Vec<InUse>,
    /// With the password where somebody asked for it.
    reach: wire::DatabaseCredentials,
    alarms: Vec<Alarm>,
    revealed: bool,
    links: Vec<wire::DatabaseLink>,
    /// The apps that could be told too.
    apps: Vec<Slug>,
    pub app: String,
    pub prefix: String,
    usual_prefix: String,
    pub errors: Errors,
}

/// What does not change by itself.
struct About {
    volume: String,
    image: String,
    memory: Option<String>,
    cpus: Option<String>,
    public: Option<(u16, String)>,
    everybody: bool,
    created: Moment,
    by_hand: ByHand,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/databases/{id}", index),
        Route::get("/live/databases/{id}", watch),
        Route::post("/databases/{id}/credentials", reveal),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    view::show(&page(&engine, shell, &database).await?)
}

/// The same page, with the password in it. That somebody saw it is written down.
async fn reveal(
    visit: Visit<Manage>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let mut page = page(&engine, shell, &database).await?;
    page.reach = revealed(&engine, &database)?;
    page.revealed = true;
    let deed = Deed::new("database.credentials.revealed", format!("database {}", database.slug));
    visit.record(deed).await;
    view::show(&page)
}

/// The tab, without the password.
pub(super) async fn page(engine: &Engine, shell: Shell, database: &Database) -> Result<Page, PageError> {
    let head = head(engine, database, "overview").await?;
    let links = engine.linked(Some(database.id)).await?;
    let linked = |app: &App| links.iter().any(|link| link.app == app.slug);
    let apps = engine.reader().apps().await?;
    let others = apps.iter().filter(|app| app.project.id == database.project.id && !linked(app));
    let apps = others.filter(|app| !app.deleting).map(|app| app.slug.clone()).collect();
    let links = links.iter().map(|link| wire::DatabaseLink::of(&link.app, &link.database, &link.prefix));
    Ok(Page {
        head,
        about: About::of(engine, database),
        in_use: in_use(engine, database).await,
        reach: hidden(engine, database),
        alarms: backups::alarms_of(engine, Subject::Database(database.id)).await?,
        revealed: false,
        links: links.collect(),
        apps,
        app: String::new(),
        prefix: String::new(),
        usual_prefix: Prefix::usual(database.kind).as_str().to_owned(),
        errors: Errors::default(),
        shell,
    })
}

/// What its container uses; nothing of one that does not run.
pub(super) async fn in_use(engine: &Engine, database: &Database) -> Vec<InUse> {
    match engine.database_status(database).await {
        Ok(unit) => unit.iter().filter_map(InUse::of).collect(),
        Err(error) => {
            tracing::debug!(%error, "systemd was not asked what a database uses");
            vec![InUse::unknown(&database.unit_name())]
        }
    }
}

/// How programs reach a database, with something else in the place of the password.
fn hidden(engine: &Engine, database: &Database) -> wire::DatabaseCredentials {
    let url =
        |host: &str, port: u16| database.kind.url(&Connection::of(&database.credentials, HIDDEN, host, port));
    let public = database.settings.public.as_ref();
    wire::DatabaseCredentials {
        user: database.credentials.user.to_string(),
        password: HIDDEN.to_owned(),
        database: database.credentials.database.to_string(),
        url: url(database.slug.as_str(), database.kind.port()),
        public_url: public.map(|public| url(&engine.own_host(), public.port.get())),
    }
}

impl About {
    fn of(engine: &Engine, database: &Database) -> Self {
        let settings = &database.settings;
        let public = settings.public.as_ref();
        Self {
            volume: database.volume.clone(),
            image: settings.image.to_string(),
            memory: settings.limits.memory.map(|memory| memory.to_string()),
            cpus: settings.limits.cpus.map(|cpus| cpus.to_string()),
            public: public.map(|public| (public.port.get(), public.allowed())),
            everybody: super::settings::lets_everybody_in(settings),
            created: Moment::of(database.created, engine.now()),
            by_hand: engine.by_hand(&database.unit_name()),
        }
    }
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    find(&live.reader, &visit.person, &id).await?;
    let of = Viewer { live: live.clone(), shell, person: visit.person.clone(), id };
    let events = live.follow(Following { of, tab: "overview" });
    Ok(live.answer(visit.person, events))
}
