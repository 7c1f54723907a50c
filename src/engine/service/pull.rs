//! The images of a revision: each is pulled, one after the other, before anything stops.

use std::collections::BTreeMap;

use super::super::{Engine, EngineError};
use crate::domain::image::ImageRef;
use crate::domain::service::Service;
use crate::quadlet::path::Owner;

impl Engine {
    /// Fetches images that are not there, and those that are to be fetched anyway; why not, if one does not come.
    pub(super) async fn pull_images(
        &self,
        service: &Service,
        images: &BTreeMap<String, bool>,
    ) -> Result<Option<String>, EngineError> {
        let owner = Owner::Service(service.slug.clone());
        for (name, always) in images {
            let there = self.machine().podman.pulled(name).await.map_err(EngineError::internal)?;
            if there.is_some() && !always {
                continue;
            }
            let image = match ImageRef::parse(name) {
                Ok(image) => image,
                Err(error) => return Ok(Some(error.to_string())),
            };
            // One that an earlier run of rivetr began may be another image's.
            self.end_pull_for(&owner).await?;
            if let Err(why) = self.pull_for(&owner, &image).await {
                return Ok(Some(why));
            }
        }
        Ok(None)
    }
}
