//! What the API reads and writes as JSON, for both of its ends: the routes here and the client of the command line.
//!
//! Requests become domain values by `parse`, which reports every wrong field at once. Answers are made from
//! domain values; those made from the engine's own values are built beside their routes. Variables are named,
//! never shown. No route and no rule is decided here.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::app::{self, EnvValue, HealthCheck, HealthPath, NewApp, Settings, Variable};
use crate::domain::deployment;
use crate::domain::name::{EnvKey, HostName, InvalidName, Slug};
use crate::domain::right;
use crate::domain::source::{Branch, CommitId, GitUrl, Source};
use crate::domain::time::Timestamp;

/// The port an app is taken to listen on unless it says otherwise.
pub const DEFAULT_PORT: u16 = 8080;
/// The branch that is deployed unless the app says otherwise.
pub const DEFAULT_BRANCH: &str = "main";
/// The project an app goes to unless it says otherwise.
pub const DEFAULT_PROJECT: &str = "default";
/// The longest time a new release may be given until it answers, in seconds.
pub const HEALTH_TIMEOUT_MAX_S: u64 = 3600;
/// Names and values of all variables together, in bytes: well below the 2 MiB that `execve` takes by default.
pub const ENV_MAX: usize = 1_000_000;
/// The most hosts one app may have.
pub const HOSTS_MAX: usize = 100;
/// How long a token lives unless its maker says otherwise, in days.
pub const TOKEN_DAYS_DEFAULT: u32 = 90;
/// The longest life of a token, in days.
pub const TOKEN_DAYS_MAX: u32 = 366;
/// The longest name of a token, in characters.
pub const TOKEN_NAME_MAX: usize = 80;

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

/// What is wrong with each field of a request; never empty when it is returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(pub BTreeMap<String, String>);

/// A new app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateApp {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// The project it goes to; `default` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
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
    /// The port it listens on in its container.
    pub port: u16,
    /// The hosts whose requests it answers.
    pub hosts: Vec<String>,
    /// The repository it is fetched from; null: code comes by `git push` to rivetr.
    pub git: Option<String>,
    /// The branch that is deployed.
    pub branch: String,
    /// The names of its environment variables.
    pub env: Vec<String>,
    /// The path that tells whether it answers.
    pub health_path: Option<String>,
    /// How long a new release may take until it answers, in seconds.
    pub health_timeout_s: u64,
    /// The deployment that serves.
    pub live: Option<i64>,
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
    /// Its unit, as systemd sees it; null: there is none.
    pub unit: Option<Unit>,
    /// Every host it answers, the automatic one included.
    pub hosts: Vec<String>,
}

/// A unit, as systemd sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Unit {
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

/// A deployment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deployment {
    /// Its number over all apps.
    pub id: i64,
    /// The name of its app.
    pub app: String,
    /// Its number among the app's deployments.
    pub number: u32,
    /// What asked for it: `push` or `request`.
    pub trigger: String,
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

/// The data of one `message` event of an app's runtime log.
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

impl CreateApp {
    /// The app that is asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<NewApp, FieldErrors> {
        let Self { name, project, port, hosts, git, branch, env, health_path, health_timeout_s } = self;
        let mut errors = FieldErrors::default();
        let slug = errors.take("name", Slug::parse(&name));
        let project = errors.take("project", Slug::parse(project.as_deref().unwrap_or(DEFAULT_PROJECT)));
        let port = NonZeroU16::new(port.unwrap_or(DEFAULT_PORT)).ok_or("use a port from 1 to 65535");
        let port = errors.take("port", port);
        let hosts = parse_hosts(&hosts, &mut errors);
        let branch = errors.take("branch", Branch::parse(branch.as_deref().unwrap_or(DEFAULT_BRANCH)));
        let git = git.and_then(|url| errors.take("git", GitUrl::parse(&url)));
        let variables = parse_variables(&env, &mut errors);
        let path = health_path.and_then(|path| errors.take("health_path", HealthPath::parse(&path)));
        let timeout = match health_timeout_s {
            None => Ok(HealthCheck::DEFAULT_TIMEOUT),
            Some(seconds @ 1..=HEALTH_TIMEOUT_MAX_S) => Ok(Duration::from_secs(seconds)),
            Some(_) => Err("use a number of seconds from 1 to 3600"),
        };
        let timeout = errors.take("health_timeout_s", timeout);
        match (slug, project, port, branch, timeout) {
            (Some(slug), Some(project), Some(port), Some(branch), Some(timeout)) if errors.0.is_empty() => {
                let source = match git {
                    Some(url) => Source::Git { url, branch },
                    None => Source::Push { branch },
                };
                let settings = Settings { port, variables, health: HealthCheck { path, timeout } };
                Ok(NewApp { slug, project, source, hosts, settings })
            }
            _ => Err(errors),
        }
    }
}

impl Deploy {
    /// The commit that is asked for.
    pub fn parse(self) -> Result<Option<CommitId>, FieldErrors> {
        let mut errors = FieldErrors::default();
        let commit = self.commit.and_then(|text| errors.take("commit", CommitId::parse(&text)));
        if errors.0.is_empty() { Ok(commit) } else { Err(errors) }
    }
}

