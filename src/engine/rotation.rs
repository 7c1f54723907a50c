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
        let ring = rotated(begin(keys, &self.0.vault))?;
        self.failpoint("rotating");
        let resealed = rotated(reseal(&self.0.writer, &self.0.vault).await)?;
        self.failpoint("after-rotating");
        rotated(finish(keys, ring, resealed))
    }
}

fn rotated<T>(step: Result<T, RotateError>) -> Result<T, EngineError> {
    step.map_err(|error| match error {
        RotateError::ByHand(..) => EngineError::Conflict { field: "key", message: error.to_string() },
        RotateError::Seal(error) => error.into(),
        RotateError::Store(error) => error.into(),
        RotateError::Ring(error) => EngineError::internal(error),
    })
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

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;
    use std::path::Path;

    use super::*;
    use crate::domain::app::{NewApp, Settings};
    use crate::domain::deployment::{DeploymentId, Trigger};
    use crate::domain::name::{EnvKey, Slug};
    use crate::domain::source::{Branch, Source};
    use crate::domain::time::Timestamp;
    use crate::domain::variable::{Owner, Usage, Variable};
    use crate::store::Wish;
    use crate::store::{self, Reader, SubnetPool};
    use crate::vault::OpenError;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const PLACE: &str = "env/TOKEN";

    /// An app with a sealed variable, and a deployment with its copy.
    struct Installation {
        folder: tempfile::TempDir,
        writer: Writer,
        reader: Reader,
        owner: Owner,
        deployment: DeploymentId,
    }

    impl Installation {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let ring = KeyRing::generate().unwrap();
            ring.write(&folder.path().join("keys")).unwrap();
            let value = Vault::new(&ring).seal(PLACE, &Secret::from("canary")).unwrap();
            let key = EnvKey::parse("TOKEN").unwrap();
            let variables = vec![Variable { key, value, secret: true, usage: Usage::Run }];
            let (writer, reader) =
                store::open(&folder.path().join("db"), &folder.path().join("backup"), NOW).unwrap();
            let slug = |text| Slug::parse(text).unwrap();
            let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
            writer
                .create_project(
                    crate::domain::person::TeamId::FIRST,
                    slug("default"),
                    vec![slug("production")],
                    pool,
                )
                .await
                .unwrap();
            let new = NewApp {
                slug: slug("blog"),
                project: slug("default"),
                environment: slug("production"),
                source: Source::Push { branch: Branch::parse("main").unwrap() },
                git_token: None,
                hosts: vec![],
                settings: Settings { variables, ..Settings::new(NonZeroU16::MIN) },
                variables: vec![],
            };
            let app = writer.create_app(new, None, NOW).await.unwrap();
            let enqueued = writer.enqueue(app.id, Wish::of(Trigger::Request), NOW).await.unwrap();
            let (owner, deployment) = (Owner::App(app.id), enqueued.deployment.id);
            Self { folder, writer, reader, owner, deployment }
        }

        fn keys(&self) -> KeySource {
            KeySource::File(self.folder.path().join("keys"))
        }

        /// The vault of a daemon that starts now.
        fn started(&self) -> Arc<Vault> {
            Arc::new(Vault::new(&KeyRing::read(self.keys().path()).unwrap()))
        }

        async fn sealed(&self) -> [Sealed; 2] {
            let own = self.reader.variables(&self.owner).await.unwrap().unwrap().remove(0).value;
            let mut copy = self.reader.deployment(self.deployment).await.unwrap().unwrap().settings.variables;
            [own, copy.remove(0).value]
        }

        async fn assert_opens(&self, vault: &Vault) {
            for sealed in self.sealed().await {
                assert_eq!(vault.open(PLACE, &sealed), Ok(Secret::from("canary")));
            }
        }
    }

    async fn rotate(source: &KeySource, writer: &Writer, vault: &Arc<Vault>) -> Result<Rotated, RotateError> {
        let ring = begin(source, vault)?;
        let resealed = reseal(writer, vault).await?;
        finish(source, ring, resealed)
    }

    #[tokio::test]
    async fn a_change_that_is_broken_off_anywhere_is_gone_on_with() {
        for steps in 0..=2 {
            let installation = Installation::new().await;
            let old = installation.started();
            let before = installation.sealed().await;
            if steps >= 1 {
                begin(&installation.keys(), &old).unwrap();
            }
            if steps >= 2 {
                assert_eq!(reseal(&installation.writer, &old).await.unwrap().values, 2);
            }
            // Here it dies, and is started again.
            let vault = installation.started();
            installation.assert_opens(&vault).await;
            let rotated = rotate(&installation.keys(), &installation.writer, &vault).await.unwrap();
            assert_eq!((rotated.key, rotated.resealed.values, rotated.by_hand), (2, 2, false), "{steps}");
            assert_eq!(rotated.resealed.left, [""; 0]);
            installation.assert_opens(&vault).await;
            assert!(vault.open(PLACE, &before[0]).is_ok(), "what was read before is still opened");

            let vault = installation.started();
            installation.assert_opens(&vault).await;
            assert_eq!(vault.open(PLACE, &before[0]), Err(OpenError::UnknownKey(1)));
        }
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_named_and_stays_as_it_is() {
        let installation = Installation::new().await;
        let before = installation.sealed().await;
        let foreign = Arc::new(Vault::new(&KeyRing::generate().unwrap()));
        let done = reseal(&installation.writer, &foreign).await.unwrap();
        assert_eq!(done.values, 0);
        assert_eq!(done.left, ["variable: env/TOKEN", "blog, deployment 1: env/TOKEN"]);
        assert_eq!(installation.sealed().await, before);
    }

    #[tokio::test]
    async fn a_credential_is_changed_by_hand() {
        let installation = Installation::new().await;
        let path = installation.keys().path().to_owned();
        let credential = KeySource::Credential(path.clone());
        let refused = rotate(&credential, &installation.writer, &installation.started()).await.unwrap_err();
        let words = refused.to_string();
        assert!(words.contains(&*path.to_string_lossy()) && words.contains("the number 2"), "{words}");

        let added = KeyRing::read(&path).unwrap().with_new_key().unwrap();
        added.write(&path).unwrap();
        let text = read(&path);
        let rotated = rotate(&credential, &installation.writer, &installation.started()).await.unwrap();
        assert!(rotated.by_hand && rotated.resealed.values == 2);
        assert_eq!(read(&path), text, "a credential is not written");
        added.newest_alone().write(&path).unwrap();
        installation.assert_opens(&installation.started()).await;
    }

    fn read(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }
}
