//! A new app: where it comes from, and Deploy. Everything else is detected, or may be said under "More".

mod sample;
mod source;

use askama::Template;
use axum::extract::{Query, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::error::PageError;
use super::form::{Errors, Form};
use super::shell::{Hx, Shell, Visit};
use super::view;
use super::{Route, Web};
use crate::api::wire::{self, CreateApp, FieldErrors, GitOptions, HealthOptions, Hidden, Patch};
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::domain::app::App;
use crate::domain::deployment::Trigger;
use crate::domain::key::Key;
use crate::domain::name::Slug;
use crate::domain::right::Right;
use crate::engine::Engine;
use crate::store::Reader;
use source::Found;

/// The fields of the form, under which their errors are shown.
const FIELDS: [&str; 10] = [
    "source",
    "branch",
    "name",
    "place",
    "port",
    "health.path",
    "git_key",
    "git_token",
    "git_token_user",
    "project",
];
/// So many apps are counted up to find one a name.
const NAMES: u32 = 1000;

#[derive(Template)]
#[template(path = "new_app/index.html")]
struct Page {
    shell: Shell,
    fields: Fields,
    /// `project/environment`, where an app may go.
    places: Vec<String>,
    /// What the repository's server has to be shown before Deploy is pressed again.
    key: Option<DeployKey>,
    errors: Errors,
}

/// A deploy key to be handed to the repository's server.
struct DeployKey {
    public: String,
    repository: String,
}

/// What somebody types.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Fields {
    source: String,
    branch: String,
    name: String,
    place: String,
    port: String,
    #[serde(rename = "health.path")]
    health_path: String,
    git_key: String,
    git_token: Typed,
    git_token_user: String,
}

/// What is typed and never shown again.
#[derive(Clone, Default, Deserialize)]
#[serde(transparent)]
struct Typed(String);

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/apps/new", show),
        Route::post("/apps/new", create),
        Route::post("/apps/sample", make_sample),
    ]
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
    let mut page = page(&reader, &visit.person, shell, Fields::default(), Errors::default()).await?;
    let within = page.places.iter().find(|place| place.split('/').next() == Some(project.as_str()));
    page.fields.place = within.or(page.places.first()).cloned().unwrap_or_default();
    view::show(&page)
}

async fn page(
    reader: &Reader,
    person: &Person,
    shell: Shell,
    fields: Fields,
    errors: Errors,
) -> Result<Page, PageError> {
    Ok(Page { shell, fields, places: places(reader, person).await?, key: None, errors })
}

/// Where a person may create apps, as `project/environment`.
async fn places(reader: &Reader, person: &Person) -> Result<Vec<String>, PageError> {
    let (projects, mut environments) = tokio::try_join!(reader.projects(), reader.environments_by_project())?;
    let mut places = Vec::new();
    for project in projects.iter().filter(|project| person.reach.allows_in(Right::Manage, project.team)) {
        let within = environments.remove(&project.id).unwrap_or_default();
        places.extend(within.iter().map(|environment| format!("{}/{environment}", project.slug)));
    }
    Ok(places)
}

async fn create(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(mut fields): Form<Fields>,
) -> Result<Response, PageError> {
    let person = &visit.person;
    if fields.name.trim().is_empty() {
        fields.name = free_name(engine.reader(), &source::name(&fields.source)).await?;
    }
    let found = source::find(&fields.source);
    let (wish, mut errors) = fields.wish(found.as_ref());
    // The address names no team: whose project it is to go to is looked at here.
    if !places(engine.reader(), person).await?.contains(&fields.place) {
        errors.insert("place".to_owned(), "choose a project in which you may create apps".to_owned());
    }
    let parsed = wish.parse();
    if let Err(FieldErrors(fields)) = &parsed {
        errors.extend(fields.iter().map(|(field, message)| (shown_at(field).to_owned(), message.clone())));
    }
    let needs_key = errors.len() == 1 && errors.contains_key("git_key") && fields.git_key.is_empty();
    if needs_key {
        return with_key(&engine, &visit, shell, fields, found).await;
    }
    let new = match parsed {
        Ok(new) if errors.is_empty() => new,
        _ => {
            let errors = Errors::of_fields(errors);
            return view::wrong(&page(engine.reader(), person, shell, fields, errors).await?);
        }
    };
    match engine.create_app(new, shell.may_administer()).await {
        Ok(app) => deploy(&engine, &visit, hx, &app).await,
        Err(error) => {
            let errors = Errors::of_engine(error)?;
            let errors = errors.at(shown_at);
            view::wrong(&page(engine.reader(), person, shell, fields, errors).await?)
        }
    }
}

