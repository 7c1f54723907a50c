//! The dashboard: pages that are whole before any script runs, made here from what the store and the engine say.
//!
//! [`table`] lists every page with who may come in. A page, its fragments, its forms and their tests lie in one file,
//! named after the noun; its templates in the folder of that name. Requests count as those of the person whose session
//! their cookie names, and of nobody else: no token and no socket opens a page.

mod ansi;
mod app;
mod around;
mod assets;
mod audit;
mod backups;
mod certificates;
mod cookie;
mod database;
mod deployment;
mod domains;
mod error;
mod form;
mod host;
mod jobs;
mod keys;
mod links;
mod live;
mod logs;
mod me;
mod moment;
mod new_app;
mod operate;
mod overview;
mod palette;
mod people;
mod project;
mod prove;
mod registries;
mod repository;
mod route;
mod routes;
mod services;
mod settings;
mod shell;
mod sign_in;
mod teams;
mod templates;
mod terminal;
mod theme;
mod tokens;
mod usage;
mod variables;
mod view;
mod volumes;
mod webhooks;

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRef;
use axum::middleware;
use tokio_util::sync::CancellationToken;

use crate::api::Numbers;
use crate::auth::Auth;
use crate::engine::Engine;
use crate::store::Reader;
pub use route::Route;

/// What the pages use; each handler takes the two or three it needs.
#[derive(Clone)]
pub struct Web {
    engine: Engine,
    reader: Reader,
    auth: Auth,
    stopping: Stopping,
}

/// Ends what streams when the daemon stops.
#[derive(Clone)]
pub struct Stopping(CancellationToken);

/// Every page, form and stream.
#[must_use]
pub fn table() -> Vec<Route<Web>> {
    let parts = [
        app::routes(),
        assets::routes(),
        teams::routes(),
        people::routes(),
        me::routes(),
        audit::routes(),
        backups::routes(),
        certificates::routes(),
        database::routes(),
        deployment::routes(),
        domains::routes(),
        host::routes(),
        jobs::routes(),
        keys::routes(),
        links::routes(),
        logs::routes(),
        new_app::routes(),
        overview::routes(),
        palette::routes(),
        project::routes(),
        registries::routes(),
        routes::routes(),
        services::routes(),
        settings::routes(),
        sign_in::routes(),
        templates::routes(),
        terminal::routes(),
        theme::routes(),
        tokens::routes(),
        variables::routes(),
        volumes::routes(),
        webhooks::routes(),
    ];
    parts.into_iter().flatten().collect()
}

impl Web {
    /// The dashboard of an instance. `stopping` ends what streams.
    #[must_use]
    pub fn new(engine: Engine, reader: Reader, auth: Auth, stopping: CancellationToken) -> Self {
        Self { engine, reader, auth, stopping: Stopping(stopping) }
    }

    /// The router of every page. `run` tells the requests of this run of the daemon from those of others.
    pub fn router(self, run: u32) -> Router {
        let mut router = Router::new();
        let mut asking = BTreeSet::new();
        for route in table() {
            if route.asks_again {
                asking.insert(route.path);
            }
            router = router.route(route.path, route.handler);
        }
        let around = middleware::from_fn_with_state(
            (self.auth.clone(), Numbers::new(run), Arc::new(asking)),
            around::around,
        );
        router
            .fallback(error::nothing_here)
            .method_not_allowed_fallback(error::nothing_here)
            .layer(around)
            .with_state(self)
    }
}

impl FromRef<Web> for Engine {
    fn from_ref(web: &Web) -> Self {
        web.engine.clone()
    }
}

impl FromRef<Web> for Reader {
    fn from_ref(web: &Web) -> Self {
        web.reader.clone()
    }
}

impl FromRef<Web> for Auth {
    fn from_ref(web: &Web) -> Self {
        web.auth.clone()
    }
}

impl FromRef<Web> for Stopping {
    fn from_ref(web: &Web) -> Self {
        web.stopping.clone()
    }
}
