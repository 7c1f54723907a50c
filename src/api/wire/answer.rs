//! Answers are made from domain values here, and the words that both share are held together.

use std::fmt;

use super::{
    App, BuildOptions, DeployOptions, Deployment, Failure, HealthOptions, Role, RuntimeOptions, Scope, State,
    Step, Usage,
};
use crate::domain::app::{self, Settings, Wish};
use crate::domain::deployment;
use crate::domain::person;
use crate::domain::right;
use crate::domain::source::{GitAccess, GitSource, Reference, Source};
use crate::domain::time::Timestamp;
use crate::domain::variable;

impl App {
    /// An app as it is shown, with its addresses.
    #[must_use]
    pub fn of(app: &app::App, urls: Vec<String>, push_url: Option<String>) -> Self {
        let app::App {
            id,
            slug,
            project,
            environment,
            source,
            domains: _,
            settings,
            variables,
            live,
            release,
            wish,
            deleting,
            created,
        } = app;
        let Settings {
            port,
            variables: _,
            files: _,
            health,
            runtime,
            build,
            replicas,
            commands,
            rollback_window,
            linked: _,
        } = settings;
        let (kind, git, image, containerfile) = origin(source);
        let (tag, commit) = match git.map(|git| &git.reference) {
            Some(Reference::Tag(tag)) => (Some(tag.to_string()), None),
            Some(Reference::Commit(commit)) => (None, Some(commit.to_string())),
            Some(Reference::Branch(_)) | None => (None, None),
        };
        let access = git.map(|git| &git.access);
        let git_key = access.and_then(|access| match access {
            GitAccess::Key(name) => Some(name.to_string()),
            GitAccess::Public | GitAccess::Token { .. } => None,
        });
        Self {
            id: id.0,
            name: slug.to_string(),
            project: project.slug.to_string(),
            environment: environment.to_string(),
            port: port.get(),
            hosts: app.hosts().map(ToString::to_string).collect(),
            urls,
            source: kind.to_owned(),
            git: git.map(|git| git.url.to_string()),
            image,
            containerfile,
            push_url,
            branch: source.branch().map(ToString::to_string),
            tag,
            commit,
            git_key,
            git_token: matches!(access, Some(GitAccess::Token { .. })),
            submodules: git.is_some_and(|git| git.submodules),
            lfs: git.is_some_and(|git| git.lfs),
            env: variables.iter().map(|key| key.as_str().to_owned()).collect(),
            health: HealthOptions::of(health),
            runtime: RuntimeOptions::of(runtime),
            build: BuildOptions::of(build),
            replicas: replicas.get(),
            deploy: DeployOptions::of(commands, *rollback_window),
            stopped: *wish != Wish::Run,
            live: live.map(|id| id.0),
            release: *release,
            deleting: *deleting,
            created: time(*created),
        }
    }
}

/// The word for where an app comes from; its repository, image, or instructions.
fn origin(source: &Source) -> (&'static str, Option<&GitSource>, Option<String>, Option<String>) {
    match source {
        Source::Push { .. } => ("push", None, None, None),
        Source::Git(git) => ("git", Some(git), None, None),
        Source::Image { image } => ("image", None, Some(image.to_string()), None),
        Source::Upload => ("upload", None, None, None),
        Source::Inline { instructions } => ("inline", None, None, Some(instructions.as_str().to_owned())),
    }
}

impl From<&deployment::Deployment> for Deployment {
    fn from(deployment: &deployment::Deployment) -> Self {
        Self {
            id: deployment.id.0,
            app: deployment.app_slug.to_string(),
            number: deployment.number,
            trigger: deployment.trigger.as_str().to_owned(),
            back_to: deployment.back_to,
            reason: deployment.reason.clone(),
            state: deployment.state.into(),
            commit: deployment.commit.as_ref().map(ToString::to_string),
            digest: deployment.digest.as_ref().map(ToString::to_string),
            image: deployment.image.as_ref().map(|image| image.as_str().to_owned()),
            failure: deployment
                .failure
                .as_ref()
                .map(|failure| Failure { during: failure.during.into(), reason: failure.reason.clone() }),
            created: time(deployment.created),
            ended: deployment.ended.map(time),
            steps: Vec::new(),
        }
    }
}

impl Deployment {
    /// The same with the states it came through.
    #[must_use]
    pub fn with_steps(self, events: &[(deployment::State, Timestamp)]) -> Self {
        let step = |(state, at, took): (deployment::State, Timestamp, Option<u64>)| Step {
            state: state.into(),
            at: time(at),
            took_ms: took,
        };
        Self { steps: deployment::steps(events).map(step).collect(), ..self }
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
same_words!(Role = person::Role { Viewer, Developer, Admin, Owner });
same_words!(Usage = variable::Usage { Run, Build, Both });

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
        for usage in variable::Usage::ALL {
            assert_eq!(serde_json::to_value(Usage::from(usage)).unwrap(), usage.as_str());
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