/// A field of the API under the name of the form's field that it comes from.
fn shown_at(field: &str) -> &str {
    match field {
        "git" | "image" => "source",
        "project" | "environment" => "place",
        other => other,
    }
}

/// The page with a key of the app's own, which its repository's server has to be shown before.
async fn with_key(
    engine: &Engine,
    visit: &Visit<Manage>,
    shell: Shell,
    mut fields: Fields,
    found: Option<Found>,
) -> Result<Response, PageError> {
    let reader = engine.reader();
    let project = fields.place.split('/').next().unwrap_or_default();
    let project = super::project::find(reader, &visit.person, project).await?;
    let name = Slug::parse(&fields.name).map_err(|_| PageError::NotFound)?;
    let key = match reader.key(&name).await? {
        // Of another team: it opens nothing here, and is not shown.
        Some((key, _)) if key.team != project.team => {
            let message = "choose another name: the key of the app would have one that is taken";
            let errors = Errors::one("name", message);
            return view::wrong(&page(reader, &visit.person, shell, fields, errors).await?);
        }
        Some((key, _)) => key,
        None if !visit.person.reach.allows_in(Right::Lead, project.team) => {
            let message = "over SSH, a repository is opened by a key: ask somebody who leads your team to make one, \
                           and name it here";
            let errors = Errors::one("git_key", message);
            return view::wrong(&page(reader, &visit.person, shell, fields, errors).await?);
        }
        None => {
            let key: Key = engine.create_key(project.team, name, None).await?;
            let kept = Deed::new("key.kept", format!("key {}", key.name)).of(project.team);
            visit.record(kept.after(json!({ "fingerprint": key.public.fingerprint() }))).await;
            key
        }
    };
    fields.git_key = key.name.to_string();
    let repository = found.map(|found| found.text().to_owned()).unwrap_or_default();
    let mut page = page(reader, &visit.person, shell, fields, Errors::default()).await?;
    page.key = Some(DeployKey { public: key.public.to_string(), repository });
    view::wrong(&page)
}

/// Asks for the first deployment of an app that was just created, and leads to it.
async fn deploy(engine: &Engine, visit: &Visit<Manage>, hx: Hx, app: &App) -> Result<Response, PageError> {
    let shown = wire::App::of(app, engine.urls(app), None);
    let created = Deed::new("app.created", format!("app {}", app.slug)).of(app.project.team);
    visit.record(created.after(wire::value(&shown))).await;
    match engine.deploy(&app.slug, Trigger::Request, None).await {
        Ok(deployment) => {
            let object = format!("deployment {} of app {}", deployment.number, app.slug);
            visit.record(Deed::new("app.deployed", object).of(app.project.team)).await;
            Ok(view::go(hx, &format!("/deployments/{}", deployment.id.0)))
        }
        Err(error) => {
            // The app is there; its page shows the way on.
            tracing::warn!(app = %app.slug, %error, "a new app was not deployed");
            Ok(view::go(hx, &format!("/apps/{}", app.slug)))
        }
    }
}

async fn make_sample(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
) -> Result<Response, PageError> {
    let reader = engine.reader();
    let place = places(reader, &visit.person).await?.into_iter().next().unwrap_or_default();
    let nowhere =
        || PageError::Bad("there is no project in which you may create apps: create one first".to_owned());
    let (project, environment) = place.split_once('/').ok_or_else(nowhere)?;
    let wish = CreateApp {
        name: free_name(reader, "hello").await?,
        project: Some(project.to_owned()),
        environment: Some(environment.to_owned()),
        containerfile: Some(sample::CONTAINERFILE.to_owned()),
        ..CreateApp::default()
    };
    let new = wish
        .parse()
        .map_err(|FieldErrors(fields)| PageError::Bad(fields.into_values().collect::<Vec<_>>().join(". ")))?;
    let app = engine.create_app(new, shell.may_administer()).await?;
    deploy(&engine, &visit, hx, &app).await
}

