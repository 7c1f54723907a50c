//! `rivetr databases …`: servers of databases, from their first start to the trash.

mod answers;
mod create;
mod delete;
mod logs;
mod set;
mod trash;

use std::io::{BufRead, IsTerminal, Write};

use clap::{Args, Subcommand};

use super::failure::{Exit, Failure};
use super::session::Session;
use crate::api::wire::{ChangeDatabase, Database, DatabaseCredentials, DatabaseKind, List};
use crate::domain::name::Slug;

/// What can be done with databases.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Databases {
    /// List the databases and how they do
    #[command(after_help = "Example: rivetr databases list --json")]
    List,
    /// Create a database, and wait until it answers
    Create(create::Create),
    /// Show one database
    #[command(after_help = "Example: rivetr databases show orders")]
    Show(Named),
    /// Change how a database runs
    Set(set::Set),
    /// Start a database that was stopped
    #[command(after_help = "Example: rivetr databases start orders")]
    Start(Named),
    /// Stop a database until it is started
    #[command(after_help = "Example: rivetr databases stop orders")]
    Stop(Named),
    /// Stop a database and start it again
    #[command(after_help = "Example: rivetr databases restart orders")]
    Restart(Named),
    /// Fetch the image of a database anew; one that does not start is taken back
    #[command(after_help = "Example: rivetr databases upgrade orders")]
    Upgrade(Named),
    /// Give the user of a database a new password; the linked apps are told
    #[command(after_help = "Example: rivetr databases password orders")]
    Password(Named),
    /// Show how to come into a database, with its password; the audit says who asked
    #[command(after_help = "Example: rivetr databases credentials orders")]
    Credentials(Named),
    /// Print the address of a database alone, with its password
    Url(Url),
    /// Show what a database writes
    Logs(logs::Logs),
    /// Give a database another name; it and the linked apps start anew
    #[command(after_help = "Example: rivetr databases rename orders shop-orders")]
    Rename(Rename),
    /// Stop a database and put it into the trash, where its data is kept for a week
    Delete(delete::Delete),
    /// See the trash, bring a database back from it, or remove one for good
    #[command(subcommand)]
    Trash(trash::Trash),
    /// List the kinds of databases, with their versions
    #[command(after_help = "Example: rivetr databases kinds")]
    Kinds,
}

/// A database.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Named {
    /// The database
    #[arg(value_parser = Slug::parse)]
    name: Slug,
}

/// The arguments of `rivetr databases url`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: psql \"$(rivetr databases url orders --public)\"")]
pub struct Url {
    /// The database
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The address for programs elsewhere, by the public port
    #[arg(long)]
    public: bool,
}

/// The arguments of `rivetr databases rename`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct Rename {
    /// The database
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Its new name
    #[arg(value_parser = Slug::parse)]
    to: Slug,
}

impl Databases {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List => {
                let answer = session.client.get("/api/databases").await?;
                session.show(&answer, |all: List<Database>| answers::rows(&all.items))
            }
            Self::Create(create) => create.run(session).await,
            Self::Show(Named { name }) => {
                let answer = session.client.get(&format!("/api/databases/{name}")).await?;
                session.show(&answer, |database: Database| answers::details(&database))
            }
            Self::Set(set) => set.run(session).await,
            Self::Start(named) => named.act(session, "start", "is being started").await,
            Self::Stop(named) => named.act(session, "stop", "is stopped").await,
            Self::Restart(named) => named.act(session, "restart", "is being started anew").await,
            Self::Upgrade(named) => {
                named.act(session, "upgrade", "runs the newest image of its version").await
            }
            Self::Password(named) => {
                named.act(session, "password", "has a new password; the linked apps are told").await
            }
            Self::Credentials(Named { name }) => {
                let answer = session.client.get(&format!("/api/databases/{name}/credentials")).await?;
                session.show(&answer, |found: DatabaseCredentials| answers::credentials(&found))
            }
            Self::Url(url) => url.run(session).await,
            Self::Logs(logs) => logs.run(session).await,
            Self::Rename(Rename { name, to }) => {
                let change = ChangeDatabase { name: Some(to.to_string()), ..ChangeDatabase::default() };
                let answer = session.client.patch(&format!("/api/databases/{name}"), &change).await?;
                session.show(&answer, |after: Database| format!("{name} is called {} now.\n", after.name))
            }
            Self::Delete(delete) => delete.run(session).await,
            Self::Trash(trash) => trash.run(session).await,
            Self::Kinds => {
                let answer = session.client.get("/api/database-kinds").await?;
                session.show(&answer, |kinds: List<DatabaseKind>| answers::kinds(&kinds.items))
            }
        }
    }
}

impl Named {
    async fn act(&self, session: &mut Session, verb: &str, done: &str) -> Result<(), Failure> {
        let path = format!("/api/databases/{}/{verb}", self.name);
        let answer = session.client.post_patiently(&path, &serde_json::Map::new()).await?;
        session.show(&answer, |database: Database| format!("{} {done}.\n", database.name))
    }
}

impl Url {
    async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, public } = self;
        let answer = session.client.get(&format!("/api/databases/{name}/credentials")).await?;
        let found: DatabaseCredentials = answer.decode()?;
        let url = if *public { found.public_url } else { Some(found.url) };
        let url = url.ok_or_else(|| {
            Failure::new(Exit::Failed, format!("{name} has no public port"))
                .cure(format!("rivetr databases set {name} --public-port 5432 --allow ADDRESS"))
        })?;
        if session.json { session.document(&serde_json::json!({ "url": url })) } else { session.line(&url) }
    }
}

/// Goes on once the name was typed again. Where nobody can be asked, `cure` says what goes without.
fn ask(name: &str, what: &str, cure: String) -> Result<(), Failure> {
    let stdin = std::io::stdin();
    if !stdin.is_terminal() {
        let message = format!("{name} was not deleted: nobody can be asked here whether it may be");
        return Err(Failure::new(Exit::Usage, message).cure(cure));
    }
    confirm(name, what, &mut stdin.lock(), &mut std::io::stderr())
}

fn confirm(
    name: &str,
    what: &str,
    answers: &mut impl BufRead,
    questions: &mut impl Write,
) -> Result<(), Failure> {
    write!(questions, "{what}\nType {name} to go on: ")?;
    questions.flush()?;
    let mut typed = String::new();
    answers.read_line(&mut typed)?;
    if typed.trim() == name {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, format!("{name} was not deleted: that was not its name")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_will_do() {
        for (typed, goes_on) in [("orders\n", true), (" orders \n", true), ("y\n", false), ("", false)] {
            let mut asked = Vec::new();
            let outcome = confirm("orders", "It goes.", &mut typed.as_bytes(), &mut asked);
            assert_eq!(outcome.is_ok(), goes_on, "{typed:?}");
            assert!(asked.starts_with(b"It goes.\nType orders"));
        }
    }
}
