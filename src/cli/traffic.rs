//! `rivetr traffic …`: what the proxy does with the requests of an app; `rivetr services traffic …` of a service.

mod set;
mod show;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;
use crate::domain::name::Slug;

/// What can be done with the traffic of an app.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Traffic {
    /// See what the proxy does with the requests of an app
    #[command(after_help = "Example: rivetr traffic show blog")]
    Show(show::Show),
    /// Change it, at once and for every release
    #[command(
        after_help = "Examples: rivetr traffic set blog --body-limit 10M --redirect '^/old/(.*)$=/new/$1'\n          \
                            rivetr traffic set blog --maintenance 'Back at noon'\n          \
                            rivetr traffic set blog --unset maintenance\n          \
                            rivetr traffic set blog --user ada --password-stdin < password"
    )]
    Set(Box<set::Set>),
}

/// What can be done with the traffic of a service.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum OfService {
    /// See what the proxy does with the requests of a service
    #[command(after_help = "Example: rivetr services traffic show shop")]
    Show(show::Show),
    /// Change it, at once and for every revision
    #[command(after_help = "Example: rivetr services traffic set shop --redirect '^/old/(.*)$=/new/$1'")]
    Set(Box<set::Set>),
}

/// Whose requests are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    App,
    Service,
}

impl Kind {
    /// Where the API has what is done with them.
    fn path(self, name: &Slug) -> String {
        match self {
            Self::App => format!("/api/apps/{name}/traffic"),
            Self::Service => format!("/api/services/{name}/traffic"),
        }
    }
}

impl Traffic {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.run(session, Kind::App).await,
            Self::Set(set) => set.run(session, Kind::App).await,
        }
    }
}

impl OfService {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Show(show) => show.run(session, Kind::Service).await,
            Self::Set(set) => set.run(session, Kind::Service).await,
        }
    }
}
