//! How a database runs, with its units beside the form, and what is done with it more rarely.
//!
//! The form has the names, the limits and the messages of the API, which reads it.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::{Head, find, head};
use crate::api::database::written_down;
use crate::api::wire::{AskedChange, ChangeDatabase, Hidden, Patch};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::database::{Database, DatabaseKind, Settings};
use crate::domain::right::Right;
use crate::engine::{Engine, EngineError};
use crate::web::error::PageError;
use crate::web::form::{Errors, Form, Refused};
use crate::web::settings::diff::{self, UnitDiff};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, view};

/// The fields of the page's forms, under which their errors are shown.
const FIELDS: [&str; 9] =
    ["version", "image", "config", "memory", "cpus", "public_port", "allow", "name", "confirm"];

#[derive(Template)]
#[template(path = "database/settings.html")]
struct Page {
    shell: Shell,
    head: Head,
    versions: Vec<&'static str>,
    fields: Fields,
    everybody: bool,
    preview: Shown,
    saved: bool,
    errors: Errors,
}

/// What would be written, alone.
#[derive(Template)]
#[template(path = "database/preview.html")]
struct PreviewPart {
    preview: Shown,
}

/// What would be written.
struct Shown {
    units: Vec<UnitDiff>,
    wrong: Vec<String>,
    /// Not yet, but with what is typed.
    everybody: bool,
}

/// What somebody types.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    version: String,
    image: String,
    config: String,
    memory: String,
    cpus: String,
    public_port: String,
    allow: String,
    /// Anything: no backup is made before another image runs.
    without_backup: String,
}

/// What a page is told behind the question mark.
#[derive(Debug, Default, Deserialize)]
struct Told {
    #[serde(default)]
    saved: bool,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/databases/{id}/settings", show),
        Route::post("/databases/{id}/settings", save),
        Route::post("/databases/{id}/settings/preview", preview),
    ]
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Told { saved }): Query<Told>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let mut page = page(&engine, shell, &visit.person, &database).await?;
    page.saved = saved;
    view::show(&page)
}

async fn preview(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let database = find(engine.reader(), &visit.person, &id).await?;
    let (shown, errors) = match fields.settings(&database) {
        Ok(settings) => Shown::of(&engine, &database, &settings).await?,
        Err(errors) => (Shown::refused(&errors), errors),
    };
    if hx.fragment {
        return view::show(&PreviewPart { preview: shown });
    }
    let page = Page { preview: shown, fields, ..page(&engine, shell, &visit.person, &database).await? };
    if errors.is_empty() { view::show(&page) } else { view::wrong(&Page { errors, ..page }) }
}

async fn save(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let before = find(engine.reader(), &visit.person, &id).await?;
    let change = |now: &Database| fields.settings(now).map_err(Refused::Form);
    match engine.change_database(&before.slug, !fields.without_backup.is_empty(), change).await {
        Ok(after) => {
            let deed = Deed::new("database.changed", format!("database {}", after.slug));
            visit.record(deed.before(written_down(&before)).after(written_down(&after))).await;
            Ok(view::go(hx, &format!("/databases/{}/settings?saved=true", after.slug)))
        }
        Err(refused) => {
            let errors = refused.errors()?;
            let shown = Shown::refused(&errors);
            let page = page(&engine, shell, &visit.person, &before).await?;
            view::wrong(&Page { preview: shown, fields, errors, ..page })
        }
    }
}

/// The tab, with what could not be done.
pub(super) async fn refused(
    engine: &Engine,
    shell: Shell,
    person: &Person,
    database: &Database,
    errors: Errors,
) -> Result<Response, PageError> {
    view::wrong(&Page { errors, ..page(engine, shell, person, database).await? })
}

async fn page(
    engine: &Engine,
    shell: Shell,
    person: &Person,
    database: &Database,
) -> Result<Page, PageError> {
    let mut fields = Fields::of(database.kind, &database.settings);
    if !person.reach.allows_in(Right::Manage, database.project.team) {
        // Passwords may stand in it.
        fields.config = String::new();
    }
    let (preview, _) = Shown::of(engine, database, &database.settings).await?;
    Ok(Page {
        shell,
        head: head(engine, database, "settings").await?,
        versions: database.kind.versions().to_vec(),
        fields,
        everybody: lets_everybody_in(&database.settings),
        preview,
        saved: false,
        errors: Errors::default(),
    })
}

