//! What can be removed only while no build runs: the containers that killed builds leave behind, which look like those
//! of a build that runs, and images, which a build may just be taking from its cache (FACTS 11.15).
//!
//! That a build was killed is written down before: this process may end before no build runs. Images are found again.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use tokio::sync::SemaphorePermit;

use super::{Engine, EngineError};
use crate::domain::name::Slug;
use crate::domain::time::Timestamp;
use crate::host::systemd::{ActiveState, StartError, UnitSummary};

/// What is to be removed.
#[derive(Debug, Default)]
pub(super) struct Leftovers {
    /// When the oldest build began that was killed.
    killed: Option<Timestamp>,
    /// Apps that may have images they do not keep, with their last note.
    images: BTreeMap<Slug, u64>,
    /// Counts what was noted: a sweep knows by it that there was more meanwhile. What it is at stays noted until it is
    /// done, for whoever sweeps may be cancelled.
    notes: u64,
}

impl Engine {
    /// Ends and forgets a build that began then; the next [`Self::sweep_after_builds`] removes what it leaves.
    pub(super) async fn kill_build(&self, unit: &str, since: Timestamp) -> Result<(), StartError> {
        self.note_killed_build(since);
        self.machine().systemd.forget(unit).await
    }

    /// Has the next sweep remove what a build left behind that began then.
    pub(super) fn note_killed_build(&self, since: Timestamp) {
        let mut left = self.leftovers();
        left.notes += 1;
        let oldest = left.killed.map_or(since, |before| before.min(since));
        if left.killed.replace(oldest) != Some(oldest)
            && let Err(error) = self.machine().workspace.note_killed_builds(oldest)
        {
            tracing::warn!(%error, "a killed build is not noted; what it leaves may stay if rivetr ends now");
        }
    }

    /// Takes over what an earlier run of rivetr had noted.
    pub(super) fn recall_killed_builds(&self) -> Result<(), EngineError> {
        if let Some(since) = self.machine().workspace.killed_builds().map_err(EngineError::internal)? {
            self.note_killed_build(since);
        }
        Ok(())
    }

    /// Removes the images that an app does not keep; all of them where there is no such app. At the latest when no
    /// build runs any more.
    pub(super) async fn sweep_images(&self, app: &Slug) -> Result<(), EngineError> {
        self.leftovers().note_images(app);
        self.sweep_after_builds().await
    }

    /// Removes what is left over, unless a build runs: then this is done again when it has ended.
    pub(super) async fn sweep_after_builds(&self) -> Result<(), EngineError> {
        // Who came to leave something meanwhile was turned away.
        while self.leftovers().is_any() {
            let Some(_alone) = self.no_build_runs().await else { return Ok(()) };
            let killed = self.sweep_killed_builds().await;
            self.sweep_noted_images().await?;
            if let Err(error) = killed {
                tracing::warn!(%error, "containers of old builds not removed");
                return Ok(());
            }
        }
        Ok(())
    }

    async fn sweep_killed_builds(&self) -> Result<(), EngineError> {
        let (killed, notes) = {
            let left = self.leftovers();
            (left.killed, left.notes)
        };
        let Some(since) = killed else { return Ok(()) };
        // Older containers may be a person's own.
        let removed = self.machine().podman.remove_build_leftovers(since..self.now()).await;
        removed.map_err(EngineError::internal)?;
        let mut left = self.leftovers();
        if left.notes == notes {
            left.killed = None;
            if let Err(error) = self.machine().workspace.forget_killed_builds() {
                tracing::warn!(%error, "the note of killed builds is not removed; it does no harm");
            }
        }
        Ok(())
    }

    async fn sweep_noted_images(&self) -> Result<(), EngineError> {
        let apps = self.leftovers().images.clone();
        let mut swept = Ok(());
        for (app, note) in apps {
            match self.remove_images(&app).await {
                Ok(()) => self.leftovers().images_removed(&app, note),
                Err(error) => swept = Err(error),
            }
        }
        swept
    }

    fn leftovers(&self) -> MutexGuard<'_, Leftovers> {
        self.0.leftovers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// That no build runs, and none begins as long as this is held.
    pub(super) async fn no_build_runs(&self) -> Option<SemaphorePermit<'_>> {
        let all = u32::try_from(self.0.settings.build.concurrency).unwrap_or(u32::MAX);
        let alone = self.0.builds.try_acquire_many(all).ok()?;
        // A build of an earlier run of rivetr may not be picked up yet.
        let units = self.machine().systemd.list(&["rivetr-build-*.service"]).await.ok()?;
        let over = |unit: &UnitSummary| {
            matches!(unit.active_state, ActiveState::Inactive | ActiveState::Failed)
                || unit.sub_state == "exited"
        };
        units.iter().all(over).then_some(alone)
    }
}

impl Leftovers {
    fn is_any(&self) -> bool {
        self.killed.is_some() || !self.images.is_empty()
    }

    fn note_images(&mut self, app: &Slug) {
        self.notes += 1;
        self.images.insert(app.clone(), self.notes);
    }

    /// Forgets what was noted up to then.
    fn images_removed(&mut self, app: &Slug, note: u64) {
        if self.images.get(app) == Some(&note) {
            self.images.remove(app);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_stay_noted_until_they_are_removed_and_so_does_what_was_noted_meanwhile() {
        let blog = Slug::parse("blog").unwrap();
        let mut left = Leftovers::default();
        left.note_images(&blog);
        let seen = left.images.clone();
        assert!(left.is_any(), "a sweep that is cancelled has forgotten nothing");
        left.note_images(&blog);
        left.images_removed(&blog, seen[&blog]);
        assert!(left.is_any(), "there was more meanwhile");
        let seen = left.images.clone();
        left.images_removed(&blog, seen[&blog]);
        assert!(!left.is_any());
    }
}
