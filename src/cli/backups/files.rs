//! `rivetr backups download` and `import`: files of any length, as they are read.

use std::path::PathBuf;

use clap::Args;

use super::super::failure::{Exit, Failure};
use super::super::session::Session;
use super::Of;
use crate::api::wire::Backup;
use crate::files::{Incoming, parent};

/// The arguments of `rivetr backups download`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr backups download 12 --plain --to orders.pgdump")]
pub struct Download {
    /// The number of the backup
    id: i64,
    /// What the file holds, opened and expanded
    #[arg(long)]
    plain: bool,
    /// The file to write; it is there only once it is whole
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
}

/// The arguments of `rivetr backups import`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr backups import orders orders.pgdump\n\n\
                  It takes pg_dump --format=custom, SQL of MariaDB or MySQL, and RDB files of Redis or Valkey;\n\
                  of a volume, a tar of its files.")]
pub struct Import {
    /// The database, or the volume as `rivetr volumes list` names it
    #[arg(value_name = "NAME", value_parser = Of::parse)]
    of: Of,
    /// The file
    file: PathBuf,
}

impl Download {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { id, plain, to } = self;
        let unwritable = |error: &dyn std::fmt::Display| Failure::new(Exit::Failed, error.to_string());
        let incoming = Incoming::begin(parent(&to)).map_err(|error| unwritable(&error))?;
        let mut file = tokio::fs::File::from_std(incoming.file().map_err(|error| unwritable(&error))?);
        session.client.download(&format!("/api/backups/{id}/file?plain={plain}"), &mut file).await?;
        file.sync_all().await.map_err(|error| unwritable(&error))?;
        incoming.keep(&to).map_err(|error| unwritable(&error))?;
        if session.json { Ok(()) } else { session.line(&format!("{} is written.", to.display())) }
    }
}

impl Import {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { of, file } = self;
        let opened = tokio::fs::File::open(&file).await;
        let unreadable =
            |error| Failure::new(Exit::Usage, format!("{} cannot be read: {error}", file.display()));
        let path = format!("{}/backups/import", of.path());
        let answer = session.client.upload(&path, opened.map_err(unreadable)?).await?;
        session.show(&answer, |backup: Backup| {
            format!(
                "It is backup {0} of {1}: rivetr backups restore {0} restores it.\n",
                backup.id, backup.name
            )
        })
    }
}
