//! `rivetr databases trash …`: databases that were deleted, until their data is removed.

use clap::{Args, Subcommand};

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::{answers, ask};
use crate::api::wire::{Database, List};

/// What can be done with databases that were deleted.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Trash {
    /// List the databases in the trash
    #[command(after_help = "Example: rivetr databases trash list")]
    List,
    /// Bring a database back, as it was; its links are gone
    #[command(after_help = "Example: rivetr databases trash restore 3")]
    Restore(Numbered),
    /// Remove a database for good, with its data
    Purge(Purge),
}

/// A database in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Numbered {
    /// Its number, as `rivetr databases trash list` has it
    number: i64,
}

/// The arguments of `rivetr databases trash purge`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr databases trash purge 3 --yes")]
pub struct Purge {
    /// Its number, as `rivetr databases trash list` has it
    number: i64,
    /// Do not ask
    #[arg(long, short)]
    yes: bool,
}

impl Trash {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List => {
                let answer = session.client.get("/api/trashed-databases").await?;
                session.show(&answer, |all: List<Database>| answers::trash(&all.items))
            }
            Self::Restore(Numbered { number }) => {
                let path = format!("/api/trashed-databases/{number}/restore");
                let answer = session.client.post(&path, &serde_json::Map::new()).await?;
                session.show(&answer, |database: Database| {
                    format!("{0} is back. Link its apps again:  rivetr link APP {0}\n", database.name)
                })
            }
            Self::Purge(purge) => purge.run(session).await,
        }
    }
}

impl Purge {
    async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let Self { number, yes } = self;
        if !yes {
            let trash: List<Database> = session.client.get("/api/trashed-databases").await?.decode()?;
            let found = trash.items.iter().find(|database| database.id == *number);
            let database = found.ok_or_else(|| {
                Failure::new(Exit::NotFound, format!("there is no database {number} in the trash"))
                    .cure("rivetr databases trash list")
            })?;
            let what = format!("{} is removed for good, with all its data.", database.name);
            ask(&database.name, &what, format!("rivetr databases trash purge {number} --yes"))?;
        }
        let answer = session.client.delete(&format!("/api/trashed-databases/{number}")).await?;
        session.done(&answer, "It is removed for good, with its data.")
    }
}
