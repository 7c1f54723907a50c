//! `rivetr deployments`: the newest deployments of an app.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use super::table::{or_dash, table, time};
use crate::api::wire::{Deployment, List};
use crate::domain::name::Slug;

/// List the newest deployments of an app
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr deployments blog --limit 5")]
pub struct Deployments {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// How many
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=100))]
    limit: u32,
}

impl Deployments {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/apps/{}/deployments?limit={}", self.name, self.limit);
        let answer = session.client.get(&path).await?;
        session.show(&answer, |page: List<Deployment>| words(&self.name, &page.items))
    }
}

fn words(app: &Slug, deployments: &[Deployment]) -> String {
    if deployments.is_empty() {
        return format!("{app} was never deployed.\n");
    }
    let rows: Vec<_> = deployments.iter().map(row).collect();
    table(["NUMBER", "STATE", "COMMIT", "BY", "ASKED", "ENDED", "ID", "WHY"], &rows)
}

/// What asked for it, and what it brought back: `rollback to 5`.
fn by(deployment: &Deployment) -> String {
    match deployment.back_to {
        Some(number) if deployment.trigger != "restart" => format!("{} to {number}", deployment.trigger),
        Some(_) | None => deployment.trigger.clone(),
    }
}

fn row(deployment: &Deployment) -> [String; 8] {
    let digest = deployment.digest.as_deref().map(|digest| digest.strip_prefix("sha256:").unwrap_or(digest));
    let commit = deployment.commit.as_deref().or(digest);
    let commit = commit.map(|commit| commit.chars().take(8).collect::<String>());
    let why = deployment.failure.as_ref().and_then(|failure| failure.reason.lines().next());
    [
        deployment.number.to_string(),
        deployment.state.to_string(),
        or_dash(commit.as_deref()),
        by(deployment),
        time(&deployment.created),
        or_dash(deployment.ended.as_deref().map(time).as_deref()),
        deployment.id.to_string(),
        why.unwrap_or_default().to_owned(),
    ]
}
