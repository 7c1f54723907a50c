//! Projects, their environments, and the apps in them.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::error::PageError;
use super::form::{Confirm, Errors, Form};
use super::overview::Tile;
use super::overview::beside::{self, Beside};
use super::shell::{Hx, Shell, Visit};
use super::{Route, Web, app, teams, view};
use crate::api::wire;
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Lead, Read};
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::domain::project::{Project, ProjectId};
use crate::domain::right::Right;
use crate::engine::Engine;
use crate::store::Reader;

/// The fields of each page's forms, under which their errors are shown.
const LISTED: [&str; 3] = ["name", "environments", "team"];
const SHOWN: [&str; 2] = ["name", "confirm"];

#[derive(Template)]
#[template(path = "project/index.html")]
struct Index {
    shell: Shell,
    projects: Vec<Row>,
    /// The teams in which the person may create one.
    teams: Vec<Slug>,
    new: New,
    errors: Errors,
}

struct Row {
    slug: Slug,
    environments: Vec<Slug>,
    apps: usize,
    subnet: String,
}

#[derive(Template)]
#[template(path = "project/show.html")]
struct Show {
    shell: Shell,
    project: Slug,
    subnet: String,
    environments: Vec<Environment>,
    beside: Vec<Beside>,
    is_empty: bool,
    may_manage: bool,
    may_lead: bool,
    typed: String,
    errors: Errors,
}

struct Environment {
    slug: Slug,
    tiles: Vec<Tile>,
    may_go: bool,
}

/// A new project as somebody types it.
#[derive(Debug, Clone, Default, Deserialize)]
struct New {
    #[serde(default)]
    name: String,
    #[serde(default)]
    environments: String,
    #[serde(default)]
    team: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/projects", index),
        Route::post("/projects", create),
        Route::get("/projects/{id}", show),
        Route::post("/projects/{id}/delete", delete).asking_again(),
        Route::post("/projects/{id}/environments", add_environment),
        Route::post("/projects/{id}/environments/{environment}/delete", delete_environment),
    ]
}

async fn index(
    visit: Visit<Read>,
    shell: Shell,
    State(reader): State<Reader>,
) -> Result<Response, PageError> {
    view::show(&listed(&reader, &visit.person, shell, New::default(), Errors::default()).await?)
}

async fn listed(
    reader: &Reader,
    person: &Person,
    shell: Shell,
    new: New,
    errors: Errors,
) -> Result<Index, PageError> {
    let (projects, apps) = tokio::try_join!(reader.projects(), reader.apps())?;
    let mut environments = reader.environments_by_project().await?;
    let mut counts = BTreeMap::<ProjectId, usize>::new();
    for app in &apps {
        *counts.entry(app.project.id).or_default() += 1;
    }
    let seen = projects.into_iter().filter(|project| view::sees(person, project));
    let row = |project: Project| Row {
        environments: environments.remove(&project.id).unwrap_or_default(),
        apps: counts.get(&project.id).copied().unwrap_or(0),
        subnet: project.subnet.cidr(),
        slug: project.slug,
    };
    let teams = teams::led(reader, person).await?.into_iter().map(|team| team.slug).collect();
    Ok(Index { shell, projects: seen.map(row).collect(), teams, new, errors })
}

async fn create(
    visit: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(new): Form<New>,
) -> Result<Response, PageError> {
    let words = new.environments.split([',', ' ']).map(str::trim).filter(|word| !word.is_empty());
    let wish = wire::CreateProject {
        name: new.name.trim().to_owned(),
        environments: words.map(str::to_owned).collect(),
        team: None,
    };
    let team = teams::chosen(engine.reader(), &visit.person, &new.team).await?;
    let errors = match wish.parse().map(|wish| (wish, team)) {
        Ok((_, None)) => Errors::one("team", "choose one of your teams"),
        Ok(((slug, environments), Some(team))) => {
            match engine.create_project(team, slug, environments).await {
                Ok(project) => {
                    visit
                        .record(Deed::new("project.created", format!("project {}", project.slug)).of(team))
                        .await;
                    return Ok(view::go(hx, &format!("/projects/{}", project.slug)));
                }
                Err(error) => Errors::of_engine(error)?,
            }
        }
        Err(wire::FieldErrors(fields)) => {
            // Which of the environments it is, the message says.
            Errors::of_fields(
                fields.into_iter().map(|(field, message)| {
                    (field.split('[').next().unwrap_or_default().to_owned(), message)
                }),
            )
        }
    };
    view::wrong(&listed(engine.reader(), &visit.person, shell, new, errors).await?)
}

