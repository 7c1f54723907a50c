//! `rivetr rollback`: brings an earlier release back and follows that to its end.

use clap::Args;

use super::deploy::see_through;
use super::failure::Failure;
use super::session::Session;
use crate::api::wire::RollBack;
use crate::domain::name::Slug;

/// Bring back a release that was live before, in seconds and without a build
///
/// It comes with its own image, settings and variables, and with as many containers as the app has now. The commands
/// of its deployment do not run again.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr rollback blog 7")]
pub struct Rollback {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The number of the deployment that made it live; without it, the one that was live before
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    number: Option<u32>,
    /// Only ask for it, and return
    #[arg(long, short)]
    detach: bool,
}

impl Rollback {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let request = RollBack { number: self.number };
        let answer = session.client.post(&format!("/api/apps/{}/rollback", self.name), &request).await?;
        see_through(session, &answer, self.detach).await
    }
}
