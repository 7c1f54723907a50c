//! `rivetr link` and `rivetr unlink`: an app is told of a database, or no more.

use clap::Args;

use super::failure::Failure;
use super::session::Session;
use crate::api::wire::{DatabaseLink, LinkDatabase};
use crate::domain::database::Prefix;
use crate::domain::name::Slug;

/// Tell an app how to reach a database, by variables; what serves is started anew
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr link shop orders --prefix ORDERS")]
pub struct Link {
    /// The app
    #[arg(value_parser = Slug::parse)]
    app: Slug,
    /// The database, of the same project
    #[arg(value_parser = Slug::parse)]
    database: Slug,
    /// What the names of the variables begin with: DATABASE for `DATABASE_URL`
    #[arg(long, value_parser = Prefix::parse)]
    prefix: Option<Prefix>,
}

/// Tell an app of a database no more, from its next deployment on
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr unlink shop orders")]
pub struct Unlink {
    /// The app
    #[arg(value_parser = Slug::parse)]
    app: Slug,
    /// The database
    #[arg(value_parser = Slug::parse)]
    database: Slug,
}

impl Link {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let Self { app, database, prefix } = self;
        let prefix = prefix.as_ref().map(|prefix| prefix.as_str().to_owned());
        let wish = LinkDatabase { app: app.to_string(), prefix };
        let answer = session.client.post(&format!("/api/databases/{database}/links"), &wish).await?;
        session.show(&answer, |link: DatabaseLink| {
            format!("{} is told of {}:  {}\n", link.app, link.database, link.variables.join(" "))
        })
    }
}

impl Unlink {
    pub(super) async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let Self { app, database } = self;
        let answer = session.client.delete(&format!("/api/databases/{database}/links/{app}")).await?;
        session.done(&answer, &format!("{app} is told of {database} no more, from its next deployment on."))
    }
}
