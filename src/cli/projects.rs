//! `rivetr projects …`: create, list, show and delete projects, and the environments in them.

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use super::table::{facts, or_dash, table};
use crate::api::wire::{self, CreateEnvironment, CreateProject, Project};
use crate::domain::name::Slug;

/// What can be done with projects.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Projects {
    /// Create a project: apps that share a network, apart from those of other projects
    Create(Create),
    /// List the projects
    #[command(after_help = "Example: rivetr projects list --json")]
    List,
    /// Show one project
    #[command(after_help = "Example: rivetr projects show shop")]
    Show(Named),
    /// Delete a project that has no apps
    #[command(after_help = "Example: rivetr projects delete shop")]
    Delete(Named),
    /// Add and remove environments
    #[command(subcommand)]
    Environments(Environments),
}

/// The arguments of `rivetr projects create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr projects create shop --environment production --environment staging")]
pub struct Create {
    /// Its name: lower-case letters, digits and dashes
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// An environment that it has; may be repeated [default: production]
    #[arg(long = "environment", value_name = "NAME", value_parser = Slug::parse)]
    environments: Vec<Slug>,
    /// The team it is for, where there are several
    #[arg(long, value_parser = Slug::parse)]
    team: Option<Slug>,
}

/// A project.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Named {
    /// The project
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

/// What can be done with environments.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Environments {
    /// Add an environment to a project
    #[command(after_help = "Example: rivetr projects environments add shop staging")]
    Add(Environment),
    /// Remove an environment that has no apps
    #[command(after_help = "Example: rivetr projects environments delete shop staging")]
    Delete(Environment),
}

/// An environment of a project.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Environment {
    /// The project
    #[arg(value_parser = Slug::parse)]
    project: Slug,
    /// The environment, such as staging
    #[arg(value_parser = Slug::parse)]
    environment: Slug,
}

impl Projects {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Create(Create { name, environments, team }) => {
                let environments = environments.iter().map(ToString::to_string).collect();
                let team = team.map(|team| team.to_string());
                let new = CreateProject { name: name.to_string(), environments, team };
                let answer = session.client.post("/api/projects", &new).await?;
                session.show(&answer, |project: Project| {
                    format!(
                        "{0} is created. An app in it: rivetr apps create NAME --project {0}\n",
                        project.name
                    )
                })
            }
            Self::List => {
                let answer = session.client.get("/api/projects").await?;
                session.show(&answer, |projects: wire::List<Project>| rows(&projects.items))
            }
            Self::Show(Named { name }) => {
                let answer = session.client.get(&format!("/api/projects/{name}")).await?;
                session.show(&answer, |project: Project| words(&project))
            }
            Self::Delete(Named { name }) => {
                let answer = session.client.delete(&format!("/api/projects/{name}")).await?;
                session.done(&answer, &format!("{name} is deleted."))
            }
            Self::Environments(Environments::Add(Environment { project, environment })) => {
                let new = CreateEnvironment { name: environment.to_string() };
                let path = format!("/api/projects/{project}/environments");
                let answer = session.client.post(&path, &new).await?;
                session.show(&answer, |project: Project| words(&project))
            }
            Self::Environments(Environments::Delete(Environment { project, environment })) => {
                let path = format!("/api/projects/{project}/environments/{environment}");
                let answer = session.client.delete(&path).await?;
                session.done(&answer, &format!("{project} has no environment {environment} any more."))
            }
        }
    }
}

fn rows(projects: &[Project]) -> String {
    let rows: Vec<_> = projects
        .iter()
        .map(|project| {
            [
                project.name.clone(),
                project.environments.join(" "),
                or_dash(Some(&project.apps.join(" "))),
                project.subnet.clone(),
            ]
        })
        .collect();
    table(["PROJECT", "ENVIRONMENTS", "APPS", "NETWORK"], &rows)
}

fn words(Project { name, team: _, environments, apps, subnet }: &Project) -> String {
    facts(&[
        ("project", name.clone()),
        ("environments", environments.join(" ")),
        ("apps", or_dash(Some(&apps.join(" ")))),
        ("network", format!("rivetr-net-{name}, {subnet}")),
    ])
}
