//! What runs here as plain Quadlets for a host without rivetr: the units are read, everything else is asked for by name.
//!
//! Nothing of it changes anything here. Whoever asks writes the files, with rights of their own.

mod gather;
mod readme;

use std::collections::BTreeMap;

use tokio::io::AsyncRead;

use self::gather::Gathered;
use self::readme::readme;
use super::archive::Archive;
use super::{Engine, EngineError};
use crate::domain::backup::Hold;
use crate::domain::deployment::ImageId;
use crate::domain::secret::Secret;
use crate::host::podman::ImageFacts;
use crate::quadlet::plain::{Known, Plain, PlainImage, plain};

/// What an export is to hold besides units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ExportWish {
    /// The values of secrets.
    pub secrets: bool,
    /// The data of volumes.
    pub volumes: bool,
    /// Also the images that a registry has.
    pub all_images: bool,
}

/// An image that is loaded from a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedImage {
    /// Its identity here.
    pub id: ImageId,
    /// The name of its file, without ending.
    pub file: String,
    /// What it takes on disk, in bytes.
    pub size: u64,
}

/// A volume whose data go along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedVolume {
    /// Its name here.
    pub name: String,
    /// Its name there, and that of its file without ending.
    pub file: String,
}

/// A secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportedSecret {
    /// Its name there.
    pub name: String,
    /// Its value, if that was asked for and rivetr has it.
    pub value: Option<Secret>,
}

/// All of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Export {
    /// Texts by the names of their files.
    pub files: BTreeMap<String, String>,
    /// Images to be fetched one by one.
    pub images: Vec<ExportedImage>,
    /// Volumes to be fetched one by one.
    pub volumes: Vec<ExportedVolume>,
    /// Secrets.
    pub secrets: Vec<ExportedSecret>,
    /// What is not there, in words.
    pub notes: Vec<String>,
}

impl Engine {
    /// What runs here, as plain Quadlets.
    pub async fn export(&self, wish: ExportWish) -> Result<Export, EngineError> {
        let Gathered { found, reached, secrets, mut notes } = self.gather().await?;
        let facts = self.images_in(found.iter().map(|one| one.text.as_str())).await?;
        let chosen = |facts: &ImageFacts| plain_image(facts, wish.all_images);
        let images = facts.iter().map(|(text, facts)| (text.clone(), chosen(facts))).collect();
        let known = Known { images, reached };
        let plain = plain(&found, &known).map_err(|error| EngineError::Conflict {
            field: "units",
            message: format!("a unit that was edited by hand cannot be exported: {error}"),
        })?;
        let local: BTreeMap<&str, &ImageFacts> = facts
            .iter()
            .filter(|(text, _)| known.images.get(*text).is_some_and(|image| image.local))
            .map(|(_, facts)| (facts.id.digits(), facts))
            .collect();
        let images = local.into_values().map(exported).collect::<Vec<_>>();
        let volumes = if wish.volumes { self.volumes_of(&plain).await? } else { Vec::new() };
        let secrets: Vec<ExportedSecret> = plain
            .secrets
            .iter()
            .map(|(old, name)| ExportedSecret {
                name: name.clone(),
                value: secrets.get(old).filter(|_| wish.secrets).cloned(),
            })
            .collect();
        if wish.secrets {
            let missing = secrets.iter().filter(|secret| secret.value.is_none());
            notes.extend(missing.map(|secret| {
                format!("The secret {} was made by hand; rivetr does not have its value.", secret.name)
            }));
        }
        let mut export = Export { files: BTreeMap::new(), images, volumes, secrets, notes };
        export.files = files(&plain, &export);
        Ok(export)
    }

    /// An image as an archive that any Podman loads.
    pub async fn export_image(
        &self,
        id: &ImageId,
    ) -> Result<impl AsyncRead + Send + Unpin + use<>, EngineError> {
        let podman = &self.machine().podman;
        let facts = podman.image_facts(id.digits()).await.map_err(EngineError::internal)?;
        let missing = || EngineError::NotFound { what: "image", name: id.as_str().to_owned() };
        podman.save_image(&facts.ok_or_else(missing)?).await.map_err(EngineError::internal)
    }

    /// The data of a volume that something of rivetr's mounts, as an archive.
    pub async fn export_volume(&self, name: &str) -> Result<Archive, EngineError> {
        let Gathered { found, .. } = self.gather().await?;
        let line = format!("VolumeName={name}");
        if !found.iter().any(|one| one.text.lines().any(|there| there == line)) {
            return Err(EngineError::NotFound { what: "volume", name: name.to_owned() });
        }
        self.archive_volume(name, Hold::Pause).await
    }

    /// What is known of the images that containers name, by what stands in their units.
    pub(super) async fn images_in<'a>(
        &self,
        texts: impl Iterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, ImageFacts>, EngineError> {
        let mut images = BTreeMap::new();
        for text in texts.filter_map(|text| text.lines().find_map(|line| line.strip_prefix("Image="))) {
            if !images.contains_key(text) {
                let facts = self.machine().podman.image_facts(text).await.map_err(EngineError::internal)?;
                let facts = facts.ok_or_else(|| EngineError::Conflict {
                    field: "images",
                    message: format!("the image {text} is not in Podman's storage: deploy what uses it anew"),
                })?;
                images.insert(text.to_owned(), facts);
            }
        }
        Ok(images)
    }

    /// The volumes that exist of those that units name.
    async fn volumes_of(&self, plain: &Plain) -> Result<Vec<ExportedVolume>, EngineError> {
        let there = self.machine().podman.all_volumes().await.map_err(EngineError::internal)?;
        let there = there.into_iter().filter_map(|volume| {
            let file = plain.volumes.get(&volume.name)?.clone();
            Some(ExportedVolume { name: volume.name, file })
        });
        Ok(there.collect())
    }
}

/// How a plain unit names an image.
fn plain_image(facts: &ImageFacts, all: bool) -> PlainImage {
    match facts.reference() {
        Some(reference) if !all => PlainImage { reference: reference.to_owned(), local: false },
        _ => {
            let name = facts.name().unwrap_or(facts.id.digits());
            PlainImage { reference: name.to_owned(), local: true }
        }
    }
}

fn exported(facts: &ImageFacts) -> ExportedImage {
    let name = facts.name().unwrap_or(facts.id.digits()).trim_start_matches("localhost/");
    let file = name.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' });
    ExportedImage { id: facts.id.clone(), file: file.collect(), size: facts.size }
}

fn files(plain: &Plain, export: &Export) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    let put = |folder: &str, units: &BTreeMap<String, String>, files: &mut BTreeMap<String, String>| {
        files.extend(units.iter().map(|(name, text)| (format!("{folder}/{name}"), text.clone())));
    };
    put("quadlets", &plain.quadlets, &mut files);
    put("systemd", &plain.systemd, &mut files);
    if plain.published.iter().any(|port| !port.hosts.is_empty()) {
        files.insert("Caddyfile".to_owned(), readme::caddyfile(&plain.published));
    }
    files.insert("README.md".to_owned(), readme(plain, export));
    files
}
