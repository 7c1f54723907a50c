//! GitHub: `X-Hub-Signature-256` over the body; events `push` and `ping`.

use http::HeaderMap;
use serde::Deserialize;

use super::push::{self, CUT, Commit, FORCED, NEW_BRANCH};
use super::{Dialect, sign};
use crate::domain::webhook::{Change, Event, Files};

pub(super) const DIALECT: Dialect =
    Dialect { event: &["x-github-event"], delivery: &["x-github-delivery"], verify, read };

/// GitHub lists at most this many commits of a push.
const COMMITS_MAX: usize = 2048;

#[derive(Debug, Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default)]
    after: String,
    #[serde(default)]
    created: bool,
    #[serde(default)]
    deleted: bool,
    #[serde(default)]
    forced: bool,
    #[serde(default)]
    commits: Vec<Commit>,
    head_commit: Option<Commit>,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
pub(super) struct Repository {
    #[serde(rename = "clone_url")]
    https: Option<String>,
    #[serde(rename = "ssh_url")]
    ssh: Option<String>,
    #[serde(rename = "html_url")]
    page: Option<String>,
}

impl Repository {
    pub(super) fn addresses(self) -> Vec<String> {
        [self.https, self.ssh, self.page].into_iter().flatten().collect()
    }
}

pub(super) fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    sign::check_hex(secret, (headers, &["x-hub-signature-256"]), "sha256=", body)
}

fn read(event: &str, body: &[u8]) -> serde_json::Result<Event> {
    match event {
        "ping" => Ok(Event::Ping),
        "push" => Ok(meaning(serde_json::from_slice(body)?)),
        _ => Ok(Event::Other),
    }
}

fn meaning(push: Push) -> Event {
    let Push { reference, after, created, deleted, forced, commits, head_commit, repository } = push;
    let files = if created {
        Files::Unknown(NEW_BRANCH)
    } else if forced {
        Files::Unknown(FORCED)
    } else if commits.len() >= COMMITS_MAX {
        Files::Unknown(CUT)
    } else {
        push::files(commits)
    };
    let message = head_commit.and_then(|head| head.message);
    let change = Change { reference, deleted, head: push::commit(&after), message, files };
    Event::Push { repository: repository.addresses(), changes: vec![change] }
}
