//! Podman's secrets: values that a container gets without standing in its unit, its command or `podman inspect`.
//!
//! Podman keeps them readable for its own user (FACTS 6). podman-api would store them as JSON, quotes and all
//! (FACTS 10).

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;

use super::{Podman, PodmanError, raw};
use crate::domain::secret::Secret;

const APP_LABEL: &str = "io.rivetr.app";
const DEPLOYMENT_LABEL: &str = "io.rivetr.deployment";

/// A secret of Podman's that belongs to a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretOf {
    /// Its name.
    pub name: String,
    /// The app.
    pub app: String,
    /// The number of the deployment.
    pub deployment: u32,
}

impl Podman {
    /// Every secret that carries the labels of a release.
    pub async fn secrets(&self) -> Result<Vec<SecretOf>, PodmanError> {
        let what = "list secrets";
        let answer = self.raw.ask(what, Method::GET, "/libpod/secrets/json").await?.accepted(what)?;
        let found: Vec<Listed> = serde_json::from_slice(&answer.body)
            .map_err(|error| PodmanError::Answer { what: what.to_owned(), why: error.to_string() })?;
        Ok(found.into_iter().filter_map(|listed| listed.spec.of_a_release()).collect())
    }

    /// Makes a secret of these bytes, in place of one of the same name.
    pub async fn create_secret(&self, of: &SecretOf, value: &Secret) -> Result<(), PodmanError> {
        let SecretOf { name, app, deployment } = of;
        let labels = serde_json::json!({ APP_LABEL: app, DEPLOYMENT_LABEL: deployment.to_string() });
        self.put_secret(name, &labels, value).await
    }

    /// Makes a secret of these bytes that belongs to no release, in place of one of the same name; `labels` is an
    /// object of texts.
    pub async fn put_secret(
        &self,
        name: &str,
        labels: &serde_json::Value,
        value: &Secret,
    ) -> Result<(), PodmanError> {
        let what = format!("make the secret {name}");
        let path = format!(
            "/libpod/secrets/create?name={}&replace=true&labels={}",
            raw::encode(name),
            raw::encode(&labels.to_string())
        );
        let body = Bytes::copy_from_slice(value.reveal());
        self.raw.send(&what, Method::POST, &path, body).await?.accepted(&what).map(drop)
    }

    /// Removes a secret; one that is not there is as good as gone.
    pub async fn remove_secret(&self, name: &str) -> Result<(), PodmanError> {
        let what = format!("remove the secret {name}");
        let path = format!("/libpod/secrets/{}", raw::encode(name));
        let answer = self.raw.ask(&what, Method::DELETE, &path).await?;
        if answer.status == StatusCode::NOT_FOUND { Ok(()) } else { answer.accepted(&what).map(drop) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    spec: Spec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
}

impl Spec {
    fn of_a_release(self) -> Option<SecretOf> {
        let labels = self.labels.unwrap_or_default();
        let (app, deployment) = (labels.get(APP_LABEL)?.clone(), labels.get(DEPLOYMENT_LABEL)?);
        Some(SecretOf { name: self.name, app, deployment: deployment.parse().ok()? })
    }
}
