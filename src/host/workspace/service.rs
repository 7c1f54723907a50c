//! Where the pulls of a service leave their files: a folder that is there while they run.

use std::path::PathBuf;

use super::Workspace;
use crate::domain::name::Slug;
use crate::files::{self, FileError};

impl Workspace {
    fn pulls(&self, service: &Slug) -> PathBuf {
        self.0.state.join("pulls").join(service.as_str())
    }

    /// Makes an empty folder for one pull of a service.
    pub fn make_pull(&self, service: &Slug) -> Result<PathBuf, FileError> {
        self.remove_pull(service)?;
        let folder = self.pulls(service);
        files::make_dirs(&folder, 0o700)?;
        Ok(folder)
    }

    /// Removes that folder. Can be done twice.
    pub fn remove_pull(&self, service: &Slug) -> Result<(), FileError> {
        files::remove_tree(&self.pulls(service))
    }

    /// What a pull prints goes there.
    #[must_use]
    pub fn pull_log(&self, service: &Slug) -> PathBuf {
        self.pulls(service).join("log")
    }

    /// The end of what a pull has printed.
    pub fn pull_said(&self, service: &Slug, bytes: u64) -> Result<String, FileError> {
        files::read_tail(&self.pull_log(service), bytes)
    }

    /// Writes a file that a pull is to be shown, for rivetr's own user alone.
    pub fn write_for_pull(&self, service: &Slug, name: &str, bytes: &[u8]) -> Result<PathBuf, FileError> {
        let path = self.pulls(service).join(name);
        files::write_whole(&path, bytes, 0o600)?;
        Ok(path)
    }
}
