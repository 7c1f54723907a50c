//! Variables of an app, with those that it gets from its project and environment; and those of a project.
//!
//! A secret value goes in and never comes out. What is set here the next deployment brings.

mod files;
mod level;

use askama::Template;
use axum::extract::{MatchedPath, Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use self::level::{Level, One, Paste, Wrong};
use super::app::{self, Head};
use super::error::PageError;
use super::form::{Errors, Form};
use super::shell::{Hx, Shell, Visit};
use super::{Route, Web, view};
use crate::api::wire::DatabaseLink;
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Manage, Read};
use crate::domain::app::App;
use crate::domain::name::{EnvKey, Slug};
use crate::domain::project::Project;
use crate::domain::right::Right;
use crate::domain::variable::{NewVariable, Owner};
use crate::engine::Engine;

/// The tab of an app.
#[derive(Template)]
#[template(path = "variables/app.html")]
struct AppPage {
    shell: Shell,
    head: Head,
    levels: Vec<Level>,
    /// Those by which it is told of databases.
    links: Vec<DatabaseLink>,
    files: Vec<String>,
    /// Where a file is sent.
    files_at: String,
    wrong: Wrong,
    saved: bool,
}

/// Those of a project and of each of its environments.
#[derive(Template)]
#[template(path = "variables/project.html")]
struct ProjectPage {
    shell: Shell,
    project: Slug,
    levels: Vec<Level>,
    wrong: Wrong,
    saved: bool,
}

/// What a page is told behind the question mark.
#[derive(Debug, Deserialize)]
struct Told {
    #[serde(default)]
    saved: bool,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    let mut routes = vec![
        Route::get("/apps/{id}/variables", of_app),
        Route::post("/apps/{id}/variables", set),
        Route::post("/apps/{id}/variables/paste", paste),
        Route::post("/apps/{id}/variables/{key}/remove", remove),
        Route::get("/projects/{id}/variables", of_project),
        Route::post("/projects/{id}/variables", set),
        Route::post("/projects/{id}/variables/paste", paste),
        Route::post("/projects/{id}/variables/{key}/remove", remove),
        Route::post("/projects/{id}/environments/{environment}/variables", set),
        Route::post("/projects/{id}/environments/{environment}/variables/paste", paste),
        Route::post("/projects/{id}/environments/{environment}/variables/{key}/remove", remove),
    ];
    routes.extend(files::routes());
    routes
}

async fn of_app(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Told { saved }): Query<Told>,
) -> Result<Response, PageError> {
    let app = app::find(engine.reader(), &visit.person, &id).await?;
    view::show(&app_page(&engine, shell, &app, Wrong::default(), saved).await?)
}

async fn of_project(
    visit: Visit<Read>,
    shell: Shell,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Query(Told { saved }): Query<Told>,
) -> Result<Response, PageError> {
    let project = project(&engine, &visit.person, &id).await?;
    view::show(&project_page(&engine, shell, &project, Wrong::default(), saved).await?)
}

/// Whose variables a form is about.
enum Place {
    App(Box<App>),
    Project(Project),
    Environment(Project, Slug),
}

/// What the address of a form names.
#[derive(Debug, Deserialize)]
struct At {
    id: String,
    environment: Option<String>,
    key: Option<String>,
}

impl At {
    async fn place(&self, engine: &Engine, person: &Person, path: &MatchedPath) -> Result<Place, PageError> {
        if path.as_str().starts_with("/apps/") {
            return Ok(Place::App(Box::new(app::find(engine.reader(), person, &self.id).await?)));
        }
        let project = project(engine, person, &self.id).await?;
        let Some(environment) = &self.environment else { return Ok(Place::Project(project)) };
        let environment = Slug::parse(environment).map_err(|_| PageError::NotFound)?;
        Ok(Place::Environment(project, environment))
    }
}

impl Place {
    fn owner(&self) -> Owner {
        match self {
            Self::App(app) => Owner::App(app.id),
            Self::Project(project) => Owner::Project(project.slug.clone()),
            Self::Environment(project, environment) => {
                Owner::Environment { project: project.slug.clone(), environment: environment.clone() }
            }
        }
    }

