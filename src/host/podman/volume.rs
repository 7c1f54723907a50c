//! The volumes in Podman's storage: which there are, how large they are, and away with those no longer wanted.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Deserialize;

use super::raw;
use super::{Podman, PodmanError};
use crate::domain::time::Timestamp;

/// A volume in Podman's storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: String,
    /// When it was made, if Podman says so.
    pub created: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    name: String,
    #[serde(default)]
    created_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    #[serde(default)]
    volumes: Option<Vec<Used>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Used {
    volume_name: String,
    size: i64,
}

impl Podman {
    /// The volumes that carry a label of this key.
    pub async fn volumes_labelled(&self, key: &str) -> Result<Vec<Volume>, PodmanError> {
        let what = "list volumes";
        let filters = raw::encode(&format!(r#"{{"label":["{key}"]}}"#));
        let path = format!("/libpod/volumes/json?filters={filters}");
        let answer = self.raw.ask(what, Method::GET, &path).await?.accepted(what)?;
        let listed: Option<Vec<Listed>> = answer.read(what)?;
        let volume = |Listed { name, created_at }| {
            let created = created_at.parse::<jiff::Timestamp>().ok();
            Volume { name, created: created.map(|at| Timestamp(at.as_millisecond())) }
        };
        Ok(listed.unwrap_or_default().into_iter().map(volume).collect())
    }

    /// What each volume takes on disk, in bytes, by name. Podman counts every file of every volume and image.
    pub async fn volume_sizes(&self) -> Result<BTreeMap<String, u64>, PodmanError> {
        let what = "measure volumes";
        let answer = self.raw.ask(what, Method::GET, "/libpod/system/df").await?.accepted(what)?;
        let usage: Usage = answer.read(what)?;
        let sized = |used: Used| Some((used.volume_name, u64::try_from(used.size).ok()?));
        Ok(usage.volumes.unwrap_or_default().into_iter().filter_map(sized).collect())
    }

    /// Removes a volume with its data; one that is not there is as good as gone.
    pub async fn remove_volume(&self, name: &str) -> Result<(), PodmanError> {
        let what = format!("remove the volume {name}");
        let path = format!("/libpod/volumes/{}?force=false", raw::encode(name));
        let answer = self.raw.ask(&what, Method::DELETE, &path).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(()),
            StatusCode::CONFLICT => {
                Err(PodmanError::VolumeInUse { volume: name.to_owned(), said: answer.message() })
            }
            _ => answer.accepted(&what).map(drop),
        }
    }
}
