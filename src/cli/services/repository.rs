//! `rivetr services source`, `deploy` and `build-log`: services whose files come from a repository.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::failure::Failure;
use super::super::follow::{self, interrupted};
use super::super::git::{GitArgs, URL};
use super::super::input;
use super::super::session::Session;
use super::super::table::harmless;
use super::Named;
use super::change::finish;
use crate::api::wire::{
    FollowedRepository, Hidden, List, Revision, RevisionLog, Service, ServiceRepository, SetServiceSource,
};
use crate::domain::source::{Branch, GitUrl};

/// The largest file of variables that is read, in bytes.
const ENV_FILE_MAX: u64 = 1 << 20;

/// The repository that the files of a service come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Repository {
    /// A repository that the files come from, with what they build
    #[arg(id = URL, long = "repository", value_name = "URL", value_parser = GitUrl::parse)]
    url: Option<GitUrl>,
    /// The branch that is followed [default: main]
    #[arg(long, requires = URL, value_parser = Branch::parse, conflicts_with_all = ["tag", "commit"])]
    branch: Option<Branch>,
    #[command(flatten)]
    options: GitArgs,
}

/// The arguments of `rivetr services source`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(id = "from", required = true, args = [URL, "files"])]
pub struct SetSource {
    #[command(flatten)]
    service: Named,
    #[command(flatten)]
    repository: Repository,
    /// The compose file in the repository [default: the first of compose.yaml, compose.yml, docker-compose.yaml and
    /// docker-compose.yml]
    #[arg(long, short, requires = URL, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take variables from this file besides those of the .env in the repository; an empty file takes them away, and
    /// without this they stay
    #[arg(long, requires = URL, value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Files are handed in from now on; those that run stay
    #[arg(long, conflicts_with_all = [URL, "file", "env_file"])]
    files: bool,
}

/// The arguments of `rivetr services deploy`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Deploy {
    #[command(flatten)]
    service: Named,
    /// Do not wait until it runs
    #[arg(long)]
    no_wait: bool,
}

/// The arguments of `rivetr services build-log`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct BuildLog {
    #[command(flatten)]
    service: Named,
    /// The revision, by its number in `rivetr services revisions` [default: the newest]
    revision: Option<u32>,
    /// Go on with what comes, until the revision has ended or Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

impl Repository {
    /// What is asked of the API; none: no repository is named.
    pub(super) fn asked(
        self,
        file: Option<&Path>,
        env_file: Option<&Path>,
    ) -> Result<Option<ServiceRepository>, Failure> {
        let Self { url, branch, options } = self;
        let Some(url) = url else { return Ok(None) };
        let variables = env_file.map(|path| input::text(path, ENV_FILE_MAX)).transpose()?;
        Ok(Some(ServiceRepository {
            url: url.to_string(),
            options: options.request(branch)?,
            file: file.map(|file| file.display().to_string()),
            variables: variables.map(Hidden),
        }))
    }
}

impl SetSource {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, repository, file, env_file, files: _ } = self;
        let repository = repository.asked(file.as_deref(), env_file.as_deref())?;
        let request = SetServiceSource { repository };
        let answer = session.client.put(&format!("/api/services/{name}/source"), &request).await?;
        session.show(&answer, |service: Service| match &service.repository {
            Some(followed) => {
                format!(
                    "{name} follows {}. `rivetr services deploy {name}` fetches it now.\n",
                    words(followed)
                )
            }
            None => format!("The files of {name} are handed in from now on.\n"),
        })
    }
}

impl Deploy {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, no_wait } = self;
        let path = format!("/api/services/{name}/deploy");
        let answer = session.client.post(&path, &serde_json::json!({})).await?;
        finish(session, answer.decode()?, no_wait).await
    }
}

impl BuildLog {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { service: Named { name }, revision, follow } = self;
        let number = if let Some(number) = revision {
            number
        } else {
            let answer = session.client.get(&format!("/api/services/{name}/revisions")).await?;
            let revisions: List<Revision> = answer.decode()?;
            revisions.items.first().map_or(1, |newest| newest.number)
        };
        let path = format!("/api/services/{name}/revisions/{number}/log");
        if follow {
            let path = format!("{path}/stream");
            return interrupted(follow::build_log(session, &path, "the revision")).await.map(drop);
        }
        let answer = session.client.get(&path).await?;
        session.show(&answer, |log: RevisionLog| {
            if log.text.is_empty() {
                return format!("Nothing was fetched or built for revision {number} of {name}.\n");
            }
            log.text.lines().flat_map(|line| [harmless(line), "\n".to_owned()]).collect()
        })
    }
}

/// A repository in a few words.
pub(super) fn words(followed: &FollowedRepository) -> String {
    let FollowedRepository { url, reference, file, submodules, lfs, .. } = followed;
    let mut words = format!("{url}, {reference}");
    for part in file.as_deref().into_iter().chain(submodules.then_some("with submodules")) {
        words.extend([", ", part]);
    }
    if *lfs {
        words.push_str(", with large files");
    }
    words
}
