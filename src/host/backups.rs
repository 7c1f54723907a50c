//! Backups on the disk of this machine: files that are there whole or not at all.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use super::layout::Layout;
use crate::files::{self, FileError, Incoming};

/// The folder of backups.
#[derive(Debug, Clone)]
pub struct BackupFiles(PathBuf);

impl BackupFiles {
    /// That of this layout.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self(layout.kept_backups())
    }

    /// A file to write a backup into; it goes with its handle unless it is kept.
    pub fn begin(&self) -> Result<Incoming, FileError> {
        files::make_dirs(&self.0, 0o700)?;
        Incoming::begin(&self.0)
    }

    /// Gives a backup its name, once all of it is on the disk.
    pub fn keep(&self, incoming: Incoming, file: &str) -> Result<(), FileError> {
        let path = self.0.join(file);
        if let Some(folder) = path.parent() {
            files::make_dirs(folder, 0o700)?;
        }
        incoming.keep(&path)
    }

    /// Opens a backup.
    pub fn open(&self, file: &str) -> io::Result<File> {
        File::open(self.0.join(file))
    }

    /// Removes a backup; one that is not there is as good as removed.
    pub fn remove(&self, file: &str) -> Result<(), FileError> {
        let path = self.0.join(file);
        files::remove_file(&path)?;
        path.parent().map_or(Ok(true), files::remove_dir_if_empty).map(drop)
    }

    /// Removes what backups left that were cut off; only while none is being made.
    pub fn sweep(&self) -> Result<(), FileError> {
        files::sweep(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    #[test]
    fn a_backup_is_there_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let kept = BackupFiles(folder.path().join("backups"));
        let mut incoming = kept.begin().unwrap();
        incoming.file().unwrap().write_all(b"x").unwrap();
        drop(incoming);
        assert_eq!(files::names(&kept.0).unwrap(), Vec::<String>::new());
        incoming = kept.begin().unwrap();
        incoming.file().unwrap().write_all(b"whole").unwrap();
        kept.keep(incoming, "orders/a.age").unwrap();
        let mut text = String::new();
        kept.open("orders/a.age").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "whole");
        std::mem::forget(kept.begin().unwrap());
        kept.sweep().unwrap();
        assert_eq!(files::names(&kept.0).unwrap(), ["orders"]);
        for _ in 0..2 {
            kept.remove("orders/a.age").unwrap();
        }
        assert_eq!(files::names(&kept.0).unwrap(), Vec::<String>::new());
    }
}
