//! One error type for every answer of the API, and how it looks from outside: a stable word, a sentence, the
//! fields. What failed inside goes to the log with the request's number, never to the client.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};

use super::wire::{ErrorBody, ErrorDetail, FieldErrors};
use crate::auth::Refusal;
use crate::engine::EngineError;
use crate::store::StoreError;

/// A request that was not done.
#[derive(Debug, Clone)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    fields: BTreeMap<String, String>,
    /// For the log alone.
    cause: Option<Arc<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error with a status, a stable word and a sentence.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), fields: BTreeMap::new(), cause: None }
    }

    /// Nothing of this name, number or path.
    #[must_use]
    pub fn not_found(what: &str, name: &str) -> Self {
        let name: String = name.chars().take(80).collect();
        Self::new(StatusCode::NOT_FOUND, "not_found", format!("there is no {what} {name:?}"))
    }

    /// Something failed here, and it is not for the client to know what.
    #[must_use]
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self { cause: Some(Arc::new(cause)), ..Self::hidden() }
    }

    /// What a panic looks like from outside.
    #[must_use]
    pub fn hidden() -> Self {
        let message = "something failed inside rivetr; its log says what, under this request's number";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }

    /// The status of the answer.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// Writes it to the log, once.
    pub(super) fn log(&self, request: &str) {
        let Self { status, code, message, cause, fields: _ } = self;
        let status = status.as_u16();
        if let Some(cause) = cause {
            tracing::error!(request, status, code, cause = chain(cause.as_ref()), "a request failed");
        } else if matches!(status, 401 | 403) {
            tracing::info!(target: "rivetr::audit", request, status, code, message, "a request was refused");
        } else if self.status.is_server_error() {
            tracing::warn!(request, status, code, message, "a request could not be done");
        } else {
            tracing::debug!(request, status, code, message, "a request was not done");
        }
    }

    /// The answer, as JSON; for git's client as plain text, which it shows to the person.
    pub(super) fn render(&self, request: &str, for_git: bool) -> Response {
        let mut response = if for_git {
            let text = format!("{}\n", self.message);
            (self.status, [(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response()
        } else {
            let error = ErrorDetail {
                code: self.code.to_owned(),
                message: self.message.clone(),
                fields: self.fields.clone(),
                request: Some(request.to_owned()),
            };
            (self.status, Json(ErrorBody { error })).into_response()
        };
        if self.status == StatusCode::UNAUTHORIZED {
            // git asks its credential helpers only when it is told that it may.
            let scheme =
                if for_git { "Basic realm=\"rivetr\", charset=\"UTF-8\"" } else { "Bearer realm=\"rivetr\"" };
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(scheme));
        }
        response
    }
}

/// The layer around every request renders it: only there the request's number and path are known.
impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<FieldErrors> for ApiError {
    fn from(errors: FieldErrors) -> Self {
        let message = match errors.0.iter().next() {
            Some((field, why)) if errors.0.len() == 1 => format!("{field}: {why}"),
            _ => format!("{} fields are wrong", errors.0.len()),
        };
        Self { fields: errors.0, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "validation_failed", message) }
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound { what, name } => Self::not_found(what, &name),
            EngineError::Conflict { field, message } => Self {
                fields: BTreeMap::from([(field.to_owned(), message.clone())]),
                ..Self::new(StatusCode::CONFLICT, "conflict", message)
            },
            EngineError::Invalid { field, message } => FieldErrors::one(field, message).into(),
            EngineError::IllegalMove(error) => Self::new(StatusCode::CONFLICT, "conflict", error.to_string()),
            EngineError::Unavailable(message) => {
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
            }
            EngineError::Internal(cause) => Self { cause: Some(Arc::from(cause)), ..Self::hidden() },
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        (&Arc::new(refusal)).into()
    }
}

impl From<&Arc<Refusal>> for ApiError {
    fn from(refusal: &Arc<Refusal>) -> Self {
        let message = refusal.to_string();
        match **refusal {
            Refusal::Missing | Refusal::Unknown | Refusal::Unreadable | Refusal::SignedOut => {
                Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", message)
            }
            Refusal::Stranger { .. } | Refusal::Forbidden { .. } => {
                Self::new(StatusCode::FORBIDDEN, "forbidden", message)
            }
            Refusal::NeedsSecondFactor { .. } => {
                Self::new(StatusCode::FORBIDDEN, "second_factor_required", message)
            }
            Refusal::NotFound { what, ref name } => Self::not_found(what, name),
            Refusal::InAddress { .. } => Self::new(StatusCode::BAD_REQUEST, "token_in_address", message),
            Refusal::Store(_) => Self { cause: Some(Arc::clone(refusal) as _), ..Self::hidden() },
        }
    }
}

/// An error and its causes in one line, for the log.
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}
