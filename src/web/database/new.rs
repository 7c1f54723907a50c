//! The form of a new database: what kind, and what it is called; everything else has a default.

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;

use super::settings::{port_of, words_of};
use crate::api::database::written_down;
use crate::api::wire::{AskedDatabase, CreateDatabase, Hidden};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::domain::database::DatabaseKind;
use crate::domain::right::Right;
use crate::engine::{Engine, WantedDatabase};
use crate::store::Reader;
use crate::web::error::PageError;
use crate::web::form::{Errors, Form};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, view};

/// The fields of the form, under which their errors are shown.
const FIELDS: [&str; 12] = [
    "kind",
    "name",
    "version",
    "project",
    "image",
    "user",
    "database",
    "config",
    "memory",
    "cpus",
    "public_port",
    "allow",
];
/// Those that lie behind "more".
const MORE: [&str; 8] = ["image", "user", "database", "config", "memory", "cpus", "public_port", "allow"];

#[derive(Template)]
#[template(path = "database/new.html")]
struct Page {
    shell: Shell,
    kinds: Vec<Kind>,
    projects: Vec<String>,
    fields: Fields,
    errors: Errors,
}

/// A kind as it is picked.
struct Kind {
    word: &'static str,
    title: &'static str,
    versions: String,
}

/// What somebody types.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Fields {
    kind: String,
    name: String,
    version: String,
    project: String,
    image: String,
    user: String,
    database: String,
    config: String,
    memory: String,
    cpus: String,
    public_port: String,
    allow: String,
}

pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::get("/databases/new", show), Route::post("/databases/new", create)]
}

/// Where the page was opened from.
#[derive(Debug, Deserialize)]
struct From {
    #[serde(default)]
    project: String,
}

async fn show(
    visit: Visit<Manage>,
    shell: Shell,
    State(reader): State<Reader>,
    Query(From { project }): Query<From>,
) -> Result<Response, PageError> {
    let kind = DatabaseKind::Postgres.as_str().to_owned();
    let fields = Fields { kind, project, ..Fields::default() };
    view::show(&page(&reader, &visit.person, shell, fields, Errors::default()).await?)
}

async fn page(
    reader: &Reader,
    person: &Person,
    shell: Shell,
    fields: Fields,
    errors: Errors,
) -> Result<Page, PageError> {
    let kinds = DatabaseKind::ALL.into_iter().map(|kind| Kind {
        word: kind.as_str(),
        title: kind.title(),
        versions: kind.versions().join(", "),
    });
    Ok(Page { shell, kinds: kinds.collect(), projects: projects(reader, person).await?, fields, errors })
}

/// The projects in which a person may create databases.
async fn projects(reader: &Reader, person: &Person) -> Result<Vec<String>, PageError> {
    let all = reader.projects().await?.into_iter();
    let own = all.filter(|project| person.reach.allows_in(Right::Manage, project.team));
    Ok(own.map(|project| project.slug.to_string()).collect())
}

async fn create(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(fields): Form<Fields>,
) -> Result<Response, PageError> {
    let person = &visit.person;
    let errors = match fields.wish() {
        // The address names no team: whose project it is to go to is looked at here.
        Ok(wish) if !projects(engine.reader(), person).await?.contains(&wish.project.to_string()) => {
            Errors::one("project", "choose a project in which you may create databases")
        }
        Ok(AskedDatabase { slug, project, kind, settings, user, database }) => {
            let wanted = WantedDatabase { slug, project, kind, settings, user, database };
            match engine.create_database(wanted).await {
                Ok(database) => {
                    let deed = Deed::new("database.created", format!("database {}", database.slug));
                    visit.record(deed.of(database.project.team).after(written_down(&database))).await;
                    return Ok(view::go(hx, &format!("/databases/{}", database.slug)));
                }
                Err(error) => Errors::of_engine(error)?,
            }
        }
        Err(errors) => errors,
    };
    view::wrong(&page(engine.reader(), person, shell, fields, errors).await?)
}

impl Fields {
    /// What is asked for, in the words of the API.
    fn wish(&self) -> Result<AskedDatabase, Errors> {
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let port = said(&self.public_port).map(|text| port_of(&text)).transpose()?;
        let allow = words_of(&self.allow);
        let wish = CreateDatabase {
            name: self.name.trim().to_owned(),
            kind: self.kind.clone(),
            project: said(&self.project),
            version: said(&self.version),
            image: said(&self.image),
            user: said(&self.user),
            database: said(&self.database),
            config: said(&self.config).map(|_| Hidden(self.config.clone())),
            memory: said(&self.memory),
            cpus: said(&self.cpus),
            public_port: port,
            allow: (!allow.is_empty()).then_some(allow),
        };
        wish.parse().map_err(Errors::from)
    }

    /// Whether something behind "more" was typed or is wrong.
    fn opens_more(&self, errors: &Errors) -> bool {
        let Self { image, user, database, config, memory, cpus, public_port, allow, .. } = self;
        let typed = [image, user, database, config, memory, cpus, public_port, allow];
        typed.iter().any(|text| !text.is_empty()) || MORE.iter().any(|field| !errors.of(field).is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_a_wish() {
        let mut fields = Fields {
            kind: "postgres".to_owned(),
            name: " orders ".to_owned(),
            project: "default".to_owned(),
            ..Fields::default()
        };
        let wish = fields.wish().unwrap();
        assert_eq!((wish.slug.as_str(), wish.settings.public), ("orders", None));
        assert!(!fields.opens_more(&Errors::default()));
        (fields.public_port, fields.allow) = ("5432".to_owned(), "10.0.0.0/8\r\n::1".to_owned());
        let wish = fields.wish().unwrap();
        assert_eq!(wish.settings.public.unwrap().allowed(), "10.0.0.0/8 ::1/128");
        fields.public_port = "many".to_owned();
        let errors = fields.wish().unwrap_err();
        assert!(!errors.of("public_port").is_empty() && fields.opens_more(&errors));
    }
}
