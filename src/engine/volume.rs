//! The volumes of apps and services: kept when what mounts them goes, and away only when a person says so.

use std::collections::BTreeMap;

use super::{Engine, EngineError};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::time::Timestamp;
use crate::domain::volume::{Mount, VolumeId, VolumeOf};
use crate::host::podman::PodmanError;
use crate::quadlet::service::{LABEL as OF_SERVICE, volume_of_unit};
use crate::quadlet::volume::LABEL;

/// A volume as it lies in Podman's storage.
#[derive(Debug, Clone)]
pub struct Volume {
    /// Its name, and whose it is.
    pub id: VolumeId,
    /// The team that it is of; none: that is not known any more.
    pub team: Option<TeamId>,
    /// What it was made for is gone, or does not mount it any more.
    pub orphaned: bool,
    /// What it takes on disk, in bytes, if it was measured.
    pub size: Option<u64>,
    /// When it was made.
    pub created: Option<Timestamp>,
}

impl Engine {
    /// Every volume that an app or a service has or had, by name. To measure them takes time: every file is looked at.
    pub async fn volumes(&self, measured: bool) -> Result<Vec<Volume>, EngineError> {
        let sizes = if measured {
            self.machine().podman.volume_sizes().await.map_err(EngineError::internal)?
        } else {
            BTreeMap::new()
        };
        let used = self.mounted_volumes().await?;
        let mut volumes = Vec::new();
        for (id, created) in self.volumes_there().await? {
            let name = id.to_string();
            volumes.push(Volume {
                team: self.team_of_volume(&id).await?,
                orphaned: !used.contains_key(&name),
                size: sizes.get(&name).copied(),
                created,
                id,
            });
        }
        Ok(volumes)
    }

    /// Those that are there, by name, and when each was made.
    async fn volumes_there(&self) -> Result<Vec<(VolumeId, Option<Timestamp>)>, EngineError> {
        let mut there = BTreeMap::new();
        for label in [LABEL, OF_SERVICE] {
            let listed =
                self.machine().podman.volumes_labelled(label).await.map_err(EngineError::internal)?;
            there.extend(listed.into_iter().map(|volume| (volume.name, volume.created)));
        }
        let known = there.into_iter().filter_map(|(name, made)| Some((VolumeId::parse(&name).ok()?, made)));
        Ok(known.collect())
    }

    /// One volume, measured.
    pub async fn volume(&self, name: &str) -> Result<Volume, EngineError> {
        let found = self.volumes(true).await?.into_iter().find(|volume| volume.id.to_string() == name);
        found.ok_or_else(|| EngineError::NotFound { what: "volume", name: name.to_owned() })
    }

    /// Removes a volume with its data; refused while something mounts it.
    pub async fn delete_volume(&self, name: &str) -> Result<(), EngineError> {
        let _alone = self.0.changing.lock().await;
        let refuse = |message| Err(EngineError::Conflict { field: "volume", message });
        if !self.volumes_there().await?.iter().any(|(id, _)| id.to_string() == name) {
            return Err(EngineError::NotFound { what: "volume", name: name.to_owned() });
        }
        match self.mounted_volumes().await?.get(name) {
            Some(of @ VolumeOf::App(_)) => {
                let message =
                    format!("the {of} mounts this volume: take it from the app and deploy it first");
                return refuse(message);
            }
            Some(of @ VolumeOf::Service(_)) => {
                return refuse(format!(
                    "the {of} has this volume: take it out of its compose file, and bring that up, first"
                ));
            }
            None => {}
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
        if !self.volumes_there().await?.iter().any(|(id, _)| id.of() == of) {
            return Ok(());
        }
        let message = format!(
            "volumes of a deleted {of} are still here, and they are not this team's: choose another name, or ask who \
             administers this instance to delete them"
        );
        Err(EngineError::Conflict { field: "name", message })
    }

    /// Removes every volume that was made for what is on its way out.
    pub(super) async fn remove_volumes_of(&self, of: &VolumeOf) -> Result<(), EngineError> {
        for (id, _) in self.volumes_there().await?.into_iter().filter(|(id, _)| id.of() == of) {
            let volume = id.to_string();
            self.machine().podman.remove_volume(&volume).await.map_err(EngineError::internal)?;
            self.forget_volume(&volume).await?;
            tracing::info!(%of, volume, "volume deleted");
        }
        Ok(())
    }

    /// The volumes that apps are set to mount, that what serves mounts, and that what is on its way will mount; and those
    /// that services have.
    pub(super) async fn mounted_volumes(&self) -> Result<BTreeMap<String, VolumeOf>, EngineError> {
        let (apps, releases) = (self.reader().apps().await?, self.reader().all_releases().await?);
        let waiting = self.reader().unfinished().await?;
        let of_deployments = releases.iter().chain(&waiting).map(|one| (&one.app_slug, &one.settings));
        let all = of_deployments.chain(apps.iter().map(|app| (&app.slug, &app.settings)));
        let mut used = BTreeMap::new();
        for (app, settings) in all {
            let names = settings.runtime.mounts.iter().filter_map(Mount::volume);
            used.extend(names.map(|name| (name.unit_name(app), VolumeOf::App(app.clone()))));
        }
        for (service, units) in self.reader().units_of_services().await? {
            let names = units.iter().filter_map(|unit| volume_of_unit(&service, unit));
            used.extend(names.map(|name| (name, VolumeOf::Service(service.clone()))));
        }
        Ok(used)
    }
}
