//! Removes what nobody needs any more, and only what rivetr made.

use std::collections::BTreeSet;
use std::sync::{MutexGuard, PoisonError};

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::domain::time::Timestamp;
use crate::host::podman::PodmanError;
use crate::host::systemd::{ActiveState, UnitSummary};

/// More deployments than an app keeps (`keep_deployments`, and those of its images).
const SEARCHED: u32 = 5000;

impl Engine {
    /// Keeps the newest images of an app, and those of every release that is or will be on this machine.
    pub(super) async fn sweep_images(&self, app: &App) -> Result<(), EngineError> {
        // Listed first: whatever is there belongs to a deployment that was stored before.
        let images = self.images_of(app).await?;
        let kept = self.kept_origins(app).await?;
        self.remove_images(app, images.into_iter().filter(|(number, _)| !kept.contains(number))).await
    }

    /// Forgets the fetched commits that no kept deployment was made from, and has git free what they held. Never
    /// fails the caller: it is done again after the next deployment.
    pub(super) async fn tidy_repo(&self, app: App) {
        let tidied = async {
            let _alone = self.0.repositories.take(app.id).await;
            let kept = self.kept(&app).await?;
            // One that has not stored its commit yet may just have fetched it.
            if kept.iter().any(|one| one.commit.is_none() && !one.state.is_end()) {
                return Ok(());
            }
            let commits: Vec<_> = kept.into_iter().filter_map(|one| one.commit).collect();
            let repo = self.repo(&app.slug);
            if self.git().forget_fetched(&repo, &commits).await? {
                self.git().free(&repo).await?;
            }
            Ok::<_, EngineError>(())
        };
        if let Some(Err(error)) = self.until_shutdown(tidied).await {
            tracing::warn!(app = %app.slug, %error, "old commits not freed");
        }
    }

    /// The deployments whose images stay: every one that goes on or is on this machine, and the newest that lived.
    /// What was brought back has the image of the one that built it.
    async fn kept(&self, app: &App) -> Result<Vec<Deployment>, EngineError> {
        let mut kept = self.unfinished_of(app).await?;
        kept.extend(self.reader().releases(app.id).await?);
        let recent = self.reader().deployments(Some(app.id), None, SEARCHED).await?;
        let mut lived = BTreeSet::new();
        for one in recent.into_iter().filter(|one| one.state.is_past_commit()) {
            if lived.len() < self.0.settings.keep_images || lived.contains(&one.origin()) {
                lived.insert(one.origin());
                kept.push(one);
            }
        }
        Ok(kept)
    }

    /// The numbers of those that built their images.
    async fn kept_origins(&self, app: &App) -> Result<BTreeSet<u32>, EngineError> {
        Ok(self.kept(app).await?.iter().map(Deployment::origin).collect())
    }

    /// Forgets old deployments of an app, with their logs; those that can be gone back to stay.
    pub(super) async fn sweep_deployments(&self, app: &App) -> Result<(), EngineError> {
        // Listed first: a log belongs to a deployment that was stored before.
        let logs = self.machine().workspace.logs(&app.slug).map_err(EngineError::internal)?;
        let kept = self.kept_origins(app).await?;
        self.0.writer.forget_deployments(app.id, self.0.settings.keep_deployments, kept).await?;
        let recent = self.reader().deployments(Some(app.id), None, SEARCHED).await?;
        let present: BTreeSet<u32> = recent.iter().map(|one| one.number).collect();
        for number in logs.into_iter().filter(|number| !present.contains(number)) {
            self.machine().workspace.remove_log(&app.slug, number).map_err(EngineError::internal)?;
        }
        Ok(())
    }

    /// Removes every image of an app.
    pub(super) async fn remove_all_images(&self, app: &App) -> Result<(), EngineError> {
        let images = self.images_of(app).await?;
        self.remove_images(app, images.into_iter()).await
    }

    /// Removes the containers that a build left behind which began then and was killed, at the latest when no other
    /// build runs any more.
    pub(super) async fn sweep_builds(&self, since: Timestamp) {
        self.note_killed_build(since);
        self.sweep_killed_builds().await;
    }

    /// Removes what killed builds left behind, unless a build runs now: what it works in looks the same.
    pub(super) async fn sweep_killed_builds(&self) {
        loop {
            let killed = self.killed_builds().take();
            let Some(since) = killed else { return };
            if !self.swept_builds(since).await {
                self.note_killed_build(since);
                return;
            }
        }
    }

    fn killed_builds(&self) -> MutexGuard<'_, Option<Timestamp>> {
        self.0.killed_builds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the next sweep remove what a build left behind that began then.
    pub(super) fn note_killed_build(&self, since: Timestamp) {
        let mut killed = self.killed_builds();
        *killed = Some(killed.map_or(since, |before| before.min(since)));
    }

    /// Whether it could be done. Older containers may be a person's own.
    async fn swept_builds(&self, since: Timestamp) -> bool {
        let all = u32::try_from(self.0.settings.build.concurrency).unwrap_or(u32::MAX);
        let Ok(_alone) = self.0.builds.try_acquire_many(all) else { return false };
        // A build of an earlier run of rivetr may not be picked up yet.
        let units = self.machine().systemd.list(&["rivetr-build-*.service"]).await;
        let over = |unit: &UnitSummary| {
            matches!(unit.active_state, ActiveState::Inactive | ActiveState::Failed)
                || unit.sub_state == "exited"
        };
        if !units.is_ok_and(|units| units.iter().all(over)) {
            return false;
        }
        let removed = self.machine().podman.remove_build_leftovers(since..self.now()).await;
        removed.inspect_err(|error| tracing::warn!(%error, "containers of old builds not removed")).is_ok()
    }

    /// The images of an app by the numbers of their deployments, with their names.
    async fn images_of(&self, app: &App) -> Result<Vec<(u32, String)>, EngineError> {
        let name = format!("localhost/rivetr/{}", app.slug);
        let prefix = format!("{name}:");
        // Not by a label: an image that came from a registry has none of ours.
        let images = self.machine().podman.images_named(&name).await.map_err(EngineError::internal)?;
        let names = images.into_iter().flat_map(|image| image.names);
        let numbered = names.filter_map(|name| Some((name.strip_prefix(&prefix)?.parse().ok()?, name)));
        Ok(numbered.collect())
    }

    async fn remove_images(
        &self,
        app: &App,
        images: impl Iterator<Item = (u32, String)>,
    ) -> Result<(), EngineError> {
        for (_, name) in images {
            match self.machine().podman.untag_or_remove(&name).await {
                // Somebody runs a container from it: theirs to end.
                Err(error @ PodmanError::InUse { .. }) => {
                    tracing::warn!(app = %app.slug, %error, "image kept");
                }
                other => other.map_err(EngineError::internal)?,
            }
        }
        Ok(())
    }
}