async fn show(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let project = find(engine.reader(), &visit.person, &id).await?;
    view::show(&shown(&engine, shell, &project, String::new(), Errors::default()).await?)
}

async fn shown(
    engine: &Engine,
    shell: Shell,
    project: &Project,
    typed: String,
    errors: Errors,
) -> Result<Show, PageError> {
    let reader = engine.reader();
    let (apps, environments) = tokio::try_join!(reader.apps(), reader.environments(project.id))?;
    let standings = engine.standings().await?;
    let beside = beside::read(engine, |of| of.id == project.id).await?;
    let apps: Vec<App> = apps.into_iter().filter(|app| app.project.id == project.id).collect();
    let several = environments.len() > 1;
    let environment = |slug: Slug| {
        let within = apps.iter().filter(|app| app.environment == slug);
        let tiles: Vec<Tile> = within.map(|app| Tile::of(engine, app, &standings)).collect();
        Environment { may_go: several && tiles.is_empty(), slug, tiles }
    };
    let may = |right| app::may(&shell, right, project.team);
    let (may_manage, may_lead) = (may(Right::Manage), may(Right::Lead));
    Ok(Show {
        shell,
        project: project.slug.clone(),
        subnet: project.subnet.cidr(),
        environments: environments.into_iter().map(environment).collect(),
        beside,
        may_manage,
        may_lead,
        is_empty: apps.is_empty(),
        typed,
        errors,
    })
}

async fn delete(
    visit: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(confirm): Form<Confirm>,
) -> Result<Response, PageError> {
    let project = find(engine.reader(), &visit.person, &id).await?;
    let errors = match confirm.is(project.slug.as_str()) {
        Ok(()) => match engine.delete_project(&project.slug).await {
            Ok(()) => {
                let deed = Deed::new("project.deleted", format!("project {}", project.slug));
                visit.record(deed.of(project.team)).await;
                return Ok(view::go(hx, "/projects"));
            }
            Err(error) => Errors::of_engine(error)?,
        },
        Err(errors) => errors,
    };
    view::wrong(&shown(&engine, shell, &project, String::new(), errors).await?)
}

#[derive(Debug, Deserialize)]
struct Name {
    #[serde(default)]
    name: String,
}

async fn add_environment(
    visit: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Name { name }): Form<Name>,
) -> Result<Response, PageError> {
    let project = find(engine.reader(), &visit.person, &id).await?;
    let errors = match (wire::CreateEnvironment { name: name.trim().to_owned() }).parse() {
        Ok(environment) => match engine.create_environment(&project.slug, environment.clone()).await {
            Ok(()) => {
                let object = format!("environment {environment} of project {}", project.slug);
                visit.record(Deed::new("environment.created", object)).await;
                return Ok(view::go(hx, &format!("/projects/{}#{environment}", project.slug)));
            }
            Err(error) => {
                let errors = Errors::of_engine(error)?;
                Errors::one("name", errors.others(&[]).join(". "))
            }
        },
        Err(errors) => errors.into(),
    };
    view::wrong(&shown(&engine, shell, &project, name, errors).await?)
}

async fn delete_environment(
    visit: Visit<Lead>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path((id, environment)): Path<(String, String)>,
) -> Result<Response, PageError> {
    let project = find(engine.reader(), &visit.person, &id).await?;
    let named = Slug::parse(&environment).map_err(|_| PageError::NotFound)?;
    match engine.delete_environment(&project.slug, &named).await {
        Ok(()) => {
            let object = format!("environment {environment} of project {}", project.slug);
            visit.record(Deed::new("environment.deleted", object)).await;
            Ok(view::go(hx, &format!("/projects/{}", project.slug)))
        }
        Err(error) => {
            let errors = Errors::one("", Errors::of_engine(error)?.others(&[]).join(". "));
            view::wrong(&shown(&engine, shell, &project, String::new(), errors).await?)
        }
    }
}

/// The project of a name, if the person may know of it.
pub(super) async fn find(reader: &Reader, person: &Person, id: &str) -> Result<Project, PageError> {
    let slug = Slug::parse(id).map_err(|_| PageError::NotFound)?;
    let found = reader.project(&slug).await?.filter(|project| view::sees(person, project));
    found.ok_or(PageError::NotFound)
}
