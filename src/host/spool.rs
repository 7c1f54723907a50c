//! Archives that are written whole before they go elsewhere: each in a folder of its own, which goes with its handle.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::files::{self, FileError};

/// Where such archives lie.
#[derive(Debug, Clone)]
pub struct Spool(PathBuf);

/// One archive.
#[derive(Debug)]
pub struct Spooled(tempfile::TempDir);

impl Spool {
    /// That of this layout.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self(layout.state.join("spool"))
    }

    /// A place for one archive.
    pub fn begin(&self) -> Result<Spooled, FileError> {
        files::make_dirs(&self.0, 0o700)?;
        Ok(Spooled(files::temporary_dir(&self.0)?))
    }

    /// Removes what an earlier run left.
    pub fn sweep(&self) -> Result<(), FileError> {
        files::sweep(&self.0)
    }
}

impl Spooled {
    /// Where it is written.
    #[must_use]
    pub fn part(&self) -> PathBuf {
        self.0.path().join("part.tar")
    }

    /// Begins to write it.
    pub fn create(&self) -> io::Result<File> {
        File::create(self.part())
    }

    /// Where it lies once it is whole.
    #[must_use]
    pub fn whole(&self) -> PathBuf {
        self.0.path().join("whole.tar")
    }

    /// The folder itself, for an archive that is unpacked.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// What was said by those who wrote it.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.path().join("log")
    }

    /// Opens the whole archive.
    pub fn open(&self) -> io::Result<File> {
        File::open(self.whole())
    }
}
