//! The folder of the certificates that the proxy shows: files that are written once and never changed.

use std::path::{Path, PathBuf};

use crate::files::{self, FileError};

/// How the name of a file ends that holds a key and its chain.
const ENDING: &str = ".pem";

/// The folder.
#[derive(Debug, Clone)]
pub struct Certificates(PathBuf);

impl Certificates {
    /// The folder at this path, which need not be there yet.
    #[must_use]
    pub fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Whether a file is there.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// Makes the folder, and removes what a crash has left half written.
    pub fn prepare(&self) -> Result<(), FileError> {
        files::make_dirs(&self.0, 0o700)?;
        files::sweep(&self.0)
    }

    /// Writes a key and its chain for the owner alone.
    pub fn write(&self, name: &str, pem: &[u8]) -> Result<(), FileError> {
        files::write_whole(&self.0.join(name), pem, 0o600)
    }

    /// Removes every file of a key that is not among `kept`.
    pub fn keep(&self, kept: &[&str]) -> Result<(), FileError> {
        for name in files::names(&self.0)? {
            if name.ends_with(ENDING) && !kept.contains(&name.as_str()) {
                files::remove_file(&self.0.join(name))?;
            }
        }
        Ok(())
    }

    /// The name of the file for what begins with this digest.
    #[must_use]
    pub fn name(digest: &str) -> String {
        format!("{digest}{ENDING}")
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn files_of_keys_are_for_their_owner_and_go_when_nobody_needs_them() {
        let home = tempfile::tempdir().unwrap();
        let folder = Certificates::new(home.path().join("proxy/certs"));
        folder.prepare().unwrap();
        for name in ["a.pem", "b.pem", "index.json"] {
            folder.write(name, b"x").unwrap();
        }
        let mode = std::fs::metadata(folder.folder().join("a.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        folder.keep(&["b.pem"]).unwrap();
        assert_eq!([folder.has("a.pem"), folder.has("b.pem"), folder.has("index.json")], [false, true, true]);
    }
}