impl CreateToken {
    /// Name, scope and life in days, or what is wrong with each field.
    pub fn parse(self) -> Result<(String, right::Scope, u32), FieldErrors> {
        let Self { name, scope, expires_days } = self;
        let mut errors = FieldErrors::default();
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > TOKEN_NAME_MAX || name.chars().any(char::is_control) {
            errors.put("name", "say in 1 to 80 printable characters what the token is for");
        }
        let days = expires_days.unwrap_or(TOKEN_DAYS_DEFAULT);
        if !(1..=TOKEN_DAYS_MAX).contains(&days) {
            errors.put("expires_days", "use a number of days from 1 to 366");
        }
        if errors.0.is_empty() {
            Ok((name, scope.unwrap_or(Scope::Deploy).into(), days))
        } else {
            Err(errors)
        }
    }
}

impl FieldErrors {
    /// The error of a single field.
    #[must_use]
    pub fn one(field: &str, message: impl Into<String>) -> Self {
        Self(BTreeMap::from([(field.to_owned(), message.into())]))
    }

    fn put(&mut self, field: &str, message: impl Into<String>) {
        self.0.entry(field.to_owned()).or_insert_with(|| message.into());
    }

    fn take<T, E: fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.put(field, error.to_string())).ok()
    }
}

fn parse_hosts(hosts: &[String], errors: &mut FieldErrors) -> Vec<HostName> {
    if hosts.len() > HOSTS_MAX {
        errors.put("hosts", "name at most 100 hosts");
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let mut parsed = Vec::new();
    for (index, text) in hosts.iter().enumerate() {
        let host = errors.take(&format!("hosts[{index}]"), HostName::parse(text));
        parsed.extend(host.filter(|host| seen.insert(host.clone())));
    }
    parsed
}

fn parse_variables(env: &BTreeMap<String, Hidden>, errors: &mut FieldErrors) -> Vec<Variable> {
    let total: usize = env.iter().map(|(key, value)| key.len() + value.0.len() + 2).sum();
    if total > ENV_MAX {
        errors.put("env", "all variables together can hold at most 1,000,000 bytes");
        return Vec::new();
    }
    let mut variables = Vec::new();
    for (name, text) in env {
        let parsed =
            EnvKey::parse(name).and_then(|key| Ok(Variable { key, value: EnvValue::parse(&text.0)? }));
        variables.extend(errors.take(&format!("env.{}", readable(name)), parsed));
    }
    variables
}

/// A field's name as it may stand in an answer: cut short and without control characters.
fn readable(name: &str) -> String {
    name.chars().take(80).flat_map(|c| c.escape_debug().collect::<Vec<_>>()).collect()
}

impl From<InvalidName> for FieldErrors {
    fn from(error: InvalidName) -> Self {
        Self::one(error.what, error.to_string())
    }
}

impl From<&app::App> for App {
    fn from(app: &app::App) -> Self {
        let app::App { id, slug, project, source, hosts, settings, live, deleting, created } = app;
        let Settings { port, variables, health } = settings;
        let git = match source {
            Source::Push { .. } => None,
            Source::Git { url, .. } => Some(url.to_string()),
        };
        Self {
            id: id.0,
            name: slug.to_string(),
            project: project.slug.to_string(),
            port: port.get(),
            hosts: hosts.iter().map(ToString::to_string).collect(),
            git,
            branch: source.branch().to_string(),
            env: variables.iter().map(|variable| variable.key.as_str().to_owned()).collect(),
            health_path: health.path.as_ref().map(|path| path.as_str().to_owned()),
            health_timeout_s: health.timeout.as_secs(),
            live: live.map(|id| id.0),
            deleting: *deleting,
            created: time(*created),
        }
    }
}

impl From<&deployment::Deployment> for Deployment {
    fn from(deployment: &deployment::Deployment) -> Self {
        Self {
            id: deployment.id.0,
            app: deployment.app_slug.to_string(),
            number: deployment.number,
            trigger: deployment.trigger.as_str().to_owned(),
            state: deployment.state.into(),
            commit: deployment.commit.as_ref().map(ToString::to_string),
            image: deployment.image.as_ref().map(|image| image.as_str().to_owned()),
            failure: deployment
                .failure
                .as_ref()
                .map(|failure| Failure { during: failure.during.into(), reason: failure.reason.clone() }),
            created: time(deployment.created),
            ended: deployment.ended.map(time),
        }
    }
}

/// Words that the wire and the domain share, one to one.
macro_rules! same_words {
    ($wire:ident = $domain:path { $($word:ident),+ }) => {
        impl From<$domain> for $wire {
            fn from(value: $domain) -> Self {
                use $domain as Domain;
                match value { $(Domain::$word => Self::$word),+ }
            }
        }
        impl From<$wire> for $domain {
            fn from(value: $wire) -> Self {
                match value { $($wire::$word => Self::$word),+ }
            }
        }
        impl fmt::Display for $wire {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(<$domain>::from(*self).as_str())
            }
        }
    };
}

