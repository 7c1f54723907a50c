//! The backups of volumes: their files as one archive, which is put together on this disk while all that uses the volume is
//! held, and goes the way of any backup from there; and back into a volume of its own, which then changes places with the one
//! that is used.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::io::DuplexStream;

use super::super::apply::ApplyError;
use super::super::{Engine, EngineError};
use super::flow::Failure;
use super::restore::compare;
use super::tally::counted;
use crate::domain::backup::{Backup, Hold, Place, Restore, Subject, Target};
use crate::domain::volume::VolumeId;
use crate::host::podman::{NamedVolume, PodmanError};
use crate::plan::Wanted;
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::volume::labels;
use crate::quadlet::{self, UnitFiles, backup};
use crate::vault::stream::Packed;

/// The label of a volume that was made for a restore, with the moment of that in milliseconds since 1970.
const ASIDE: &str = "io.rivetr.aside";
/// How long the data that a volume had before a restore are kept.
const ASIDE_KEPT: Duration = Duration::from_hours(7 * 24);

impl Engine {
    /// Writes the file of a volume's backup.
    pub(super) async fn copy_volume(
        &self,
        backup: &Backup,
        volume: &VolumeId,
    ) -> Result<(Packed, Option<u64>), Failure> {
        if let Place::Storage(name) = &backup.place {
            // Nobody is held for a storage that does not answer.
            self.storage(name).await?.list(&backup.file()).await?;
        }
        let archive = self.archive_volume(&volume.to_string(), backup.hold.unwrap_or(Hold::Pause)).await?;
        self.failpoint("volume-archived");
        let identity = self.identity(&backup.recipient).await?;
        let mut items = 0;
        let counts = &mut items;
        let source = |to: DuplexStream| async move {
            *counts = counted(archive, to).await?;
            Ok::<_, Failure>(())
        };
        let packed = self.write_file(backup, identity.recipient(), source).await?;
        Ok((packed, Some(items)))
    }

    /// Refuses what a backup of a volume cannot become.
    pub(super) async fn check_volume_target(
        &self,
        backup: &Backup,
        volume: &VolumeId,
        target: &Target,
    ) -> Result<(), EngineError> {
        let refuse = |message| Err(EngineError::Conflict { field: "target", message });
        // Names are given again: what is called so now may be another team's.
        if *target != Target::Check && self.team_of_volume(volume).await? != Some(backup.team) {
            return refuse(format!(
                "the {} is gone, or is not of the team whose backup this is: download the backup, and import it where it \
                 is wanted",
                volume.of()
            ));
        }
        match target {
            Target::New(_) => refuse(format!("a volume of the {} has no such name", volume.of())),
            Target::NewVolume(name) if self.is_there(&volume.beside(name)).await? => {
                refuse(format!("there is a volume {} already: choose another name", volume.beside(name)))
            }
            Target::NewVolume(_) | Target::Check | Target::InPlace => Ok(()),
        }
    }

    /// Restores the backup of a volume, or tries it.
    pub(super) async fn restore_volume(
        &self,
        backup: &Backup,
        restore: &Restore,
        volume: &VolumeId,
    ) -> Result<(), Failure> {
        let aside = volume.aside(restore.id.0);
        match &restore.target {
            Target::Check => {
                let tried = self.unpack_backup(backup, self.volume_aside(&aside)).await;
                if tried.is_ok() {
                    self.remove_volume_aside(&aside).await?;
                }
                self.store_verdict(backup, tried).await
            }
            Target::InPlace => {
                if !self.is_there(volume).await? {
                    let made = NamedVolume { name: volume.to_string(), labels: labels(volume) };
                    self.machine().podman.create_volume(&made).await?;
                }
                self.unpack_backup(backup, self.volume_aside(&aside)).await?;
                self.failpoint("volume-filled");
                self.swap_in(restore, volume, &aside).await
            }
            Target::NewVolume(name) => {
                let new = volume.beside(name);
                let made = NamedVolume { name: new.to_string(), labels: labels(&new) };
                self.unpack_backup(backup, made).await.map(drop)
            }
            Target::New(name) => Err(Failure(format!("{name} cannot be the name of a volume"))),
        }
    }

