//! JSON over HTTP, and the smart HTTP of git for pushes: the faces of the engine for programs.
//!
//! [`table`] lists every route with who may come in; the router, the OpenAPI document and a test are made from it.
//! Handlers turn requests into domain values and domain values into answers; nothing is decided here that the
//! engine could decide.

mod app;
mod around;
mod audit;
pub mod backup;
mod certificate;
pub mod client;
pub mod database;
mod deployment;
#[cfg(test)]
mod docs_tests;
mod domain;
pub mod drift;
mod error;
pub mod events;
mod exec;
mod git;
mod hooks;
mod input;
mod instance;
pub mod job;
mod key;
mod linger;
mod metrics;
mod openapi;
mod operate;
mod project;
mod registry;
mod route;
mod routing;
mod secret;
mod seen;
mod serve;
mod service;
mod settings;
mod system;
mod table;
mod team;
mod template;
#[cfg(test)]
mod tenancy_tests;
mod token;
mod traffic;
mod upload;
mod user;
mod variable;
mod volume;
mod webhook;
pub mod wire;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::auth::Auth;
use crate::engine::Engine;
use crate::store::Reader;
pub use app::is_cursor;
pub use around::{Numbers, is_foreign as from_another_site, words as panic_words};
pub use audit::lines as audit_lines;
pub use error::{ApiError, chain};
pub use hooks::read as read_delivery;
pub use route::Route;
pub use serve::{ServeError, serve};
pub use system::is_for_programs;
pub use table::table;
pub use webhook::enabled as enabled_webhook;

/// What the routes use; each handler takes the two or three it needs.
#[derive(Clone)]
pub struct Api {
    engine: Engine,
    reader: Reader,
    auth: Auth,
    streams: Streams,
    desk: hooks::Desk,
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
        let desk = hooks::Desk::new(tokio::time::Instant::now());
        Self { engine, reader, auth, streams, desk }
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

impl FromRef<Api> for hooks::Desk {
    fn from_ref(api: &Api) -> Self {
        api.desk.clone()
    }
}

impl FromRef<Api> for Streams {
    fn from_ref(api: &Api) -> Self {
        api.streams.clone()
    }
}
