//! What is handed on to another host: images as archives, and what must be known of volumes and images for that.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures_util::Stream;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::io::AsyncRead;
use tokio_util::io::StreamReader;

use super::{Podman, PodmanError, image_id, raw};
use crate::domain::deployment::ImageId;

/// How the manifest of an image is written that keeps its identity in Docker's archive alone.
const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The label by which a container says which unit runs it.
const UNIT_LABEL: &str = "PODMAN_SYSTEMD_UNIT";
/// Names that only this machine knows begin with it.
const LOCAL: &str = "localhost/";

/// What is known of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFacts {
    /// Its identity.
    pub id: ImageId,
    /// The names it goes by, with tags.
    pub names: Vec<String>,
    /// The names by which registries have it, with digests.
    pub registries: Vec<String>,
    /// What it takes on disk, in bytes.
    pub size: u64,
    /// The TCP ports that it says its program listens on (`EXPOSE`).
    pub exposed: Vec<u16>,
    /// Where it says that its program keeps data (`VOLUME`).
    pub volumes: Vec<String>,
    docker: bool,
}

/// A volume with its labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedVolume {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Inspected {
    id: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    repo_digests: Option<Vec<String>>,
    #[serde(default)]
    manifest_type: String,
    #[serde(default)]
    size: i64,
    config: Option<InspectedConfig>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct InspectedConfig {
    #[serde(default)]
    exposed_ports: Option<BTreeMap<String, serde_json::Value>>,
    #[serde(default)]
    volumes: Option<BTreeMap<String, serde_json::Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedVolume {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

/// A container that runs and mounts a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mounting {
    /// Its name.
    pub name: String,
    /// The unit that runs it; none: systemd does not.
    pub unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListedContainer {
    #[serde(default)]
    names: Option<Vec<String>>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl ImageFacts {
    /// The name that it is kept under in an archive: one of this machine's own first.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let own = self.names.iter().find(|name| name.starts_with(LOCAL));
        own.or(self.names.first()).map(String::as_str)
    }

    /// The name by which any host can pull exactly this image.
    #[must_use]
    pub fn reference(&self) -> Option<&str> {
        self.registries.iter().find(|name| !name.starts_with(LOCAL)).map(String::as_str)
    }
}

impl Podman {
    /// What is known of an image by any of its names or its digits; none if it is not there.
    pub async fn image_facts(&self, name: &str) -> Result<Option<ImageFacts>, PodmanError> {
        let what = format!("look at the image {name}");
        let path = format!("/libpod/images/{}/json", raw::encode(name));
        let answer = self.raw.ask(&what, Method::GET, &path).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let Inspected { id, repo_tags, repo_digests, manifest_type, size, config } =
            answer.accepted(&what)?.read(&what)?;
        let InspectedConfig { exposed_ports, volumes } = config.unwrap_or_default();
        let exposed = exposed_ports
            .unwrap_or_default()
            .into_keys()
            .filter_map(|port| port.strip_suffix("/tcp")?.parse().ok());
        Ok(Some(ImageFacts {
            id: image_id(&id)?,
            names: repo_tags.unwrap_or_default(),
            registries: repo_digests.unwrap_or_default(),
            size: u64::try_from(size).unwrap_or(0),
            exposed: exposed.collect(),
            volumes: volumes.unwrap_or_default().into_keys().collect(),
            docker: manifest_type == DOCKER_MANIFEST,
        }))
    }

    /// An image as an archive that keeps its identity and one name.
    pub async fn save_image(
        &self,
        image: &ImageFacts,
    ) -> Result<impl AsyncRead + Send + Unpin + use<>, PodmanError> {
        let name = image.name().unwrap_or(image.id.digits());
        let form = if image.docker { "docker-archive" } else { "oci-archive" };
        let what = format!("save the image {name}");
        let path = format!("/libpod/images/{}/get?format={form}", raw::encode(name));
        Ok(StreamReader::new(self.raw.fetch(&what, &path).await?))
    }

    /// Takes an image in from an archive.
    pub async fn load_image<S, E>(&self, archive: S) -> Result<(), PodmanError>
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let what = "load an image";
        self.raw.give(what, "/libpod/images/load", archive).await?.accepted(what).map(drop)
    }

    /// Every volume that there is.
    pub async fn all_volumes(&self) -> Result<Vec<NamedVolume>, PodmanError> {
        let what = "list volumes";
        let answer = self.raw.ask(what, Method::GET, "/libpod/volumes/json").await?.accepted(what)?;
        let listed: Option<Vec<ListedVolume>> = answer.read(what)?;
        let volume = |ListedVolume { name, labels }| NamedVolume { name, labels: labels.unwrap_or_default() };
        Ok(listed.unwrap_or_default().into_iter().map(volume).collect())
    }

    /// Where the files of a volume lie, as its owner sees them.
    pub async fn volume_place(&self, name: &str) -> Result<String, PodmanError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Placed {
            mountpoint: String,
        }
        let what = format!("look at the volume {name}");
        let path = format!("/libpod/volumes/{}/json", raw::encode(name));
        let placed: Placed = self.raw.ask(&what, Method::GET, &path).await?.accepted(&what)?.read(&what)?;
        Ok(placed.mountpoint)
    }

    /// Makes a volume of this name.
    pub async fn create_volume(&self, volume: &NamedVolume) -> Result<(), PodmanError> {
        let what = format!("make the volume {}", volume.name);
        let wish = json!({ "Name": volume.name, "Label": volume.labels, "Labels": volume.labels });
        self.raw.post(&what, "/libpod/volumes/create", &wish).await?.accepted(&what).map(drop)
    }

    /// The containers that run and mount a volume.
    pub async fn running_with(&self, volume: &str) -> Result<Vec<Mounting>, PodmanError> {
        self.mounting(volume, "running").await
    }

    /// Lets all go on that mounts a volume and is paused; how many that were.
    pub async fn unpause_with(&self, volume: &str) -> Result<usize, PodmanError> {
        let paused = self.mounting(volume, "paused").await?;
        for Mounting { name, unit: _ } in &paused {
            let what = format!("let the container {name} go on");
            let path = format!("/libpod/containers/{}/unpause", raw::encode(name));
            self.raw.ask(&what, Method::POST, &path).await?.accepted(&what)?;
        }
        Ok(paused.len())
    }

    async fn mounting(&self, volume: &str, status: &str) -> Result<Vec<Mounting>, PodmanError> {
        let what = format!("list the containers of the volume {volume}");
        let filters = json!({ "volume": [volume], "status": [status] }).to_string();
        let path = format!("/libpod/containers/json?filters={}", raw::encode(&filters));
        let answer = self.raw.ask(&what, Method::GET, &path).await?.accepted(&what)?;
        let listed: Option<Vec<ListedContainer>> = answer.read(&what)?;
        let mounting = |ListedContainer { names, labels }| {
            let unit = labels.and_then(|mut labels| labels.remove(UNIT_LABEL));
            Some(Mounting { name: names?.into_iter().next()?, unit })
        };
        Ok(listed.unwrap_or_default().into_iter().filter_map(mounting).collect())
    }
}
