//! `rivetr services create`, `update`, `diff`, `rollback` and `delete`: each change waits until what is new runs.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::Args;

use super::super::failure::{Exit, Failure};
use super::super::git::URL;
use super::super::session::Session;
use super::super::table::harmless;
use super::Named;
use super::gather::gather;
use super::repository::Repository;
use crate::api::wire::{
    CreateService, PreviewService, Revision, ServiceFiles, ServicePreview, ServiceStatus, SubmittedRevision,
};
use crate::domain::name::Slug;

/// The files that are meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Sources {
    /// The compose file; files of its folder that it names go along [default: compose.yaml]
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take variables from this file in place of the .env beside the compose file
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
}

/// The arguments of `rivetr services create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Create {
    #[command(flatten)]
    service: Named,
    /// The compose file; files of its folder that it names go along [default: compose.yaml]. With a repository, its path
    /// there [default: the first of compose.yaml, compose.yml, docker-compose.yaml and docker-compose.yml]
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take variables from this file in place of the .env beside the compose file; with a repository, besides its own
    #[arg(long, value_name = "FILE")]
    env_file: Option<PathBuf>,
    #[command(flatten)]
    repository: Repository,
    /// Make it of this template, in place of files; see `rivetr templates list`
    #[arg(long, value_name = "TEMPLATE", value_parser = Slug::parse, conflicts_with_all = ["file", "env_file", URL])]
    template: Option<Slug>,
    /// Say a variable of the template; may be repeated
    #[arg(long = "set", value_name = "NAME=VALUE", requires = "template", value_parser = parse_pair)]
    variables: Vec<(String, String)>,
    /// Its project [default: default]
    #[arg(long, value_name = "PROJECT", value_parser = Slug::parse)]
    project: Option<Slug>,
    /// Do not wait until it runs
    #[arg(long)]
    no_wait: bool,
}

/// The arguments of `rivetr services update`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Update {
    #[command(flatten)]
    service: Named,
    #[command(flatten)]
    sources: Sources,
    /// Do not wait until it runs
    #[arg(long)]
    no_wait: bool,
}

/// The arguments of `rivetr services diff`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Diff {
    #[command(flatten)]
    service: Named,
    #[command(flatten)]
    sources: Sources,
    /// Also print the units
    #[arg(long)]
    units: bool,
}

/// The arguments of `rivetr services rollback`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Rollback {
    #[command(flatten)]
    service: Named,
    /// The revision, by its number in `rivetr services revisions`
    revision: u32,
    /// Do not wait until it runs
    #[arg(long)]
    no_wait: bool,
}

/// The arguments of `rivetr services delete`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Delete {
    #[command(flatten)]
    service: Named,
    /// Its volumes go too, with their data
    #[arg(long)]
    volumes: bool,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Sources {
    fn gather(&self) -> Result<ServiceFiles, Failure> {
        let file = self.file.as_deref().unwrap_or(Path::new("compose.yaml"));
        gather(file, self.env_file.as_deref())
    }
}

impl Create {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self {
            service: Named { name },
            file,
            env_file,
            repository,
            template,
            variables,
            project,
            no_wait,
        } = self;
        let repository = repository.asked(file.as_deref(), env_file.as_deref())?;
        let files = match (&template, &repository) {
            (None, None) => Sources { file, env_file }.gather()?.files,
            (Some(_), _) | (_, Some(_)) => BTreeMap::new(),
        };
        let request = CreateService {
            name: name.to_string(),
            project: project.map(|project| project.to_string()),
            files,
            repository,
            template: template.map(|template| template.to_string()),
            variables: variables.into_iter().collect(),
        };
        let answer = session.client.post_patiently("/api/services", &request).await?;
        finish(session, answer.decode()?, no_wait).await
    }
}

impl Update {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, sources, no_wait } = self;
        let files = sources.gather()?;
        let answer = session.client.put(&format!("/api/services/{name}/files"), &files).await?;
        finish(session, answer.decode()?, no_wait).await
    }
}

