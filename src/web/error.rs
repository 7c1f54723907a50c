//! What is shown in place of a page that could not be made.

use std::error::Error;
use std::sync::Arc;

use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;

use super::shell::Shell;
use super::view;
use crate::api::chain;
use crate::auth::Refusal;
use crate::engine::EngineError;
use crate::store::StoreError;

/// Why there is no page.
#[derive(Debug, Clone)]
pub(super) enum PageError {
    /// There is nothing at this address, for this person.
    NotFound,
    /// The request cannot be read.
    Bad(String),
    /// It cannot be done now.
    Unavailable(String),
    /// Something failed here; the log says what.
    Internal(Arc<dyn Error + Send + Sync>),
    /// The person may not do this.
    Refused(Arc<Refusal>),
    /// A panic ended it.
    Panicked,
    /// It comes from a page of another site, or of a session that has ended.
    Foreign,
}

#[derive(Template)]
#[template(path = "error.html")]
struct Page {
    shell: Shell,
    heading: &'static str,
    message: String,
    request: String,
}

/// The layer around every request renders it: only there its number and its person are known.
impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut response = self.status().into_response();
        response.extensions_mut().insert(self);
        response
    }
}

/// No route has this address, or not that way.
pub(super) async fn nothing_here() -> PageError {
    PageError::NotFound
}

impl PageError {
    /// An error that is not for the person to know.
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(cause))
    }

    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) | Self::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Refused(_) | Self::Foreign => StatusCode::FORBIDDEN,
        }
    }

    /// Writes it to the log, once.
    pub fn log(&self, request: &str) {
        match self {
            Self::Internal(cause) => tracing::error!(request, cause = chain(cause.as_ref()), "a page failed"),
            Self::Refused(_) | Self::Foreign => {
                tracing::info!(target: "rivetr::audit", request, message = self.message(), "a request was refused");
            }
            Self::NotFound | Self::Bad(_) | Self::Unavailable(_) | Self::Panicked => {}
        }
    }

    /// The page that says it.
    pub fn render(&self, shell: Shell, request: &str) -> Response {
        let page =
            Page { shell, heading: self.heading(), message: self.message(), request: request.to_owned() };
        view::with_status(self.status(), &page).unwrap_or_else(|_| self.status().into_response())
    }

    fn heading(&self) -> &'static str {
        match self {
            Self::NotFound => "There is nothing here",
            Self::Bad(_) => "That could not be read",
            Self::Unavailable(_) => "Not right now",
            Self::Internal(_) | Self::Panicked => "Something failed inside rivetr",
            Self::Refused(_) => "You may not do this",
            Self::Foreign => "This page is too old",
        }
    }

    fn message(&self) -> String {
        match self {
            Self::NotFound => {
                "The address may be mistyped, or what it led to was deleted or belongs to a team you are not in."
                    .to_owned()
            }
            Self::Bad(message) | Self::Unavailable(message) => message.clone(),
            Self::Internal(_) | Self::Panicked => {
                "Its log says what, under the number of this request: journalctl -u rivetr".to_owned()
            }
            Self::Refused(refusal) => refusal.to_string(),
            Self::Foreign => {
                "It was open for longer than you were signed in, or another site sent you here. Nothing was \
                 changed: go back, load the page again, and repeat what you did."
                    .to_owned()
            }
        }
    }
}

impl From<EngineError> for PageError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::NotFound { .. } => Self::NotFound,
            EngineError::Conflict { message, .. } | EngineError::Invalid { message, .. } => {
                Self::Bad(message)
            }
            EngineError::IllegalMove(error) => Self::Bad(error.to_string()),
            EngineError::Unavailable(message) => Self::Unavailable(message),
            EngineError::Internal(cause) => Self::Internal(Arc::from(cause)),
        }
    }
}

impl From<Arc<Refusal>> for PageError {
    fn from(refusal: Arc<Refusal>) -> Self {
        match *refusal {
            Refusal::NotFound { .. } => Self::NotFound,
            Refusal::Store(_) => Self::Internal(refusal),
            Refusal::Missing
            | Refusal::Unknown
            | Refusal::Unreadable
            | Refusal::Stranger { .. }
            | Refusal::InAddress { .. }
            | Refusal::SignedOut
            | Refusal::NeedsSecondFactor { .. }
            | Refusal::Forbidden { .. } => Self::Refused(refusal),
        }
    }
}

impl From<StoreError> for PageError {
    fn from(error: StoreError) -> Self {
        EngineError::from(error).into()
    }
}
