//! What a pull left in Podman's storage, and the name that a deployment gives it. The pull itself is a unit.

use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Podman, PodmanError, image_id, raw};
use crate::domain::deployment::ImageId;
use crate::domain::image::Digest;

/// An image that came from a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// Its identity in Podman's storage.
    pub id: ImageId,
    /// The digest by which the registry knows it.
    pub digest: Digest,
}

impl Podman {
    /// The image that goes by a registry's name for it; none if it is not there.
    pub async fn pulled(&self, name: &str) -> Result<Option<Pulled>, PodmanError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Inspected {
            id: String,
            digest: String,
        }
        let what = format!("look at the image {name}");
        let answer =
            self.raw.ask(&what, Method::GET, &format!("/libpod/images/{}/json", raw::encode(name))).await?;
        if answer.status == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let body = answer.accepted(&what)?.body;
        let unclear = |why: String| PodmanError::Answer { what: what.clone(), why };
        let Inspected { id, digest } =
            serde_json::from_slice(&body).map_err(|error| unclear(error.to_string()))?;
        let digest = Digest::parse(&digest).map_err(|error| unclear(error.to_string()))?;
        Ok(Some(Pulled { id: image_id(&id)?, digest }))
    }

    /// Gives an image one more name; `name` has a tag.
    pub async fn tag(&self, image: &ImageId, name: &str) -> Result<(), PodmanError> {
        let what = format!("name the image {name}");
        let (repo, tag) = name.rsplit_once(':').unwrap_or((name, "latest"));
        let path = format!("/libpod/images/{}/tag?repo={}&tag={tag}", image.as_str(), raw::encode(repo));
        self.raw.ask(&what, Method::POST, &path).await?.accepted(&what).map(drop)
    }
}
