//! What went wrong at a storage, in words that say what to do.

use std::error::Error;

use thiserror::Error;

use crate::domain::s3::Location;

/// The longest message of a storage that is passed on, in characters.
const SAID_MAX: usize = 300;

/// Why a storage did not do it.
#[derive(Debug, Error)]
pub enum S3Error {
    /// It cannot be spoken to.
    #[error("the storage {storage} cannot be reached: {why}")]
    Unreachable {
        /// Its address.
        storage: String,
        /// What the connection says.
        why: String,
    },
    /// It said no.
    #[error("the storage did not {what}: {said} (status {status}){cure}")]
    Refused {
        /// What it was asked to do.
        what: String,
        /// The status of its answer.
        status: u16,
        /// Its word for the reason, if it gave one.
        code: String,
        /// Its own words.
        said: String,
        /// What to do.
        cure: String,
    },
    /// Its answer cannot be understood.
    #[error("the storage's answer cannot be understood: {0}; is it one that speaks S3?")]
    Answer(String),
    /// It could not be asked at all.
    #[error("{0}")]
    Here(String),
    /// The object would have more parts than a storage takes.
    #[error(
        "the backup is longer than {0} GiB, which is all that a storage takes in parts of this size: keep it on disk"
    )]
    TooLong(u64),
}

impl S3Error {
    pub(super) fn answer(why: &str) -> Self {
        Self::Answer(why.to_owned())
    }

    /// Whether the next try may go through.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, code, .. } => {
                matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504) || code == "RequestTimeout"
            }
            Self::Answer(_) | Self::Here(_) | Self::TooLong(_) => false,
        }
    }

    pub(super) fn refused(what: &str, location: &Location, status: u16, code: &str, message: &str) -> Self {
        let said = match (code, message) {
            ("", "") => "it gave no reason".to_owned(),
            (code, "") => code.to_owned(),
            ("", message) => tidy(message),
            (code, message) => format!("{}: {}", tidy(code), tidy(message)),
        };
        let bucket = location.bucket.as_str();
        let cure = match (code, status) {
            ("SignatureDoesNotMatch", _) => {
                "; the secret key is another one than the storage has: hand it in again".to_owned()
            }
            ("InvalidAccessKeyId", _) => {
                "; the storage does not know the access key: hand it in again".to_owned()
            }
            ("NoSuchBucket", _) => format!("; make the bucket {bucket} there, or choose another one"),
            ("RequestTimeTooSkewed", _) => {
                "; the clock of this machine is wrong: look at timedatectl".to_owned()
            }
            (
                "PermanentRedirect" | "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException",
                _,
            )
            | (_, 301 | 307) => {
                format!(
                    "; is {} the region of the bucket, and the endpoint that of the region?",
                    location.region.as_str()
                )
            }
            ("EntityTooLarge", _) => "; it takes no object of this size".to_owned(),
            (_, 401 | 403) => format!(
                "; the access key must be allowed to put, get, list and delete objects in {bucket}, and to list and \
                 abort its uploads"
            ),
            (_, 404) if !location.path_style => {
                format!("; does it know {bucket} in the name of the host? If not, choose path style")
            }
            _ => String::new(),
        };
        Self::Refused { what: what.to_owned(), status, code: code.to_owned(), said, cure }
    }
}

fn tidy(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SAID_MAX).collect()
}

/// An error with all that caused it.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}