    /// Gives a volume the files of the one aside, which has the old ones then.
    async fn swap_in(&self, restore: &Restore, volume: &VolumeId, aside: &VolumeId) -> Result<(), Failure> {
        let log = self.machine().spool.begin()?;
        let swapped = {
            let _alone = self.alone_with(volume).await?;
            self.swap_volumes(volume, aside, &log.log()).await
        };
        if let Err(error) = swapped {
            if self.has_swapped(volume, aside, &log.log()).await? {
                return Err(Failure(format!("{error}; its files from before lie in the volume {aside}")));
            }
            self.remove_volume_aside(aside).await?;
            return Err(error.into());
        }
        self.failpoint("volume-swapped");
        self.0.writer.set_swapped(restore.id, true).await?;
        Ok(self.keep_aside(volume, aside, &log.log()).await?)
    }

    /// Makes a volume of what a backup holds, and compares the two; what was found.
    async fn unpack_backup(&self, backup: &Backup, into: NamedVolume) -> Result<String, Failure> {
        let spooled = self.machine().spool.begin()?;
        let identity = self.identity(&backup.recipient).await?;
        let file = tokio::fs::File::from_std(spooled.create()?);
        let mut items = 0;
        let counts = &mut items;
        let sink = |from: DuplexStream| async move {
            *counts = counted(from, file).await?;
            Ok::<_, Failure>(())
        };
        self.read_file(backup, identity, sink).await?;
        let found = compare(backup, items)?;
        self.fill_volume(&into, &spooled.part(), &spooled.log()).await?;
        if let Err(error) = self.compare_volume(&into.name, &spooled.part(), &spooled.log()).await {
            self.machine().podman.remove_volume(&into.name).await?;
            return Err(error.into());
        }
        Ok(found)
    }

    /// The volume aside, as it is made for a restore.
    fn volume_aside(&self, aside: &VolumeId) -> NamedVolume {
        let mut labels = labels(aside);
        labels.insert(ASIDE.to_owned(), self.now().0.to_string());
        NamedVolume { name: aside.to_string(), labels }
    }

    /// Brings to an end what an earlier run of rivetr has left of a restore; whether the volume has its new data.
    pub(super) async fn recover_volume(
        &self,
        restore: &Restore,
        volume: &VolumeId,
    ) -> Result<bool, EngineError> {
        let made = match &restore.target {
            Target::NewVolume(name) => volume.beside(name),
            Target::Check | Target::InPlace | Target::New(_) => volume.aside(restore.id.0),
        };
        if !self.is_there(&made).await? {
            return Ok(restore.swapped);
        }
        let log = self.machine().spool.begin().map_err(EngineError::internal)?;
        let in_place = restore.target == Target::InPlace && self.is_there(volume).await?;
        if in_place && (restore.swapped || self.has_swapped(volume, &made, &log.log()).await?) {
            self.0.writer.set_swapped(restore.id, true).await?;
            self.keep_aside(volume, &made, &log.log()).await?;
            return Ok(true);
        }
        self.remove_volume_aside(&made).await?;
        Ok(false)
    }

    /// Lets go on what an earlier run of rivetr has held for a backup; systemd has done so before, unless it was kept from it.
    pub(super) async fn let_go_on(&self, backup: &Backup) -> Result<(), EngineError> {
        let Subject::Volume(volume) = &backup.subject else { return Ok(()) };
        let podman = &self.machine().podman;
        match podman.unpause_with(&volume.to_string()).await.map_err(EngineError::internal)? {
            0 => {}
            count => tracing::warn!(%volume, count, "containers were held still, and go on"),
        }
        Ok(())
    }

