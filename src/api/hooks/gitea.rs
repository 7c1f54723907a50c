//! Gitea and Forgejo: the HMAC of the body in `X-Gitea-Signature` or `X-Forgejo-Signature`; their pushes are like
//! those of GitHub, without a word on force.

use http::HeaderMap;
use serde::Deserialize;

use super::github::Repository;
use super::push::{self, CUT, Commit, NEW_BRANCH};
use super::{Dialect, sign};
use crate::domain::webhook::{Change, Event, Files};

pub(super) const DIALECT: Dialect = Dialect {
    event: &["x-forgejo-event", "x-gitea-event"],
    delivery: &["x-forgejo-delivery", "x-gitea-delivery"],
    verify,
    read,
};

#[derive(Debug, Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    before: String,
    #[serde(default)]
    after: String,
    commits: Option<Vec<Commit>>,
    /// Older versions do not say how many there are.
    total_commits: Option<usize>,
    head_commit: Option<Commit>,
    repository: Repository,
}

fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    sign::check_hex(secret, (headers, &["x-forgejo-signature", "x-gitea-signature"]), "", body)
}

fn read(event: &str, body: &[u8]) -> serde_json::Result<Event> {
    match event {
        "push" => Ok(meaning(serde_json::from_slice(body)?)),
        _ => Ok(Event::Other),
    }
}

fn meaning(push: Push) -> Event {
    let Push { reference, before, after, commits, total_commits, head_commit, repository } = push;
    let commits = commits.unwrap_or_default();
    let message = head_commit.and_then(|head| head.message).or_else(|| push::message_of(&commits, &after));
    let files = match total_commits {
        _ if push::is_nothing(&before) => Files::Unknown(NEW_BRANCH),
        Some(total) if total <= commits.len() => push::files(commits),
        Some(_) | None => Files::Unknown(CUT),
    };
    let deleted = push::is_nothing(&after);
    let change = Change { reference, deleted, head: push::commit(&after), message, files };
    Event::Push { repository: repository.addresses(), changes: vec![change] }
}
