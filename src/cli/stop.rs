//! `rivetr stop`: an app does not run any more.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::wire::App;
use crate::domain::name::Slug;

/// Stop an app until it is started or deployed, also over reboots
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr stop blog")]
pub struct Stop {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

impl Stop {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/apps/{}/stop", self.name);
        let answer = session.client.post_patiently(&path, &serde_json::Map::new()).await?;
        session.show(&answer, |app: App| {
            format!("{} is stopped; `rivetr start {}` starts it.\n", app.name, app.name)
        })
    }
}
