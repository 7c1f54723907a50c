//! `rivetr apps …`: create, list, show, change and delete apps.

mod create;
mod delete;
mod list;
mod options;
mod set;
mod show;
mod source;

use clap::Subcommand;

use super::failure::Failure;
use super::session::Session;

/// What can be done with apps.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Apps {
    /// Create an app; the code comes later
    Create(Box<create::Create>),
    /// List the apps
    List(list::List),
    /// Show one app and how it does
    Show(show::Show),
    /// Say where the code of an app comes from
    Source(Box<source::Source>),
    /// Change an app
    Set(Box<set::Set>),
    /// Delete an app with everything it has but its volumes
    Delete(delete::Delete),
}

impl Apps {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::Create(create) => create.run(session).await,
            Self::List(list) => list.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Source(source) => source.run(session).await,
            Self::Set(set) => set.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
        }
    }
}

/// Where to push an app to on rivetr's own machine, which is reached there whatever is configured.
fn local_push_url(app: &str) -> String {
    format!("http://127.0.0.1:7480/git/{app}.git")
}
