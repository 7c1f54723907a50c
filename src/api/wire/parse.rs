//! Requests become domain values here, once, and every wrong field is reported at the same time.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::num::NonZeroU16;

use super::{
    CreateApp, CreateEnvironment, CreateProject, CreateToken, Deploy, Hidden, Scale, Scope, SetSource,
};
use crate::domain::app::{NewApp, Replicas, Settings};
use crate::domain::name::{EnvKey, HostName, Slug};
use crate::domain::right;
use crate::domain::source::CommitId;
use crate::domain::variable::{EnvValue, NewVariable};

/// The port an app is taken to listen on unless it says otherwise.
pub const DEFAULT_PORT: u16 = 8080;
/// The branch that is deployed unless the app says otherwise.
pub const DEFAULT_BRANCH: &str = "main";
/// The project an app goes to unless it says otherwise.
pub const DEFAULT_PROJECT: &str = "default";
/// The environment an app goes to unless it says otherwise.
pub const DEFAULT_ENVIRONMENT: &str = "production";
/// Names and values of all variables together, in bytes.
pub const ENV_MAX: usize = EnvValue::ALL_MAX;
/// The most hosts one app may have.
pub const HOSTS_MAX: usize = 100;
/// The most environments that a project is made with.
const ENVIRONMENTS_MAX: usize = 20;
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
            options,
            image,
            containerfile,
            upload,
            env,
            health,
            runtime,
            build,
            replicas,
            deploy,
        } = self;
        let mut errors = FieldErrors::default();
        let slug = errors.take("name", Slug::parse(&name));
        let project = errors.take("project", Slug::parse(project.as_deref().unwrap_or(DEFAULT_PROJECT)));
        let environment = environment.as_deref().unwrap_or(DEFAULT_ENVIRONMENT);
        let environment = errors.take("environment", Slug::parse(environment));
        let port = errors.take("port", parse_port(port.unwrap_or(DEFAULT_PORT)));
        let hosts = parse_hosts(&hosts, &mut errors);
        let source = SetSource { git, options, image, containerfile, upload };
        let source = source.parse_into(&mut errors);
        let variables = parse_variables(&env, &mut errors);
        let mut settings = port.map(Settings::new);
        if let Some(Settings { health: of_app, runtime: its_runtime, build: its_build, .. }) = &mut settings {
            health.lay_over(of_app, &mut errors);
            runtime.lay_over(its_runtime, &mut errors);
            build.lay_over(its_build, &mut errors);
        }
        if let Some(settings) = &mut settings {
            let replicas = replicas.map_or(Ok(Replicas::ONE), parse_replicas);
            settings.replicas = errors.take("replicas", replicas).unwrap_or(Replicas::ONE);
            deploy.lay_over(settings, &mut errors);
        }
        match (slug, project, environment, settings, source) {
            (Some(slug), Some(project), Some(environment), Some(settings), Some(source))
                if errors.0.is_empty() =>
            {
                let (source, git_token) = source;
                Ok(NewApp { slug, project, environment, source, git_token, hosts, settings, variables })
            }
            _ => Err(errors),
        }
    }
}

impl CreateProject {
    /// Name and environments, or what is wrong with each.
    pub fn parse(self) -> Result<(Slug, Vec<Slug>), FieldErrors> {
        let Self { name, environments, team: _ } = self;
        let mut errors = FieldErrors::default();
        let slug = errors.take("name", Slug::parse(&name));
        if environments.len() > ENVIRONMENTS_MAX {
            errors.put("environments", "name at most 20 environments");
        }
        let named = environments.iter().enumerate().take(ENVIRONMENTS_MAX);
        let parsed: Vec<Slug> = named
            .filter_map(|(index, text)| errors.take(&format!("environments[{index}]"), Slug::parse(text)))
            .collect();
        match slug {
            Some(slug) if errors.0.is_empty() => Ok((slug, parsed)),
            _ => Err(errors),
        }
    }
}

impl CreateEnvironment {
    /// The name of the environment.
    pub fn parse(self) -> Result<Slug, FieldErrors> {
        Slug::parse(&self.name).map_err(|error| FieldErrors::one("name", error.to_string()))
    }
}

impl Scale {
    /// How many containers are asked for.
    pub fn parse(self) -> Result<Replicas, FieldErrors> {
        parse_replicas(self.replicas).map_err(|error| FieldErrors::one("replicas", error))
    }
}

impl Deploy {
    /// The commit that is asked for, and whether all of it is built anew.
    pub fn parse(self) -> Result<(Option<CommitId>, bool), FieldErrors> {
        let mut errors = FieldErrors::default();
        let commit = self.commit.and_then(|text| errors.take("commit", CommitId::parse(&text)));
        if errors.0.is_empty() { Ok((commit, self.no_cache)) } else { Err(errors) }
    }
}

impl CreateToken {
    /// Name, scope and life in days, or what is wrong with each field.
    pub fn parse(self) -> Result<(String, right::Scope, u32), FieldErrors> {
        let Self { name, scope, expires_days, user: _, team: _ } = self;
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

    /// Notes what is wrong with a field.
    pub fn put(&mut self, field: &str, message: impl Into<String>) {
        self.0.entry(field.to_owned()).or_insert_with(|| message.into());
    }

    pub(super) fn take<T, E: fmt::Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.put(field, error.to_string())).ok()
    }
}

fn parse_replicas(count: u8) -> Result<Replicas, &'static str> {
    Replicas::new(count).ok_or("use a number of containers from 1 to 32")
}

