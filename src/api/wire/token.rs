//! Tokens, as JSON says them.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A new token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateToken {
    /// What it is for.
    pub name: String,
    /// How far it reaches; `deploy` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// How long it lives, in days; 90 if not said, at most 366.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_days: Option<u32>,
    /// Whose it is, by login: it then reaches no further than they do. A person's own if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The one team that it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// A token that was just made: the only time its secret is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedToken {
    /// What is kept of it.
    pub token: Token,
    /// The secret itself; rivetr keeps only its digest.
    pub secret: String,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken").field("token", &self.token).finish_non_exhaustive()
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// What it is for.
    pub name: String,
    /// How far it reaches.
    pub scope: Scope,
    /// When it was made (RFC 3339, UTC).
    pub created: String,
    /// When it ends (RFC 3339, UTC).
    pub expires: Option<String>,
    /// When it was last used, to within a minute (RFC 3339, UTC).
    pub last_used: Option<String>,
    /// Where it was last used from.
    #[serde(default)]
    pub last_address: Option<String>,
    /// Whose it is; none: the instance's own.
    #[serde(default)]
    pub user: Option<String>,
    /// The one team that it is for.
    #[serde(default)]
    pub team: Option<String>,
}

/// How far a token reaches; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// See everything, change nothing.
    Read,
    /// Also deploy.
    Deploy,
    /// Also create, change and delete apps.
    Write,
    /// Everything.
    Admin,
}
