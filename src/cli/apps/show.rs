//! `rivetr apps show`: one app, its settings and how it does.

use clap::Args;

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::status::{release, state};
use super::super::table::{facts, or_dash, time};
use super::{local_push_url, source};
use crate::api::wire::{App, AppStatus};
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
        branch,
        env,
        health_path,
        health_timeout_s,
        created,
        ..
    } = &status.app;
    let check = match health_path {
        Some(path) => format!("it answers GET {path} within {health_timeout_s} s"),
        None => format!("it takes a connection within {health_timeout_s} s"),
    };
    let since = status.unit.as_ref().and_then(|unit| unit.since.as_deref()).map(time);
    let unit = status.live.as_ref().map(|live| format!("rivetr-app-{name}-{}.service", live.number));
    let source = match kind.as_str() {
        "push" => format!("git push {}", push_url.clone().unwrap_or_else(|| local_push_url(name))),
        _ => source(&status.app),
    };
    facts(&[
        ("app", name.clone()),
        ("state", state(status)),
        ("since", or_dash(since.as_deref())),
        ("release", release(status.live.as_ref())),
        ("unit", or_dash(unit.as_deref())),
        ("address", or_dash(Some(&urls.join(" ")))),
        ("port", port.to_string()),
        ("source", source),
        ("branch", or_dash(branch.as_deref())),
        ("variables", or_dash(Some(&env.join(" ")))),
        ("check", check),
        ("project", format!("{project}, {environment}")),
        ("created", time(created)),
    ])
}
