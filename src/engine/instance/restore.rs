//! An archive of an instance becomes this one. All of it is unpacked and checked before anything is changed; then images and
//! volumes come first, and the database last, in one step at the next start of rivetr.

use std::io::Read;
use std::path::Path;

use tokio::fs::File;
use tokio::io::AsyncRead;
use tokio::task::spawn_blocking;
use tokio_util::io::{ReaderStream, SyncIoBridge};

use super::super::{Engine, EngineError};
use super::manifest::{self, Manifest, ManifestVolume};
use crate::domain::deployment::ImageId;
use crate::host::bundle;
use crate::host::podman::NamedVolume;
use crate::host::spool::Spooled;
use crate::store;
use crate::vault::age::Identity;
use crate::vault::{KeyRing, KeySource, stream};

/// How a restore is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RestoreWish {
    /// Everything is checked, and nothing is changed.
    pub dry_run: bool,
    /// What is here is deleted first, with its data, once the archive was found to be good.
    pub replace: bool,
}

/// What was restored, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// The version of rivetr that wrote the archive.
    pub rivetr: String,
    /// When it was begun.
    pub created: crate::domain::time::Timestamp,
    /// The apps in it.
    pub apps: Vec<String>,
    /// The databases in it.
    pub databases: Vec<String>,
    /// The services in it.
    pub services: Vec<String>,
    /// How many images it holds.
    pub images: usize,
    /// Volumes with their data.
    pub volumes: Vec<String>,
    /// Volumes whose data are not in it: they begin empty.
    pub empty: Vec<String>,
}

impl Engine {
    /// Makes this instance the one of an archive. Once that has gone through, rivetr ends, and is that one when systemd
    /// starts it again.
    pub async fn restore_instance<R>(
        &self,
        identity: Identity,
        archive: R,
        wish: RestoreWish,
    ) -> Result<RestoreReport, EngineError>
    where
        R: AsyncRead + Unpin + Send + 'static,
    {
        let mut archive = archive;
        if let Err(refused) = self.may_be_restored(wish).await {
            // Who is hung up on while it sends never sees the answer.
            tokio::io::copy(&mut archive, &mut tokio::io::sink()).await.map_err(|error| broken(&error))?;
            return Err(refused);
        }
        let spooled = self.machine().spool.begin().map_err(EngineError::internal)?;
        let manifest = unpacked(identity, archive, &spooled).await?;
        self.check_archive(&manifest, spooled.folder(), wish.replace).await?;
        let report = report(&manifest);
        if wish.dry_run {
            return Ok(report);
        }
        self.load_images(&manifest, spooled.folder()).await?;
        if wish.replace {
            self.delete_everything().await?;
            // Some of them may have gone with what was here.
            self.load_images(&manifest, spooled.folder()).await?;
        }
        // Nobody creates anything from here on.
        let _alone = self.0.changing.lock().await;
        self.refuse_unless_empty().await?;
        for volume in manifest.volumes.iter().filter(|volume| volume.data) {
            self.refill(volume, &spooled).await?;
        }
        let state = spooled.folder().join(manifest::STATE);
        self.failpoint("instance-restoring");
        self.machine().instance.stage(&state).map_err(EngineError::internal)?;
        self.0.anew.cancel();
        Ok(report)
    }

    /// Returns once rivetr is to end and begin anew on another state.
    pub async fn begins_anew(&self) {
        self.0.anew.cancelled().await;
    }

    async fn may_be_restored(&self, wish: RestoreWish) -> Result<(), EngineError> {
        if let KeySource::Credential(path) = &self.0.settings.keys {
            let message = format!(
                "the master keys of this rivetr are a credential of systemd ({}), which a restore cannot replace: take \
                 the credential away first, so that they are a file",
                path.display()
            );
            return Err(EngineError::Conflict { field: "archive", message });
        }
        if wish.replace { Ok(()) } else { self.refuse_unless_empty().await }
    }

    async fn refuse_unless_empty(&self) -> Result<(), EngineError> {
        let reader = self.reader();
        let (apps, services) = (reader.apps().await?.len(), reader.services().await?.len());
        let databases = reader.every_database().await?.len();
        if apps + services + databases == 0 {
            return Ok(());
        }
        let message = format!(
            "this rivetr is not empty: it has {apps} apps, {databases} databases (those in the trash included) and \
             {services} services. Restore on a new host; or say --replace, and all of them are deleted first, with their data"
        );
        Err(EngineError::Conflict { field: "archive", message })
    }

    async fn delete_everything(&self) -> Result<(), EngineError> {
        for service in self.reader().services().await? {
            self.delete_service(&service.slug, true).await?;
        }
        for app in self.reader().apps().await? {
            self.delete_app(&app.slug, true).await?;
        }
        for database in self.reader().every_database().await? {
            if database.deleted.is_none() {
                self.delete_database(&database.slug).await?;
            }
            self.purge_database(database.id).await?;
        }
        Ok(())
    }

