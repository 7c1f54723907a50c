//! Projects and their environments, as JSON says them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A new project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// Its environments; `production` if none is named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environments: Vec<String>,
    /// The team it is for; not needed where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
}

/// A new environment of a project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEnvironment {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
}

/// A project: apps that share a network, apart from those of other projects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// The team it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Its environments, in the order in which they were made.
    pub environments: Vec<String>,
    /// Its apps.
    pub apps: Vec<String>,
    /// The network of its containers.
    pub subnet: String,
}
