//! What lies between two commits of a repository: the first lines of their messages.

use std::path::Path;

use super::{Git, GitError, commit, unexpected};
use crate::domain::source::CommitId;
use crate::host::process::{ProcessError, last_lines, printable};

/// Commits that are listed at most; the others are counted.
pub const LISTED: usize = 50;

/// What one commit has that another has not, and the other way round.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Between {
    /// What has come.
    pub added: History,
    /// What has gone: a branch was moved back, or somewhere else.
    pub removed: History,
}

/// Commits, the last one first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The last of them.
    pub last: Vec<Logged>,
    /// How many more there are.
    pub more: usize,
}

/// One commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// Its name.
    pub commit: CommitId,
    /// The day its author wrote, as 2026-11-23.
    pub date: String,
    /// The first line of its message, fit for a terminal.
    pub subject: String,
}

impl Git {
    /// What lies between two commits; none: the repository has not got both, or not what lies between them, as where
    /// commits were fetched one by one.
    pub async fn between(
        &self,
        repo: &Path,
        old: &CommitId,
        new: &CommitId,
    ) -> Result<Option<Between>, GitError> {
        let asked = format!("{old}\n{new}\n");
        let check = ["cat-file", "--batch-check=%(objecttype)"];
        let found = self.in_repo(repo).args(check).stdin(asked.into_bytes()).run().await?;
        if String::from_utf8_lossy(&found.stdout).lines().any(|kind| kind != "commit") {
            return Ok(None);
        }
        let base = self.in_repo(repo).args(["merge-base", old.as_str(), new.as_str()]).output().await?;
        let base = match base.status.code() {
            Some(0) => commit("merge-base", &base.stdout)?,
            Some(1) => return Ok(None),
            Some(_) | None => {
                let (program, last) = ("git".to_owned(), last_lines(&base.stderr));
                return Err(ProcessError::Failed { program, status: base.status, last }.into());
            }
        };
        Ok(Some(Between {
            added: self.history(repo, &base, old, new).await?,
            removed: self.history(repo, &base, new, old).await?,
        }))
    }

    /// What `to` has and `from` has not.
    async fn history(
        &self,
        repo: &Path,
        base: &CommitId,
        from: &CommitId,
        to: &CommitId,
    ) -> Result<History, GitError> {
        if base == to {
            return Ok(History::default());
        }
        let range = format!("{from}..{to}");
        let (most, format) = (format!("--max-count={}", LISTED + 1), "--format=%H%x00%as%x00%<(200,trunc)%s");
        let log = ["log", "-z", "--no-show-signature", "--no-color", &most, format, "--end-of-options"];
        let output = self.in_repo(repo).args(log).args([range.as_str(), "--"]).run().await?;
        let mut last = read(&output.stdout)?;
        if last.len() <= LISTED {
            return Ok(History { last, more: 0 });
        }
        last.truncate(LISTED);
        let count = ["rev-list", "--count", "--end-of-options", &range, "--"];
        let output = self.in_repo(repo).args(count).run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let all: usize = text.trim().parse().map_err(|_| unexpected("rev-list", &text))?;
        Ok(History { last, more: all.saturating_sub(LISTED) })
    }
}

/// Three fields a commit, each ended by NUL.
fn read(bytes: &[u8]) -> Result<Vec<Logged>, GitError> {
    let text = String::from_utf8_lossy(bytes);
    let mut fields = text.split_terminator('\0');
    let mut found = Vec::new();
    while let Some(id) = fields.next() {
        let (Some(date), Some(subject)) = (fields.next(), fields.next()) else {
            return Err(unexpected("log", id));
        };
        let (date, subject) = (printable(date), printable(subject).trim_end().to_owned());
        found.push(Logged { commit: commit("log", id.as_bytes())?, date, subject });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_git_prints_is_read_whatever_stands_in_a_message() {
        let (one, two) = ("a".repeat(40), "b".repeat(40));
        let text = format!("{one}\0{}\0<b>\x1b[31mtitle   \0{two}\0{}\0\0", "2026-11-23", "2026-11-22");
        let found = read(text.as_bytes()).unwrap();
        assert_eq!(found.len(), 2);
        assert!(found[0].subject.starts_with("<b>") && found[0].subject.ends_with("title"));
        assert!(!found[0].subject.contains('\x1b'), "{:?}", found[0].subject);
        assert_eq!((found[1].subject.as_str(), found[1].date.as_str()), ("", "2026-11-22"));
        assert_eq!(read(b"").unwrap(), []);
        for broken in ["x\x00y\x00z\x00", "x"] {
            assert!(read(broken.as_bytes()).is_err(), "{broken:?}");
        }
    }
}
