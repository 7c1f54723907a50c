//! Where services that follow a repository leave their files: the repository, a checkout for each revision while it is made
//! ready, and the log of what was fetched and built for it.

use std::path::PathBuf;

use super::{Workspace, remove_checkout};
use crate::domain::name::Slug;
use crate::files::{self, FileError, LogFile};

impl Workspace {
    /// The repository that is fetched into for a service.
    #[must_use]
    pub fn service_repo(&self, service: &Slug) -> PathBuf {
        self.0.service(service).join("repo.git")
    }

    /// What a revision keeps while it is made ready.
    #[must_use]
    pub fn revision(&self, service: &Slug, number: u32) -> PathBuf {
        self.0.service(service).join(number.to_string())
    }

    /// A revision's checkout.
    #[must_use]
    pub fn revision_source(&self, service: &Slug, number: u32) -> PathBuf {
        self.revision(service, number).join("source")
    }

    /// Where a revision's checkout is made, until it is whole.
    #[must_use]
    pub fn revision_incoming(&self, service: &Slug, number: u32) -> PathBuf {
        self.revision(service, number).join("incoming")
    }

    /// Makes what was checked out there the checkout of the revision.
    pub fn keep_incoming(&self, service: &Slug, number: u32) -> Result<(), FileError> {
        files::set_aside(&self.revision_incoming(service, number), &self.revision_source(service, number))
    }

    /// Whether a revision's checkout is there, and so all of it.
    #[must_use]
    pub fn has_revision_source(&self, service: &Slug, number: u32) -> bool {
        self.real_path(&self.revision_source(service, number)).is_some()
    }

    /// A checkout of a service for a look at it.
    #[must_use]
    pub fn preview_source(&self, service: &Slug) -> PathBuf {
        self.0.service(service).join("preview")
    }

    /// Removes it.
    pub fn remove_preview(&self, service: &Slug) -> Result<(), FileError> {
        files::remove_tree(&self.preview_source(service))
    }

    /// A revision's log.
    #[must_use]
    pub fn revision_log(&self, service: &Slug, number: u32) -> PathBuf {
        self.0.service(service).join(format!("{number}.log"))
    }

    /// Opens a revision's log to add to it.
    pub fn open_revision_log(&self, service: &Slug, number: u32) -> Result<LogFile, FileError> {
        files::make_dirs(&self.0.service(service), 0o700)?;
        LogFile::append(&self.revision_log(service, number))
    }

    /// Removes a revision's checkout and what goes with it.
    pub fn remove_revision(&self, service: &Slug, number: u32) -> Result<(), FileError> {
        remove_checkout(&self.revision_source(service, number), &self.revision(service, number))
    }

    /// The numbers of a service's revisions that have a log or a checkout.
    pub fn revisions(&self, service: &Slug) -> Result<Vec<u32>, FileError> {
        let names = files::names(&self.0.service(service))?;
        let number = |name: &String| name.strip_suffix(".log").unwrap_or(name).parse().ok();
        Ok(names.iter().filter_map(number).collect())
    }

    /// Removes the log of a revision.
    pub fn remove_revision_log(&self, service: &Slug, number: u32) -> Result<(), FileError> {
        files::remove_file(&self.revision_log(service, number))
    }

    /// Removes all that a service left.
    pub fn remove_service(&self, service: &Slug) -> Result<(), FileError> {
        files::remove_tree(&self.0.service(service))
    }
}