/// A name that no app has yet: this one, or with a number behind it.
async fn free_name(reader: &Reader, name: &str) -> Result<String, PageError> {
    let numbered = (2..NAMES).map(|number| format!("{name}-{number}"));
    for candidate in std::iter::once(name.to_owned()).chain(numbered) {
        match Slug::parse(&candidate) {
            Ok(slug) if reader.app(&slug).await?.is_some() => {}
            Ok(_) | Err(_) => return Ok(candidate),
        }
    }
    Ok(String::new())
}

impl Fields {
    /// The app that is asked for, as the API takes it, and what is wrong with fields that it does not know.
    fn wish(&self, found: Option<&Found>) -> (CreateApp, std::collections::BTreeMap<String, String>) {
        let mut errors = std::collections::BTreeMap::new();
        let said = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let port = match self.port.trim() {
            "" => None,
            text => {
                let port = text.parse().ok();
                if port.is_none() {
                    errors.insert("port".to_owned(), "use a port from 1 to 65535".to_owned());
                }
                port
            }
        };
        let (git, image) = match found {
            Some(Found::Repository(url)) => (Some(url.clone()), None),
            Some(Found::Image(name)) => (None, Some(name.clone())),
            None => {
                let message = "paste the address of a Git repository, or the name of an image";
                errors.insert("source".to_owned(), message.to_owned());
                (None, None)
            }
        };
        let (project, environment) = self.place.split_once('/').unzip();
        let of_git = |text: &str| said(text).filter(|_| git.is_some());
        let wish = CreateApp {
            name: self.name.trim().to_owned(),
            project: project.map(str::to_owned),
            environment: environment.map(str::to_owned),
            port,
            options: GitOptions {
                branch: of_git(&self.branch),
                git_key: of_git(&self.git_key),
                git_token: of_git(&self.git_token.0).map(Hidden),
                git_token_user: of_git(&self.git_token_user).filter(|_| !self.git_token.0.is_empty()),
                ..GitOptions::default()
            },
            health: HealthOptions {
                path: said(&self.health_path).map_or(Patch::Keep, Patch::Set),
                ..HealthOptions::default()
            },
            git,
            image,
            ..CreateApp::default()
        };
        (wish, errors)
    }

    /// Whether something is wrong that lies under "More".
    fn opens_more(&self, errors: &Errors) -> bool {
        let below = ["name", "place", "port", "health.path", "git_key", "git_token", "git_token_user"];
        below.iter().any(|field| !errors.of(field).is_empty())
            || !(self.port.is_empty() && self.health_path.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_an_app_that_can_be_made() {
        let wish = CreateApp {
            name: "hello".to_owned(),
            containerfile: Some(sample::CONTAINERFILE.to_owned()),
            ..CreateApp::default()
        };
        assert!(wish.parse().is_ok());
    }

    #[test]
    fn what_was_typed_comes_back_but_for_the_token() {
        let nasty = "<img src=x onerror=alert(1)>";
        let fields = Fields {
            source: nasty.to_owned(),
            name: "\" autofocus onfocus=alert(1) x=\"".to_owned(),
            port: "many".to_owned(),
            git_token: Typed("canary".to_owned()),
            ..Fields::default()
        };
        assert!(!format!("{fields:?}").contains("canary"));
        let (_, errors) = fields.wish(source::find(&fields.source).as_ref());
        let page = Page {
            shell: Shell::for_test(nasty),
            errors: Errors::of_fields(errors),
            fields,
            places: vec!["default/production".to_owned()],
            key: Some(DeployKey { public: nasty.to_owned(), repository: nasty.to_owned() }),
        };
        let html = page.render().unwrap();
        assert!(!html.contains("<img src=x") && !html.contains("canary"), "{html}");
        assert!(!html.contains("\" autofocus") && html.contains("use a port from 1 to 65535"), "{html}");
    }

    #[test]
    fn one_field_says_where_it_comes_from() {
        let wish = |source: &str| {
            let fields = Fields { source: source.to_owned(), branch: "next".to_owned(), ..Fields::default() };
            fields.wish(source::find(source).as_ref())
        };
        let (git, errors) = wish("github.com/ada/site");
        assert_eq!(
            (git.git.as_deref(), git.options.branch.as_deref()),
            (Some("https://github.com/ada/site"), Some("next"))
        );
        assert!(errors.is_empty());
        let (image, errors) = wish("nginx:1.29");
        assert_eq!((image.image.as_deref(), image.options.branch), (Some("nginx:1.29"), None));
        assert!(errors.is_empty());
        assert!(wish("").1.contains_key("source"));
    }
}
