//! `rivetr webhooks …`: let a provider tell of pushes, and see what it has told.

mod disable;
mod enable;
mod list;
mod replay;
mod show;

use clap::{Args, Subcommand};

use super::failure::Failure;
use super::session::Session;
use crate::domain::name::Slug;
use crate::domain::webhook::Provider;

/// What can be done with webhooks.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Webhooks {
    /// Take webhooks of a provider; the secret is shown this once
    Enable(enable::Enable),
    /// Take webhooks of a provider no more
    Disable(disable::Disable),
    /// List the webhooks of an app or a service, and what was delivered to them
    List(list::List),
    /// Show a delivery and what was sent
    Show(show::Show),
    /// Look at a delivery once more, as whom it was for is set now
    Replay(replay::Replay),
}

/// Whose webhooks are meant.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Whose {
    /// The app; with --service, the service
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The name is that of a service that follows a repository
    #[arg(long)]
    service: bool,
}

impl Whose {
    /// Where the API has them.
    fn path(&self) -> String {
        let noun = if self.service { "services" } else { "apps" };
        format!("/api/{noun}/{}/webhooks", self.name)
    }
}

impl Webhooks {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Enable(enable) => enable.run(session).await,
            Self::Disable(disable) => disable.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Replay(replay) => replay.run(session).await,
        }
    }
}

fn parse_provider(word: &str) -> Result<Provider, &'static str> {
    let all = "use github, gitlab, gitea, bitbucket, dockerhub, ghcr or generic";
    Provider::parse(word).ok_or(all)
}
