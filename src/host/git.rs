//! git, through the one spawner: bare repositories of our own, with nothing from the machine's configuration.
//!
//! No hook runs, no prompt is shown. Names that come from outside stand behind `--` or are checked here; what a push
//! or a deployment means is not decided here.

mod history;
mod lfs;
mod progress;
mod remote;
mod submodules;
mod tidy;
mod transfer;
mod tree;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;

use self::tree::megabytes;
use super::process::{ProcessError, Spawn, printable};
use crate::domain::source::CommitId;
use crate::files::{self, FileError};

pub use self::history::{Between, History, LISTED, Logged};
pub use self::remote::{Credential, NotLetIn, Remote};
pub use self::tidy::unlock;
pub use self::transfer::{Fetched, Service};
pub use self::tree::{Exported, Note};

/// What git may do on the wire and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSettings {
    /// The transports it may use: `https`, `ssh`, `http`.
    pub protocols: Vec<String>,
    /// How long one command may take.
    pub limit: Duration,
    /// The largest pack taken in and the largest checkout made, in bytes.
    pub max_bytes: u64,
    /// Where keys lie while a command needs them: for us alone, and not on a disk where that can be had.
    pub runtime: PathBuf,
}

/// git with settings of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Git {
    settings: GitSettings,
}

/// Why git could not do it.
#[derive(Debug, Error)]
pub enum GitError {
    /// git itself failed.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A file could not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// The transport is not allowed.
    #[error("{scheme} is not allowed for repositories here; allowed: {allowed} (setting git.protocols)")]
    Protocol {
        /// The transport that was asked for.
        scheme: String,
        /// Those that are allowed.
        allowed: String,
    },
    /// The repository cannot be reached or read.
    #[error("cannot fetch from {url}: {said}")]
    Fetch {
        /// Where from.
        url: String,
        /// What git said last.
        said: String,
    },
    /// The server does not let git in.
    #[error("cannot fetch from {url}: {why}")]
    NotLetIn {
        /// Where from.
        url: String,
        /// Why not, and what to do.
        why: NotLetIn,
    },
    /// A directory whose name `ssh` would not take as it stands.
    #[error("ssh cannot be given the path {}: let rivetr run in a directory of plain letters and digits", .0.display())]
    OddPath(PathBuf),
    /// A submodule cannot be had.
    #[error("the submodule {path} cannot be fetched: {why}")]
    Submodule {
        /// Its path in the repository.
        path: String,
        /// Why not.
        why: String,
    },
    /// Large files cannot be had.
    #[error(
        "the large files of this repository cannot be fetched, for git-lfs is not installed on this machine: install \
         the package git-lfs"
    )]
    NoLfs,
    /// The repository has no such branch or commit.
    #[error("{url} has no {what}; check its name, and that it was pushed there")]
    NoSuch {
        /// Where it was looked for.
        url: String,
        /// What was looked for.
        what: String,
    },
    /// More data than the limit allows.
    #[error("{what} is larger than the limit of {} MB; make it smaller or raise git.max_size_mb", megabytes(*limit))]
    TooLarge {
        /// What is too large.
        what: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// More files than a checkout may have.
    #[error("the commit has more than {limit} files, the most that a checkout may have")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The name of a reference that git would not take, or would take for something else.
    #[error("{0:?} is not the full name of a reference")]
    RefName(String),
    /// git wrote something that cannot be understood.
    #[error("git {command} answered with something unexpected: {answer}")]
    Answer {
        /// The command.
        command: &'static str,
        /// What it wrote, shortened.
        answer: String,
    },
}

impl Git {
    /// git with these settings.
    #[must_use]
    pub fn new(settings: GitSettings) -> Self {
        Self { settings }
    }

    /// Whether it may fetch over this transport.
    #[must_use]
    pub fn allows(&self, scheme: &str) -> bool {
        self.settings.protocols.iter().any(|allowed| allowed == scheme)
    }

    /// Makes a bare repository, and the directories above it; one that is there stays as it is.
    pub async fn init(&self, repo: &Path) -> Result<(), GitError> {
        if let Some(above) = repo.parent() {
            files::make_dirs(above, 0o700)?;
        }
        let init = ["init", "--quiet", "--bare", "--template=", "--initial-branch=main", "--"];
        self.command(repo, []).args(init).args([repo]).run().await?;
        Ok(())
    }

