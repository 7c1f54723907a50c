//! What the API reads and writes as JSON, for both of its ends: the routes here and the client of the command line.
//!
//! The forms alone. `parse` turns requests into domain values, `answer` makes answers from domain values; those
//! made from the engine's own values are built beside their routes. Secrets are named, never shown.

mod answer;
mod backup;
mod certificate;
mod change;
mod database;
mod domain;
mod drift;
pub mod frame;
mod health;
mod instance;
mod job;
mod key;
mod options;
mod parse;
mod project;
mod registry;
mod report;
mod requests;
mod route;
mod service;
mod source;
mod template;
mod token;
mod unit;
mod user;
mod variable;
mod webhook;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use answer::{parse_time, time};
pub use backup::{
    AskedBackup, Backup, BackupDestination, BackupKey, BackupSchedule, PutDestination, Restore,
    RestoreBackup, TakeBackup, Verdict,
};
pub use certificate::{AddCertificate, Certificate, RenewCertificate};
pub use change::{ChangeApp, ChangedApp};
pub use database::{
    AskedChange, AskedDatabase, ChangeDatabase, CreateDatabase, Database, DatabaseCredentials, DatabaseKind,
    DatabaseLink, LinkDatabase,
};
pub use domain::{ChangeDomain, CreateDomain, CreateServiceDomain, Dns, Domain};
pub use drift::{Drift, DriftDecision};
pub use frame::{Exec, Window};
pub use health::{Check, CheckStatus, Health};
pub use instance::{Export, ExportImage, ExportSecret, ExportVolume, RestoredInstance};
pub use job::{CreateJob, Job, JobLog, JobOptions, JobRun};
pub use key::{CreateKey, Key, KnownHost};
pub use options::{BuildOptions, DeployOptions, HealthOptions, Patch, RuntimeOptions, TrafficOptions};
pub use parse::{
    DEFAULT_BRANCH, DEFAULT_PORT, DEFAULT_PROJECT, ENV_MAX, FieldErrors, HOSTS_MAX, TOKEN_DAYS_DEFAULT,
    TOKEN_DAYS_MAX, TOKEN_NAME_MAX,
};
pub use project::{CreateEnvironment, CreateProject, Project};
pub use registry::{PutRegistry, Registry};
pub use report::{Report, ReportedFile, ReportedKey, ReportedObject, ReportedUnit};
pub use requests::Requests;
pub use route::{Route, RouteMatch, RouteTarget};
pub use service::{
    CreateService, FollowedRepository, PreviewService, Revision, RevisionLog, Service, ServiceContainer,
    ServiceFiles, ServicePreview, ServiceRepository, ServiceStatus, SetServiceSource, SubmittedRevision,
};
pub use source::{GitOptions, SetSource};
pub use template::{Template, TemplateVariable};
pub use token::{CreateToken, CreatedToken, Scope, Token};
pub use unit::{InUse, Unit};
pub use user::{
    ChangeRole, ChangeTeam, ChangeUser, CreateUser, CreatedUser, Deed, Invitation, Invite, Link, Me, Member,
    NameTeam, Part, Reset, Role, Team, TeamLimits, User, Verified,
};
pub use variable::{File, Rotated, SetFile, SetVariable, SetVariables, Usage, Variable};
pub use webhook::{
    Delivery, DeliveryAnswer, EnableWebhook, EnabledWebhook, ShownDelivery, Webhook, Webhooks, parse_provider,
};

