//! `rivetr logs`: what an app writes, or how a deployment of it went.

use std::io::Write;

use clap::Args;

use super::failure::{Exit, Failure};
use super::follow;
use super::session::Session;
use crate::api::client::Ends;
use crate::api::wire::{Deployment, List};
use crate::domain::name::Slug;

/// How many deployments are asked for at once while one is looked for.
const PAGE: u32 = 100;

/// Show what an app writes, or the log of a deployment
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Examples:\n  rivetr logs blog -f -n 50\n  rivetr logs blog --build 7")]
pub struct Logs {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Go on with what comes, until Ctrl-C
    #[arg(long, short, conflicts_with = "build")]
    follow: bool,
    /// How many of the newest lines
    #[arg(long, short = 'n', default_value_t = 200, conflicts_with = "build", value_parser = clap::value_parser!(u32).range(0..=10_000))]
    lines: u32,
    /// The log of the newest deployment, or of one by its number; of one under way, until it has ended
    #[arg(long, value_name = "NUMBER", num_args = 0..=1)]
    #[expect(clippy::option_option, reason = "without, with, and with a number are three things")]
    build: Option<Option<u32>>,
}

impl Logs {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        follow::interrupted(self.print(session)).await
    }

    async fn print(&self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, follow, lines, build } = self;
        let Some(number) = build else {
            let path = format!("/api/apps/{name}/logs/stream?lines={lines}&follow={follow}");
            // Cut off while it follows, it must not look as if the app had nothing more to say.
            let ends = if *follow { Ends::WithEvent } else { Ends::WithStream };
            let any = follow::runtime_log(session, &path, ends).await?;
            if !any && !session.json && *lines > 0 {
                writeln!(std::io::stderr(), "{name} has written nothing yet.")?;
            }
            return Ok(());
        };
        let deployment = find(session, name, *number).await?;
        follow::deployment_log(session, deployment.id).await.map(drop)
    }
}

/// The newest deployment, or the one with this number.
async fn find(session: &Session, app: &Slug, number: Option<u32>) -> Result<Deployment, Failure> {
    let mut before = String::new();
    loop {
        let path = format!("/api/apps/{app}/deployments?limit={PAGE}{before}");
        let page: List<Deployment> = session.client.get(&path).await?.decode()?;
        let wanted = |deployment: &Deployment| number.is_none_or(|number| deployment.number == number);
        if let Some(found) = page.items.into_iter().find(wanted) {
            return Ok(found);
        }
        let Some(next) = page.next else { break };
        before = format!("&before={next}");
    }
    Err(match number {
        Some(number) => Failure::new(Exit::NotFound, format!("{app} has no deployment {number}"))
            .cure(format!("rivetr deployments {app}")),
        None => Failure::new(Exit::NotFound, format!("{app} was never deployed"))
            .cure(format!("`rivetr apps show {app}` says where its code comes from")),
    })
}