    /// Whose they are, for what is written down.
    fn words(&self) -> String {
        match self {
            Self::App(app) => format!("variables of app {}", app.slug),
            Self::Project(project) => format!("variables of project {}", project.slug),
            Self::Environment(project, environment) => {
                format!("variables of environment {environment} of project {}", project.slug)
            }
        }
    }

    /// Where its forms are sent, and the part of the page that shows it.
    fn base(&self) -> String {
        match self {
            Self::App(app) => format!("/apps/{}/variables", app.slug),
            Self::Project(project) => format!("/projects/{}/variables", project.slug),
            Self::Environment(project, environment) => {
                format!("/projects/{}/environments/{environment}/variables", project.slug)
            }
        }
    }

    /// The page that shows it once something was saved.
    fn saved(&self) -> String {
        match self {
            Self::App(app) => format!("/apps/{}/variables?saved=true", app.slug),
            Self::Project(project) | Self::Environment(project, _) => {
                format!("/projects/{}/variables?saved=true", project.slug)
            }
        }
    }

    /// The page with what is wrong.
    async fn wrong(self, engine: &Engine, shell: Shell, wrong: Wrong) -> Result<Response, PageError> {
        match self {
            Self::App(app) => view::wrong(&app_page(engine, shell, &app, wrong, false).await?),
            Self::Project(project) | Self::Environment(project, _) => {
                view::wrong(&project_page(engine, shell, &project, wrong, false).await?)
            }
        }
    }

    async fn set(
        self,
        engine: &Engine,
        (visit, shell, hx): (&Visit<Manage>, Shell, Hx),
        one: One,
    ) -> Result<Response, PageError> {
        let owner = self.owner();
        let hidden = engine.variables(&owner).await?.into_iter().find(|shown| shown.key.as_str() == one.key);
        let stored = match one.parse(hidden.is_some_and(|shown| shown.secret)) {
            Ok(new) => store(engine, visit, &self, vec![new], false).await?,
            Err(errors) => Err(errors),
        };
        match stored {
            Ok(()) => Ok(view::go(hx, &self.saved())),
            Err(errors) => {
                let wrong = Wrong { at: self.base(), errors, one, ..Wrong::default() };
                self.wrong(engine, shell, wrong).await
            }
        }
    }

    async fn paste(
        self,
        engine: &Engine,
        (visit, shell, hx): (&Visit<Manage>, Shell, Hx),
        paste: Paste,
    ) -> Result<Response, PageError> {
        let stored = match paste.parse() {
            Ok(new) => store(engine, visit, &self, new, paste.replace).await?,
            Err(errors) => Err(errors),
        };
        match stored {
            Ok(()) => Ok(view::go(hx, &self.saved())),
            Err(errors) => {
                let at = format!("{}/paste", self.base());
                let wrong = Wrong { at, errors, paste, ..Wrong::default() };
                self.wrong(engine, shell, wrong).await
            }
        }
    }

    async fn remove(
        self,
        engine: &Engine,
        visit: &Visit<Manage>,
        hx: Hx,
        key: &str,
    ) -> Result<Response, PageError> {
        let (owner, parsed) = (self.owner(), EnvKey::parse(key).map_err(|_| PageError::NotFound)?);
        engine.unset_variable(&owner, &parsed).await?;
        visit.record(Deed::new("variables.removed", self.words()).before(json!({ "key": key }))).await;
        Ok(view::go(hx, &self.saved()))
    }
}

async fn store(
    engine: &Engine,
    visit: &Visit<Manage>,
    place: &Place,
    new: Vec<NewVariable>,
    replace: bool,
) -> Result<Result<(), Errors>, PageError> {
    let keys: Vec<String> = new.iter().map(|new| new.key.as_str().to_owned()).collect();
    if let Err(error) = engine.set_variables(&place.owner(), new, replace).await {
        return Errors::of_engine(error).map(Err);
    }
    let deed = Deed::new("variables.set", place.words());
    visit.record(deed.after(json!({ "keys": keys, "replace": replace }))).await;
    Ok(Ok(()))
}

