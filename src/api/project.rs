//! Projects over the API, and the environments in them.

use axum::Json;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use http::StatusCode;

use super::error::ApiError;
use super::input::Input;
use super::seen::team_for_new;
use super::wire;
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Lead, Read};
use crate::domain::name::Slug;
use crate::domain::project::Project;
use crate::domain::right::Right;
use crate::engine::Engine;
use crate::store::Reader;

pub(super) async fn list(
    by: Authorized<Read>,
    State(reader): State<Reader>,
) -> Result<Json<wire::List<wire::Project>>, ApiError> {
    let mut items = Vec::new();
    for project in reader.projects().await?.into_iter().filter(|project| by.caller.sees(project.team)) {
        items.push(shown(&reader, &project).await?);
    }
    Ok(Json(wire::List { items, next: None }))
}

pub(super) async fn create(
    by: Authorized<Lead>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Input(new): Input<wire::CreateProject>,
) -> Result<impl IntoResponse, ApiError> {
    let team = team_for_new(&reader, &by.caller, new.team.as_deref(), Right::Lead).await?;
    let (slug, environments) = new.parse()?;
    let project = engine.create_project(team, slug, environments).await?;
    let shown = shown(&reader, &project).await?;
    by.record(Deed::new("project.created", format!("project {}", project.slug)).of(team)).await;
    Ok((StatusCode::CREATED, Json(shown)))
}

pub(super) async fn show(
    _: Authorized<Read>,
    State(reader): State<Reader>,
    Path(name): Path<String>,
) -> Result<Json<wire::Project>, ApiError> {
    Ok(Json(found(&reader, &name).await?))
}

pub(super) async fn delete(
    by: Authorized<Lead>,
    State(engine): State<Engine>,
    Path(name): Path<String>,
) -> Result<StatusCode, ApiError> {
    engine.delete_project(&named(&name)?).await?;
    by.record(Deed::new("project.deleted", format!("project {name}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn add_environment(
    by: Authorized<Lead>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(name): Path<String>,
    Input(new): Input<wire::CreateEnvironment>,
) -> Result<impl IntoResponse, ApiError> {
    let environment = new.parse()?;
    engine.create_environment(&named(&name)?, environment.clone()).await?;
    by.record(Deed::new("environment.created", format!("environment {environment} of project {name}"))).await;
    Ok((StatusCode::CREATED, Json(found(&reader, &name).await?)))
}

pub(super) async fn delete_environment(
    by: Authorized<Lead>,
    State(engine): State<Engine>,
    Path((name, environment)): Path<(String, String)>,
) -> Result<StatusCode, ApiError> {
    let found = Slug::parse(&environment).map_err(|_| ApiError::not_found("environment", &environment))?;
    engine.delete_environment(&named(&name)?, &found).await?;
    by.record(Deed::new("environment.deleted", format!("environment {environment} of project {name}"))).await;
    Ok(StatusCode::NO_CONTENT)
}

async fn found(reader: &Reader, name: &str) -> Result<wire::Project, ApiError> {
    let project = reader.project(&named(name)?).await?;
    let project = project.ok_or_else(|| ApiError::not_found("project", name))?;
    shown(reader, &project).await
}

async fn shown(reader: &Reader, project: &Project) -> Result<wire::Project, ApiError> {
    let environments = reader.environments(project.id).await?;
    let apps = reader.apps().await?;
    let team = reader.team_by_id(project.team).await?;
    Ok(wire::Project {
        name: project.slug.to_string(),
        team: team.map(|team| team.slug.to_string()),
        environments: environments.iter().map(ToString::to_string).collect(),
        apps: apps
            .iter()
            .filter(|app| app.project.id == project.id)
            .map(|app| app.slug.to_string())
            .collect(),
        subnet: project.subnet.cidr(),
    })
}

/// A name that cannot be one is as little there as any other.
fn named(name: &str) -> Result<Slug, ApiError> {
    Slug::parse(name).map_err(|_| ApiError::not_found("project", name))
}
