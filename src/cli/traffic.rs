//! `rivetr traffic …`: what the proxy does with the requests of an app.

mod set;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;

/// What can be done with the traffic of an app.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Traffic {
    /// See what the proxy does with the requests of an app
    Show(show::Show),
    /// Change it, at once and for every release
    Set(Box<set::Set>),
}

impl Traffic {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.run(session).await,
            Self::Set(set) => set.run(session).await,
        }
    }
}