impl Diff {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, sources, units } = self;
        let files = match sources {
            Sources { file: None, env_file: None } if follows(session, &name).await? => None,
            sources => Some(sources.gather()?.files),
        };
        let request = PreviewService { files };
        let answer =
            session.client.post_patiently(&format!("/api/services/{name}/preview"), &request).await?;
        session.show(&answer, |preview: ServicePreview| {
            let ServicePreview { commit, units: texts, steps, warnings } = preview;
            let mut words = commit.map_or(String::new(), |commit| format!("commit: {commit}\n"));
            words.extend(warnings.iter().map(|line| format!("warning: {}\n", harmless(line))));
            for (name, text) in texts.iter().filter(|_| units) {
                words.extend(["# --- ", name.as_str(), "\n"]);
                words.extend(text.lines().map(|line| format!("{}\n", harmless(line))));
                words.push('\n');
            }
            words.push_str(&steps);
            words
        })
    }
}

impl Rollback {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, revision, no_wait } = self;
        let path = format!("/api/services/{name}/revisions/{revision}/rollback");
        let answer = session.client.post_patiently(&path, &serde_json::json!({})).await?;
        finish(session, answer.decode()?, no_wait).await
    }
}

impl Delete {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, volumes, yes } = self;
        if !yes {
            let stdin = std::io::stdin();
            if !stdin.is_terminal() {
                let message = format!("{name} was not deleted: nobody can be asked here whether it may be");
                let cure = format!("rivetr services delete {name} --yes");
                return Err(Failure::new(Exit::Usage, message).cure(cure));
            }
            confirm(&name, volumes, &mut stdin.lock(), &mut std::io::stderr())?;
        }
        session.client.delete(&format!("/api/services/{name}?volumes={volumes}")).await?;
        if session.json { Ok(()) } else { session.line(&format!("{name} is deleted.")) }
    }
}

/// Whether the files of a service come from a repository.
async fn follows(session: &mut Session, name: &Slug) -> Result<bool, Failure> {
    let answer = session.client.get(&format!("/api/services/{name}")).await?;
    let status: ServiceStatus = answer.decode()?;
    Ok(status.service.repository.is_some())
}

fn warn(warnings: &[String]) -> Result<(), Failure> {
    for warning in warnings {
        writeln!(std::io::stderr(), "warning: {}", harmless(warning))?;
    }
    Ok(())
}

/// Says what was taken and waits for how it ends.
pub(super) async fn finish(
    session: &mut Session,
    taken: SubmittedRevision,
    no_wait: bool,
) -> Result<(), Failure> {
    let SubmittedRevision { service, revision, warnings } = taken;
    warn(&warnings)?;
    if no_wait {
        let words = format!("Revision {} of {service} is on its way.", revision.number);
        return if session.json { session.document(&revision) } else { session.line(&words) };
    }
    let path = format!("/api/services/{service}/revisions/{}?wait=true", revision.number);
    let mut state = String::new();
    loop {
        let answer = session.client.get(&path).await?;
        let revision: Revision = answer.decode()?;
        if !session.json && revision.state != state && !is_end(&revision.state) {
            writeln!(std::io::stderr(), "Revision {} of {service} is {}.", revision.number, revision.state)?;
        }
        state.clone_from(&revision.state);
        if !is_end(&state) {
            continue;
        }
        if session.json {
            session.document(&revision)?;
        }
        let Revision { number, failure, warnings: found, .. } = revision;
        if warnings.is_empty() {
            // What comes from a repository was not read yet when it was taken.
            warn(&found)?;
        }
        return match state.as_str() {
            "live" if session.json => Ok(()),
            "live" => session.line(&format!("Revision {number} of {service} is live.")),
            _ => {
                let why = failure.unwrap_or_else(|| "another one took its place".to_owned());
                let why: Vec<String> = why.lines().map(harmless).collect();
                let message = format!("revision {number} of {service} did not come up: {}", why.join("\n"));
                Err(Failure::new(Exit::Failed, message).cure(format!("rivetr services show {service}")))
            }
        };
    }
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

fn is_end(state: &str) -> bool {
    matches!(state, "live" | "failed" | "superseded")
}

fn confirm(
    name: &Slug,
    volumes: bool,
    answers: &mut impl BufRead,
    questions: &mut impl Write,
) -> Result<(), Failure> {
    let data = if volumes { ", and its volumes with all their data" } else { "; its volumes stay" };
    write!(questions, "{name} is deleted{data}.\nType its name to go on: ")?;
    questions.flush()?;
    let mut typed = String::new();
    answers.read_line(&mut typed)?;
    if typed.trim() == name.as_str() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{name} was not deleted: that was not its name")))
}
