//! `rivetr backup`: all of the instance in one sealed file. Backups of databases are `rivetr backups`.

use std::path::PathBuf;

use clap::Args;

use super::failure::{Exit, Failure};
use super::passphrase;
use super::session::Session;
use crate::files::{self, FileError, Incoming};

/// Write all of rivetr into one sealed file, from which `rivetr restore` brings it back on a new host
///
/// It holds the database, the master keys, certificates, repositories that were pushed to, the images of what runs, and the
/// data of databases. It is sealed for the key that `rivetr backups key` shows, or with a passphrase: keep that elsewhere, for
/// without it the file cannot be opened. Backups of single databases, also by a schedule, are `rivetr backups`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(
    after_help = "Examples: rivetr backup rivetr.age --volumes; rivetr backup rivetr.age --recipient age1…; rivetr backup rivetr.age --passphrase"
)]
pub struct Backup {
    /// The file to write; it is there only once it is whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The data of all volumes too, not of databases alone: whatever uses one is held still while it is read
    #[arg(long)]
    volumes: bool,
    /// Whose key opens it, in place of this instance's own: `age1…`
    #[arg(long, value_name = "RECIPIENT")]
    recipient: Option<String>,
    /// A passphrase opens it, in place of a key; it is asked for
    #[arg(long, conflicts_with = "recipient")]
    passphrase: bool,
    /// The same with the passphrase in a file; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "recipient")]
    passphrase_file: Option<PathBuf>,
}

impl Backup {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { file, volumes, recipient, passphrase, passphrase_file } = self;
        if file.exists() {
            let message = format!("{} is there already, and a backup writes over nothing", file.display());
            return Err(Failure::new(Exit::Usage, message).cure("name another file"));
        }
        let unwritten = |error: FileError| Failure::new(Exit::Failed, error.to_string());
        let passphrase = match &passphrase_file {
            None if !passphrase => None,
            named => Some(passphrase::chosen(named.as_deref())?),
        };
        let own = recipient.is_none() && passphrase.is_none();
        let incoming = Incoming::begin(files::parent(&file)).map_err(unwritten)?;
        let to = incoming.file().map_err(unwritten)?;
        let recipient = recipient.map(|recipient| format!("&recipient={recipient}")).unwrap_or_default();
        let path = format!("/api/system/backup?volumes={volumes}{recipient}");
        let to = if let Some(passphrase) = passphrase {
            let written = passphrase::receive(&session.client, &path, to, passphrase).await?;
            tokio::fs::File::from_std(written)
        } else {
            let mut to = tokio::fs::File::from_std(to);
            session.client.download(&path, &mut to).await?;
            to
        };
        to.sync_all().await?;
        let bytes = to.metadata().await?.len();
        incoming.keep(&file).map_err(unwritten)?;
        if session.json {
            let file = file.display().to_string();
            return session.document(&serde_json::json!({ "file": file, "bytes": bytes }));
        }
        session.line(&format!("{} is written.", file.display()))?;
        if own {
            session.line(
                "Only the key of this instance opens it: `rivetr backups key` shows it. Keep it where neither this host \
                 nor this file is.",
            )?;
        }
        Ok(())
    }
}
