//! JSON over HTTP, and the smart HTTP of git for pushes: the faces of the engine for programs.
//!
//! [`table`] lists every route with who may come in; the router, the OpenAPI document and a test are made from it.
//! Handlers turn requests into domain values and domain values into answers; nothing is decided here that the
//! engine could decide.

mod app;
mod around;
pub mod client;
mod deployment;
mod error;
mod events;
mod gate;
mod git;
mod input;
mod openapi;
mod operate;
mod route;
mod serve;
mod system;
mod token;
pub mod wire;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware;
use http::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use utoipa::openapi::schema::Type;

use crate::auth::Auth;
use crate::engine::Engine;
use crate::store::Reader;
use around::Numbers;
pub use error::ApiError;
pub use gate::Access;
pub use route::Route;
pub use serve::{ServeError, serve};

/// What the routes use; each handler takes the two or three it needs.
#[derive(Clone)]
pub struct Api {
    engine: Engine,
    reader: Reader,
    auth: Auth,
    streams: Streams,
}

/// What answers that take their time need in order to end.
#[derive(Clone)]
pub struct Streams {
    auth: Auth,
    stopping: CancellationToken,
    tasks: TaskTracker,
}

impl Api {
    /// The API of an instance. `stopping` ends what streams; `tasks` holds pushes that still have to settle.
    #[must_use]
    pub fn new(
        engine: Engine,
        reader: Reader,
        auth: Auth,
        stopping: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        let streams = Streams { auth: auth.clone(), stopping, tasks };
        Self { engine, reader, auth, streams }
    }

    /// The router of every route. `run` tells the requests of this run of the daemon from those of others.
    pub fn router(self, run: u32) -> Router {
        let mut router = Router::new();
        for route in table() {
            router = router.route(route.path, route.handler);
        }
        system::with_fallbacks(router)
            .layer(middleware::from_fn_with_state(Numbers::new(run), around::around))
            .with_state(self)
    }
}

/// Every route.
#[must_use]
pub fn table() -> Vec<Route<Api>> {
    let mut routes = noun_routes();
    routes.extend(operating_routes());
    routes
}

/// What is done with an app that runs.
fn operating_routes() -> [Route<Api>; 6] {
    [
        Route::post("/api/apps/{id}/rollback", operate::roll_back)
            .about("Bring back a release that was live before, without a build")
            .takes::<wire::RollBack>()
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
        Route::post("/api/apps/{id}/restart", operate::restart)
            .about("Replace the containers of the live release by new ones, without losing a request")
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
        Route::post("/api/apps/{id}/start", operate::start)
            .about("Start an app that was stopped; answers when it does")
            .gives::<wire::App>(StatusCode::OK),
        Route::post("/api/apps/{id}/stop", operate::stop)
            .about("Stop an app until it is started or deployed, also over reboots")
            .gives::<wire::App>(StatusCode::OK),
        Route::post("/api/apps/{id}/scale", operate::scale)
            .about("Have more or fewer containers answer, without a deployment")
            .takes::<wire::Scale>()
            .gives::<wire::App>(StatusCode::OK),
        Route::post("/api/deployments/{id}/rollback", operate::roll_back_to)
            .about("Bring back what this deployment made live, without a build")
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
    ]
}

