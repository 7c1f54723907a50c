//! Commits that were fetched and that nobody needs any more: their references go, and git frees what they held.

use std::path::Path;

use super::transfer::{FETCHED, INCOMING, UNPACK_MEMORY, fetched};
use super::{Git, GitError, option};
use crate::domain::source::CommitId;
use crate::files::{self, FileError};

/// What nothing names is freed when it is older than this: a fetch that runs beside it has younger objects.
const FREED_AFTER: &str = "--prune=1.hour.ago";

/// Removes the locks that a killed git left in a repository: while one is there, git changes nothing of what it stands
/// for. Only to be called while no git works there.
pub fn unlock(repo: &Path) -> Result<(), FileError> {
    remove_locks(repo, &files::names(repo)?)?;
    let mut folders = vec![repo.join("refs")];
    while let Some(folder) = folders.pop() {
        let names = files::names(&folder)?;
        remove_locks(&folder, &names)?;
        folders.extend(names.iter().map(|name| folder.join(name)).filter(|path| path.is_dir()));
    }
    Ok(())
}

fn remove_locks(folder: &Path, names: &[String]) -> Result<(), FileError> {
    // No reference ends in this; git sees to that.
    let locks =
        names.iter().filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "lock"));
    locks.map(|name| folder.join(name)).try_for_each(|path| files::remove_file(&path))
}

impl Git {
    /// Forgets every fetched commit but these; whether there was one to forget.
    pub async fn forget_fetched(&self, repo: &Path, needed: &[CommitId]) -> Result<bool, GitError> {
        let mut known = self.refs(repo, FETCHED).await?;
        known.extend(self.refs(repo, INCOMING).await?);
        let is_needed = |name: &str| needed.iter().any(|commit| fetched(commit) == name);
        let old: Vec<_> = known.iter().filter(|(name, _)| !is_needed(name)).collect();
        for (name, _) in &old {
            self.set_ref(repo, name, None).await?;
        }
        Ok(!old.is_empty())
    }

    /// Frees what no reference leads to, within the bounds of any command.
    pub async fn free(&self, repo: &Path) -> Result<(), GitError> {
        let settings = [("pack.threads", "1"), ("pack.windowMemory", "64m")];
        let command = self.command(repo, settings).args([option("--git-dir=", repo)]);
        command.args(["gc", "--quiet", FREED_AFTER]).memory(UNPACK_MEMORY).run().await?;
        Ok(())
    }
}
