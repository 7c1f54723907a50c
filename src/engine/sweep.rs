//! Removes what nobody needs any more, and only what rivetr made.

use std::collections::BTreeSet;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::domain::name::Slug;
use crate::domain::webhook::Target;
use crate::host::podman::PodmanError;

/// More deployments than an app keeps (`keep_deployments`, and those of its images).
const SEARCHED: u32 = 5000;
/// What the names of all images begin with that deployments have.
const IMAGES: &str = "localhost/rivetr/";

impl Engine {
    /// Keeps the newest images of an app, and those of every release that is or will be on this machine; none where
    /// there is no such app. Not while a build runs: see [`Self::sweep_images`].
    pub(super) async fn remove_images(&self, slug: &Slug) -> Result<(), EngineError> {
        // Listed first: whatever is there belongs to a deployment that was stored before.
        let images = self.images_of(slug).await?;
        let kept = match self.reader().app(slug).await? {
            Some(app) => self.kept_origins(&app).await?,
            None => BTreeSet::new(),
        };
        for (_, name) in images.into_iter().filter(|(number, _)| !kept.contains(number)) {
            match self.machine().podman.untag_or_remove(&name).await {
                // Somebody runs a container from it: theirs to end.
                Err(error @ PodmanError::InUse { .. }) => tracing::warn!(app = %slug, %error, "image kept"),
                other => other.map_err(EngineError::internal)?,
            }
        }
        Ok(())
    }

    /// Removes the images of apps that are gone: rivetr may have ended before it could.
    pub(super) async fn sweep_images_of_none(&self) -> Result<(), EngineError> {
        let images = self.machine().podman.images_named(&format!("{IMAGES}*")).await;
        let names = images.map_err(EngineError::internal)?.into_iter().flat_map(|image| image.names);
        let of = |name: String| Slug::parse(name.strip_prefix(IMAGES)?.split_once(':')?.0).ok();
        for slug in names.filter_map(of).collect::<BTreeSet<_>>() {
            if self.reader().app(&slug).await?.is_none() {
                self.sweep_images(&slug).await?;
            }
        }
        Ok(())
    }

    /// Forgets the fetched commits that no kept deployment was made from, and has git free what they held. Never
    /// fails the caller: it is done again after the next deployment.
    pub(super) async fn tidy_repo(&self, app: App) {
        let tidied = async {
            let _alone = self.0.repositories.take(Target::App(app.id)).await;
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

    /// The images of an app by the numbers of their deployments, with their names.
    async fn images_of(&self, slug: &Slug) -> Result<Vec<(u32, String)>, EngineError> {
        let name = format!("{IMAGES}{slug}");
        let prefix = format!("{name}:");
        // Not by a label: an image that came from a registry has none of ours.
        let images = self.machine().podman.images_named(&name).await.map_err(EngineError::internal)?;
        let names = images.into_iter().flat_map(|image| image.names);
        let numbered = names.filter_map(|name| Some((name.strip_prefix(&prefix)?.parse().ok()?, name)));
        Ok(numbered.collect())
    }
}