    /// Whether all that the archive says is there and can be used here.
    async fn check_archive(
        &self,
        manifest: &Manifest,
        folder: &Path,
        replace: bool,
    ) -> Result<(), EngineError> {
        let refuse = |message: String| Err(EngineError::Invalid { field: "archive", message });
        let (database, keys) = (folder.join(manifest::DATABASE), folder.join(manifest::KEYS));
        if let Err(error) = store::check(&database) {
            return refuse(format!("its database cannot be used: {error}"));
        }
        if let Err(error) = KeyRing::read(&keys) {
            return refuse(format!("its keys cannot be used: {error}"));
        }
        let images = manifest.images.iter().map(|image| manifest::image_file(&image.id));
        let data = manifest.volumes.iter().filter(|volume| volume.data);
        let files = images.chain(data.map(|volume| manifest::volume_file(&volume.name)));
        if let Some(missing) = files.into_iter().find(|file| !folder.join(file).is_file()) {
            return refuse(format!("{missing} is not in it"));
        }
        let there = self.machine().podman.all_volumes().await.map_err(EngineError::internal)?;
        let taken = there.iter().find(|there| manifest.volumes.iter().any(|one| one.name == there.name));
        match taken {
            Some(taken) if !replace => {
                let message = format!(
                    "there is a volume {} already, and its data may be somebody's: remove it, or say --replace",
                    taken.name
                );
                Err(EngineError::Conflict { field: "archive", message })
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn load_images(&self, manifest: &Manifest, folder: &Path) -> Result<(), EngineError> {
        let podman = &self.machine().podman;
        for image in &manifest.images {
            let id = ImageId::parse(&image.id)
                .map_err(|error| EngineError::Invalid { field: "archive", message: error.to_string() })?;
            if podman.image(id.digits()).await.map_err(EngineError::internal)?.is_none() {
                let file = File::open(folder.join(manifest::image_file(&image.id))).await;
                let archive = ReaderStream::new(file.map_err(EngineError::internal)?);
                podman.load_image(archive).await.map_err(EngineError::internal)?;
            }
            if podman.image(id.digits()).await.map_err(EngineError::internal)?.is_none() {
                let message = format!("the image {} is another one once it is loaded", image.id);
                return Err(EngineError::Unavailable(message));
            }
            if let Some(name) = &image.name {
                podman.tag(&id, name).await.map_err(EngineError::internal)?;
            }
        }
        Ok(())
    }

    async fn refill(&self, volume: &ManifestVolume, spooled: &Spooled) -> Result<(), EngineError> {
        let ManifestVolume { name, labels, data: _ } = volume;
        self.machine().podman.remove_volume(name).await.map_err(EngineError::internal)?;
        let volume = NamedVolume { name: name.clone(), labels: labels.clone() };
        let archive = spooled.folder().join(manifest::volume_file(name));
        self.fill_volume(&volume, &archive, &spooled.log()).await
    }
}

/// Opens and unpacks an archive, and checks every byte of it.
async fn unpacked(
    identity: Identity,
    archive: impl AsyncRead + Unpin + Send + 'static,
    spooled: &Spooled,
) -> Result<Manifest, EngineError> {
    let (folder, from) = (spooled.folder().to_owned(), SyncIoBridge::new(archive));
    let reading = spawn_blocking(move || {
        let mut from = from;
        let read = read(&mut from, &identity, &folder);
        stream::copy(&mut from, &mut std::io::sink())?;
        read
    });
    reading.await.map_err(EngineError::internal)?.map_err(|error| broken(&error))
}

fn read(mut from: impl Read, identity: &Identity, folder: &Path) -> std::io::Result<Manifest> {
    let mut found = None;
    let mut plain = stream::unpack(&mut from, identity)?;
    bundle::unpack(&mut plain, folder, |name, bytes| {
        found = Some(Manifest::of(name, bytes)?);
        Ok(())
    })?;
    // The seal says at its end that nothing is missing.
    stream::copy(&mut plain, &mut std::io::sink())?;
    found.ok_or_else(|| std::io::Error::other("there is nothing in it"))
}

fn broken(error: &std::io::Error) -> EngineError {
    EngineError::Invalid { field: "archive", message: error.to_string() }
}

fn report(manifest: &Manifest) -> RestoreReport {
    let Manifest { format: _, rivetr, created, apps, databases, services, images, volumes } =
        manifest.clone();
    let (with, without): (Vec<_>, Vec<_>) = volumes.into_iter().partition(|volume| volume.data);
    let names = |volumes: Vec<ManifestVolume>| volumes.into_iter().map(|volume| volume.name).collect();
    RestoreReport {
        rivetr,
        created: crate::domain::time::Timestamp(created),
        apps,
        databases,
        services,
        images: images.len(),
        volumes: names(with),
        empty: names(without),
    }
}
