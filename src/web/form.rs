//! What a form sends, as the handler's own type. Whether it came from a page of the session was looked at before.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::error::PageError;
use crate::api::wire;
use crate::engine::EngineError;

/// The field that shows that a form came from a page of the session.
pub(super) const CSRF: &str = "csrf";

/// The fields of a form.
#[derive(Debug)]
pub(super) struct Form<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = PageError;

    async fn from_request(request: Request, state: &S) -> Result<Self, PageError> {
        let body =
            Bytes::from_request(request, state).await.map_err(|error| PageError::Bad(error.body_text()))?;
        let fields: Vec<_> = form_urlencoded::parse(&body).filter(|(name, _)| name != CSRF).collect();
        let text = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        serde_html_form::from_str(&text).map(Self).map_err(|error| PageError::Bad(error.to_string()))
    }
}

/// Why nothing was stored.
pub(super) enum Refused {
    /// A field is wrong.
    Form(Errors),
    /// The engine does not do it.
    Engine(EngineError),
}

impl Refused {
    /// What belongs to the form.
    pub fn errors(self) -> Result<Errors, PageError> {
        match self {
            Self::Form(errors) => Ok(errors),
            Self::Engine(error) => Errors::of_engine(error),
        }
    }
}

impl From<EngineError> for Refused {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// A name, typed once more before something is lost.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    #[serde(default)]
    pub confirm: String,
}

impl Confirm {
    /// Whether it is this name; else what is wrong, at its field.
    pub fn is(&self, name: &str) -> Result<(), Errors> {
        if self.confirm.trim() == name {
            Ok(())
        } else {
            Err(Errors::one("confirm", format!("type {name} to go on")))
        }
    }
}

/// What is wrong with a form: each field by its name, and what is about none of them by the empty one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Errors(BTreeMap<String, String>);

impl Errors {
    /// One field, and what is wrong with it.
    pub fn one(field: &str, message: impl Into<String>) -> Self {
        Self(BTreeMap::from([(field.to_owned(), message.into())]))
    }

    /// Fields, and what is wrong with each.
    pub fn of_fields(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(fields.into_iter().collect())
    }

    /// What is wrong with a field; empty: nothing. For templates.
    pub fn of(&self, field: &str) -> &str {
        self.0.get(field).map_or("", String::as_str)
    }

    /// The same under other names.
    pub fn at(self, name: impl Fn(&str) -> &str) -> Self {
        Self(self.0.into_iter().map(|(field, message)| (name(&field).to_owned(), message)).collect())
    }

    /// What is about no field of `shown`, for the head of the form.
    pub fn others(&self, shown: &[&str]) -> Vec<&str> {
        let others = self.0.iter().filter(|(field, _)| !shown.contains(&field.as_str()));
        others.map(|(_, message)| message.as_str()).collect()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<wire::FieldErrors> for Errors {
    fn from(errors: wire::FieldErrors) -> Self {
        Self(errors.0)
    }
}

impl Errors {
    /// What of an error of the engine belongs to a form; anything else is for a page of its own.
    pub fn of_engine(error: EngineError) -> Result<Self, PageError> {
        match error {
            EngineError::Conflict { field, message } | EngineError::Invalid { field, message } => {
                Ok(Self::one(field, message))
            }
            EngineError::IllegalMove(error) => Ok(Self::one("", error.to_string())),
            EngineError::Unavailable(message) => Ok(Self::one("", message)),
            error @ (EngineError::NotFound { .. } | EngineError::Internal(_)) => Err(error.into()),
        }
    }
}
