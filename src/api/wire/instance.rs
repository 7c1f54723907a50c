//! The instance as a whole: what is written out to leave it, or to have it back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What runs here, as plain Quadlets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Export {
    /// Texts by the names of their files.
    pub files: BTreeMap<String, String>,
    /// Images to be fetched one by one.
    pub images: Vec<ExportImage>,
    /// Volumes to be fetched one by one.
    pub volumes: Vec<ExportVolume>,
    /// Secrets.
    pub secrets: Vec<ExportSecret>,
    /// What is not there, in words.
    pub notes: Vec<String>,
}

/// An image that is loaded from a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportImage {
    /// Its identity.
    pub id: String,
    /// The name of its file, without ending.
    pub file: String,
    /// What it takes on disk, in bytes.
    pub size: u64,
}

/// A volume whose data go along.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportVolume {
    /// Its name here.
    pub name: String,
    /// Its name there, and that of its file without ending.
    pub file: String,
}

/// What an archive of an instance holds, which was restored or only checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RestoredInstance {
    /// The version of rivetr that wrote it.
    pub rivetr: String,
    /// When it was begun, RFC 3339.
    pub created: String,
    /// The apps.
    pub apps: Vec<String>,
    /// The databases.
    pub databases: Vec<String>,
    /// The services.
    pub services: Vec<String>,
    /// How many images.
    pub images: usize,
    /// Volumes with their data.
    pub volumes: Vec<String>,
    /// Volumes without: they begin empty.
    pub empty: Vec<String>,
}

/// A secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExportSecret {
    /// Its name there.
    pub name: String,
    /// Its value in base64, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

/// The value is not shown.
impl std::fmt::Debug for ExportSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ExportSecret").field("name", &self.name).finish_non_exhaustive()
    }
}