    /// The commit that a reference names, tags peeled; none if there is no such reference or it names no commit.
    pub async fn resolve(&self, repo: &Path, refname: &str) -> Result<Option<CommitId>, GitError> {
        let name = format!("{}^{{commit}}", checked(refname.trim_end_matches("^{commit}"))?);
        let parse = ["rev-parse", "--verify", "--quiet", "--end-of-options", &name];
        let output = self.in_repo(repo).args(parse).output().await?;
        match output.status.code() {
            Some(0) => commit("rev-parse", &output.stdout).map(Some),
            Some(1) => Ok(None),
            Some(_) | None => {
                let (program, last) = ("git".to_owned(), super::process::last_lines(&output.stderr));
                Err(ProcessError::Failed { program, status: output.status, last }.into())
            }
        }
    }

    /// Sets a reference to a commit, or removes it; one that is not there is as good as removed.
    pub async fn set_ref(
        &self,
        repo: &Path,
        refname: &str,
        commit: Option<&CommitId>,
    ) -> Result<(), GitError> {
        let name = checked(refname)?;
        let command = match commit {
            Some(commit) => {
                self.in_repo(repo).args(["update-ref", "--no-deref", "--", name, commit.as_str()])
            }
            None => self.in_repo(repo).args(["update-ref", "--no-deref", "-d", "--", name]),
        };
        command.run().await?;
        Ok(())
    }

    /// The references below a name such as `refs/rivetr`, with what they point to.
    pub async fn refs(&self, repo: &Path, below: &str) -> Result<Vec<(String, CommitId)>, GitError> {
        let list = ["for-each-ref", "--format=%(objectname) %(refname)", "--", checked(below)?];
        let output = self.in_repo(repo).args(list).run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let named = text.lines().map(|line| {
            let (id, name) = line.split_once(' ').ok_or_else(|| unexpected("for-each-ref", line))?;
            Ok((name.to_owned(), commit("for-each-ref", id.as_bytes())?))
        });
        named.collect()
    }

    /// The first line of a commit's message, fit for a terminal.
    pub async fn subject(&self, repo: &Path, commit: &CommitId) -> Result<String, GitError> {
        let show =
            ["show", "--no-patch", "--no-show-signature", "--format=%<(200,trunc)%s", "--end-of-options"];
        let output = self.in_repo(repo).args(show).args([commit.as_str(), "--"]).run().await?;
        Ok(printable(String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default()))
    }

    /// A command in a repository.
    fn in_repo(&self, repo: &Path) -> Spawn {
        self.command(repo, []).args([option("--git-dir=", repo)])
    }

    /// git with nothing inherited, and settings for this one command.
    fn command<'a>(&self, repo: &Path, settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Spawn {
        let always = [
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.attributesFile", "/dev/null"),
            ("credential.helper", ""),
            // Larger files are streamed instead of held in memory.
            ("core.bigFileThreshold", "16m"),
            // Tidying up in the background would outlive the command and its limit.
            ("gc.autoDetach", "false"),
            ("maintenance.autoDetach", "false"),
            ("submodule.recurse", "false"),
        ];
        let pairs = always.into_iter().chain(settings).map(|(key, value)| format!("{key}={value}"));
        Spawn::new("git")
            .args([OsString::from("-c"), option("safe.directory=", repo)])
            .args(pairs.flat_map(|pair| ["-c".to_owned(), pair]))
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_ATTR_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("SSH_ASKPASS_REQUIRE", "never")
            .env("GIT_PROTOCOL_FROM_USER", "0")
            .env("GIT_ALLOW_PROTOCOL", self.settings.protocols.join(":"))
            .limit(self.settings.limit)
    }
}

/// `name` and a path, as one argument.
fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}

/// A full reference name: what `git check-ref-format` takes, in a narrower alphabet.
fn checked(refname: &str) -> Result<&str, GitError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '#');
    let part_ok = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    let well_formed = refname.starts_with("refs/")
        && refname.chars().all(inner)
        && !refname.contains("..")
        && refname.split('/').all(part_ok);
    if well_formed { Ok(refname) } else { Err(GitError::RefName(refname.to_owned())) }
}

fn commit(command: &'static str, bytes: &[u8]) -> Result<CommitId, GitError> {
    let text = String::from_utf8_lossy(bytes);
    CommitId::parse(text.trim()).map_err(|_| unexpected(command, &text))
}

fn unexpected(command: &'static str, answer: &str) -> GitError {
    GitError::Answer { command, answer: printable(&answer.chars().take(200).collect::<String>()) }
}

#[cfg(test)]
mod tests;
