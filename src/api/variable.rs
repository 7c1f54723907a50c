//! Variables over the API: those of an app, of a project and of a project's environment. Secret values go in and
//! never come out.

use axum::Json;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

use super::app::find;
use super::error::ApiError;
use super::input::Input;
use super::wire::{self, FieldErrors};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage, Read};
use crate::domain::name::{EnvKey, Slug};
use crate::domain::variable::Owner;
use crate::engine::{Engine, Shown};

/// Whose variables a path names, and which.
#[derive(Debug, Deserialize)]
pub(super) struct Place {
    id: Option<String>,
    project: Option<String>,
    environment: Option<String>,
    key: Option<String>,
}

pub(super) async fn list(
    _: Authorized<Read>,
    State(engine): State<Engine>,
    Path(place): Path<Place>,
) -> Result<Json<wire::List<wire::Variable>>, ApiError> {
    all(&engine, &place.owner(&engine).await?).await
}

pub(super) async fn set(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(place): Path<Place>,
    Input(wish): Input<wire::SetVariables>,
) -> Result<Json<wire::List<wire::Variable>>, ApiError> {
    let (new, replace) = wish.parse()?;
    let owner = place.owner(&engine).await?;
    let keys: Vec<String> = new.iter().map(|new| new.key.as_str().to_owned()).collect();
    engine.set_variables(&owner, new, replace).await?;
    by.record(Deed::new("variables.set", place.words()).after(json!({ "keys": keys, "replace": replace })))
        .await;
    all(&engine, &owner).await
}

pub(super) async fn unset(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    Path(place): Path<Place>,
) -> Result<StatusCode, ApiError> {
    let owner = place.owner(&engine).await?;
    let name = place.key.as_deref().unwrap_or_default();
    let key = EnvKey::parse(name).map_err(|_| ApiError::not_found("variable", name))?;
    engine.unset_variable(&owner, &key).await?;
    by.record(Deed::new("variables.removed", place.words()).before(json!({ "key": key.as_str() }))).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn all(engine: &Engine, owner: &Owner) -> Result<Json<wire::List<wire::Variable>>, ApiError> {
    let items = engine.variables(owner).await?.into_iter().map(shown).collect();
    Ok(Json(wire::List { items, next: None }))
}

impl Place {
    /// Whose variables, in the words of the audit.
    fn words(&self) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        match (&self.id, &self.environment) {
            (Some(id), _) => format!("variables of app {id}"),
            (None, None) => format!("variables of project {}", text(&self.project)),
            (None, Some(environment)) => {
                format!("variables of environment {environment} of project {}", text(&self.project))
            }
        }
    }

    async fn owner(&self, engine: &Engine) -> Result<Owner, ApiError> {
        if let Some(id) = &self.id {
            return Ok(Owner::App(find(engine.reader(), id).await?.id));
        }
        let slug = |field, text: &Option<String>| {
            let text = text.as_deref().unwrap_or_default();
            Slug::parse(text).map_err(|error| FieldErrors::one(field, error.to_string()))
        };
        let project = slug("project", &self.project)?;
        Ok(match &self.environment {
            None => Owner::Project(project),
            Some(_) => Owner::Environment { project, environment: slug("environment", &self.environment)? },
        })
    }
}

fn shown(Shown { key, value, secret, usage }: Shown) -> wire::Variable {
    let (value, error) = match value {
        Some(Ok(value)) => (Some(value.as_str().to_owned()), None),
        Some(Err(error)) => (None, Some(error.to_string())),
        None => (None, None),
    };
    wire::Variable { key: key.as_str().to_owned(), value, secret, usage: usage.into(), error }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use http::Request;
    use http_body_util::BodyExt as _;
    use tower::ServiceExt as _;

    use super::*;

    async fn check(route: &'static str, path: &str, expect: [Option<&str>; 4]) {
        let seen = |Path(Place { id, project, environment, key }): Path<Place>| async move {
            serde_json::json!([id, project, environment, key]).to_string()
        };
        let router: Router = Router::new().route(route, get(seen));
        let request = Request::get(path).body(Body::empty()).unwrap();
        let body = router.oneshot(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
        assert_eq!(str::from_utf8(&body).unwrap(), serde_json::json!(expect).to_string());
    }

    #[tokio::test]
    async fn a_path_names_an_app_a_project_or_an_environment() {
        check("/a/{id}/e/{key}", "/a/blog/e/A", [Some("blog"), None, None, Some("A")]).await;
        check("/p/{project}/e", "/p/red/e", [None, Some("red"), None, None]).await;
        let route = "/p/{project}/environments/{environment}/e";
        check(route, "/p/red/environments/qa/e", [None, Some("red"), Some("qa"), None]).await;
    }
}
