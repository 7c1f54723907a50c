//! Where the files of backups lie: on the disk of this machine, or in a storage.

use std::io::{self, Read};

use futures_util::TryStreamExt as _;
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::super::{Engine, EngineError};
use crate::domain::backup::Place;
use crate::domain::name::Slug;
use crate::domain::s3::Location;
use crate::domain::secret::Secret;
use crate::remote::s3::{S3Error, Storage};
use crate::store::StoredDestination;

/// What is put into a storage and taken away again, to see whether backups can be kept there.
const TRIAL: &[u8] = b"rivetr sees whether it can keep backups here; this may be deleted\n";

/// A destination that somebody wants.
#[derive(Debug, Clone)]
pub struct NewDestination {
    /// Its name.
    pub name: Slug,
    /// Where it is.
    pub location: Location,
    /// The name of the access key.
    pub key_id: String,
    /// The access key.
    pub secret: Secret,
}

impl Engine {
    /// Keeps a destination, once something could be put there, read, listed and taken away.
    pub async fn put_destination(&self, new: NewDestination) -> Result<(), EngineError> {
        let NewDestination { name, location, key_id, secret } = new;
        if name.as_str() == "disk" {
            let message = "disk is this machine's own: choose another name".to_owned();
            return Err(EngineError::Invalid { field: "name", message });
        }
        let storage = Storage::new(location.clone(), key_id.clone(), secret.clone(), self.0.settings.clock)?;
        let wrong = |message: String| EngineError::Invalid { field: "endpoint", message };
        if !self.tries(&storage).await.map_err(|error| wrong(error.to_string()))? {
            let message = "what was put there is not in its list: is this a storage that speaks S3?";
            return Err(wrong(message.to_owned()));
        }
        let _sealing = self.0.sealing.read().await;
        let secret = self.vault().seal(&StoredDestination::place(&name), &secret)?;
        let created = self.now();
        let stored = StoredDestination { name, location, key_id, secret, created };
        Ok(self.0.writer.put_destination(stored).await?)
    }

    /// Whether what is put into a storage is listed there; it is taken away again.
    async fn tries(&self, storage: &Storage) -> Result<bool, S3Error> {
        let trial = format!("rivetr-trial-{}", self.now().0);
        storage.put(&trial, TRIAL.into()).await?;
        let found = storage.list(&trial).await?.into_iter().any(|object| object.key == trial);
        storage.abort_uploads(&trial).await?;
        storage.delete(&trial).await?;
        Ok(found)
    }

    /// Every destination.
    pub async fn destinations(&self) -> Result<Vec<StoredDestination>, EngineError> {
        Ok(self.reader().destinations().await?)
    }

    /// Forgets a destination that nothing needs.
    pub async fn remove_destination(&self, name: &Slug) -> Result<(), EngineError> {
        Ok(self.0.writer.remove_destination(name.clone()).await?)
    }

    /// The storage of a destination, as its keys open it.
    pub(super) async fn storage(&self, name: &Slug) -> Result<Storage, EngineError> {
        let found = self.reader().destination(name).await?;
        let found =
            found.ok_or_else(|| EngineError::NotFound { what: "destination", name: name.to_string() })?;
        let secret = self.vault().open(&StoredDestination::place(name), &found.secret).map_err(|error| {
            EngineError::Unavailable(format!("the access key of {name} cannot be read: {error}"))
        })?;
        let clock = self.0.settings.clock;
        Storage::new(found.location, found.key_id, secret, clock).map_err(EngineError::from)
    }

    /// Opens the file of a backup, to be read on a thread that may block.
    pub(super) async fn open_backup_file(
        &self,
        place: &Place,
        file: &str,
    ) -> Result<Box<dyn Read + Send>, EngineError> {
        match place {
            Place::Disk => {
                let opened = self.machine().backups.open(file);
                let missing = |error: io::Error| {
                    let message = format!("the file of the backup cannot be read: backups/{file}: {error}");
                    EngineError::Conflict { field: "backup", message }
                };
                Ok(Box::new(opened.map_err(missing)?))
            }
            Place::Storage(name) => {
                let (_, pieces) = self.storage(name).await?.get(file).await?;
                Ok(Box::new(SyncIoBridge::new(StreamReader::new(Box::pin(pieces.into_stream())))))
            }
        }
    }

    /// Removes the file of a backup, and what an upload of it may have left.
    pub(super) async fn remove_backup_file(&self, place: &Place, file: &str) -> Result<(), EngineError> {
        match place {
            Place::Disk => self.machine().backups.remove(file).map_err(EngineError::internal),
            Place::Storage(name) => {
                let storage = self.storage(name).await?;
                storage.abort_uploads(file).await?;
                Ok(storage.delete(file).await?)
            }
        }
    }
}

impl From<S3Error> for EngineError {
    fn from(error: S3Error) -> Self {
        Self::Unavailable(error.to_string())
    }
}