fn noun_routes() -> Vec<Route<Api>> {
    vec![
        Route::get("/health", system::alive).about("Whether rivetr answers").answers("text/plain"),
        Route::get("/api/openapi.json", system::document).about("This document").answers("application/json"),
        Route::get("/api/system/health", system::health)
            .about("How rivetr and its host do")
            .gives::<wire::Health>(StatusCode::OK),
        Route::get("/api/apps", app::list).about("Every app").lists::<wire::App>(),
        Route::post("/api/apps", app::create)
            .about("Create an app")
            .takes::<wire::CreateApp>()
            .gives::<wire::App>(StatusCode::CREATED),
        Route::get("/api/apps/{id}", app::show).about("One app").gives::<wire::App>(StatusCode::OK),
        Route::delete("/api/apps/{id}", app::delete).about("Delete an app and all it has").answers_nothing(),
        Route::post("/api/apps/{id}/deploy", app::deploy)
            .about("Deploy an app")
            .takes::<wire::Deploy>()
            .gives::<wire::Deployment>(StatusCode::ACCEPTED),
        Route::get("/api/apps/{id}/deployments", app::deployments)
            .about("The deployments of an app, newest first")
            .query("limit", Type::Integer, "How many; 20 if not said, at most 100")
            .query("before", Type::Integer, "Only those older than this id")
            .lists::<wire::Deployment>(),
        Route::get("/api/apps/{id}/status", app::status)
            .about("How an app does right now")
            .gives::<wire::AppStatus>(StatusCode::OK),
        Route::get("/api/apps/{id}/logs/stream", app::log)
            .about("What an app writes; Last-Event-ID goes on after that event")
            .query("lines", Type::Integer, "How many past lines come first; at most 10,000")
            .query("follow", Type::Boolean, "Whether to wait for more")
            .streams::<wire::RuntimeLine>(),
        Route::get("/api/deployments/{id}", deployment::show)
            .about("One deployment")
            .gives::<wire::Deployment>(StatusCode::OK),
        Route::get("/api/deployments/{id}/logs", deployment::log)
            .about("The log of a deployment, until its end; Last-Event-ID goes on after that event")
            .streams::<wire::DeploymentLine>(),
        Route::post("/api/deployments/{id}/cancel", deployment::cancel)
            .about("Stop a deployment that is not live yet")
            .gives::<wire::Deployment>(StatusCode::OK),
        Route::get("/api/tokens", token::list).about("Every token").lists::<wire::Token>(),
        Route::post("/api/tokens", token::create)
            .about("Make a token; its secret is shown once")
            .takes::<wire::CreateToken>()
            .gives::<wire::CreatedToken>(StatusCode::CREATED),
        Route::delete("/api/tokens/{id}", token::revoke).about("Revoke a token").answers_nothing(),
        Route::get("/git/{repo}/info/refs", git::advertise)
            .about("For git push: what an app's repository has")
            .query("service", Type::String, "git-receive-pack")
            .answers("application/x-git-receive-pack-advertisement"),
        Route::post("/git/{repo}/git-receive-pack", git::receive)
            .about("For git push: take in commits and deploy them")
            .answers("application/x-git-receive-pack-result"),
    ]
}

impl FromRef<Api> for Engine {
    fn from_ref(api: &Api) -> Self {
        api.engine.clone()
    }
}

impl FromRef<Api> for Reader {
    fn from_ref(api: &Api) -> Self {
        api.reader.clone()
    }
}

impl FromRef<Api> for Auth {
    fn from_ref(api: &Api) -> Self {
        api.auth.clone()
    }
}

impl FromRef<Api> for Streams {
    fn from_ref(api: &Api) -> Self {
        api.streams.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::right::Right;

    #[test]
    fn every_route_with_its_rule() {
        let read = Access::Needs(Right::Read);
        let deploy = Access::Needs(Right::Deploy);
        let manage = Access::Needs(Right::Manage);
        let administer = Access::Needs(Right::Administer);
        let expect = [
            ("GET /health", Access::Open),
            ("GET /api/openapi.json", read),
            ("GET /api/system/health", read),
            ("GET /api/apps", read),
            ("POST /api/apps", manage),
            ("GET /api/apps/{id}", read),
            ("DELETE /api/apps/{id}", manage),
            ("POST /api/apps/{id}/deploy", deploy),
            ("GET /api/apps/{id}/deployments", read),
            ("GET /api/apps/{id}/status", read),
            ("GET /api/apps/{id}/logs/stream", read),
            ("GET /api/deployments/{id}", read),
            ("GET /api/deployments/{id}/logs", read),
            ("POST /api/deployments/{id}/cancel", deploy),
            ("GET /api/tokens", administer),
            ("POST /api/tokens", administer),
            ("DELETE /api/tokens/{id}", administer),
            ("GET /git/{repo}/info/refs", deploy),
            ("POST /git/{repo}/git-receive-pack", deploy),
            ("POST /api/apps/{id}/rollback", deploy),
            ("POST /api/apps/{id}/restart", deploy),
            ("POST /api/apps/{id}/start", deploy),
            ("POST /api/apps/{id}/stop", deploy),
            ("POST /api/apps/{id}/scale", manage),
            ("POST /api/deployments/{id}/rollback", deploy),
        ];
        let name = |route: &Route<Api>| {
            let method = serde_json::to_value(&route.method).unwrap();
            format!("{} {}", method.as_str().unwrap().to_uppercase(), route.path)
        };
        let table = table();
        let listed: Vec<_> = table.iter().map(|route| (name(route), route.access)).collect();
        let expect: Vec<_> = expect.into_iter().map(|(name, access)| (name.to_owned(), access)).collect();
        assert_eq!(listed, expect);
    }

    #[test]
    fn the_document_names_every_route_and_only_schemas_it_has() {
        let table = table();
        let document = serde_json::to_value(openapi::document(&table)).unwrap();
        for route in &table {
            let method = serde_json::to_value(&route.method).unwrap();
            let operation = &document["paths"][route.path][method.as_str().unwrap()];
            assert!(operation["summary"].is_string(), "{} has no summary", route.path);
        }
        let text = document.to_string();
        let references = text.split("\"#/components/schemas/").skip(1);
        for name in references.filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][name].is_object(), "{name} is named, but not there");
        }
    }
}
