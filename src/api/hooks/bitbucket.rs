//! Bitbucket Cloud: `X-Hub-Signature` over the body; `repo:push`, which may move several references and never says
//! which files have changed.

use http::HeaderMap;
use serde::Deserialize;

use super::{Dialect, push, sign};
use crate::domain::webhook::{Change, Event, Files};

pub(super) const DIALECT: Dialect =
    Dialect { event: &["x-event-key"], delivery: &["x-request-uuid"], verify, read };

const NO_FILES: &str = "Bitbucket does not list them";

#[derive(Debug, Deserialize)]
struct Body {
    push: Push,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct Push {
    changes: Vec<Moved>,
}

#[derive(Debug, Deserialize)]
struct Moved {
    old: Option<Reference>,
    new: Option<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    target: Option<Target>,
}

#[derive(Debug, Deserialize)]
struct Target {
    #[serde(default)]
    hash: String,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    full_name: String,
}

fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    sign::check_hex(secret, (headers, &["x-hub-signature"]), "sha256=", body)
}

fn read(event: &str, body: &[u8]) -> serde_json::Result<Event> {
    if event != "repo:push" {
        return Ok(Event::Other);
    }
    let Body { push, repository } = serde_json::from_slice(body)?;
    let changes = push.changes.into_iter().filter_map(meaning).collect();
    let repository = vec![format!("https://bitbucket.org/{}", repository.full_name)];
    Ok(Event::Push { repository, changes })
}

fn meaning(Moved { old, new }: Moved) -> Option<Change> {
    let deleted = new.is_none();
    let Reference { kind, name, target } = new.or(old)?;
    let folder = if kind == "branch" { "heads" } else { "tags" };
    let (head, message) = match target.filter(|_| !deleted) {
        Some(Target { hash, message }) => (push::commit(&hash), message),
        None => (None, None),
    };
    let reference = format!("refs/{folder}/{name}");
    Some(Change { reference, deleted, head, message, files: Files::Unknown(NO_FILES) })
}