async fn set(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    path: MatchedPath,
    Path(at): Path<At>,
    Form(one): Form<One>,
) -> Result<Response, PageError> {
    let place = at.place(&engine, &visit.person, &path).await?;
    place.set(&engine, (&visit, shell, hx), one).await
}

async fn paste(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    path: MatchedPath,
    Path(at): Path<At>,
    Form(paste): Form<Paste>,
) -> Result<Response, PageError> {
    let place = at.place(&engine, &visit.person, &path).await?;
    place.paste(&engine, (&visit, shell, hx), paste).await
}

async fn remove(
    visit: Visit<Manage>,
    hx: Hx,
    State(engine): State<Engine>,
    path: MatchedPath,
    Path(at): Path<At>,
) -> Result<Response, PageError> {
    let place = at.place(&engine, &visit.person, &path).await?;
    place.remove(&engine, &visit, hx, at.key.as_deref().unwrap_or_default()).await
}

async fn project(engine: &Engine, person: &Person, id: &str) -> Result<Project, PageError> {
    let slug = Slug::parse(id).map_err(|_| PageError::NotFound)?;
    let found = engine.reader().project(&slug).await?;
    found.filter(|project| view::sees(person, project)).ok_or(PageError::NotFound)
}

async fn app_page(
    engine: &Engine,
    shell: Shell,
    app: &App,
    wrong: Wrong,
    saved: bool,
) -> Result<AppPage, PageError> {
    let head = app::head(engine, app, "variables").await?;
    let project = &app.project;
    let environment = Place::Environment(project.clone(), app.environment.clone());
    let above = format!("/projects/{}/variables", project.slug);
    let own = Level::of("This app", engine.variables(&Owner::App(app.id)).await?)
        .about("They win over those of the environment and the project.")
        .editable(&Place::App(Box::new(app.clone())).base(), head.may_manage(&shell));
    let of_environment =
        Level::of(format!("Environment {}", app.environment), engine.variables(&environment.owner()).await?)
            .about("Every app of the environment gets them; they win over those of the project.")
            .elsewhere(&above);
    let of_project = Level::of(
        format!("Project {}", project.slug),
        engine.variables(&Owner::Project(project.slug.clone())).await?,
    )
    .about("Every app of the project gets them.")
    .elsewhere(&above);
    let levels = level::overridden(vec![own, of_environment, of_project]);
    let files = engine.reader().files(app.id).await?;
    let files = files.iter().map(|file| file.path.to_string()).collect();
    let files_at = format!("/apps/{}/files", app.slug);
    let links = engine.linked(None).await?.into_iter().filter(|link| link.app == app.slug);
    let links = links.map(|link| DatabaseLink::of(&link.app, &link.database, &link.prefix)).collect();
    Ok(AppPage { shell, head, levels, links, files, files_at, wrong, saved })
}

async fn project_page(
    engine: &Engine,
    shell: Shell,
    project: &Project,
    wrong: Wrong,
    saved: bool,
) -> Result<ProjectPage, PageError> {
    let may = app::may(&shell, Right::Manage, project.team);
    let place = Place::Project(project.clone());
    let of_project = Level::of("The whole project", engine.variables(&place.owner()).await?)
        .about("Every app of the project gets them, unless its environment or the app itself has one of that name.")
        .editable(&place.base(), may);
    let mut levels = vec![of_project];
    for environment in engine.reader().environments(project.id).await? {
        let name = format!("Environment {environment}");
        let place = Place::Environment(project.clone(), environment);
        let level = Level::of(name, engine.variables(&place.owner()).await?)
            .about("Every app of the environment gets them; they win over those of the project.")
            .editable(&place.base(), may);
        levels.push(level);
    }
    Ok(ProjectPage { shell, project: project.slug.clone(), levels, wrong, saved })
}
