//! What a release is given when it starts, opened, and the secrets of Podman's that bring it there.
//!
//! Secrets lie beside the units: made before those are written, removed with their release. They stay over a
//! reboot, so that a release comes up without rivetr.

use std::collections::BTreeSet;

use super::variables::Ungiven;
use super::{Engine, apply::ApplyError};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, State};
use crate::domain::secret::Secret;
use crate::domain::variable::EnvValue;
use crate::host::podman::{PodmanError, SecretOf};
use crate::quadlet::app::environment::{Carried, CarriedFile, CarriedVariable};

/// What a release is given, by the ways that carry it.
pub(super) struct Given {
    /// Its variables.
    pub variables: Vec<CarriedVariable>,
    /// Its files.
    pub files: Vec<CarriedFile>,
    secrets: Vec<(SecretOf, Secret)>,
}

impl Given {
    /// The values that Podman's secrets hold, by the names of those.
    pub(super) fn secrets(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.secrets.iter().map(|(of, value)| (of.name.as_str(), value))
    }
}

impl Engine {
    /// What a release is given; an error if any of it cannot be opened.
    pub(super) fn given(&self, deployment: &Deployment) -> Result<Given, Ungiven> {
        let name = deployment.unit_name();
        let of = |name: &str| SecretOf {
            name: name.to_owned(),
            app: deployment.app_slug.to_string(),
            deployment: deployment.number,
        };
        let mut given = Given { variables: Vec::new(), files: Vec::new(), secrets: Vec::new() };
        let mut length = 0;
        let run = deployment.settings.variables.iter().filter(|variable| variable.usage.runs());
        for (index, variable) in run.enumerate() {
            let value = self.open_variable(variable)?;
            length += variable.key.as_str().len() + value.as_str().len() + 2;
            let way = CarriedVariable::of(&name, index, &variable.key, value.as_str(), variable.secret);
            if let Carried::Secret(name) = &way.by {
                given.secrets.push((of(name), value.secret()));
            }
            given.variables.push(way);
        }
        if length > EnvValue::ALL_MAX {
            return Err(Ungiven::TooLong);
        }
        for (index, file) in deployment.settings.files.iter().enumerate() {
            let way = CarriedFile::of(&name, index, &file.path);
            given.secrets.push((of(&way.secret), self.open_file(file)?));
            given.files.push(way);
        }
        Ok(given)
    }

    /// Makes the secrets of a release, those that are there included when it is about to start: what lies there
    /// may be left from an app of the same name.
    pub(super) async fn make_secrets(
        &self,
        deployment: &Deployment,
        given: &Given,
    ) -> Result<(), PodmanError> {
        if given.secrets.is_empty() {
            return Ok(());
        }
        let podman = &self.machine().podman;
        let there = if deployment.state == State::Starting { Vec::new() } else { podman.secrets().await? };
        let there: BTreeSet<&str> = there.iter().map(|secret| secret.name.as_str()).collect();
        for (of, value) in given.secrets.iter().filter(|(of, _)| !there.contains(of.name.as_str())) {
            podman.create_secret(of, value).await?;
        }
        Ok(())
    }

    /// Removes the secrets of an app that none of these releases needs.
    pub(super) async fn sweep_secrets(&self, app: &App, kept: &[Deployment]) -> Result<(), ApplyError> {
        let podman = &self.machine().podman;
        let of_app = |secret: &&SecretOf| secret.app == app.slug.as_str();
        let needed = |secret: &SecretOf| kept.iter().any(|release| release.number == secret.deployment);
        for secret in podman.secrets().await?.iter().filter(of_app).filter(|secret| !needed(secret)) {
            podman.remove_secret(&secret.name).await?;
        }
        Ok(())
    }
}