same_words!(
    State = deployment::State {
        Queued,
        Fetching,
        Building,
        Starting,
        Checking,
        Switching,
        Retiring,
        Live,
        Failed,
        Cancelled,
        Superseded
    }
);
same_words!(Scope = right::Scope { Read, Deploy, Write, Admin });

/// A moment as it stands in JSON: RFC 3339 in UTC, to the millisecond.
#[must_use]
pub fn time(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or(jiff::Timestamp::MAX);
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The moment of such a text, if it is one.
#[must_use]
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse::<jiff::Timestamp>().ok().map(|at| Timestamp(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn create(change: impl FnOnce(&mut CreateApp)) -> Result<NewApp, BTreeMap<String, String>> {
        let mut app = CreateApp { name: "blog".to_owned(), ..CreateApp::default() };
        change(&mut app);
        app.parse().map_err(|errors| errors.0)
    }

    #[test]
    fn an_app_of_defaults() {
        let app = create(|_| ()).unwrap();
        assert_eq!((app.slug.as_str(), app.project.as_str()), ("blog", "default"));
        assert_eq!(app.source, Source::Push { branch: Branch::parse("main").unwrap() });
        assert_eq!((app.settings.port.get(), app.settings.health.path), (8080, None));
        assert_eq!(app.settings.health.timeout, HealthCheck::DEFAULT_TIMEOUT);
    }

    #[test]
    fn every_wrong_field_is_reported_at_once() {
        let errors = create(|app| {
            app.name = "Blog".to_owned();
            app.project = Some("-".to_owned());
            app.port = Some(0);
            app.hosts = vec!["good.example".to_owned(), "a b".to_owned()];
            app.git = Some("ext::sh -c id".to_owned());
            app.branch = Some("--upload-pack=x".to_owned());
            app.env = BTreeMap::from([
                ("A-B".to_owned(), Hidden(String::new())),
                ("GOOD".to_owned(), Hidden("a\0b".to_owned())),
            ]);
            app.health_path = Some("health".to_owned());
            app.health_timeout_s = Some(0);
        });
        let errors = errors.unwrap_err();
        let fields: Vec<_> = errors.keys().map(String::as_str).collect();
        let expect = [
            "branch",
            "env.A-B",
            "env.GOOD",
            "git",
            "health_path",
            "health_timeout_s",
            "hosts[1]",
            "name",
            "port",
            "project",
        ];
        assert_eq!(fields, expect);
    }

    #[test]
    fn limits() {
        let errors = create(|app| app.hosts = vec!["a".to_owned(); HOSTS_MAX + 1]).unwrap_err();
        assert!(errors.contains_key("hosts"));
        let errors = create(|app| {
            app.env = (0..10).map(|n| (format!("V{n}"), Hidden("x".repeat(ENV_MAX / 10)))).collect();
        });
        assert!(errors.unwrap_err().contains_key("env"));
        let hosts = vec!["a.example".to_owned(), "A.example.".to_owned()];
        assert_eq!(create(|app| app.hosts = hosts).unwrap().hosts.len(), 1);
        for (name, days) in [("", 1), ("a\n", 0), ("a\u{1b}", 1), ("ci", 0), ("ci", TOKEN_DAYS_MAX + 1)] {
            let new = CreateToken { name: name.to_owned(), scope: None, expires_days: Some(days) };
            assert!(new.parse().is_err(), "{name:?} {days}");
        }
        let new = CreateToken { name: " ci ".to_owned(), scope: None, expires_days: None };
        assert_eq!(new.parse().unwrap(), ("ci".to_owned(), right::Scope::Deploy, TOKEN_DAYS_DEFAULT));
    }

    #[test]
    fn values_of_variables_are_not_shown() {
        let app = CreateApp {
            env: BTreeMap::from([("KEY".to_owned(), Hidden("canary".to_owned()))]),
            ..CreateApp::default()
        };
        assert!(!format!("{app:?}").contains("canary"));
        assert!(serde_json::to_string(&app).unwrap().contains(r#""KEY":"canary""#));
    }

    #[test]
    fn words_are_those_of_the_domain() {
        for state in deployment::State::ALL {
            let word = serde_json::to_value(State::from(state)).unwrap();
            assert_eq!(word, state.as_str());
            assert_eq!(State::from(state).to_string(), state.as_str());
            assert_eq!(deployment::State::from(State::from(state)), state);
        }
        for scope in right::Scope::ALL {
            assert_eq!(serde_json::to_value(Scope::from(scope)).unwrap(), scope.as_str());
        }
    }

    #[test]
    fn times_are_utc_to_the_millisecond() {
        for (at, text) in [(0, "1970-01-01T00:00:00.000Z"), (1_700_000_000_123, "2023-11-14T22:13:20.123Z")] {
            assert_eq!(time(Timestamp(at)), text);
            assert_eq!(parse_time(text), Some(Timestamp(at)));
        }
        assert!(time(Timestamp(i64::MAX)).starts_with("9999-12-"));
        assert_eq!(parse_time("yesterday"), None);
    }
}
