//! Anything else that can compute an HMAC: `X-Rivetr-Signature-256: sha256=…` over a JSON body of our own.
//!
//! `{"ref": "refs/heads/main"}` is enough; `repository`, `head`, `message` and `files` may be said too. The body is
//! known again for 7 days, so something in it must differ from time to time: the commit, say, as `head`.

use http::HeaderMap;
use serde::Deserialize;

use super::{Dialect, push, sign};
use crate::domain::webhook::{Change, Event, Files};

pub(super) const DIALECT: Dialect =
    Dialect { event: &["x-rivetr-event"], delivery: &["x-rivetr-delivery"], verify, read };

const NO_FILES: &str = "the sender does not list them";

#[derive(Debug, Deserialize)]
struct Push {
    #[serde(rename = "ref")]
    reference: String,
    repository: Option<String>,
    head: Option<String>,
    message: Option<String>,
    files: Option<Vec<String>>,
    #[serde(default)]
    deleted: bool,
}

fn verify(secret: &[u8], headers: &HeaderMap, body: &[u8]) -> Result<(), &'static str> {
    sign::check_hex(secret, (headers, &["x-rivetr-signature-256"]), "sha256=", body)
}

fn read(event: &str, body: &[u8]) -> serde_json::Result<Event> {
    match event {
        "ping" => return Ok(Event::Ping),
        "push" => {}
        _ => return Ok(Event::Other),
    }
    let Push { reference, repository, head, message, files, deleted } = serde_json::from_slice(body)?;
    let files = files.map_or(Files::Unknown(NO_FILES), Files::Known);
    let head = head.as_deref().and_then(push::commit);
    let change = Change { reference, deleted, head, message, files };
    Ok(Event::Push { repository: repository.into_iter().collect(), changes: vec![change] })
}
