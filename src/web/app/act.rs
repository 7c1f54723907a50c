//! What is done with an app as it is: deployed, restarted, stopped, started, scaled.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::overview::page;
use crate::api::wire;
use crate::auth::Person;
use crate::auth::audit::Deed;
use crate::auth::gate::{Deploy, Manage};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, Trigger};
use crate::engine::{Engine, EngineError};
use crate::web::app::find;
use crate::web::error::PageError;
use crate::web::form::{Errors, Form};
use crate::web::operate::{self, Act, Operated, Operation};
use crate::web::shell::{Hx, Shell, Visit};
use crate::web::{Route, Web, view};

/// How long a person waits for what may take long; it goes on without them, and the page shows how it goes.
const PATIENCE: Duration = Duration::from_secs(3);

pub(super) fn routes() -> Vec<Route<Web>> {
    let own = vec![
        Route::post("/apps/{id}/deploy", deploy),
        // A restart is a deployment, to which it leads.
        Route::post("/apps/{id}/restart", restart),
        Route::post("/apps/{id}/scale", scale),
    ];
    own.into_iter().chain(operate::routes::<App>()).collect()
}

#[derive(Debug, Default, Deserialize)]
struct Wish {
    #[serde(default)]
    commit: String,
    #[serde(default)]
    no_cache: bool,
}

async fn deploy(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Wish { commit, no_cache }): Form<Wish>,
) -> Result<Response, PageError> {
    let app = find(engine.reader(), &visit.person, &id).await?;
    let commit = Some(commit.trim().to_owned()).filter(|commit| !commit.is_empty());
    let (commit, no_cache) = match (wire::Deploy { commit, no_cache }).parse() {
        Ok(wish) => wish,
        Err(errors) => return refused(&engine, shell, &app, errors.into()).await,
    };
    let asked = engine.deploy_built(&app.slug, Trigger::Request, commit, !no_cache).await;
    if let Ok(deployment) = &asked {
        let object = format!("deployment {} of app {}", deployment.number, app.slug);
        visit.record(Deed::new("app.deployed", object)).await;
    }
    on_to(&engine, shell, hx, &app, asked).await
}

async fn restart(
    visit: Visit<Deploy>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let app = find(engine.reader(), &visit.person, &id).await?;
    let asked = engine.restart_app(&app.slug).await;
    if let Ok(deployment) = &asked {
        let object = format!("deployment {} of app {}", deployment.number, app.slug);
        visit.record(Deed::new("app.restarted", object)).await;
    }
    on_to(&engine, shell, hx, &app, asked).await
}

impl Operated for App {
    const OPERATIONS: &'static [Operation] =
        &[("/apps/{id}/stop", Act::Stop, "app.stopped"), ("/apps/{id}/start", Act::Start, "app.started")];

    async fn find(engine: &Engine, person: &Person, id: &str) -> Result<Self, PageError> {
        find(engine.reader(), person, id).await
    }

    fn object(&self) -> String {
        format!("app {}", self.slug)
    }

    fn path(&self) -> String {
        format!("/apps/{}", self.slug)
    }

    async fn operate(&self, engine: &Engine, act: Act) -> Result<(), EngineError> {
        let done = async {
            match act {
                Act::Start => engine.start_app(&self.slug).await.map(drop),
                Act::Stop => engine.stop_app(&self.slug).await.map(drop),
                Act::Restart => engine.restart_app(&self.slug).await.map(drop),
            }
        };
        timeout(PATIENCE, done).await.unwrap_or(Ok(()))
    }

    async fn refused(&self, engine: &Engine, shell: Shell, errors: Errors) -> Result<Response, PageError> {
        refused(engine, shell, self, errors).await
    }
}

#[derive(Debug, Deserialize)]
struct Number {
    #[serde(default)]
    replicas: String,
}

async fn scale(
    visit: Visit<Manage>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Path(id): Path<String>,
    Form(Number { replicas }): Form<Number>,
) -> Result<Response, PageError> {
    let app = find(engine.reader(), &visit.person, &id).await?;
    // What is no number is as little one that an app may have as 0 is.
    let replicas = replicas.trim().parse().unwrap_or(0);
    let replicas = match (wire::Scale { replicas }).parse() {
        Ok(replicas) => replicas,
        Err(errors) => return refused(&engine, shell, &app, errors.into()).await,
    };
    let deed = Deed::new("app.scaled", format!("app {}", app.slug))
        .before(json!({ "replicas": app.settings.replicas.get() }))
        .after(json!({ "replicas": replicas.get() }));
    visit.record(deed).await;
    let done = timeout(PATIENCE, engine.scale(&app.slug, replicas)).await;
    match done.unwrap_or_else(|_| Ok(app.clone())) {
        Ok(_) => Ok(view::go(hx, &format!("/apps/{}", app.slug))),
        Err(error) => refused(&engine, shell, &app, Errors::of_engine(error)?).await,
    }
}

/// To the deployment that was asked for.
async fn on_to(
    engine: &Engine,
    shell: Shell,
    hx: Hx,
    app: &App,
    asked: Result<Deployment, EngineError>,
) -> Result<Response, PageError> {
    match asked {
        Ok(deployment) => Ok(view::go(hx, &format!("/deployments/{}", deployment.id.0))),
        Err(error) => refused(engine, shell, app, Errors::of_engine(error)?).await,
    }
}

/// The app as it is, with why it was not done.
async fn refused(
    engine: &Engine,
    mut shell: Shell,
    app: &App,
    errors: Errors,
) -> Result<Response, PageError> {
    let wrong = errors.others(&[]).join(". ");
    shell.path = format!("/apps/{}", app.slug);
    view::wrong(&page(engine, shell, app, wrong).await?)
}
