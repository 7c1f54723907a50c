//! `rivetr keys create`: prints the public half alone on standard output, so that a script can take it.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;

use super::super::failure::Failure;
use super::super::input;
use super::super::session::Session;
use crate::api::wire::{CreateKey, Hidden, Key};
use crate::domain::name::Slug;

/// The largest file of a key that is read, in bytes.
const KEY_FILE_MAX: u64 = 32 << 10;

/// The arguments of `rivetr keys create`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr keys create deploy")]
pub struct Create {
    /// Its name: lower-case letters, digits and dashes
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// A private key of OpenSSH without a passphrase, in place of a new one; - is standard input
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
    /// The team it is for, where there are several
    #[arg(long, value_parser = Slug::parse)]
    team: Option<Slug>,
}

impl Create {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { name, file, team } = self;
        let private = file.map(|path| input::text(&path, KEY_FILE_MAX)).transpose()?.map(Hidden);
        let request = CreateKey { name: name.to_string(), private, team: team.map(|team| team.to_string()) };
        let answer = session.client.post("/api/keys", &request).await?;
        if !session.json {
            let note = "Add this to the repository as a deploy key; rivetr needs to read, not to write:";
            writeln!(std::io::stderr(), "{note}")?;
        }
        session.show(&answer, |key: Key| format!("{}\n", key.public))
    }
}
