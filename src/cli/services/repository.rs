//! `rivetr services source`, `deploy` and `build-log`: services whose files come from a repository.

use std::path::{Path, PathBuf};

use clap::Args;

use super::super::failure::Failure;
use super::super::input;
use super::super::session::Session;
use super::super::table::harmless;
use super::Named;
use super::change::finish;
use crate::api::wire::{
    FollowedRepository, Hidden, List, Revision, RevisionLog, Service, ServiceRepository, SetServiceSource,
};
use crate::domain::name::Slug;
use crate::domain::source::{Branch, GitUrl, TokenUser};

/// The largest file of a token that is read, in bytes.
const TOKEN_FILE_MAX: u64 = 16 << 10;
/// The largest file of variables that is read, in bytes.
const ENV_FILE_MAX: u64 = 1 << 20;

/// The repository that the files of a service come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct Repository {
    /// A repository that the files come from, with what they build
    #[arg(id = "repository", long = "repository", value_name = "URL", value_parser = GitUrl::parse)]
    url: Option<GitUrl>,
    /// The branch that is followed [default: main]
    #[arg(long, requires = "repository", value_parser = Branch::parse)]
    branch: Option<Branch>,
    /// The key that opens the repository over SSH; `rivetr keys create` makes one
    #[arg(long, requires = "repository", value_name = "NAME", value_parser = Slug::parse, conflicts_with = "git_token_file")]
    git_key: Option<Slug>,
    /// A file with the token that opens the repository over HTTPS; - is standard input
    #[arg(long, requires = "repository", value_name = "FILE")]
    git_token_file: Option<PathBuf>,
    /// The user name that goes with the token [default: git]
    #[arg(long, requires = "git_token_file", value_name = "NAME", value_parser = TokenUser::parse)]
    git_token_user: Option<TokenUser>,
}

/// The arguments of `rivetr services source`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[group(id = "from", required = true, args = ["repository", "files"])]
pub struct SetSource {
    #[command(flatten)]
    service: Named,
    #[command(flatten)]
    repository: Repository,
    /// The compose file in the repository [default: the first of compose.yaml, compose.yml, docker-compose.yaml and
    /// docker-compose.yml]
    #[arg(long, short, requires = "repository", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Take variables from this file besides those of the .env in the repository; an empty file takes them away, and
    /// without this they stay
    #[arg(long, requires = "repository", value_name = "FILE")]
    env_file: Option<PathBuf>,
    /// Files are handed in from now on; those that run stay
    #[arg(long, conflicts_with_all = ["repository", "file", "env_file"])]
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
}

impl Repository {
    /// What is asked of the API; none: no repository is named.
    pub(super) fn asked(
        self,
        file: Option<&Path>,
        env_file: Option<&Path>,
    ) -> Result<Option<ServiceRepository>, Failure> {
        let Self { url, branch, git_key, git_token_file, git_token_user } = self;
        let Some(url) = url else { return Ok(None) };
        let token = git_token_file.as_deref().map(|path| input::text(path, TOKEN_FILE_MAX)).transpose()?;
        let variables = env_file.map(|path| input::text(path, ENV_FILE_MAX)).transpose()?;
        Ok(Some(ServiceRepository {
            url: url.to_string(),
            branch: branch.map(|branch| branch.to_string()),
            file: file.map(|file| file.display().to_string()),
            git_key: git_key.map(|key| key.to_string()),
            git_token: token.map(|token| Hidden(token.trim().to_owned())),
            git_token_user: git_token_user.map(|user| user.as_str().to_owned()),
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
        let Self { service: Named { name }, revision } = self;
        let number = if let Some(number) = revision {
            number
        } else {
            let answer = session.client.get(&format!("/api/services/{name}/revisions")).await?;
            let revisions: List<Revision> = answer.decode()?;
            revisions.items.first().map_or(1, |newest| newest.number)
        };
        let answer = session.client.get(&format!("/api/services/{name}/revisions/{number}/log")).await?;
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
    let FollowedRepository { url, reference, file, .. } = followed;
    let file = file.as_ref().map_or(String::new(), |file| format!(", {file}"));
    format!("{url}, {reference}{file}")
}
