//! `rivetr scale`: how many containers of an app answer.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::wire::{self, App};
use crate::domain::name::Slug;

/// Have more or fewer containers of an app answer, without a deployment
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr scale blog 3")]
pub struct Scale {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// How many
    #[arg(value_parser = clap::value_parser!(u8).range(1..=32))]
    replicas: u8,
}

impl Scale {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let request = wire::Scale { replicas: self.replicas };
        let answer =
            session.client.post_patiently(&format!("/api/apps/{}/scale", self.name), &request).await?;
        session.show(&answer, |app: App| match app.replicas {
            1 => format!("{} has 1 container.\n", app.name),
            many => format!("{} has {many} containers.\n", app.name),
        })
    }
}
