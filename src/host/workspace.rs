//! Where deployments leave their files: an upload that waits, a checkout while it is built, and a log for each.
//!
//! [`Layout`] says where each lies; here they are made and removed. Those of services are in `workspace/service.rs`.

mod service;

use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::domain::deployment::Deployment;
use crate::domain::image::Digest;
use crate::domain::name::Slug;
use crate::domain::time::Timestamp;
use crate::files::{self, FileError};

pub use crate::files::{Incoming, LogFile};

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

    /// Where a path of this machine leads once every link is followed; none if it leads nowhere.
    #[must_use]
    pub fn real_path(&self, path: &Path) -> Option<PathBuf> {
        std::fs::canonicalize(path).ok()
    }

    /// A file or directory of a checkout, every link followed; none if it is not there, or if it leads out of the
    /// checkout.
    #[must_use]
    pub fn within(&self, checkout: &Path, path: &Path) -> Option<PathBuf> {
        let source = self.real_path(checkout)?;
        self.real_path(&source.join(path)).filter(|real| real.starts_with(&source))
    }

    /// The names in a directory.
    pub fn names(&self, directory: &Path) -> Result<Vec<String>, FileError> {
        files::names(directory)
    }

    /// Writes a file that a build or pull is to be shown beside the checkout, for rivetr's own user alone; it goes with
    /// the checkout.
    pub fn write_private(
        &self,
        deployment: &Deployment,
        name: &str,
        bytes: &[u8],
    ) -> Result<PathBuf, FileError> {
        let folder = self.0.deployment(&deployment.app_slug, deployment.number);
        self.write_private_in(&folder, name, bytes)
    }

    /// The same below any folder of rivetr's.
    pub fn write_private_in(&self, folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, FileError> {
        let folder = folder.join("private");
        files::make_dirs(&folder, 0o700)?;
        let path = folder.join(name);
        files::write_whole(&path, bytes, 0o600)?;
        Ok(path)
    }

    /// The folder of a deployment's checkout and of what goes with it.
    #[must_use]
    pub fn folder(&self, deployment: &Deployment) -> PathBuf {
        self.0.deployment(&deployment.app_slug, deployment.number)
    }

    /// Makes an empty folder for a pull of an owner other than a deployment, which goes when that has ended.
    pub fn make_pull(&self, owner: &str) -> Result<PathBuf, FileError> {
        let folder = self.0.pull(owner);
        files::remove_tree(&folder)?;
        files::make_dirs(&folder, 0o700)?;
        Ok(folder)
    }

    /// Removes it.
    pub fn remove_pull(&self, owner: &str) -> Result<(), FileError> {
        files::remove_tree(&self.0.pull(owner))
    }

    /// The end of a file, at most so many bytes; lossy where it is not UTF-8.
    pub fn tail(&self, path: &Path, bytes: u64) -> Result<String, FileError> {
        files::read_tail(path, bytes)
    }

    /// Where a build says which image it has made; it goes with the checkout.
    #[must_use]
    pub fn image_file(&self, deployment: &Deployment) -> PathBuf {
        self.0.deployment(&deployment.app_slug, deployment.number).join("image")
    }

    /// What stands in such a file; none if it is not there.
    pub fn said(&self, file: &Path) -> Result<Option<String>, FileError> {
        files::read_text(file)
    }

    /// Writes down that builds were killed of which the oldest began then.
    pub fn note_killed_builds(&self, since: Timestamp) -> Result<(), FileError> {
        files::write_whole(&self.0.killed_builds(), format!("{}\n", since.0).as_bytes(), 0o600)
    }

    /// What [`Self::note_killed_builds`] wrote; none if it was forgotten, or is no moment.
    pub fn killed_builds(&self) -> Result<Option<Timestamp>, FileError> {
        let text = files::read_text(&self.0.killed_builds())?;
        Ok(text.and_then(|text| text.trim().parse().ok()).map(Timestamp))
    }

    /// Forgets it.
    pub fn forget_killed_builds(&self) -> Result<(), FileError> {
        files::remove_file(&self.0.killed_builds())
    }

    /// Writes a file at the root of a deployment's checkout.
    pub fn write_source(&self, deployment: &Deployment, name: &str, text: &str) -> Result<(), FileError> {
        files::write_whole(&self.source(deployment).join(name), text.as_bytes(), 0o644)
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
        remove_checkout(&self.0.source(app, number), &self.0.deployment(app, number))
    }

    /// A file for what is being uploaded for an app; it goes with its handle unless it is kept.
    pub fn begin_upload(&self, app: &Slug) -> Result<Incoming, FileError> {
        let folder = self.0.uploads(app);
        files::make_dirs(&folder, 0o700)?;
        Incoming::begin(&folder)
    }

    /// Where an upload lies, by what it holds.
    #[must_use]
    pub fn upload(&self, app: &Slug, content: &Digest) -> PathBuf {
        self.0.uploads(app).join(content.digits())
    }

    /// The uploads of an app that lie there.
    pub fn uploads(&self, app: &Slug) -> Result<Vec<Digest>, FileError> {
        let names = files::names(&self.0.uploads(app))?;
        Ok(names.iter().filter_map(|name| Digest::parse(&format!("sha256:{name}")).ok()).collect())
    }

    /// Removes an upload.
    pub fn remove_upload(&self, app: &Slug, content: &Digest) -> Result<(), FileError> {
        files::remove_file(&self.upload(app, content))
    }

    /// Removes what uploads left that a crash cut off; only while none is being taken in.
    pub fn sweep_incoming(&self, app: &Slug) -> Result<(), FileError> {
        files::sweep(&self.0.uploads(app))
    }

    /// Removes an app's repository, uploads, checkouts and logs.
    pub fn remove_app(&self, app: &Slug) -> Result<(), FileError> {
        files::remove_tree(&self.0.uploads(app))?;
        files::remove_tree(&self.0.deployments(app))?;
        files::remove_tree(&self.0.repository(app))
    }

    /// Opens a deployment's log to add to it.
    pub fn open_log(&self, deployment: &Deployment) -> Result<LogFile, FileError> {
        LogFile::append(&self.log(deployment))
    }
}

/// Removes a checkout and the folder that it is in.
fn remove_checkout(source: &Path, folder: &Path) -> Result<(), FileError> {
    // Half a checkout must not pass for a whole one, if rivetr ends while it is removed.
    if let Err(error) = files::set_aside(source, &folder.join("removed")) {
        tracing::warn!(%error, "a checkout is not set aside before it is removed");
    }
    files::remove_tree(folder)
}

/// Whether a file that a test leaves there names this point; the file is gone afterwards.
#[cfg(feature = "failpoints")]
#[must_use]
pub fn take_failpoint(state: &std::path::Path, name: &str) -> bool {
    let path = state.join("failpoint");
    let named = files::read_text(&path).is_ok_and(|text| text.is_some_and(|text| text.trim() == name));
    named && files::remove_file(&path).is_ok()
}