/// Whether every address of the Internet may come in by the public port.
pub(super) fn lets_everybody_in(settings: &Settings) -> bool {
    let public = settings.public.as_ref();
    public.is_some_and(|public| public.allow.iter().any(|network| network.prefix_len() == 0))
}

/// A port as it was typed.
pub(super) fn port_of(text: &str) -> Result<u16, Errors> {
    text.parse().map_err(|_| Errors::one("public_port", "write a number from 1024 to 65535"))
}

/// The words of a field, which blanks, commas and lines divide.
pub(super) fn words_of(text: &str) -> Vec<String> {
    let words = text.split([' ', ',', '\n', '\r', '\t']).filter(|word| !word.is_empty());
    words.map(str::to_owned).collect()
}

impl Fields {
    fn of(kind: DatabaseKind, settings: &Settings) -> Self {
        let version = kind.version_of(&settings.image);
        let public = settings.public.as_ref();
        let text = |value: Option<String>| value.unwrap_or_default();
        Self {
            image: if version.is_some() { String::new() } else { settings.image.to_string() },
            version: text(version),
            config: text(settings.config.as_ref().map(|config| config.as_str().to_owned())),
            memory: text(settings.limits.memory.map(|memory| memory.to_string())),
            cpus: text(settings.limits.cpus.map(|cpus| cpus.to_string())),
            public_port: text(public.map(|public| public.port.to_string())),
            allow: text(public.map(|public| public.allowed().replace(' ', "\n"))),
            without_backup: String::new(),
        }
    }

    /// The settings that the form asks for.
    fn settings(&self, before: &Database) -> Result<Settings, Errors> {
        let old = Self::of(before.kind, &before.settings);
        // What stands there unchanged was not asked for: the other of the two was.
        let asked = |new: &str, old: &str| {
            let new = new.trim();
            (!new.is_empty() && new != old).then(|| new.to_owned())
        };
        let patch = |text: &str| match text.trim() {
            "" => Patch::Reset,
            text => Patch::Set(text.to_owned()),
        };
        let public_port = match self.public_port.trim() {
            "" => Patch::Reset,
            text => Patch::Set(port_of(text)?),
        };
        let allow = words_of(&self.allow);
        let change = ChangeDatabase {
            name: None,
            version: asked(&self.version, &old.version),
            image: asked(&self.image, &old.image),
            config: if self.config.trim().is_empty() {
                Patch::Reset
            } else {
                Patch::Set(Hidden(self.config.clone()))
            },
            memory: patch(&self.memory),
            cpus: patch(&self.cpus),
            // Without a port nobody comes in, whoever is named.
            allow: (public_port != Patch::Reset).then_some(allow),
            public_port,
            without_backup: false,
        };
        match change.parse(before.kind, &before.settings)? {
            AskedChange::Settings(settings) => Ok(settings),
            AskedChange::Rename(_) => Ok(before.settings.clone()),
        }
    }
}

impl Shown {
    /// What these settings would change, and what is wrong with them.
    async fn of(
        engine: &Engine,
        database: &Database,
        settings: &Settings,
    ) -> Result<(Self, Errors), PageError> {
        match engine.preview_database(database, settings).await {
            Ok((before, after)) => {
                let units = diff::units(&before, &after, true);
                let everybody = lets_everybody_in(settings);
                Ok((Self { units, wrong: Vec::new(), everybody }, Errors::default()))
            }
            // The settings are there also where Podman cannot be asked.
            Err(EngineError::Internal(cause)) => {
                tracing::warn!(%cause, "no preview");
                let wrong = vec!["It cannot be told now: the log of rivetr says why.".to_owned()];
                Ok((Self { units: Vec::new(), wrong, everybody: false }, Errors::default()))
            }
            Err(error) => {
                let errors = Errors::of_engine(error)?;
                Ok((Self::refused(&errors), errors))
            }
        }
    }

    fn refused(errors: &Errors) -> Self {
        let wrong = errors.others(&[]).into_iter().map(str::to_owned).collect();
        Self { units: Vec::new(), wrong, everybody: false }
    }
}
