//! Removes what nobody needs any more, and only what rivetr made.

use std::collections::BTreeSet;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::host::podman::Image;

impl Engine {
    /// Keeps the newest images of an app, and those of every release that is or will be on this machine.
    pub(super) async fn sweep_images(&self, app: &App) -> Result<(), EngineError> {
        let releases = self.reader().releases(app.id).await?;
        let building = self.reader().unfinished().await?;
        let mut kept: BTreeSet<u32> = releases.iter().map(|release| release.number).collect();
        kept.extend(building.iter().filter(|one| one.app == app.id).map(|one| one.number));
        let recent = self.reader().deployments(Some(app.id), None, 1000).await?;
        let lived = recent.iter().filter(|one| one.state.is_past_commit()).map(|one| one.number);
        kept.extend(lived.take(self.0.settings.keep_images));
        self.remove_images(app, |number| kept.contains(&number)).await
    }

    /// Removes the containers that builds left behind when they were killed, if no build runs now.
    pub(super) async fn sweep_builds(&self) {
        let all = u32::try_from(self.0.settings.build.concurrency).unwrap_or(u32::MAX);
        let Ok(_alone) = self.0.builds.try_acquire_many(all) else { return };
        if let Err(error) = self.machine().podman.remove_build_leftovers().await {
            tracing::warn!(%error, "containers of old builds not removed");
        }
    }

    /// Removes the images of an app whose number is not to be kept.
    pub(super) async fn remove_images(
        &self,
        app: &App,
        keep: impl Fn(u32) -> bool,
    ) -> Result<(), EngineError> {
        let podman = &self.machine().podman;
        let images = podman
            .images_labelled("io.rivetr.app", app.slug.as_str())
            .await
            .map_err(EngineError::internal)?;
        let prefix = format!("localhost/rivetr/{}:", app.slug);
        for tag in images.iter().flat_map(|image: &Image| image.tags.iter()) {
            let number = tag.strip_prefix(&prefix).and_then(|number| number.parse().ok());
            if number.is_some_and(|number| !keep(number)) {
                podman.remove_tag(tag).await.map_err(EngineError::internal)?;
            }
        }
        Ok(())
    }
}
