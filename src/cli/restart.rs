//! `rivetr restart`: new containers of the release that is live.

use clap::Args;

use super::deploy::see_through;
use super::failure::Failure;
use super::session::Session;
use crate::domain::name::Slug;

/// Replace the containers of an app by new ones of the same release, without losing a request
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr restart blog")]
pub struct Restart {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Only ask for it, and return
    #[arg(long, short)]
    detach: bool,
}

impl Restart {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/apps/{}/restart", self.name);
        let answer = session.client.post(&path, &serde_json::Map::new()).await?;
        see_through(session, &answer, self.detach).await
    }
}
