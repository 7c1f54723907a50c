//! What Podman's storage holds, in bytes. Podman counts every file of every volume and image.

use http::Method;
use serde::Deserialize;

use super::{Podman, PodmanError};

/// Bytes in Podman's storage, by what they are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DiskUse {
    /// All images, layers that several have counted once.
    pub images: u64,
    /// All volumes.
    pub volumes: u64,
    /// What containers have written into themselves.
    pub containers: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    #[serde(default)]
    images_size: i64,
    #[serde(default)]
    volumes: Option<Vec<VolumeUsed>>,
    #[serde(default)]
    containers: Option<Vec<ContainerUsed>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VolumeUsed {
    #[serde(default)]
    size: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ContainerUsed {
    #[serde(default, rename = "RWSize")]
    written: i64,
}

impl Podman {
    /// What its storage holds.
    pub async fn disk_use(&self) -> Result<DiskUse, PodmanError> {
        let what = "measure its storage";
        let answer = self.raw.ask(what, Method::GET, "/libpod/system/df").await?.accepted(what)?;
        let usage: Usage = answer.read(what)?;
        // It says less than nothing of what it could not count.
        let bytes = |size: i64| u64::try_from(size).unwrap_or(0);
        let volumes = usage.volumes.unwrap_or_default();
        let containers = usage.containers.unwrap_or_default();
        Ok(DiskUse {
            images: bytes(usage.images_size),
            volumes: volumes.iter().map(|one| bytes(one.size)).sum(),
            containers: containers.iter().map(|one| bytes(one.written)).sum(),
        })
    }
}
