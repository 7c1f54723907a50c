//! What can go wrong between the command line and the API, told apart by what a person can do about it.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use thiserror::Error;

use super::target::Target;
use crate::api::wire::{ErrorBody, ErrorDetail};

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A call that did not succeed.
#[derive(Debug, Error)]
pub enum ClientError {
    /// Nobody answers there, or this user may not connect.
    #[error("rivetr cannot be reached at {target}: {source}")]
    Unreachable {
        /// Where it was looked for.
        target: Target,
        /// What the system says.
        source: std::io::Error,
    },
    /// The connection ended in the middle.
    #[error("the connection to rivetr at {target} broke: {source}")]
    Broken {
        /// Where it led.
        target: Target,
        /// Why it ended.
        source: Cause,
    },
    /// No answer in time.
    #[error("rivetr at {target} did not answer within {} s", limit.as_secs())]
    TimedOut {
        /// Where it was asked.
        target: Target,
        /// How long it was given.
        limit: Duration,
    },
    /// The thing that was asked for does not exist.
    #[error("{message}")]
    NotFound {
        /// What does not exist.
        message: String,
    },
    /// The caller is not known, or may not do this.
    #[error("{message}")]
    Forbidden {
        /// Why.
        message: String,
    },
    /// The request cannot be carried out as it is: invalid, or in conflict with what is there.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
        /// What is wrong with each field.
        fields: BTreeMap<String, String>,
    },
    /// rivetr tried and failed.
    #[error("{message}")]
    Failed {
        /// Why.
        message: String,
        /// The request's number in the daemon's log.
        request: Option<String>,
    },
    /// Something answers there, but not rivetr.
    #[error("what answers at {target} is not rivetr's API")]
    NotRivetr {
        /// Where it was asked.
        target: Target,
    },
    /// The answer is not what this version expects.
    #[error("the answer of rivetr was not understood: {0}")]
    NotUnderstood(serde_json::Error),
    /// The request cannot be written as JSON or HTTP.
    #[error("the request cannot be sent: {0}")]
    Unsendable(serde_json::Error),
    /// The request holds what HTTP does not carry, such as a token with a newline.
    #[error("the request cannot be sent: {0}")]
    NotHttp(http::Error),
}

impl ClientError {
    /// The connection ended in the middle.
    pub(super) fn broken(target: &Target, source: impl Into<Cause>) -> Self {
        Self::Broken { target: target.clone(), source: source.into() }
    }

    /// An answer that is not a success.
    pub(super) fn of_status(target: &Target, status: StatusCode, body: &[u8]) -> Self {
        let Ok(ErrorBody { error }) = serde_json::from_slice(body) else {
            return Self::NotRivetr { target: target.clone() };
        };
        let ErrorDetail { code: _, message, fields, request } = error;
        match status {
            StatusCode::NOT_FOUND => Self::NotFound { message },
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Forbidden { message },
            status if status.is_client_error() => Self::Refused { message, fields },
            _ => Self::Failed { message, request },
        }
    }

    /// Whether the same request may succeed in a moment, as while the daemon is being restarted.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Broken { .. } | Self::TimedOut { .. })
    }
}
