//! Repositories elsewhere: what of one is asked for is fetched into a repository of rivetr's own, and checked out. Who is
//! made of it, an app or a service, is not known here.

use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{Engine, RemoteError};
use crate::domain::source::{CommitId, GitSource, Reference};
use crate::host::git::{self, Fetched, GitError, Remote};
use crate::store::StoreError;

/// Where what is fetched is kept, and whose it is.
pub(super) struct Keeping<'a> {
    /// The bare repository.
    pub repo: PathBuf,
    /// Whose token opens the other one: `app/blog`.
    pub whose: String,
    /// What is followed.
    pub source: &'a GitSource,
}

/// Why there is no commit, or no checkout of it.
#[derive(Debug, Error)]
pub(super) enum FetchError {
    /// The repository cannot be had.
    #[error(transparent)]
    Git(#[from] GitError),
    /// What opens it cannot be had.
    #[error(transparent)]
    Remote(RemoteError),
    /// What was fetched has no room here.
    #[error("{what}: {cause}")]
    File {
        /// What was to be done.
        what: &'static str,
        /// Why it was not.
        cause: String,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<RemoteError> for FetchError {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Store(error) => Self::Store(error),
            error @ (RemoteError::NoKey(_) | RemoteError::Key { .. } | RemoteError::Token(_)) => {
                Self::Remote(error)
            }
        }
    }
}

impl Engine {
    /// Fetches what a reference names. `say` is told what happens, a line at a time. Nobody else may be at work in the
    /// repository.
    pub(super) async fn fetch_commit(
        &self,
        Keeping { repo, whose, source }: &Keeping<'_>,
        wanted: &Reference,
        mut say: impl FnMut(String) + Send,
    ) -> Result<(CommitId, Remote), FetchError> {
        let mut remote = self.remote(whose, source).await?;
        say(format!("-----> Fetching {wanted} of {}", source.url));
        // A fetch that was cancelled was killed, and may have left its locks.
        git::unlock(repo).map_err(|error| FetchError::File {
            what: "making the repository ready",
            cause: error.to_string(),
        })?;
        let progress = |line: &str| say(format!("       {line}"));
        let Fetched { commit, met } = self.git().fetch(repo, &remote, wanted, progress).await?;
        for met in &met {
            say(format!("       {} is known by {} from now on", met.host, met.key.fingerprint()));
        }
        remote.learn(&met);
        self.pin(met).await?;
        Ok((commit, remote))
    }

    /// Writes the files of a commit, and with a repository elsewhere its large files and submodules where these are asked
    /// for.
    pub(super) async fn check_out(
        &self,
        repo: &Path,
        commit: &CommitId,
        dest: &Path,
        from: Option<(&GitSource, &Remote)>,
        mut say: impl FnMut(String) + Send,
    ) -> Result<(), FetchError> {
        let large_files = from.and_then(|(source, remote)| source.lfs.then_some(remote));
        let exported = self.git().export(repo, commit, dest, large_files).await?;
        let with_submodules = from.filter(|(source, _)| source.submodules);
        for note in exported.notes.iter().filter(|note| with_submodules.is_none() || !note.is_submodule()) {
            say(format!("       Note: {note}"));
        }
        if let Some((source, remote)) = with_submodules {
            let progress = |line: &str| say(format!("       {line}"));
            self.git().fill_submodules(repo, remote, commit, dest, source.lfs, progress).await?;
        }
        Ok(())
    }
}
