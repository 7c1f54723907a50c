//! What lies between the commits of two deployments.

use super::{Engine, EngineError};
use crate::domain::deployment::Deployment;

pub use crate::host::git::{Between, History, Logged};

impl Engine {
    /// What lies between the commits of two deployments of an app; none: its repository does not say.
    pub async fn commits_between(
        &self,
        before: &Deployment,
        after: &Deployment,
    ) -> Result<Option<Between>, EngineError> {
        let (Some(old), Some(new)) = (&before.commit, &after.commit) else { return Ok(None) };
        let repo = self.repo(&after.app_slug);
        if !repo.is_dir() {
            return Ok(None);
        }
        Ok(self.git().between(&repo, old, new).await?)
    }
}
