//! stub until it arrives
#![allow(missing_docs, clippy::all, clippy::pedantic, reason = "x")]
use crate::domain::deployment::ImageId;
use crate::quadlet::features::PodmanFeatures;
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct PodmanError;
#[derive(Debug)]
pub struct Image {
    pub id: ImageId,
    pub tags: Vec<String>,
}
#[derive(Clone)]
pub struct Podman;
pub use crate::quadlet::features::{MINIMUM, PodmanVersion};
impl Podman {
    pub fn new(_: &std::path::Path) -> Self {
        Self
    }
    pub async fn version(&self) -> Result<PodmanVersion, PodmanError> {
        Err(PodmanError)
    }
    pub async fn features(&self) -> Result<PodmanFeatures, PodmanError> {
        Err(PodmanError)
    }
    pub async fn image(&self, _: &str) -> Result<Option<Image>, PodmanError> {
        Err(PodmanError)
    }
    pub async fn images_labelled(&self, _: &str, _: &str) -> Result<Vec<Image>, PodmanError> {
        Err(PodmanError)
    }
    pub async fn remove_tag(&self, _: &str) -> Result<(), PodmanError> {
        Err(PodmanError)
    }
    pub async fn remove_container(&self, _: &str) -> Result<(), PodmanError> {
        Err(PodmanError)
    }
    pub async fn remove_build_leftovers(&self) -> Result<(), PodmanError> {
        Err(PodmanError)
    }
}
