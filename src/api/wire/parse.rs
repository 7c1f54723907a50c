//! Requests become domain values here, once, and every wrong field is reported at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;
use std::time::Duration;

use super::{CreateApp, CreateToken, Deploy, Hidden, Scale, Scope};
use crate::domain::app::{
    Command, Commands, EnvValue, HealthCheck, HealthPath, NewApp, Replicas, Settings, Variable,
};
use crate::domain::name::{EnvKey, HostName, Slug};
use crate::domain::right;
use crate::domain::source::{Branch, CommitId, GitUrl, Source};

/// The port an app is taken to listen on unless it says otherwise.
pub const DEFAULT_PORT: u16 = 8080;
/// The branch that is deployed unless the app says otherwise.
pub const DEFAULT_BRANCH: &str = "main";
/// The project an app goes to unless it says otherwise.
pub const DEFAULT_PROJECT: &str = "default";
/// The environment an app goes to unless it says otherwise.
pub const DEFAULT_ENVIRONMENT: &str = "production";
/// The longest time a new release may be given until it answers, in seconds.
pub const HEALTH_TIMEOUT_MAX_S: u64 = 3600;
/// The longest time a command of a deployment may be given, in seconds.
pub const COMMAND_TIMEOUT_MAX_S: u64 = 3600;
/// The longest time a new release may be watched, in seconds.
pub const ROLLBACK_WINDOW_MAX_S: u64 = 3600;
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

/// What is wrong with each field of a request; never empty when it is returned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(pub BTreeMap<String, String>);

impl CreateApp {
    /// The app that is asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<NewApp, FieldErrors> {
        let Self {
            name,
            project,
            environment,
            port,
            hosts,
            git,
            branch,
            env,
            health_path,
            health_timeout_s,
            replicas,
            before_switch,
            after_switch,
            command_timeout_s,
            rollback_window_s,
        } = self;
        let mut errors = FieldErrors::default();
        let slug = errors.take("name", Slug::parse(&name));
        let project = errors.take("project", Slug::parse(project.as_deref().unwrap_or(DEFAULT_PROJECT)));
        let environment = environment.as_deref().unwrap_or(DEFAULT_ENVIRONMENT);
        let environment = errors.take("environment", Slug::parse(environment));
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
        let replicas = replicas.map_or(Ok(Replicas::ONE), parse_replicas);
        let replicas = errors.take("replicas", replicas).unwrap_or(Replicas::ONE);
        let commands = parse_commands(before_switch, after_switch, command_timeout_s, &mut errors);
        let rollback_window = match rollback_window_s {
            None => Ok(Some(Settings::ROLLBACK_WINDOW)),
            Some(0) => Ok(None),
            Some(seconds @ 1..=ROLLBACK_WINDOW_MAX_S) => Ok(Some(Duration::from_secs(seconds))),
            Some(_) => Err("use a number of seconds from 1 to 3600, or 0 for never"),
        };
        let rollback_window = errors.take("rollback_window_s", rollback_window).flatten();
        match (slug, project, environment, port, branch, timeout) {
            (Some(slug), Some(project), Some(environment), Some(port), Some(branch), Some(timeout))
                if errors.0.is_empty() =>
            {
                let source = match git {
                    Some(url) => Source::Git { url, branch },
                    None => Source::Push { branch },
                };
                let health = HealthCheck { path, timeout };
                let settings = Settings { port, variables, health, replicas, commands, rollback_window };
                Ok(NewApp { slug, project, environment, source, hosts, settings })
            }
            _ => Err(errors),
        }
    }
}

impl Scale {
    /// How many containers are asked for.
    pub fn parse(self) -> Result<Replicas, FieldErrors> {
        parse_replicas(self.replicas).map_err(|error| FieldErrors::one("replicas", error))
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

fn parse_replicas(count: u8) -> Result<Replicas, &'static str> {
    Replicas::new(count).ok_or("use a number of containers from 1 to 32")
}

fn parse_commands(
    before_switch: Option<Vec<String>>,
    after_switch: Option<Vec<String>>,
    timeout_s: Option<u64>,
    errors: &mut FieldErrors,
) -> Commands {
    let before_switch = before_switch.and_then(|words| errors.take("before_switch", Command::new(words)));
    let after_switch = after_switch.and_then(|words| errors.take("after_switch", Command::new(words)));
    let timeout = match timeout_s {
        None => Ok(Commands::DEFAULT_TIMEOUT),
        Some(seconds @ 1..=COMMAND_TIMEOUT_MAX_S) => Ok(Duration::from_secs(seconds)),
        Some(_) => Err("use a number of seconds from 1 to 3600"),
    };
    let timeout = errors.take("command_timeout_s", timeout).unwrap_or(Commands::DEFAULT_TIMEOUT);
    Commands { before_switch, after_switch, timeout }
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
            app.replicas = Some(33);
            app.before_switch = Some(vec![]);
            app.after_switch = Some(vec!["a".to_owned(), String::new()]);
            app.command_timeout_s = Some(0);
            app.rollback_window_s = Some(3601);
        });
        let errors = errors.unwrap_err();
        let fields: Vec<_> = errors.keys().map(String::as_str).collect();
        let expect = [
            "after_switch",
            "before_switch",
            "branch",
            "command_timeout_s",
            "env.A-B",
            "env.GOOD",
            "git",
            "health_path",
            "health_timeout_s",
            "hosts[1]",
            "name",
            "port",
            "project",
            "replicas",
            "rollback_window_s",
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
}