    /// Removes the old data of volumes that were restored in place, once they were kept for a week.
    pub(super) async fn empty_aside(&self) -> Result<(), EngineError> {
        let kept = i64::try_from(ASIDE_KEPT.as_millis()).unwrap_or(i64::MAX);
        let podman = &self.machine().podman;
        let mounted = self.mounted_volumes().await?;
        for NamedVolume { name, labels } in podman.all_volumes().await.map_err(EngineError::internal)? {
            let since = labels.get(ASIDE).and_then(|since| since.parse::<i64>().ok());
            let over = since.is_some_and(|since| self.now().0.saturating_sub(since) >= kept);
            if !over || mounted.contains_key(&name) {
                continue;
            }
            match podman.remove_volume(&name).await {
                Ok(()) => tracing::info!(volume = name, "the data from before a restore are removed"),
                // Somebody has taken it into use.
                Err(PodmanError::VolumeInUse { .. }) => {}
                Err(error) => return Err(EngineError::internal(error)),
            }
        }
        Ok(())
    }

    async fn is_there(&self, volume: &VolumeId) -> Result<bool, EngineError> {
        let there = self.machine().podman.all_volumes().await.map_err(EngineError::internal)?;
        let name = volume.to_string();
        Ok(there.iter().any(|one| one.name == name))
    }

    async fn remove_volume_aside(&self, aside: &VolumeId) -> Result<(), EngineError> {
        self.machine().podman.remove_volume(&aside.to_string()).await.map_err(EngineError::internal)
    }

    /// The timer of a volume's backups and what it starts; nothing, if it has no schedule.
    pub(in crate::engine) async fn volume_backup_units(
        &self,
        volume: &VolumeId,
    ) -> Result<UnitFiles, ApplyError> {
        self.units_of_backups(backup::Of::Volume(volume), &Subject::Volume(volume.clone())).await
    }

    /// The timer of the backups of something and what it starts; nothing, if it has no schedule.
    pub(super) async fn units_of_backups(
        &self,
        of: backup::Of<'_>,
        subject: &Subject,
    ) -> Result<UnitFiles, ApplyError> {
        let Some((schedule, _)) = self.reader().schedule(subject).await? else {
            return Ok(UnitFiles::new());
        };
        let socket = self.machine().layout.api_socket();
        let program = &self.0.settings.program;
        Ok(quadlet::backup::units(of, schedule.when, program, &socket)?)
    }

    /// Makes the units of a volume's backups what its schedule says.
    pub(in crate::engine) async fn tend_volume_backups(&self, volume: &VolumeId) -> Result<(), ApplyError> {
        let _alone = self.0.backups.tending.take(volume.clone()).await;
        let files = self.volume_backup_units(volume).await?;
        let owner = Owner::Volume(volume.clone());
        let observed = self.observe(&owner).await?;
        if files.is_empty() && observed.files.is_empty() {
            return Ok(());
        }
        let running: BTreeSet<String> =
            files.keys().filter(|path| path.is_timer()).map(UnitPath::unit).collect();
        let wanted = Wanted { files, running };
        self.carry_out(&wanted, &observed, &owner, &BTreeSet::new()).await
    }

    /// The same of every volume that has a schedule or units; where nothing else may fail for it.
    pub(super) async fn tend_all_volume_backups(&self) -> Result<(), EngineError> {
        let mut volumes = BTreeSet::new();
        for owner in self.machine().units.owners().map_err(EngineError::internal)? {
            if let Owner::Volume(volume) = owner {
                volumes.insert(volume);
            }
        }
        for (subject, ..) in self.reader().schedules().await? {
            if let Subject::Volume(volume) = subject {
                volumes.insert(volume);
            }
        }
        for volume in volumes {
            if let Err(error) = self.tend_volume_backups(&volume).await {
                tracing::error!(%volume, %error, "the timer of its backups is not what it should be");
            }
        }
        Ok(())
    }

    /// A volume that has gone is backed up by itself no more. Its backups stay.
    pub(in crate::engine) async fn forget_volume(&self, name: &str) -> Result<(), EngineError> {
        let Ok(volume) = VolumeId::parse(name) else { return Ok(()) };
        if self.0.writer.remove_schedule(&Subject::Volume(volume.clone())).await? {
            self.tend_volume_backups(&volume).await?;
        }
        self.stir_backups();
        Ok(())
    }
}

/// Whether a volume was made for a restore, and is not one that an app or a service uses.
pub(super) fn is_aside(volume: &NamedVolume) -> bool {
    volume.labels.contains_key(ASIDE)
}
