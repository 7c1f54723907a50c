//! What a revision is made of, as it is sealed: its files, the units that were made of them, the secrets that those name,
//! and what is built for it. The units are kept as they were written, so that another version of rivetr restarts nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::EngineError;
use super::builds::ServiceBuild;
use super::reading::{Handed, Prepared};
use crate::domain::build::{BuildArg, BuildOptions, RepoPath, Stage};
use crate::domain::name::{InvalidName, Slug};
use crate::domain::service::{FileName, Revision};
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
    /// Which of the files is the compose file; none: the one that has a usual name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<String>,
    /// What is built for it, by the container.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    builds: BTreeMap<String, StoredBuild>,
}

/// How an image is built.
#[derive(Serialize, Deserialize)]
struct StoredBuild {
    containerfile: Option<String>,
    base_dir: Option<String>,
    target: Option<String>,
    args: Vec<String>,
    cache: bool,
}

impl Content {
    pub(super) fn new(handed: &Handed, prepared: Prepared) -> Self {
        let Prepared { rendered, images, builds, warnings: _ } = prepared;
        let Rendered { files: units, secrets, parts: _, joined: _, notes: _ } = rendered;
        Self {
            files: handed.files.iter().map(|(name, text)| (name.to_string(), text.clone())).collect(),
            units: units.into_iter().map(|(path, text)| (path.file().to_owned(), text)).collect(),
            secrets,
            images,
            origin: handed.origin.as_ref().map(ToString::to_string),
            builds: builds
                .iter()
                .map(|build| (build.container.clone(), StoredBuild::of(&build.options)))
                .collect(),
        }
    }

    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, EngineError> {
        serde_json::to_vec(self).map_err(EngineError::internal)
    }

    pub(super) fn of_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        serde_json::from_slice(bytes).map_err(EngineError::internal)
    }

    /// The files as they came, with where they came from.
    pub(super) fn handed(self, revision: &Revision) -> Result<Handed, EngineError> {
        let parsed = self.files.into_iter().map(|(name, text)| Ok((FileName::parse(&name)?, text)));
        let files = parsed.collect::<Result<_, InvalidName>>().map_err(EngineError::internal)?;
        let origin = self.origin.as_deref().map(FileName::parse).transpose();
        let origin = origin.map_err(EngineError::internal)?;
        Ok(Handed { files, origin, commit: revision.commit.clone() })
    }

    /// What is built for it.
    pub(super) fn builds(&self) -> Result<Vec<ServiceBuild>, EngineError> {
        let read = self.builds.iter().map(|(container, build)| {
            Ok(ServiceBuild { container: container.clone(), options: build.read()? })
        });
        read.collect::<Result<_, InvalidName>>().map_err(EngineError::internal)
    }

    /// The units.
    pub(super) fn units(&self, slug: &Slug) -> Result<UnitFiles, EngineError> {
        let owner = Owner::Service(slug.clone());
        let units =
            self.units.iter().map(|(file, text)| Ok((UnitPath::quadlet(&owner, file)?, text.clone())));
        units.collect::<Result<_, crate::quadlet::path::InvalidUnitPath>>().map_err(EngineError::internal)
    }
}

impl StoredBuild {
    fn of(options: &BuildOptions) -> Self {
        let BuildOptions {
            containerfile,
            base_dir,
            target,
            args,
            options: _,
            cache,
            memory: _,
            cpus: _,
            timeout: _,
        } = options;
        Self {
            containerfile: containerfile.as_ref().map(ToString::to_string),
            base_dir: base_dir.as_ref().map(ToString::to_string),
            target: target.as_ref().map(ToString::to_string),
            args: args.iter().map(ToString::to_string).collect(),
            cache: *cache,
        }
    }

    fn read(&self) -> Result<BuildOptions, InvalidName> {
        Ok(BuildOptions {
            containerfile: self.containerfile.as_deref().map(RepoPath::parse).transpose()?,
            base_dir: self.base_dir.as_deref().map(RepoPath::parse).transpose()?,
            target: self.target.as_deref().map(Stage::parse).transpose()?,
            args: self.args.iter().map(|arg| BuildArg::parse(arg)).collect::<Result<_, _>>()?,
            cache: self.cache,
            ..BuildOptions::default()
        })
    }
}
