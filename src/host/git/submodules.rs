//! Submodules: the repositories that a commit names inside itself, fetched and checked out in their places.
//!
//! They pass the same checks as the repository itself, and all together share its limits. What opens the
//! repository opens those of the same server; whatever else is private stays closed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use tokio::time::timeout;

use super::super::process::{ProcessError, printable};
use super::remote::Remote;
use super::{Git, GitError};
use crate::domain::source::{CommitId, GitUrl, Reference};

/// The most submodules of one checkout, those inside of others included.
const MOST: usize = 100;
/// How deep they may lie in one another.
const DEPTH_MAX: usize = 8;

/// A place in the checkout whose submodules are still to be fetched.
struct Place {
    remote: Remote,
    commit: CommitId,
    dest: PathBuf,
    depth: usize,
}

impl Git {
    /// Fetches the submodules of a checkout of this commit, and theirs; how many there were.
    pub async fn fill_submodules(
        &self,
        repo: &Path,
        remote: &Remote,
        commit: &CommitId,
        dest: &Path,
        with_lfs: bool,
        progress: impl FnMut(&str) + Send,
    ) -> Result<usize, GitError> {
        let top = Place { remote: remote.clone(), commit: commit.clone(), dest: dest.to_owned(), depth: 0 };
        let limit = self.settings.limit;
        let all = timeout(limit, self.fill_from(repo, top, with_lfs, progress)).await;
        all.unwrap_or_else(|_| {
            let last = "while the submodules were fetched".to_owned();
            Err(ProcessError::TimeOver { program: "git".to_owned(), limit, last }.into())
        })
    }

    async fn fill_from(
        &self,
        repo: &Path,
        top: Place,
        with_lfs: bool,
        mut progress: impl FnMut(&str) + Send,
    ) -> Result<usize, GitError> {
        let (mut count, mut bytes) = (0, 0_u64);
        let mut open = vec![top];
        while let Some(place) = open.pop() {
            let named = self.submodules(repo, &place).await?;
            count += named.len();
            if count > MOST || (place.depth == DEPTH_MAX && !named.is_empty()) {
                return Err(GitError::Submodule {
                    path: place.remote.url.to_string(),
                    why: format!("at most {MOST} submodules are fetched, {DEPTH_MAX} deep in one another"),
                });
            }
            for (path, remote, commit) in named {
                let shown = printable(&String::from_utf8_lossy(path.as_os_str().as_bytes()));
                progress(&format!("Submodule {shown}: {} of {}", commit.short(), remote.url));
                let failed =
                    |error: GitError| GitError::Submodule { path: shown.clone(), why: error.to_string() };
                let wanted = Reference::Commit(commit.clone());
                self.fetch(repo, &remote, &wanted, &mut progress).await.map_err(failed)?;
                let dest = place.dest.join(&path);
                let exported =
                    self.export(repo, &commit, &dest, with_lfs.then_some(&remote)).await.map_err(failed)?;
                bytes = bytes.saturating_add(exported.bytes);
                if bytes > self.settings.max_bytes {
                    let what = "the checkout of all submodules".to_owned();
                    return Err(GitError::TooLarge { what, limit: self.settings.max_bytes });
                }
                open.push(Place { remote, commit, dest, depth: place.depth + 1 });
            }
        }
        Ok(count)
    }

    /// The submodules of a commit, with where they are fetched from.
    async fn submodules(
        &self,
        repo: &Path,
        place: &Place,
    ) -> Result<Vec<(PathBuf, Remote, CommitId)>, GitError> {
        let links = self.links(repo, &place.commit).await?;
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let urls = self.named_urls(repo, &place.commit).await?;
        let each = links.into_iter().map(|(path, commit)| {
            let shown = printable(&String::from_utf8_lossy(&path));
            let failed = |why: String| GitError::Submodule { path: shown.clone(), why };
            let named =
                urls.get(&path).ok_or_else(|| failed("the file .gitmodules does not name it".to_owned()))?;
            let url: GitUrl = place.remote.url.join(named).map_err(|error| failed(error.to_string()))?;
            Ok((PathBuf::from(OsStr::from_bytes(&path)), place.remote.other(url), commit))
        });
        each.collect()
    }

    /// The addresses in a commit's `.gitmodules`, by path.
    async fn named_urls(
        &self,
        repo: &Path,
        commit: &CommitId,
    ) -> Result<BTreeMap<Vec<u8>, String>, GitError> {
        let blob = format!("--blob={commit}:.gitmodules");
        let list = ["config", &blob, "-z", "--get-regexp", r"^submodule\..*\.(path|url)$"];
        let output = self.in_repo(repo).args(list).output().await?;
        // Anything but success: there is no such file, or nothing of use in it.
        let stdout = if output.status.success() { output.stdout } else { Vec::new() };
        let (mut paths, mut urls) = (BTreeMap::new(), BTreeMap::new());
        for pair in stdout.split(|byte| *byte == 0) {
            let Some(end) = pair.iter().position(|byte| *byte == b'\n') else { continue };
            let (key, value) = (pair.get(..end).unwrap_or_default(), pair.get(end + 1..).unwrap_or_default());
            if let Some(name) = key.strip_suffix(b".path") {
                paths.insert(name.to_owned(), value.to_owned());
            } else if let Some(name) = key.strip_suffix(b".url") {
                urls.insert(name.to_owned(), String::from_utf8_lossy(value).into_owned());
            }
        }
        Ok(paths.into_iter().filter_map(|(name, path)| Some((path, urls.remove(&name)?))).collect())
    }
}
