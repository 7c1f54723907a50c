//! The instance in one sealed archive: its database and keys, what only this host has, and what is needed to bring the apps
//! up elsewhere. `restore.rs` reads it.
//!
//! A stream from end to end: at no time is more of it in memory than a few pieces.

mod manifest;
mod restore;

use std::io;
use std::path::{Path, PathBuf};

use tokio::fs::File;
use tokio::io::{AsyncRead, DuplexStream, duplex};
use tokio::task::spawn_blocking;
use tokio_util::io::SyncIoBridge;

use self::manifest::{Manifest, ManifestImage, ManifestVolume};
pub use self::restore::{RestoreReport, RestoreWish};
use super::backup::Ending;
use super::{Engine, EngineError};
use crate::domain::backup::Hold;
use crate::host::bundle::BundleWriter;
use crate::host::instance::InstanceFiles;
use crate::host::podman::ImageFacts;
use crate::host::spool::Spooled;
use crate::quadlet::path::Owner;
use crate::quadlet::plain::Found;
use crate::vault::age::Recipient;
use crate::vault::stream;

/// How much waits between two who work side by side, in bytes.
const PIPE: usize = 256 << 10;

/// What an archive is made of, known before it begins.
struct Contents {
    manifest: Manifest,
    images: Vec<ImageFacts>,
    found: Vec<Found>,
    files: Vec<(String, PathBuf)>,
    keys: String,
    database: Spooled,
}

impl Engine {
    /// All of the instance, sealed: for the key of this instance's backups, unless for somebody else. The data of
    /// databases are always in it, those of other volumes with `volumes`. It ends with an error if it is not whole.
    pub async fn back_up_instance(
        &self,
        recipient: Option<Recipient>,
        volumes: bool,
    ) -> Result<impl AsyncRead + Send + Unpin + use<>, EngineError> {
        let recipient = match recipient {
            Some(recipient) => recipient,
            None => self.newest_identity().await?.recipient(),
        };
        let contents = self.contents(volumes).await?;
        let (plain_in, plain_out) = duplex(PIPE);
        let (sealed_in, sealed_out) = duplex(PIPE);
        let (from, to) = (SyncIoBridge::new(plain_out), SyncIoBridge::new(sealed_in));
        let packing = spawn_blocking(move || {
            let mut from = from;
            stream::pack(&mut from, to, &recipient)
        });
        let engine = self.clone();
        let made = self.0.tasks.spawn(async move {
            let writing = engine.until_shutdown(Box::pin(engine.write_instance(contents, plain_in)));
            let (written, packed) = tokio::join!(writing, packing);
            let written = written.unwrap_or_else(|| Err(io::Error::other("rivetr is stopping")));
            if let Err(error) = &written {
                tracing::error!(%error, "the instance is not backed up");
            }
            written.and(packed.map_err(io::Error::other)?).map(|packed| packed.stored)
        });
        Ok(Ending::new(sealed_out, made))
    }

    async fn contents(&self, volumes: bool) -> Result<Contents, EngineError> {
        let found = self.gather().await?.found;
        let facts = self.images_in(found.iter().map(|one| one.text.as_str())).await?;
        let mut images: Vec<ImageFacts> = facts.into_values().collect();
        images.sort_by(|one, other| one.id.digits().cmp(other.id.digits()));
        images.dedup_by(|one, other| one.id == other.id);
        let volumes = self.kept_volumes(&found, volumes).await?;
        let keys = self.0.settings.keys.path();
        let keys = InstanceFiles::text(keys).map_err(EngineError::internal)?;
        let missing = || EngineError::Unavailable("the master keys cannot be read".to_owned());
        let database = self.machine().spool.begin().map_err(EngineError::internal)?;
        self.reader().copy_to(database.whole()).await?;
        Ok(Contents {
            manifest: self.manifest(&images, volumes).await?,
            files: self.machine().instance.listed().map_err(EngineError::internal)?,
            keys: keys.ok_or_else(missing)?,
            images,
            found,
            database,
        })
    }

