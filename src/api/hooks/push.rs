//! What the pushes of GitHub, GitLab and Gitea have in common: commits with the files they touch.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::domain::source::CommitId;
use crate::domain::webhook::Files;

pub(super) const NEW_BRANCH: &str = "it is the first push of this branch";
pub(super) const FORCED: &str = "it is a forced push";
pub(super) const CUT: &str = "it has more commits than the provider lists";
const NO_COMMITS: &str = "the provider lists no commits";

/// One commit of a push.
#[derive(Debug, Deserialize)]
pub(super) struct Commit {
    #[serde(default)]
    id: String,
    pub(super) message: Option<String>,
    added: Option<Vec<String>>,
    modified: Option<Vec<String>>,
    removed: Option<Vec<String>>,
}

/// Every file that these commits touch.
pub(super) fn files(commits: Vec<Commit>) -> Files {
    if commits.is_empty() {
        return Files::Unknown(NO_COMMITS);
    }
    let lists = commits.into_iter().flat_map(|commit| [commit.added, commit.modified, commit.removed]);
    let names: BTreeSet<String> = lists.flatten().flatten().collect();
    Files::Known(names.into_iter().collect())
}

/// The message of the commit of this name.
pub(super) fn message_of(commits: &[Commit], name: &str) -> Option<String> {
    commits.iter().find(|commit| commit.id == name)?.message.clone()
}

/// Whether an object name is the one of nothing: a branch that is new, or gone.
pub(super) fn is_nothing(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|digit| digit == b'0')
}

/// A commit as a sender names it.
pub(super) fn commit(name: &str) -> Option<CommitId> {
    CommitId::parse(name).ok()
}
