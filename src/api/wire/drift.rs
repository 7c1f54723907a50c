//! Unit files that somebody changed by hand, as JSON says it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A unit file that somebody changed by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Drift {
    /// The name of the file, by which a decision names it: `rivetr-app-blog-7.container`.
    pub file: String,
    /// The unit that it makes: `rivetr-app-blog-7.service`.
    pub unit: String,
    /// Whose it is: `app-blog`, `db-orders`, `svc-shop`, `job-blog`, `project-default`.
    pub owner: String,
    /// Where it lies on the host.
    pub path: String,
    /// What was done to it: `edited` or `removed`.
    pub change: String,
    /// What was decided: `adopted` or `ignored`; null: nothing yet.
    pub decision: Option<String>,
    /// What differs from what rivetr would write, as `diff -u` prints it; null: what it would write cannot be told.
    pub diff: Option<String>,
}

/// What was done about a change by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DriftDecision {
    /// The name of the file.
    pub file: String,
    /// The unit that it makes.
    pub unit: String,
    /// How it ended: `restored`, `drop_in`, `adopted` or `ignored`.
    pub outcome: String,
    /// The drop-in that holds the change now.
    pub drop_in: Option<String>,
    /// Where the edited text is kept.
    pub kept_aside: Option<String>,
}
