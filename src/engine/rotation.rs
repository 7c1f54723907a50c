//! A change of the master key: a new key is added, everything is sealed anew under it, the old ones go.
//!
//! The ring is written with both keys before anything is sealed with the new one, and without the old ones after
//! everything was. A daemon that dies in between starts with a ring that opens all there is, and the next change
//! goes on from there.

use std::sync::Arc;

use thiserror::Error;

use super::{Engine, EngineError};
use crate::domain::secret::{Sealed, Secret};
use crate::store::{Resealed, StoreError, Writer};
use crate::vault::{KeyRing, KeySource, RingError, SealError, Vault};

/// What a change of the master key did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotated {
    /// The number of the key that seals from now on.
    pub key: u32,
    /// What was sealed anew.
    pub resealed: Resealed,
    /// The old keys are still in the ring, and have to be taken out where the credential comes from.
    pub by_hand: bool,
}

/// Why the master key was not changed, or not to the end. Nothing is lost in either case.
#[derive(Debug, Error)]
enum RotateError {
    /// The keys come from a credential that holds one key alone.
    #[error(
        "the master key comes from the systemd credential {name}, which rivetr cannot write. Add a line to it, with \
         the number {next}, a blank and 64 random hexadecimal digits, and restart rivetr. Then give this command \
         again: it seals everything under the new key, and after that the old line can go",
        name = .0.display(), next = .1
    )]
    ByHand(std::path::PathBuf, u32),
    #[error(transparent)]
    Ring(#[from] RingError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Changes the master key, or goes on with a change that was broken off. Can be done twice.
    pub async fn rotate_key(&self) -> Result<Rotated, EngineError> {
        // Whoever has sealed with the old key has stored it by now, and nobody seals with it any more.
        let _alone = self.0.sealing.write().await;
        let keys = &self.0.settings.keys;
        let ring = self.rotated(begin(keys, &self.0.vault))?;
        self.failpoint("rotating");
        let resealed = self.rotated(reseal(&self.0.writer, &self.0.vault).await)?;
        self.failpoint("after-rotating");
        self.rotated(finish(keys, ring, resealed))
    }

    fn rotated<T>(&self, step: Result<T, RotateError>) -> Result<T, EngineError> {
        step.map_err(|error| match error {
            RotateError::ByHand(..) => EngineError::Conflict { field: "key", message: error.to_string() },
            RotateError::Seal(error) => error.into(),
            RotateError::Store(error) => error.into(),
            RotateError::Ring(error) => EngineError::internal(error),
        })
    }
}

/// The ring with the new key in it, on disk and in the vault.
fn begin(source: &KeySource, vault: &Vault) -> Result<KeyRing, RotateError> {
    let mut ring = KeyRing::read(source.path())?;
    if !ring.is_changing() {
        match source {
            KeySource::File(path) => {
                ring = ring.with_new_key()?;
                ring.write(path)?;
            }
            KeySource::Credential(path) => {
                return Err(RotateError::ByHand(path.clone(), ring.newest().unwrap_or_default() + 1));
            }
        }
    }
    vault.adopt(&ring);
    Ok(ring)
}

async fn reseal(writer: &Writer, vault: &Arc<Vault>) -> Result<Resealed, RotateError> {
    let vault = Arc::clone(vault);
    let anew = move |place: &str, sealed: &Sealed| -> Result<Option<Sealed>, RotateError> {
        // What cannot be opened could not be opened before either, and is said.
        let opened: Option<Secret> = vault.open(place, sealed).ok();
        Ok(opened.map(|secret| vault.seal(place, &secret)).transpose()?)
    };
    writer.reseal(anew).await
}

fn finish(source: &KeySource, ring: KeyRing, resealed: Resealed) -> Result<Rotated, RotateError> {
    let key = ring.newest().unwrap_or_default();
    let by_hand = match source {
        KeySource::File(path) => {
            ring.newest_alone().write(path)?;
            false
        }
        KeySource::Credential(_) => true,
    };
    Ok(Rotated { key, resealed, by_hand })
}
