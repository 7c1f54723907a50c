//! The instance over the API: whether it answers, how it does, what it can be asked.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use http::StatusCode;
use http::header::CONTENT_TYPE;

use super::error::ApiError;
use super::{Api, openapi, wire};
use crate::auth::gate::{Authorized, Open, Read};
use crate::engine::{CheckStatus, Engine};

pub(super) async fn alive(_: Open) -> &'static str {
    "ok\n"
}

pub(super) async fn health(_: Authorized<Read>, State(engine): State<Engine>) -> Json<wire::Health> {
    let checks = engine.health().await.checks.into_iter().map(|check| wire::Check {
        name: check.name.to_owned(),
        status: check.status.into(),
        detail: check.detail,
        cure: check.cure,
    });
    let checks: Vec<_> = checks.collect();
    let status = checks.iter().map(|check| check.status).max().unwrap_or(wire::CheckStatus::Ok);
    Json(wire::Health { status, checks })
}

pub(super) async fn document(_: Authorized<Read>) -> Result<Response, ApiError> {
    let document = openapi::document(&super::table()).to_json().map_err(ApiError::internal)?;
    Ok(([(CONTENT_TYPE, "application/json")], document).into_response())
}

/// Whether a path is the API's, also where it has no route: everything else is the dashboard's.
#[must_use]
pub fn is_for_programs(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    matches!(first, "api" | "git" | "health" | "metrics" | "webhooks")
}

/// Answers what no route answers; only to callers that are known, so that strangers learn nothing of the routes.
pub(super) fn with_fallbacks(router: Router<Api>) -> Router<Api> {
    router.fallback(nothing_here).method_not_allowed_fallback(not_that_way)
}

async fn nothing_here(_: Authorized<Read>) -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "not_found",
        "there is nothing at this address; see /api/openapi.json",
    )
}

async fn not_that_way(_: Authorized<Read>) -> ApiError {
    let message = "this address does not take that method; see /api/openapi.json";
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}

impl From<CheckStatus> for wire::CheckStatus {
    fn from(status: CheckStatus) -> Self {
        match status {
            CheckStatus::Ok => Self::Ok,
            CheckStatus::Warn => Self::Warn,
            CheckStatus::Fail => Self::Fail,
        }
    }
}
