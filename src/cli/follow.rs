//! Streams of lines, printed as they come: the log of a deployment or a revision, and what an app says.

use super::failure::{Exit, Failure};
use super::session::Session;
use super::table::{harmless, time};
use crate::api::client::{ClientError, Ends, Event};
use crate::api::wire::{LogLine, RuntimeLine};

/// Follows until the end, or until Ctrl-C.
pub(super) async fn interrupted<T>(
    following: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        outcome = following => outcome,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Err(Failure::new(Exit::Interrupted, ""))
        }
    }
}

/// Prints a deployment's log until the deployment has ended; returns how it ended, as JSON.
pub(super) async fn deployment_log(session: &mut Session, id: i64) -> Result<String, Failure> {
    build_log(session, &format!("/api/deployments/{id}/logs"), "the deployment").await
}

/// Prints a log until what it is of has ended; returns how that ended, as JSON.
pub(super) async fn build_log(session: &mut Session, path: &str, of: &str) -> Result<String, Failure> {
    let mut events = session.client.events(path, Ends::WithEvent).await?;
    while let Some(event) = events.next().await? {
        match event.name.as_str() {
            "message" => show(session, &event, |line: LogLine| harmless(&line.text))?,
            "end" => return Ok(event.data),
            _ => {}
        }
    }
    Err(Failure::new(Exit::Failed, format!("the log ended without saying how {of} did")))
}

/// Prints what an app writes until the stream ends; says whether it wrote anything.
pub(super) async fn runtime_log(session: &mut Session, path: &str, ends: Ends) -> Result<bool, Failure> {
    let mut events = session.client.events(path, ends).await?;
    let mut any = false;
    while let Some(event) = events.next().await? {
        if event.name == "message" {
            show(session, &event, runtime_words)?;
            any = true;
        }
    }
    Ok(any)
}

fn show<T: serde::de::DeserializeOwned>(
    session: &mut Session,
    event: &Event,
    words: impl FnOnce(T) -> String,
) -> Result<(), Failure> {
    if session.json {
        return session.line(&event.data);
    }
    let line = serde_json::from_str(&event.data).map_err(ClientError::NotUnderstood)?;
    session.line(&words(line))
}

fn runtime_words(line: RuntimeLine) -> String {
    let RuntimeLine { at, unit, stderr, text } = line;
    let unit = unit.strip_suffix(".service").unwrap_or(&unit);
    let own = ["rivetr-app-", "rivetr-svc-"].into_iter().find_map(|prefix| unit.strip_prefix(prefix));
    let mark = if stderr { '!' } else { '|' };
    format!("{} {} {mark} {}", time(&at), own.unwrap_or(unit), harmless(&text))
}
