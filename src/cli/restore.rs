//! `rivetr restore`: a host becomes the one that a backup of the instance was taken of.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use tokio::io::AsyncReadExt;

use super::failure::{Exit, Failure};
use super::passphrase;
use super::session::Session;
use crate::api::wire::RestoredInstance;
use crate::vault::age;

/// More than any key.
const KEY_MAX: u64 = 4 << 10;

/// Bring back what `rivetr backup` wrote, on a new host with rivetr set up in it
///
/// Where it is sealed with a passphrase, that is asked for. All of the file is checked before anything is changed. rivetr then starts anew as the one that was backed up: with its
/// apps, databases, services, certificates, people and tokens. To restore a single database is `rivetr backups restore`.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr restore rivetr.age --identity key.txt --dry-run")]
pub struct Restore {
    /// The file that `rivetr backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// A file with the key that opens it: AGE-SECRET-KEY-1…, as `rivetr backups key` showed it
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// A file with the passphrase that opens it; `-` is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "identity")]
    passphrase_file: Option<PathBuf>,
    /// Check all of it and say what would be there, but change nothing
    #[arg(long)]
    dry_run: bool,
    /// Also if this rivetr is not empty: all that it has is deleted first, with its data
    #[arg(long, conflicts_with = "dry_run", requires = "yes")]
    replace: bool,
    /// It is meant
    #[arg(long)]
    yes: bool,
}

impl Restore {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { file, identity, passphrase_file, dry_run, replace, yes: _ } = self;
        let unreadable =
            |error| Failure::new(Exit::Usage, format!("{} cannot be read: {error}", file.display()));
        let mut archive = File::open(&file).map_err(unreadable)?;
        let mut beginning = Vec::new();
        archive.by_ref().take(age::TELLING).read_to_end(&mut beginning).map_err(unreadable)?;
        let path = format!("/api/system/restore?dry_run={dry_run}&replace={replace}");
        let answer = match (identity, age::wants_passphrase(&beginning)) {
            (Some(identity), false) => {
                let key = [key(&identity)?, beginning].concat();
                let archive = tokio::fs::File::from_std(archive);
                session.client.upload_from(&path, AsyncReadExt::chain(Cursor::new(key), archive)).await?
            }
            (None, true) => {
                let passphrase = passphrase::known(passphrase_file.as_deref())?;
                let archive = Read::chain(Cursor::new(beginning), archive);
                let refused = |error| Failure::new(Exit::Refused, format!("{}: {error}", file.display()));
                let archive = passphrase::open(archive, passphrase).await.map_err(refused)?;
                passphrase::send(&session.client, &path, archive).await?
            }
            (Some(_), true) => {
                let message = format!("{} is sealed with a passphrase, and no key opens it", file.display());
                return Err(Failure::new(Exit::Usage, message).cure("leave --identity out"));
            }
            (None, false) => {
                let message = format!("{} is not sealed with a passphrase", file.display());
                return Err(Failure::new(Exit::Usage, message).cure("name the key with --identity FILE"));
            }
        };
        session.show(&answer, |restored: RestoredInstance| words(&restored, dry_run))
    }
}

/// The line with the key, with which the body of the request begins.
fn key(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::new(Exit::Usage, format!("{}: {error}", path.display()));
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(KEY_MAX).read_to_string(&mut text)).map_err(unreadable)?;
    let line = text.lines().map(str::trim).find(|line| line.starts_with("AGE-SECRET-KEY-1"));
    let none = || {
        let message = format!("{} holds no key: a line that begins with AGE-SECRET-KEY-1", path.display());
        Failure::new(Exit::Usage, message)
    };
    Ok(format!("{}\n", line.ok_or_else(none)?).into_bytes())
}

fn words(restored: &RestoredInstance, dry_run: bool) -> String {
    let RestoredInstance { rivetr, created, apps, databases, services, images, volumes, empty } = restored;
    let list = |names: &[String]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let mut text = format!(
        "Written by rivetr {rivetr}, {created}; it is whole.\n  apps: {}\n  databases: {}\n  services: {}\n  images: \
         {images}\n  volumes with their data: {}\n",
        list(apps),
        list(databases),
        list(services),
        list(volumes)
    );
    if !empty.is_empty() {
        text = format!("{text}  volumes that begin empty: {}\n", empty.join(", "));
    }
    text.push_str(if dry_run {
        "Nothing was changed.\n"
    } else {
        "rivetr starts anew with it; `rivetr status` shows how its apps come up. The configuration of the former host lies \
         in `former-configuration` of rivetr's state directory.\n"
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_among_remarks() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        let write = |text: &str| crate::files::write_whole(&path, text.as_bytes(), 0o600).unwrap();
        write("# created: today\n# public key: age1x\nAGE-SECRET-KEY-1ABC\n");
        assert_eq!(key(&path).unwrap(), b"AGE-SECRET-KEY-1ABC\n");
        write("age1abc\n");
        assert!(key(&path).unwrap_err().text().contains("holds no key"));
        assert!(key(&folder.path().join("none")).is_err());
    }
}