    /// The volumes that units name and that there are; with the data of databases, and of all others if `all`.
    async fn kept_volumes(&self, found: &[Found], all: bool) -> Result<Vec<ManifestVolume>, EngineError> {
        let there = self.machine().podman.all_volumes().await.map_err(EngineError::internal)?;
        let named = there.into_iter().filter_map(|volume| {
            let line = format!("VolumeName={}", volume.name);
            let owner = &found.iter().find(|one| one.text.lines().any(|there| there == line))?.owner;
            let data = all || matches!(owner, Owner::Database(_));
            Some(ManifestVolume { name: volume.name, labels: volume.labels, data })
        });
        Ok(named.collect())
    }

    async fn manifest(
        &self,
        images: &[ImageFacts],
        volumes: Vec<ManifestVolume>,
    ) -> Result<Manifest, EngineError> {
        let (apps, databases) = (self.reader().apps().await?, self.reader().databases().await?);
        let services = self.reader().services().await?;
        let image = |image: &ImageFacts| ManifestImage {
            id: image.id.digits().to_owned(),
            name: image.name().map(str::to_owned),
        };
        Ok(Manifest {
            format: manifest::FORMAT,
            rivetr: env!("CARGO_PKG_VERSION").to_owned(),
            created: self.now().0,
            apps: apps.iter().map(|app| app.slug.to_string()).collect(),
            databases: databases.iter().map(|database| database.slug.to_string()).collect(),
            services: services.iter().map(|service| service.slug.to_string()).collect(),
            images: images.iter().map(image).collect(),
            volumes,
        })
    }

    async fn write_instance(&self, contents: Contents, to: DuplexStream) -> io::Result<()> {
        let Contents { manifest, images, found, files, keys, database } = contents;
        let mut bundle = BundleWriter::new(to);
        bundle.put(manifest::FILE, &manifest.to_bytes()?).await?;
        bundle.pour(manifest::DATABASE, File::open(database.whole()).await?).await?;
        bundle.put(manifest::KEYS, keys.as_bytes()).await?;
        drop(database);
        for (name, path) in files {
            match File::open(path).await {
                Ok(file) => bundle.pour(&name, file).await?,
                // It has gone since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        self.write_units(&found, &mut bundle).await?;
        for image in &images {
            let archive = self.machine().podman.save_image(image).await.map_err(io::Error::other)?;
            bundle.pour(&manifest::image_file(image.id.digits()), archive).await?;
        }
        for volume in manifest.volumes.iter().filter(|volume| volume.data) {
            let archive = self.archive_volume(&volume.name, Hold::Pause).await.map_err(io::Error::other)?;
            bundle.pour(&manifest::volume_file(&volume.name), archive).await?;
        }
        bundle.finish().await
    }

    /// Units to be read by people, and what people put beside them to be put in place again. rivetr writes its own anew.
    async fn write_units(&self, found: &[Found], bundle: &mut BundleWriter<DuplexStream>) -> io::Result<()> {
        let (units, instance) = (&self.machine().units, &self.machine().instance);
        for one in found {
            bundle.put(&format!("quadlets/{}", one.path), one.text.as_bytes()).await?;
            let mut beside = units.dropins_of(&one.path).map_err(io::Error::other)?;
            beside.extend(units.plain_dropins_of(&one.path.unit()).map_err(io::Error::other)?);
            beside.sort();
            beside.dedup();
            for (path, text) in beside {
                if let Some(name) = instance.drop_in(&path) {
                    bundle.put(&name, text.as_bytes()).await?;
                }
            }
        }
        self.write_configuration(bundle).await
    }

    /// The configuration, to be read beside the restored state: it may say much of the host it was on.
    async fn write_configuration(&self, bundle: &mut BundleWriter<DuplexStream>) -> io::Result<()> {
        for (number, file) in (1..).zip(&self.0.settings.configuration.files) {
            let path = Path::new(file);
            let text = InstanceFiles::text(path).map_err(io::Error::other)?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if let Some(text) = text {
                bundle.put(&format!("{}/{number}-{name}", manifest::CONFIGURATION), text.as_bytes()).await?;
            }
        }
        Ok(())
    }
}
