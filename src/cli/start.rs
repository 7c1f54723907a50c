//! `rivetr start`: an app that was stopped runs again.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::wire::App;
use crate::domain::name::Slug;

/// Start an app that was stopped
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr start blog")]
pub struct Start {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl Start {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/apps/{}/start", self.name);
        let answer = session.client.post_patiently(&path, &serde_json::Map::new()).await?;
        session.show(&answer, |app: App| format!("{} runs.\n", app.name))
    }
}
