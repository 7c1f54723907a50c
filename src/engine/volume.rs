//! The volumes of apps: kept when a release or an app goes, and away only when a person says so.

use std::collections::BTreeMap;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::domain::time::Timestamp;
use crate::domain::volume::{Mount, VolumeId, VolumeName, VolumeOf};
use crate::host::podman::PodmanError;
use crate::quadlet::volume::LABEL;

/// A volume as it lies in Podman's storage.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its name to Podman.
    pub name: String,
    /// The app that it was made for.
    pub app: Slug,
    /// Its name within that app.
    pub volume: VolumeName,
    /// That app is gone, or does not mount it any more.
    pub orphaned: bool,
    /// What it takes on disk, in bytes, if it was measured.
    pub size: Option<u64>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Engine {
    /// Every volume that an app has or had, by name. To measure them takes time: every file is looked at.
    pub async fn volumes(&self, measured: bool) -> Result<Vec<Volume>, EngineError> {
        let podman = &self.machine().podman;
        let listed = podman.volumes_labelled(LABEL).await.map_err(EngineError::internal)?;
        let sizes = if measured {
            podman.volume_sizes().await.map_err(EngineError::internal)?
        } else {
            BTreeMap::new()
        };
        let used = self.mounted_volumes().await?;
        let volume = |listed: crate::host::podman::Volume| {
            let (app, volume) = VolumeName::of_unit(&listed.name)?;
            Some(Volume {
                orphaned: !used.contains_key(&listed.name),
                size: sizes.get(&listed.name).copied(),
                created: listed.created,
                name: listed.name,
                app,
                volume,
            })
        };
        let mut volumes: Vec<Volume> = listed.into_iter().filter_map(volume).collect();
        volumes.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(volumes)
    }

    /// One volume, measured.
    pub async fn volume(&self, name: &str) -> Result<Volume, EngineError> {
        let found = self.volumes(true).await?.into_iter().find(|volume| volume.name == name);
        found.ok_or_else(|| EngineError::NotFound { what: "volume", name: name.to_owned() })
    }

    /// Removes a volume with its data; refused while an app mounts it.
    pub async fn delete_volume(&self, name: &str) -> Result<(), EngineError> {
        let _alone = self.0.changing.lock().await;
        let refuse = |message| Err(EngineError::Conflict { field: "volume", message });
        if !self.volumes(false).await?.iter().any(|volume| volume.name == name) {
            return Err(EngineError::NotFound { what: "volume", name: name.to_owned() });
        }
        if let Some(app) = self.mounted_volumes().await?.get(name) {
            return refuse(format!(
                "the app {app} mounts this volume: take it from the app and deploy it first"
            ));
        }
        match self.machine().podman.remove_volume(name).await {
            Err(error @ PodmanError::VolumeInUse { .. }) => refuse(error.to_string()),
            Err(error) => Err(EngineError::internal(error)),
            Ok(()) => self.forget_volume(name).await,
        }
    }

    /// Volumes wait for an app or a service of their name to come back, but not for one of another team: who administers
    /// this instance has to say so, by deleting them.
    pub(super) async fn refuse_volumes_of_others(
        &self,
        of: &VolumeOf,
        project: &Slug,
        administrator: bool,
    ) -> Result<(), EngineError> {
        let Some(project) = self.reader().project(project).await? else {
            return Ok(()); // which the store says
        };
        let may_be_others = match self.reader().former_team(of).await? {
            Some(former) => former != project.team,
            None => !administrator && matches!(of, VolumeOf::App(_)),
        };
        if !may_be_others {
            return Ok(());
        }
        let there = self.machine().podman.all_volumes().await.map_err(EngineError::internal)?;
        let is_of = |name: &str| VolumeId::parse(name).is_ok_and(|volume| volume.of() == of);
        if !there.iter().any(|volume| is_of(&volume.name)) {
            return Ok(());
        }
        let message = format!(
            "volumes of a deleted {of} are still here, and they are not this team's: choose another name, or ask who \
             administers this instance to delete them"
        );
        Err(EngineError::Conflict { field: "name", message })
    }

    /// Removes every volume that was made for an app which is on its way out.
    pub(super) async fn remove_volumes_of(&self, app: &App) -> Result<(), EngineError> {
        for volume in self.volumes(false).await?.into_iter().filter(|volume| volume.app == app.slug) {
            self.machine().podman.remove_volume(&volume.name).await.map_err(EngineError::internal)?;
            self.forget_volume(&volume.name).await?;
            tracing::info!(app = %app.slug, volume = volume.name, "volume deleted");
        }
        Ok(())
    }

    /// The volumes that apps are set to mount, that what serves mounts, and that what is on its way will mount.
    pub(super) async fn mounted_volumes(&self) -> Result<BTreeMap<String, Slug>, EngineError> {
        let (apps, releases) = (self.reader().apps().await?, self.reader().all_releases().await?);
        let waiting = self.reader().unfinished().await?;
        let of_deployments = releases.iter().chain(&waiting).map(|one| (&one.app_slug, &one.settings));
        let all = of_deployments.chain(apps.iter().map(|app| (&app.slug, &app.settings)));
        let mut used = BTreeMap::new();
        for (app, settings) in all {
            let names = settings.runtime.mounts.iter().filter_map(Mount::volume);
            used.extend(names.map(|name| (name.unit_name(app), app.clone())));
        }
        Ok(used)
    }
}
