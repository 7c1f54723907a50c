//! What the API reads and writes as JSON, for both of its ends: the routes here and the client of the command line.
//!
//! The forms alone. `parse` turns requests into domain values, `answer` makes answers from domain values; those
//! made from the engine's own values are built beside their routes. Variables are named, never shown.

mod answer;
mod parse;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use answer::{parse_time, time};
pub use parse::{
    COMMAND_TIMEOUT_MAX_S, DEFAULT_BRANCH, DEFAULT_PORT, DEFAULT_PROJECT, ENV_MAX, FieldErrors,
    HEALTH_TIMEOUT_MAX_S, HOSTS_MAX, ROLLBACK_WINDOW_MAX_S, TOKEN_DAYS_DEFAULT, TOKEN_DAYS_MAX,
    TOKEN_NAME_MAX,
};

/// Every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ErrorDetail {
    /// A stable word for programs, such as `not_found`.
    pub code: String,
    /// One sentence for people.
    pub message: String,
    /// What is wrong with each field of the request.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// The request's number in the daemon's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct List<T> {
    /// The items of this page.
    pub items: Vec<T>,
    /// Where the next page begins; null: this is the last one.
    pub next: Option<i64>,
}

/// A new app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApp {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// The project it goes to; `default` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// The project's environment; `production` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
    /// The port it listens on in its container; 8080 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Hosts whose requests it answers, besides the automatic one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
    /// A repository to fetch from; without it, code comes by `git push` to rivetr.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git: Option<String>,
    /// The branch that is deployed; `main` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// Its environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub env: BTreeMap<String, Hidden>,
    /// The path that tells whether it answers; without it, a TCP connection is enough.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_path: Option<String>,
    /// How long a new release may take until it answers, in seconds; 60 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_timeout_s: Option<u64>,
    /// How many containers answer side by side; 1 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u8>,
    /// A command that runs in the new image before a release goes live, as words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_switch: Option<Vec<String>>,
    /// A command that runs in the new image after a release went live, as words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_switch: Option<Vec<String>>,
    /// How long each of these commands may take, in seconds; 600 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command_timeout_s: Option<u64>,
    /// How long a new release is watched and the one before brought back if it does badly, in seconds; 60 if not
    /// said, 0: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_window_s: Option<u64>,
}

/// Text that no log shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct App {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The project it belongs to.
    pub project: String,
    /// The environment of that project.
    pub environment: String,
    /// The port it listens on in its container.
    pub port: u16,
    /// The hosts whose requests it answers: its own, then the automatic one.
    pub hosts: Vec<String>,
    /// Where people find it: one address for each of its hosts.
    pub urls: Vec<String>,
    /// The repository it is fetched from; null: code comes by `git push` to rivetr.
    pub git: Option<String>,
    /// Where to push to; null: it is fetched, or rivetr has no address but on its own machine.
    pub push_url: Option<String>,
    /// The branch that is deployed.
    pub branch: String,
    /// The names of its environment variables.
    pub env: Vec<String>,
    /// The path that tells whether it answers.
    pub health_path: Option<String>,
    /// How long a new release may take until it answers, in seconds.
    pub health_timeout_s: u64,
    /// How many containers answer side by side.
    #[serde(default)]
    pub replicas: u8,
    /// The command before a release goes live.
    #[serde(default)]
    pub before_switch: Option<Vec<String>>,
    /// The command after a release went live.
    #[serde(default)]
    pub after_switch: Option<Vec<String>>,
    /// How long each of these commands may take, in seconds.
    #[serde(default)]
    pub command_timeout_s: u64,
    /// How long a new release is watched, in seconds; 0: it is not.
    #[serde(default)]
    pub rollback_window_s: u64,
    /// Somebody stopped it: it does not run until it is started or deployed.
    #[serde(default)]
    pub stopped: bool,
    /// The deployment that serves.
    pub live: Option<i64>,
    /// The number of that deployment among the app's own.
    pub release: Option<u32>,
    /// It is being deleted.
    pub deleting: bool,
    /// When it was created (RFC 3339, UTC).
    pub created: String,
}

