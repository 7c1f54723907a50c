//! Sign-ins at registries: part of the page of keys. Passwords come in and never go out.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::error::PageError;
use super::form::{Errors, Form};
use super::keys::{self, Wrong};
use super::moment::Moment;
use super::shell::{Hx, Shell, Visit};
use super::{Route, Web, view};
use crate::api::wire::{Hidden, PutRegistry};
use crate::auth::audit::Deed;
use crate::auth::gate::Administer;
use crate::domain::image::RegistryHost;
use crate::engine::Engine;

/// A sign-in in a list.
pub(super) struct Row {
    pub host: String,
    /// As it stands in a path.
    pub path: String,
    pub user: String,
    pub changed: Moment,
}

/// A sign-in as a form sends it.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct New {
    pub host: String,
    pub user: String,
    #[serde(default)]
    password: String,
}

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![Route::post("/registries", put), Route::post("/registries/{host}/remove", remove)]
}

/// Every sign-in.
pub(super) async fn rows(engine: &Engine) -> Result<Vec<Row>, PageError> {
    let now = engine.now();
    let found = engine.reader().registries().await?;
    let row = |one: &crate::store::Registry| Row {
        host: one.host.to_string(),
        path: view::in_query(&one.host.to_string()),
        user: one.user.clone(),
        changed: Moment::of(one.changed, now),
    };
    Ok(found.iter().map(row).collect())
}

async fn put(
    visit: Visit<Administer>,
    shell: Shell,
    hx: Hx,
    State(engine): State<Engine>,
    Form(new): Form<New>,
) -> Result<Response, PageError> {
    let wish = PutRegistry {
        host: new.host.trim().to_owned(),
        user: new.user.clone(),
        password: Hidden(new.password.clone()),
    };
    let kept = match wish.parse() {
        Ok((host, user, password)) => {
            engine.put_registry(host, user, password).await.map_err(Errors::of_engine)
        }
        Err(errors) => Err(Ok(errors.into())),
    };
    match kept {
        Ok(registry) => {
            visit.record(Deed::new("registry.put", format!("registry {}", registry.host))).await;
            Ok(view::go(hx, "/keys#registries"))
        }
        Err(errors) => {
            let sign_in = New { password: String::new(), ..new };
            keys::wrong(&engine, shell, &visit.person, Wrong::at_sign_in(sign_in, errors?)).await
        }
    }
}

async fn remove(
    visit: Visit<Administer>,
    hx: Hx,
    State(engine): State<Engine>,
    Path(host): Path<String>,
) -> Result<Response, PageError> {
    let host = RegistryHost::parse(&host).map_err(|_| PageError::NotFound)?;
    engine.remove_registry(&host).await?;
    visit.record(Deed::new("registry.removed", format!("registry {host}"))).await;
    Ok(view::go(hx, "/keys#registries"))
}
