//! `rivetr run`: a command in a container of its own, with this terminal or with plain input and output.

use clap::Args;

use super::exec;
use super::failure::Failure;
use super::session::Session;
use crate::domain::name::Slug;

/// Run a command in a container of its own, made like the live release of an app
///
/// It has the app's image, variables, files, volumes and network, and nothing else of what serves. The image's entry
/// point, if it has one, is given the command. Ends as the command does, and nothing is left over; when this ends
/// before, or an hour passes without input or output, so does the command.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr run blog -- rake db:migrate")]
pub struct Run {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The program and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Run {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        exec::converse(session, &format!("/api/apps/{}/run", self.name), self.command).await
    }
}
