//! `rivetr apps show`: one app, its settings and how it does.

use clap::Args;
use serde_json::Value;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::status::{release, state};
use super::super::table::{facts, harmless, or_dash, time};
use super::local_push_url;
use super::source::{place, reference};
use crate::api::wire::{App, AppStatus, HealthOptions, Patch};
use crate::domain::app::HealthCheck;
use crate::domain::name::Slug;

/// The arguments of `rivetr apps show`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr apps show blog")]
pub struct Show {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl Show {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.get(&format!("/api/apps/{}/status", self.name)).await?;
        session.show(&answer, |status: AppStatus| words(&status))
    }
}

fn words(status: &AppStatus) -> String {
    let App {
        name,
        project,
        environment,
        port,
        urls,
        source: kind,
        push_url,
        env,
        health,
        runtime,
        build,
        replicas,
        deploy,
        created,
        ..
    } = &status.app;
    let since = status.unit.as_ref().and_then(|unit| unit.since.as_deref()).map(time);
    let unit = status.live.as_ref().map(|live| format!("rivetr-app-{name}-{}.service", live.number));
    let source = match kind.as_str() {
        "push" => format!("git push {}", push_url.clone().unwrap_or_else(|| local_push_url(name))),
        _ => place(&status.app),
    };
    let mut lines = vec![
        ("app", name.clone()),
        ("state", state(status)),
        ("since", or_dash(since.as_deref())),
        ("release", release(status.live.as_ref())),
        ("unit", or_dash(unit.as_deref())),
        ("address", or_dash(Some(&urls.join(" ")))),
        ("port", port.to_string()),
        ("source", source),
        ("deployed", reference(&status.app)),
    ];
    lines.extend(fetched(&status.app).map(|fetched| ("fetched", fetched)));
    lines.extend([
        ("containers", replicas.to_string()),
        ("variables", or_dash(Some(&env.join(" ")))),
        ("check", check(health)),
        ("project", format!("{project}, {environment}")),
        ("created", time(created)),
    ]);
    let more = [
        ("container", serde_json::to_value(runtime)),
        ("build", serde_json::to_value(build)),
        ("deployment", serde_json::to_value(deploy)),
    ];
    lines.extend(more.into_iter().filter_map(|(name, options)| Some((name, listed(&options.ok()?)?))));
    facts(&lines)
}

/// What opens the repository, and what is fetched besides the code; none where nothing is said about it.
fn fetched(App { git_key, git_token, submodules, lfs, .. }: &App) -> Option<String> {
    let key = git_key.as_ref().map(|key| format!("key {key}"));
    let token = git_token.then(|| "token".to_owned());
    let submodules = submodules.then(|| "with submodules".to_owned());
    let lfs = lfs.then(|| "with large files".to_owned());
    let said: Vec<String> = [key, token, submodules, lfs].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn check(health: &HealthOptions) -> String {
    let seconds = match health.timeout_s {
        Patch::Set(seconds) => seconds,
        Patch::Keep | Patch::Reset => HealthCheck::DEFAULT_TIMEOUT.as_secs(),
    };
    match (&health.path, &health.command) {
        (Patch::Set(path), _) => format!("it answers GET {path} within {seconds} s"),
        (_, Patch::Set(command)) => format!("{} ends well in it within {seconds} s", command.join(" ")),
        _ => format!("it takes a connection within {seconds} s"),
    }
}

/// Options that are not the default: `memory 512M, read_only true`.
fn listed(options: &Value) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" "),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => value.to_string(),
    };
    let options = options.as_object().filter(|options| !options.is_empty())?;
    let words: Vec<String> = options.iter().map(|(name, value)| format!("{name} {}", text(value))).collect();
    Some(harmless(&words.join(", ")))
}
