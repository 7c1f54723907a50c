//! Routes of the proxy, as JSON shows them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A route of the proxy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Route {
    /// The host, or `*.example.org` for all with one label more.
    pub host: String,
    /// Only paths that are this one or below it.
    pub path: String,
    /// The app that answers; null, as the service is: rivetr itself.
    pub app: Option<String>,
    /// The number of its release.
    pub release: Option<u32>,
    /// The service that answers.
    #[serde(default)]
    pub service: Option<String>,
    /// Who are asked; none: the app or the service is stopped.
    pub targets: Vec<RouteTarget>,
    /// What else is done, each in a few words.
    pub rules: Vec<String>,
}

/// Who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteTarget {
    /// The container.
    pub name: String,
    /// Where it listens.
    pub address: String,
}

/// What would become of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteMatch {
    /// The route that is meant; null: there is none.
    pub route: Option<Route>,
    /// `served`, `redirected`, `refused`, or `unknown` if nothing is there.
    pub outcome: String,
    /// The same in words: the app, or the status and where to.
    pub detail: String,
    /// What is asked of whoever sends it before it comes so far, each in a few words.
    pub conditions: Vec<String>,
}