/// The hosts of a request, each once.
pub(super) fn parse_hosts(hosts: &[String], errors: &mut FieldErrors) -> Vec<HostName> {
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

/// The port that an app listens on.
pub(super) fn parse_port(port: u16) -> Result<NonZeroU16, &'static str> {
    NonZeroU16::new(port).ok_or("use a port from 1 to 65535")
}

fn parse_variables(env: &BTreeMap<String, Hidden>, errors: &mut FieldErrors) -> Vec<NewVariable> {
    let total: usize = env.iter().map(|(key, value)| key.len() + value.0.len() + 2).sum();
    if total > ENV_MAX {
        errors.put("env", "all variables together can hold at most 1,000,000 bytes");
        return Vec::new();
    }
    let mut variables = Vec::new();
    for (name, text) in env {
        let parsed = EnvKey::parse(name).and_then(|key| {
            Ok(NewVariable { key, value: EnvValue::parse(&text.0)?, secret: None, usage: None })
        });
        variables.extend(errors.take(&format!("env.{}", readable(name)), parsed));
    }
    variables
}

/// A field's name as it may stand in an answer: cut short and without control characters.
pub(super) fn readable(name: &str) -> String {
    name.chars().take(80).flat_map(|c| c.escape_debug().collect::<Vec<_>>()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Patch;
    use super::*;
    use crate::domain::image::ImageRef;
    use crate::domain::source::{Branch, Source};

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
        assert_eq!(app.settings, Settings::new(NonZeroU16::new(8080).unwrap()));
    }

    #[test]
    fn an_app_has_one_source() {
        let image = create(|app| app.image = Some("nginx".to_owned())).unwrap();
        assert_eq!(
            image.source,
            Source::Image { image: ImageRef::parse("docker.io/library/nginx:latest").unwrap() }
        );
        assert_eq!(create(|app| app.upload = true).unwrap().source, Source::Upload);
        let inline = create(|app| app.containerfile = Some("FROM a\n".to_owned())).unwrap();
        assert!(
            matches!(inline.source, Source::Inline { instructions } if instructions.as_str() == "FROM a\n")
        );
        let two = create(|app| (app.image, app.upload) = (Some("nginx".to_owned()), true)).unwrap_err();
        assert!(two["image"].contains("one source"), "{two:?}");
        let branch =
            create(|app| (app.options.branch, app.upload) = (Some("main".to_owned()), true)).unwrap_err();
        assert!(branch["upload"].contains("neither git nor branch"), "{branch:?}");
        assert!(
            create(|app| app.image = Some("--volume=/:/host".to_owned())).unwrap_err().contains_key("image")
        );
    }

    #[test]
    fn every_wrong_field_is_reported_at_once() {
        let errors = create(|app| {
            app.name = "Blog".to_owned();
            app.project = Some("-".to_owned());
            app.port = Some(80);
            app.hosts = vec!["good.example".to_owned(), "a b".to_owned()];
            app.git = Some("ext::sh -c id".to_owned());
            app.options.branch = Some("--upload-pack=x".to_owned());
            app.env = BTreeMap::from([
                ("A-B".to_owned(), Hidden(String::new())),
                ("GOOD".to_owned(), Hidden("a\0b".to_owned())),
            ]);
            app.health.path = Patch::Set("health".to_owned());
            app.health.timeout_s = Patch::Set(0);
            app.runtime.memory = Patch::Set("much".to_owned());
            app.build.target = Patch::Set("-x".to_owned());
            app.replicas = Some(33);
            app.deploy.before_switch = Patch::Set(vec![]);
            app.deploy.command_timeout_s = Patch::Set(0);
            app.deploy.rollback_window_s = Patch::Set(3601);
        });
        let errors = errors.unwrap_err();
        let fields: Vec<_> = errors.keys().map(String::as_str).collect();
        let expect = [
            "branch",
            "build.target",
            "deploy.before_switch",
            "deploy.command_timeout_s",
            "deploy.rollback_window_s",
            "env.A-B",
            "env.GOOD",
            "git",
            "health.path",
            "health.timeout_s",
            "hosts[1]",
            "name",
            "project",
            "replicas",
            "runtime.memory",
        ];
        assert_eq!(fields, expect);
    }

    #[test]
    fn limits() {
        assert!(create(|app| app.port = Some(0)).unwrap_err().contains_key("port"));
        let errors = create(|app| app.hosts = vec!["a".to_owned(); HOSTS_MAX + 1]).unwrap_err();
        assert!(errors.contains_key("hosts"));
        let errors = create(|app| {
            app.env = (0..10).map(|n| (format!("V{n}"), Hidden("x".repeat(ENV_MAX / 10)))).collect();
        });
        assert!(errors.unwrap_err().contains_key("env"));
        let hosts = vec!["a.example".to_owned(), "A.example.".to_owned()];
        assert_eq!(create(|app| app.hosts = hosts).unwrap().hosts.len(), 1);
        for (name, days) in [("", 1), ("a\n", 0), ("a\u{1b}", 1), ("ci", 0), ("ci", TOKEN_DAYS_MAX + 1)] {
            let new = CreateToken {
                name: name.to_owned(),
                scope: None,
                expires_days: Some(days),
                user: None,
                team: None,
            };
            assert!(new.parse().is_err(), "{name:?} {days}");
        }
        let new =
            CreateToken { name: " ci ".to_owned(), scope: None, expires_days: None, user: None, team: None };
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
