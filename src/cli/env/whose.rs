//! Whose variables a command is about: the first word is an app, unless `--project` names a project.

use std::fmt;

use clap::Args;

use super::super::failure::{Exit, Failure};
use crate::api::wire::{SetVariable, Usage};
use crate::domain::name::Slug;
use crate::domain::variable::EnvValue;

/// A project or an environment, in place of an app.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Shared {
    /// The project whose apps all get them; then no app is named
    #[arg(long, value_parser = Slug::parse)]
    project: Option<Slug>,
    /// Only the apps in this environment of the project
    #[arg(long, value_parser = Slug::parse, requires = "project")]
    environment: Option<Slug>,
}

/// How a variable is kept. What is not said stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of the command line")]
pub struct Kind {
    /// Nobody is shown their values again
    #[arg(long, conflicts_with = "plain")]
    secret: bool,
    /// Their values may be shown
    #[arg(long)]
    plain: bool,
    /// They are there while the image is built; with --run also while the app runs
    #[arg(long)]
    build: bool,
    /// They are there while the app runs
    #[arg(long)]
    run: bool,
}

/// Whose variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// Those of an app.
    App(Slug),
    /// Those of all apps of a project.
    Project(Slug),
    /// Those of all apps of an environment.
    Environment(Slug, Slug),
}

impl Shared {
    /// Whose variables these words are about, and the words that follow.
    pub fn split(self, words: Vec<String>) -> Result<(Whose, Vec<String>), Failure> {
        let whose = match (self.project, self.environment) {
            (Some(project), Some(environment)) => Whose::Environment(project, environment),
            (Some(project), None) => Whose::Project(project),
            (None, _) => {
                let mut words = words.into_iter();
                let name = words.next().ok_or_else(|| usage("name an app, or a project with --project"))?;
                let app = Slug::parse(&name).map_err(|error| usage(&error.to_string()))?;
                return Ok((Whose::App(app), words.collect()));
            }
        };
        Ok((whose, words))
    }

    /// Whose variables these words are about, where nothing may follow.
    pub fn alone(self, words: Vec<String>) -> Result<Whose, Failure> {
        match self.split(words)? {
            (whose, rest) if rest.is_empty() => Ok(whose),
            _ => Err(usage("name one app, or one project with --project")),
        }
    }
}

impl Kind {
    /// A variable of this kind.
    pub fn of(&self, value: &EnvValue) -> SetVariable {
        let Self { secret, plain, build, run } = *self;
        let usage = match (build, run) {
            (true, true) => Some(Usage::Both),
            (true, false) => Some(Usage::Build),
            (false, true) => Some(Usage::Run),
            (false, false) => None,
        };
        let secret = (secret || plain).then_some(secret);
        SetVariable { value: crate::api::wire::Hidden(value.as_str().to_owned()), secret, usage }
    }
}

impl Whose {
    /// Where the API has them.
    pub fn path(&self) -> String {
        match self {
            Self::App(app) => format!("/api/apps/{app}/env-vars"),
            Self::Project(project) => format!("/api/projects/{project}/env-vars"),
            Self::Environment(project, environment) => {
                format!("/api/projects/{project}/environments/{environment}/env-vars")
            }
        }
    }

    /// When a change takes effect, and how to bring that about.
    pub fn takes_effect(&self) -> String {
        match self {
            Self::App(app) => {
                format!("The next deployment of {app} takes this into effect:\n  rivetr deploy {app}\n")
            }
            Self::Project(_) | Self::Environment(..) => {
                format!(
                    "Each app of {self} takes this into effect with its next deployment:\n  rivetr deploy APP\n"
                )
            }
        }
    }
}

impl fmt::Display for Whose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => write!(f, "{app}"),
            Self::Project(project) => write!(f, "project {project}"),
            Self::Environment(project, environment) => write!(f, "project {project}, {environment}"),
        }
    }
}

/// A command line that says too little or too much.
pub fn usage(message: &str) -> Failure {
    Failure::new(Exit::Usage, message)
}
