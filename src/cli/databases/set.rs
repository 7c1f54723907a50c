//! `rivetr databases set`: changes how a database runs.

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::super::failure::{Exit, Failure};
use super::super::input;
use super::super::session::Session;
use crate::api::wire::{ChangeDatabase, Database, Hidden, Patch};
use crate::domain::database::ServerConfig;
use crate::domain::name::Slug;
use crate::domain::runtime::{Cpus, Memory};

/// The arguments of `rivetr databases set`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr databases set orders --memory 1G --unset cpus")]
pub struct Set {
    /// The database
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// Another version of the server
    #[arg(long, conflicts_with = "image")]
    version: Option<String>,
    /// Another image, in place of a version
    #[arg(long, value_name = "REF")]
    image: Option<String>,
    /// Lines of the server's own configuration; - is standard input
    #[arg(long = "server-config", value_name = "FILE")]
    server_config: Option<PathBuf>,
    /// The most memory it may use: 512M
    #[arg(long, value_parser = Memory::parse)]
    memory: Option<Memory>,
    /// The most processor time it may use, in processors: 0.5
    #[arg(long, value_parser = Cpus::parse)]
    cpus: Option<Cpus>,
    /// The port of the host at which it answers
    #[arg(long, value_name = "PORT")]
    public_port: Option<NonZeroU16>,
    /// An address or network that may come in by the public port: all of them, may be repeated
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<String>,
    /// Do not back the data up before another version or image runs
    #[arg(long)]
    without_backup: bool,
    /// Take an option away; may be repeated
    #[arg(long = "unset", value_name = "OPTION", value_enum)]
    unset: Vec<Unset>,
}

/// What can be taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unset {
    ServerConfig,
    Memory,
    Cpus,
    PublicPort,
}

impl Set {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let path = format!("/api/databases/{}", self.name);
        let answer = session.client.patch(&path, &self.request()?).await?;
        session.show(&answer, |database: Database| {
            format!("{0} is changed. How it does:  rivetr databases show {0}\n", database.name)
        })
    }

    fn request(self) -> Result<ChangeDatabase, Failure> {
        let Self {
            name: _,
            version,
            image,
            server_config,
            memory,
            cpus,
            public_port,
            allow,
            without_backup,
            unset,
        } = self;
        let config = server_config.map(|path| input::text(&path, ServerConfig::MAX as u64)).transpose()?;
        let mut change = ChangeDatabase {
            name: None,
            version,
            image,
            config: config.map(Hidden).into(),
            memory: memory.map(|memory| memory.to_string()).into(),
            cpus: cpus.map(|cpus| cpus.to_string()).into(),
            public_port: public_port.map(NonZeroU16::get).into(),
            allow: (!allow.is_empty()).then_some(allow),
            without_backup: false,
        };
        for option in unset {
            match option {
                Unset::ServerConfig => change.config = Patch::Reset,
                Unset::Memory => change.memory = Patch::Reset,
                Unset::Cpus => change.cpus = Patch::Reset,
                Unset::PublicPort => change.public_port = Patch::Reset,
            }
        }
        if change == ChangeDatabase::default() {
            return Err(Failure::new(Exit::Usage, "nothing is to change: name an option; --help lists them"));
        }
        Ok(ChangeDatabase { without_backup, ..change })
    }
}