/// Something as JSON, for where it is written down.
#[must_use]
pub fn value(shown: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(shown).unwrap_or_default()
}

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
    /// What of the repository is deployed, and how it is opened.
    #[serde(flatten)]
    pub options: GitOptions,
    /// An image of a registry, in place of code: `nginx:1.29`, `ghcr.io/owner/name:tag`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The text of a Containerfile, in place of code; it is built without any other file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containerfile: Option<String>,
    /// The code comes as an archive with each deployment.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub upload: bool,
    /// Its environment variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub env: BTreeMap<String, Hidden>,
    /// How to tell that it answers.
    #[serde(default, skip_serializing_if = "HealthOptions::is_empty")]
    pub health: HealthOptions,
    /// How its container runs.
    #[serde(default, skip_serializing_if = "RuntimeOptions::is_empty")]
    pub runtime: RuntimeOptions,
    /// How its image is built.
    #[serde(default, skip_serializing_if = "BuildOptions::is_empty")]
    pub build: BuildOptions,
    /// How many containers answer side by side; 1 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replicas: Option<u8>,
    /// How it is deployed.
    #[serde(default, skip_serializing_if = "DeployOptions::is_empty")]
    pub deploy: DeployOptions,
}

/// Text that no log shows.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(pub String);

/// A new password, or null for none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Option<String>)]
pub struct NewPassword(pub Option<Hidden>);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// An app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in the JSON")]
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
    /// The hosts that it answers at, whole: its own, then the automatic one.
    pub hosts: Vec<String>,
    /// Where people find it: one address for each of its domains.
    pub urls: Vec<String>,
    /// Where it comes from: `push`, `git`, `image`, `upload` or `inline`.
    pub source: String,
    /// The repository it is fetched from.
    pub git: Option<String>,
    /// The image of a registry that it is.
    pub image: Option<String>,
    /// The text of the Containerfile that it is built from alone.
    pub containerfile: Option<String>,
    /// Where to push to; null: code does not come so, or rivetr has no address but on its own machine.
    pub push_url: Option<String>,
    /// The branch that is deployed; null: a tag or a commit is, or it does not come from a repository.
    pub branch: Option<String>,
    /// The tag that is deployed.
    pub tag: Option<String>,
    /// The one commit that is deployed.
    pub commit: Option<String>,
    /// The name of the key that opens the repository over SSH.
    pub git_key: Option<String>,
    /// Whether a token opens the repository.
    #[serde(default)]
    pub git_token: bool,
    /// Whether submodules are fetched too.
    #[serde(default)]
    pub submodules: bool,
    /// Whether large files are fetched too (Git LFS).
    #[serde(default)]
    pub lfs: bool,
    /// The names of its environment variables.
    pub env: Vec<String>,
    /// How to tell that it answers, where that is not the default.
    #[serde(default)]
    pub health: HealthOptions,
    /// How its container runs, where that is not the default.
    #[serde(default)]
    pub runtime: RuntimeOptions,
    /// How its image is built, where that is not the default.
    #[serde(default)]
    pub build: BuildOptions,
    /// How many containers answer side by side.
    #[serde(default)]
    pub replicas: u8,
    /// How it is deployed, where that is not the default.
    #[serde(default)]
    pub deploy: DeployOptions,
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

/// A wish to deploy.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Deploy {
    /// The full name of the commit; without it, the head of the app's branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Build every step anew, whatever the cache has.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_cache: bool,
}

/// A volume of an app.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Volume {
    /// Its name to Podman: `rivetr-vol-blog-data`.
    pub name: String,
    /// The app it belongs to; null: it is a service's.
    pub app: Option<String>,
    /// The service it belongs to; null: it is an app's.
    pub service: Option<String>,
    /// Its name within the app or the service.
    pub volume: String,
    /// What it belongs to is gone, or does not mount it any more.
    pub orphaned: bool,
    /// What it takes on disk, in bytes; null: it was not measured, which takes time.
    pub size: Option<u64>,
    /// When it was made (RFC 3339, UTC).
    pub created: Option<String>,
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
    /// What asked for it: `push`, `request`, `webhook`, `rollback`, `auto-rollback` or `restart`.
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
    /// What it is made of where there is no commit: of the image in its registry, the archive or the Containerfile.
    pub digest: Option<String>,
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
pub struct LogLine {
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
