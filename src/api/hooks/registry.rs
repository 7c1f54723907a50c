//! Docker Hub, which signs nothing, and the container registry of GitHub, which signs as GitHub does.

use http::HeaderMap;
use serde::Deserialize;

use super::{Dialect, github};
use crate::domain::webhook::Event;

pub(super) const DOCKER_HUB: Dialect =
    Dialect { event: &[], delivery: &[], verify: never, read: read_docker_hub };

pub(super) const GHCR: Dialect = Dialect {
    event: &["x-github-event"],
    delivery: &["x-github-delivery"],
    verify: github::verify,
    read: read_ghcr,
};

#[derive(Debug, Deserialize)]
struct Pushed {
    push_data: PushData,
    repository: Repository,
}

#[derive(Debug, Deserialize)]
struct PushData {
    tag: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Repository {
    repo_name: String,
}

#[derive(Debug, Deserialize)]
struct Published {
    action: String,
    #[serde(alias = "registry_package")]
    package: Package,
}

#[derive(Debug, Deserialize)]
struct Package {
    package_version: Option<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    /// `ghcr.io/owner/name:tag`; those of other kinds of packages are URLs.
    package_url: Option<String>,
    container_metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    tag: Option<Tag>,
}

#[derive(Debug, Deserialize)]
struct Tag {
    name: Option<String>,
}

/// There is no signature to check: the address has the secret.
fn never(_: &[u8], _: &HeaderMap, _: &[u8]) -> Result<(), &'static str> {
    Err("this provider does not sign")
}

fn read_docker_hub(_: &str, body: &[u8]) -> serde_json::Result<Event> {
    let Pushed { push_data, repository } = serde_json::from_slice(body)?;
    Ok(Event::Image { repository: format!("docker.io/{}", repository.repo_name), tag: push_data.tag })
}

fn read_ghcr(event: &str, body: &[u8]) -> serde_json::Result<Event> {
    match event {
        "ping" => return Ok(Event::Ping),
        "package" | "registry_package" => {}
        _ => return Ok(Event::Other),
    }
    let Published { action, package } = serde_json::from_slice(body)?;
    Ok(package.package_version.filter(|_| action == "published").and_then(image).unwrap_or(Event::Other))
}

fn image(version: Version) -> Option<Event> {
    let url = version.package_url.filter(|url| !url.contains("://"))?;
    let (repository, in_url) = match url.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag.to_owned())),
        Some(_) | None => (url.as_str(), None),
    };
    let named = version.container_metadata.and_then(|metadata| metadata.tag?.name);
    let tag = named.or(in_url).filter(|tag| !tag.is_empty());
    Some(Event::Image { repository: repository.to_ascii_lowercase(), tag })
}
