//! `rivetr export`: what runs here as plain Quadlets, written with the rights of who asks.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;

use super::failure::{Exit, Failure};
use super::session::Session;
use crate::api::wire;
use crate::files::{self, FileError, Incoming};

/// Whoever may read the folder could also read what containers are given.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// The file that tells how the others are used; it is written last.
const README: &str = "README.md";

/// Write what runs here as plain Quadlets, for a host without rivetr
///
/// The folder holds readable units, images that no registry has, and a README with every command that brings them up
/// elsewhere. Nothing is changed here. `rivetr backup` is what brings rivetr itself back.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr export ./leaving --volumes")]
pub struct Export {
    /// The folder to write; it is made, or is there and empty
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The data of volumes too: whatever uses one is held still while it is read
    #[arg(long)]
    volumes: bool,
    /// The values of secrets too, as files that anybody can read who gets hold of them
    #[arg(long)]
    with_secrets: bool,
    /// The images that registries have too, for a host that cannot reach those
    #[arg(long)]
    all_images: bool,
}

impl Export {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let Self { folder, volumes, with_secrets, all_images } = self;
        empty(&folder)?;
        let path =
            format!("/api/system/export?secrets={with_secrets}&volumes={volumes}&all_images={all_images}");
        let answer = session.client.get(&path).await?;
        let export: wire::Export = answer.decode()?;
        let wire::Export { mut files, images, volumes, secrets, notes } = export;
        files::make_dirs(&folder, FOLDER_MODE).map_err(|error| unwritten(&error))?;
        let readme = files.remove(README);
        for (name, text) in &files {
            write(&folder, name, text.as_bytes())?;
        }
        for wire::ExportSecret { name, value } in &secrets {
            let Some(value) = value else { continue };
            let value = STANDARD.decode(value).map_err(|error| not_understood(&error))?;
            write(&folder, &format!("secrets/{name}"), &value)?;
        }
        for wire::ExportImage { id, file, .. } in &images {
            let path = format!("/api/system/export/images/{id}");
            fetch(session, &path, &folder, &format!("images/{file}.tar")).await?;
        }
        for wire::ExportVolume { name, file } in &volumes {
            let path = format!("/api/system/export/volumes/{name}");
            fetch(session, &path, &folder, &format!("volumes/{file}.tar")).await?;
        }
        write(&folder, README, readme.unwrap_or_default().as_bytes())?;
        let valued = secrets.iter().filter(|secret| secret.value.is_some()).count();
        if session.json {
            return session.document(&serde_json::json!({
                "folder": folder.display().to_string(),
                "files": files.len() + 1,
                "images": images.len(),
                "volumes": volumes.len(),
                "secrets": valued,
                "notes": notes,
            }));
        }
        for note in &notes {
            session.line(note)?;
        }
        if valued > 0 {
            session.line(&format!(
                "WARNING: {} holds the values of {valued} secrets in clear. Whoever reads it has them: move it as you \
                 would move a password, and remove it once the secrets are made.",
                folder.join("secrets").display()
            ))?;
        }
        session.line(&format!("{} tells how to bring it up elsewhere.", folder.join(README).display()))
    }
}

/// Refuses a folder that has something in it: nothing of somebody else's is written over.
fn empty(folder: &Path) -> Result<(), Failure> {
    match folder.metadata() {
        Ok(found) if !found.is_dir() => {
            let message = format!("{} is there already, and no folder", folder.display());
            return Err(
                Failure::new(Exit::Usage, message).cure("name a folder that is empty or not there yet")
            );
        }
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            let message = format!("{} cannot be looked at: {error}", folder.display());
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    let mut entries = folder.read_dir()?;
    if entries.next().is_some() {
        let message = format!("{} is not empty, and an export writes over nothing", folder.display());
        return Err(Failure::new(Exit::Usage, message).cure("name a folder that is empty or not there yet"));
    }
    Ok(())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<(), Failure> {
    let path = place(folder, name)?;
    files::write_whole(&path, bytes, FILE_MODE).map_err(|error| unwritten(&error))
}

async fn fetch(session: &mut Session, from: &str, folder: &Path, name: &str) -> Result<(), Failure> {
    let path = place(folder, name)?;
    let incoming = Incoming::begin(files::parent(&path)).map_err(|error| unwritten(&error))?;
    let mut file = tokio::fs::File::from_std(incoming.file().map_err(|error| unwritten(&error))?);
    session.client.download(from, &mut file).await?;
    file.sync_all().await?;
    incoming.keep(&path).map_err(|error| unwritten(&error))
}

/// Where a file goes; never out of the folder, whatever the server says.
fn place(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if !name.split('/').all(plain) {
        return Err(not_understood(&format!("{name:?} is no name of a file")));
    }
    let path = folder.join(name);
    if let Some(parent) = path.parent() {
        files::make_dirs(parent, FOLDER_MODE).map_err(|error| unwritten(&error))?;
    }
    Ok(path)
}

fn unwritten(error: &FileError) -> Failure {
    Failure::new(Exit::Failed, error.to_string())
        .cure("the export is not whole: remove the folder and try again")
}

fn not_understood(why: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("what the server sent is not understood: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_empty_folder_is_written_into() {
        let folder = tempfile::tempdir().unwrap();
        assert!(empty(folder.path()).is_ok() && empty(&folder.path().join("new")).is_ok());
        files::write_whole(&folder.path().join("x"), b"x", 0o600).unwrap();
        let refused = empty(folder.path()).unwrap_err();
        assert!(refused.exit == Exit::Usage && refused.text().contains("is not empty"), "{refused:?}");
        assert!(empty(&folder.path().join("x")).unwrap_err().text().contains("no folder"));
    }

    #[test]
    fn nothing_leaves_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["../x", "a/../x", "/x", "a//x", "."] {
            assert!(place(folder.path(), name).is_err(), "{name}");
        }
        let path = place(folder.path(), "a/b.tar").unwrap();
        assert_eq!(path, folder.path().join("a/b.tar"));
        assert!(folder.path().join("a").is_dir());
    }
}
