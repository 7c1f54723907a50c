//! `rivetr keys hosts …`: the servers that were met over SSH, and the keys that they are known by.

use clap::{Args, Subcommand};

use super::super::failure::Failure;
use super::super::session::Session;
use super::super::table::{table, time};
use crate::api::wire::{self, KnownHost};
use crate::domain::key::SshHost;

/// What can be done with known servers.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum Hosts {
    /// List the known servers
    List(List),
    /// Forget a server, so that the key it shows next is taken
    Forget(Forget),
}

/// The arguments of `rivetr keys hosts list`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr keys hosts list")]
pub struct List {}

/// The arguments of `rivetr keys hosts forget`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr keys hosts forget git.example.org:22")]
pub struct Forget {
    /// The server, with its port unless it is 22
    #[arg(value_parser = SshHost::parse)]
    host: SshHost,
}

impl Hosts {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        match self {
            Self::List(List {}) => {
                let answer = session.client.get("/api/known-hosts").await?;
                session.show(&answer, |hosts: wire::List<KnownHost>| words(&hosts.items))
            }
            Self::Forget(forget) => forget.run(session).await,
        }
    }
}

impl Forget {
    async fn run(&self, session: &mut Session) -> Result<(), Failure> {
        let answer = session.client.delete(&format!("/api/known-hosts/{}", self.host)).await?;
        if session.json {
            return if answer.text().is_empty() { Ok(()) } else { session.line(answer.text()) };
        }
        session.line(&format!("{} is forgotten: the key it shows next is taken.", self.host))
    }
}

fn words(hosts: &[KnownHost]) -> String {
    if hosts.is_empty() {
        return "No server is known yet: each is, from the first time that something is fetched from it over SSH.\n"
            .to_owned();
    }
    let row =
        |host: &KnownHost| [host.host.clone(), host.kind.clone(), host.fingerprint.clone(), time(&host.seen)];
    table(["SERVER", "KIND", "FINGERPRINT", "SINCE"], &hosts.iter().map(row).collect::<Vec<_>>())
}