/// How an app does right now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AppStatus {
    /// The app.
    pub app: App,
    /// The deployment that serves.
    pub live: Option<Deployment>,
    /// Its newest deployment, however it went.
    pub latest: Option<Deployment>,
    /// The unit of its first container, as systemd sees it; null: there is none.
    pub unit: Option<Unit>,
    /// The units of all its containers.
    #[serde(default)]
    pub units: Vec<Unit>,
}

/// A unit, as systemd sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unit {
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// systemd's word: `active`, `activating`, `failed` and so on.
    pub active_state: String,
    /// systemd's finer word: `running`, `auto-restart` and so on.
    pub sub_state: String,
    /// How often systemd has restarted it.
    pub restarts: u32,
    /// Since when it is in this state (RFC 3339, UTC).
    pub since: Option<String>,
}

/// A wish to deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The full name of the commit; without it, the head of the app's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// A wish to go back to an earlier release.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollBack {
    /// The number of the deployment that made it live; without it, the one that was live before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub number: Option<u32>,
}

/// A wish for another number of containers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// How many: 1 to 32.
    pub replicas: u8,
}

/// One state that a deployment came through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// Which.
    pub state: State,
    /// When it was reached (RFC 3339, UTC).
    pub at: String,
    /// How long it took, in milliseconds; null: it is the last one yet.
    pub took_ms: Option<u64>,
}

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its number over all apps.
    pub id: i64,
    /// The name of its app.
    pub app: String,
    /// Its number among the app's deployments.
    pub number: u32,
    /// What asked for it: `push`, `request`, `rollback`, `auto-rollback` or `restart`.
    pub trigger: String,
    /// The number of the deployment whose image and settings it brings back; null: it builds its own.
    #[serde(default)]
    pub back_to: Option<u32>,
    /// Why it was asked for, where rivetr itself did.
    #[serde(default)]
    pub reason: Option<String>,
    /// Where it stands.
    pub state: State,
    /// The commit, once it is known.
    pub commit: Option<String>,
    /// The image, once it was built.
    pub image: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// When it was asked for (RFC 3339, UTC).
    pub created: String,
    /// When it reached its end (RFC 3339, UTC).
    pub ended: Option<String>,
    /// The states it came through; only where one deployment or a list is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<Step>,
}

/// Why a deployment failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// The state in which it failed.
    pub during: State,
    /// What went wrong and what to try.
    pub reason: String,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waits for its turn.
    Queued,
    /// The commit is being fetched.
    Fetching,
    /// The image is being built.
    Building,
    /// The new release is being started beside the old.
    Starting,
    /// The new release is asked until it answers.
    Checking,
    /// The proxy is being told.
    Switching,
    /// Requests to the old release end.
    Retiring,
    /// Done: it was switched to.
    Live,
    /// It could not be done; what served before still serves.
    Failed,
    /// Somebody stopped it.
    Cancelled,
    /// A newer one took its place.
    Superseded,
}

/// The data of one `message` event of a deployment's log; the event's id is the offset after the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DeploymentLine {
    /// The line, without its end.
    pub text: String,
}

/// The data of one `message` event of an app's runtime log; the event's id is the line's place in the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RuntimeLine {
    /// When it was written (RFC 3339, UTC).
    pub at: String,
    /// The unit that wrote it.
    pub unit: String,
    /// It was written to standard error.
    pub stderr: bool,
    /// The line, without its end.
    pub text: String,
}

/// How rivetr and its host do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Health {
    /// The worst status of all checks.
    pub status: CheckStatus,
    /// Each check.
    pub checks: Vec<Check>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// What was looked at.
    pub name: String,
    /// How it does.
    pub status: CheckStatus,
    /// What was seen.
    pub detail: String,
    /// What to do about it.
    pub cure: Option<String>,
}

/// How a checked thing does, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    /// As it should be.
    Ok,
    /// It works, but something should be done.
    Warn,
    /// It does not work.
    Fail,
}

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
