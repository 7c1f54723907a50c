//! What a revision is made of, as it is sealed: its files, the units that were made of them, and the secrets that those
//! name. The units are kept as they were written, so that another version of rivetr restarts nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::EngineError;
use crate::domain::name::Slug;
use crate::domain::service::{FileName, Files};
use crate::quadlet::UnitFiles;
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::service::Rendered;

/// All of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    files: BTreeMap<String, String>,
    units: BTreeMap<String, String>,
    /// Podman's secrets by name.
    pub(super) secrets: BTreeMap<String, String>,
    /// The images, and whether each is fetched although it is there.
    pub(super) images: BTreeMap<String, bool>,
}

impl Content {
    pub(super) fn new(files: &Files, rendered: Rendered, images: BTreeMap<String, bool>) -> Self {
        let Rendered { files: units, secrets, parts: _, joined: _, notes: _ } = rendered;
        Self {
            files: files.iter().map(|(name, text)| (name.to_string(), text.clone())).collect(),
            units: units.into_iter().map(|(path, text)| (path.file().to_owned(), text)).collect(),
            secrets,
            images,
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, EngineError> {
        serde_json::to_vec(self).map_err(EngineError::internal)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        serde_json::from_slice(bytes).map_err(EngineError::internal)
    }

    /// The files as they were handed in.
    pub(super) fn files(self) -> Result<Files, EngineError> {
        let parsed = self.files.into_iter().map(|(name, text)| Ok((FileName::parse(&name)?, text)));
        parsed.collect::<Result<_, crate::domain::name::InvalidName>>().map_err(EngineError::internal)
    }

    /// The units.
    pub(super) fn units(&self, slug: &Slug) -> Result<UnitFiles, EngineError> {
        let owner = Owner::Service(slug.clone());
        let units =
            self.units.iter().map(|(file, text)| Ok((UnitPath::quadlet(&owner, file)?, text.clone())));
        units.collect::<Result<_, crate::quadlet::path::InvalidUnitPath>>().map_err(EngineError::internal)
    }
}
