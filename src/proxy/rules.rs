//! What the proxy does with the requests of a route besides passing them on, as it stands in `routes.json`.
//! [`policy`] is what becomes of it.

use serde::{Deserialize, Serialize};

pub(super) mod policy;

mod book;
mod changes;
mod password;
mod redirect;
pub(super) mod sticky;

pub(super) use book::Book;

/// Everything that one route says otherwise than the proxy would.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rules {
    /// Requests over plain HTTP are redirected to HTTPS.
    #[serde(skip_serializing_if = "is_default")]
    pub https_only: bool,
    /// What browsers are told about HTTPS.
    #[serde(skip_serializing_if = "is_default")]
    pub hsts: Option<Hsts>,
    /// Every request is redirected to this host, with path and query.
    #[serde(skip_serializing_if = "is_default")]
    pub to_host: Option<String>,
    /// Where paths are redirected to; the first rule that matches counts.
    #[serde(skip_serializing_if = "is_default")]
    pub redirects: Vec<Redirect>,
    /// What is changed in the header of a request.
    #[serde(skip_serializing_if = "is_default")]
    pub request_fields: Vec<FieldChange>,
    /// What is changed in the header of an answer.
    #[serde(skip_serializing_if = "is_default")]
    pub response_fields: Vec<FieldChange>,
    /// Who may come in; nobody named: everyone.
    #[serde(skip_serializing_if = "is_default")]
    pub basic_auth: Vec<Credential>,
    /// The networks whose addresses may come in, as `192.0.2.0/24`; none named: every address.
    #[serde(skip_serializing_if = "is_default")]
    pub allow: Vec<String>,
    /// Nobody is let through; what the page says.
    #[serde(skip_serializing_if = "is_default")]
    pub maintenance: Option<String>,
    /// A visitor stays with the target that answered first, while it is there.
    #[serde(skip_serializing_if = "is_default")]
    pub sticky: bool,
    /// What is spoken with the targets.
    #[serde(skip_serializing_if = "is_default")]
    pub protocol: Protocol,
    /// From the end of a request to the head of its answer, in milliseconds.
    #[serde(skip_serializing_if = "is_default")]
    pub answer_ms: Option<u64>,
}

/// `Strict-Transport-Security` (RFC 6797).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hsts {
    /// For how many seconds a browser comes by HTTPS alone.
    pub max_age_s: u64,
    /// Also to hosts below this one.
    pub subdomains: bool,
    /// Whether browsers may ship this host in their list.
    pub preload: bool,
}

/// One redirect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redirect {
    /// A regular expression over the whole path.
    pub from: String,
    /// The path or absolute address that takes its place; `$1` is what the first group captured.
    pub to: String,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// A change of one header field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum FieldChange {
    /// The field has this value and no other.
    Set {
        /// The name, lower-case.
        name: String,
        /// The value.
        value: String,
    },
    /// The field is not there.
    Remove {
        /// The name, lower-case.
        name: String,
    },
}

/// Who may come in by basic authentication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credential {
    /// The name.
    pub user: String,
    /// The argon2id hash of the password, in the PHC format.
    pub hash: String,
}

/// What is spoken with a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 without TLS, from the first byte on; what gRPC needs.
    H2c,
}

pub(super) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
