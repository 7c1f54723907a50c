//! What of a repository elsewhere is deployed, and how it is opened: arguments of apps and of services alike.

use std::path::PathBuf;

use clap::Args;

use super::failure::Failure;
use super::input;
use crate::api::wire::{GitOptions, Hidden};
use crate::domain::name::Slug;
use crate::domain::source::{Branch, CommitId, Tag, TokenUser};

/// The argument with the address of the repository, under whatever name it is typed.
pub(super) const URL: &str = "repository-url";
/// The largest file of a token that is read, in bytes.
const TOKEN_FILE_MAX: u64 = 16 << 10;

/// What is said of a repository besides its address and its branch.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct GitArgs {
    /// The tag that is deployed, as it is then
    #[arg(long, requires = URL, value_parser = Tag::parse, conflicts_with = "commit")]
    tag: Option<Tag>,
    /// The one commit that is deployed, by its full name
    #[arg(long, requires = URL, value_parser = CommitId::parse)]
    commit: Option<CommitId>,
    /// The key that opens the repository over SSH; `rivetr keys create` makes one
    #[arg(long, requires = URL, value_name = "NAME", value_parser = Slug::parse, conflicts_with = "git_token_file")]
    git_key: Option<Slug>,
    /// A file with the token that opens the repository over HTTPS; - is standard input
    #[arg(long, requires = URL, value_name = "FILE")]
    git_token_file: Option<PathBuf>,
    /// The user name that goes with the token [default: git]
    #[arg(long, requires = "git_token_file", value_name = "NAME", value_parser = TokenUser::parse)]
    git_token_user: Option<TokenUser>,
    /// Fetch submodules too
    #[arg(long, requires = URL)]
    submodules: bool,
    /// Fetch large files too (Git LFS)
    #[arg(long, requires = URL)]
    lfs: bool,
}

impl GitArgs {
    /// What is asked of the API.
    pub(super) fn request(self, branch: Option<Branch>) -> Result<GitOptions, Failure> {
        let Self { tag, commit, git_key, git_token_file, git_token_user, submodules, lfs } = self;
        let token = git_token_file.map(|path| input::text(&path, TOKEN_FILE_MAX)).transpose()?;
        Ok(GitOptions {
            branch: branch.map(|branch| branch.to_string()),
            tag: tag.map(|tag| tag.to_string()),
            commit: commit.map(|commit| commit.to_string()),
            git_key: git_key.map(|key| key.to_string()),
            git_token: token.map(|token| Hidden(token.trim().to_owned())),
            git_token_user: git_token_user.map(|user| user.as_str().to_owned()),
            submodules,
            lfs,
        })
    }
}
