//! GitLab: the secret itself in `X-Gitlab-Token`, or from a signing token a signature over number, time and body,
//! as Standard Webhooks have it. A request that has a signature is judged by that alone.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use serde::Deserialize;

use super::push::{self, CUT, Commit, NEW_BRANCH};
use super::{Dialect, field, sign};
use crate::domain::webhook::{Change, Event, Files};
use crate::engine::hooks::sha256;

pub(super) const DIALECT: Dialect = Dialect {
    event: &["x-gitlab-event"],
    delivery: &["webhook-id", "idempotency-key", "x-gitlab-event-uuid"],
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
    /// Of the commits, only the newest 20 are listed.
    total_commits_count: Option<usize>,
    project: Option<Repository>,
    repository: Option<Repository>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    git_http_url: Option<String>,
    git_ssh_url: Option<String>,
}

/// The secret in the form that GitLab takes for signing.
pub fn signing_token(secret: &[u8]) -> Option<String> {
    Some(format!("whsec_{}", BASE64_STANDARD.encode(sign::from_hex(secret)?)))
}

fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    if secret.is_empty() {
        return Err("the webhook has no secret");
    }
    if let Some(signatures) = field(headers, &["webhook-signature"]) {
        return verify_signed(secret, signatures, headers, body);
    }
    let given = field(headers, &["x-gitlab-token"]).ok_or(sign::MISSING)?;
    if sign::same(&sha256(given.as_bytes()), &sha256(secret)) { Ok(()) } else { Err("the token is wrong") }
}

/// One of several signatures, apart by blanks, must be right: there are two while a key is changed.
fn verify_signed(
    secret: &[u8],
    signatures: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), &'static str> {
    let key = sign::from_hex(secret).ok_or("the webhook's secret cannot sign")?;
    let id = field(headers, &["webhook-id"]).ok_or("webhook-id is missing")?;
    let time = field(headers, &["webhook-timestamp"]).ok_or("webhook-timestamp is missing")?;
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    let given = signatures.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let mut given = given.filter_map(|text| BASE64_STANDARD.decode(text).ok());
    if given.any(|signature| sign::check(&key, &signed, &signature).is_ok()) {
        Ok(())
    } else {
        Err(sign::WRONG)
    }
}

fn read(event: &str, body: &[u8]) -> serde_json::Result<Event> {
    match event {
        "Push Hook" | "Tag Push Hook" => Ok(meaning(serde_json::from_slice(body)?)),
        _ => Ok(Event::Other),
    }
}

fn meaning(push: Push) -> Event {
    let Push { reference, before, after, commits, total_commits_count, project, repository } = push;
    let commits = commits.unwrap_or_default();
    let message = push::message_of(&commits, &after);
    let files = match total_commits_count {
        _ if push::is_nothing(&before) => Files::Unknown(NEW_BRANCH),
        Some(total) if total <= commits.len() => push::files(commits),
        Some(_) | None => Files::Unknown(CUT),
    };
    let named = [project, repository].into_iter().flatten();
    let addresses = named.flat_map(|one| [one.git_http_url, one.git_ssh_url]).flatten().collect();
    let deleted = push::is_nothing(&after);
    let change = Change { reference, deleted, head: push::commit(&after), message, files };
    Event::Push { repository: addresses, changes: vec![change] }
}
