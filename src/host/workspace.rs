//! Where deployments leave their files: a checkout while it is built, and a log for each.
//!
//! [`Layout`] says where each lies; here they are made and removed.

use std::path::PathBuf;

use super::layout::Layout;
use crate::domain::deployment::Deployment;
use crate::domain::name::Slug;
use crate::files::{self, FileError};

pub use crate::files::LogFile;

/// The directories of apps and their deployments.
#[derive(Debug, Clone)]
pub struct Workspace(Layout);

impl Workspace {
    /// The directories of this layout.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self(layout.clone())
    }

    /// The repository that an app's pushes go to.
    #[must_use]
    pub fn repo(&self, app: &Slug) -> PathBuf {
        self.0.repository(app)
    }

    /// A deployment's log.
    #[must_use]
    pub fn log(&self, deployment: &Deployment) -> PathBuf {
        self.0.deployment_log(&deployment.app_slug, deployment.number)
    }

    /// A deployment's checkout.
    #[must_use]
    pub fn source(&self, deployment: &Deployment) -> PathBuf {
        self.0.source(&deployment.app_slug, deployment.number)
    }

    /// Makes what an app needs; again is fine.
    pub fn make_app(&self, app: &Slug) -> Result<(), FileError> {
        files::make_dirs(&self.0.deployments(app), 0o700)?;
        files::make_dirs(&self.0.repositories(), 0o700)
    }

    /// Makes an empty directory for a deployment's checkout.
    pub fn make_source(&self, deployment: &Deployment) -> Result<PathBuf, FileError> {
        self.remove_source(deployment)?;
        let source = self.source(deployment);
        files::make_dirs(&source, 0o700)?;
        Ok(source)
    }

    /// Removes a deployment's checkout.
    pub fn remove_source(&self, deployment: &Deployment) -> Result<(), FileError> {
        self.remove_number(&deployment.app_slug, deployment.number)
    }

    /// The numbers of an app's deployments that have a checkout.
    pub fn sources(&self, app: &Slug) -> Result<Vec<u32>, FileError> {
        let names = files::names(&self.0.deployments(app))?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The numbers of an app's deployments that have a log.
    pub fn logs(&self, app: &Slug) -> Result<Vec<u32>, FileError> {
        let names = files::names(&self.0.deployments(app))?;
        Ok(names.iter().filter_map(|name| name.strip_suffix(".log")?.parse().ok()).collect())
    }

    /// Removes the log of the deployment of this number.
    pub fn remove_log(&self, app: &Slug, number: u32) -> Result<(), FileError> {
        files::remove_file(&self.0.deployment_log(app, number))
    }

    /// Removes the checkout of the deployment of this number.
    pub fn remove_number(&self, app: &Slug, number: u32) -> Result<(), FileError> {
        files::remove_tree(&self.0.deployment(app, number))
    }

    /// Removes an app's repository, checkouts and logs.
    pub fn remove_app(&self, app: &Slug) -> Result<(), FileError> {
        files::remove_tree(&self.0.deployments(app))?;
        files::remove_tree(&self.0.repository(app))
    }

    /// Opens a deployment's log to add to it.
    pub fn open_log(&self, deployment: &Deployment) -> Result<LogFile, FileError> {
        LogFile::append(&self.log(deployment))
    }
}

/// Whether a file that a test leaves there names this point; the file is gone afterwards.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn take_failpoint(state: &std::path::Path, name: &str) -> bool {
    let path = state.join("failpoint");
    let named = files::read_text(&path).is_ok_and(|text| text.is_some_and(|text| text.trim() == name));
    named && files::remove_file(&path).is_ok()
}
