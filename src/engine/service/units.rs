//! The units of a service: what they should be, made so by a plan as everything else.

use std::collections::BTreeSet;

use super::super::{Engine, EngineError};
use super::content::Content;
use crate::domain::name::Slug;
use crate::domain::secret::Secret;
use crate::domain::service::Service;
use crate::host::podman::SecretOf;
use crate::plan::{Known, Observed, UnitState, Wanted, plan_over};
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::service::disabled;
use crate::quadlet::{QuadletError, UnitFiles};

impl Engine {
    /// What leads from the units as they are to these: what should be, what is, and what rivetr has written before. With
    /// `start` also what does not run is to.
    pub(super) async fn service_plan(
        &self,
        service: &Service,
        files: &UnitFiles,
        start: bool,
    ) -> Result<(Wanted, Observed, Known), EngineError> {
        let owner = Owner::Service(service.slug.clone());
        let observed = self.observe(&owner).await?;
        let off = || disabled(files).map_err(EngineError::internal);
        let files = if service.stopped { off()? } else { files.clone() };
        let mut running = BTreeSet::new();
        for path in files.keys() {
            let unit = path.unit();
            let by_hand =
                observed.units.get(&unit) == Some(&UnitState::Inactive) && observed.files.contains_key(path);
            // Networks and volumes are made when a container first needs them; to stop one would stop the containers.
            if !path.is_container() || !service.stopped && (start || !by_hand) {
                running.insert(unit);
            }
        }
        let changed =
            files.iter().any(|(path, text)| observed.files.get(path).is_some_and(|there| there != text));
        let mut wanted = Wanted { files, running };
        self.leave_edits(&owner, &mut wanted, &observed).await?;
        let known = if changed { self.known_units(service).await? } else { Known::new() };
        Ok((wanted, observed, known))
    }

    /// The unit files that a service should have; none: it is between two revisions, or on its way out.
    pub(in super::super) async fn wanted_units_of_service(
        &self,
        slug: &Slug,
    ) -> Result<Option<UnitFiles>, EngineError> {
        let Some(service) = self.reader().service(slug).await? else { return Ok(None) };
        let live = service.live.filter(|_| !service.deleting && !service.unsettled);
        let Some(live) = live else { return Ok(None) };
        let files = self.open_revision(&self.revision(live).await?)?.units(slug)?;
        Ok(Some(if service.stopped { disabled(&files)? } else { files }))
    }

    /// Every text that rivetr may have written for a service.
    async fn known_units(&self, service: &Service) -> Result<Known, EngineError> {
        let mut known = Known::new();
        let revisions = self.reader().revisions(service.id).await?;
        for revision in revisions.into_iter().filter(|one| one.content.is_some()) {
            let files = match self.open_revision(&revision).and_then(|content| content.units(&service.slug)) {
                Ok(files) => files,
                Err(error) => {
                    tracing::warn!(service = %service.slug, revision = revision.number, %error, "not looked at");
                    continue;
                }
            };
            let off = disabled(&files).map_err(EngineError::internal)?;
            for (path, text) in files.into_iter().chain(off) {
                known.entry(path).or_default().insert(text);
            }
        }
        Ok(known)
    }

    /// Makes the units of a service what `content` says; none: nothing is left. With `start`, each container has to come
    /// up, and the first that does not breaks it off.
    pub(super) async fn converge_service(
        &self,
        service: &Service,
        content: Option<&Content>,
        start: bool,
    ) -> Result<(), EngineError> {
        let owner = Owner::Service(service.slug.clone());
        let Some(content) = content else {
            self.remove_units(&owner).await?;
            return self.sweep_service_secrets(service, &BTreeSet::new()).await;
        };
        self.apply_project_network(&service.project).await?;
        let files = content.units(&service.slug)?;
        self.make_service_secrets(service, content).await?;
        let (wanted, observed, known) = self.service_plan(service, &files, start).await?;
        let must = if start {
            let containers = wanted.files.keys().filter(|path| path.is_container()).map(UnitPath::unit);
            containers.filter(|unit| wanted.running.contains(unit)).collect()
        } else {
            BTreeSet::new()
        };
        let plan = plan_over(&wanted, &observed, &known);
        Ok(self.carry_out_plan(plan, &wanted, &observed, &owner, &must).await?)
    }

    async fn make_service_secrets(&self, service: &Service, content: &Content) -> Result<(), EngineError> {
        if content.secrets.is_empty() {
            return Ok(());
        }
        let podman = &self.machine().podman;
        let there = podman.secrets().await.map_err(EngineError::internal)?;
        let there: BTreeSet<&str> = there.iter().map(|secret| secret.name.as_str()).collect();
        for (name, value) in content.secrets.iter().filter(|(name, _)| !there.contains(name.as_str())) {
            let of = SecretOf { name: name.clone(), app: holder(service), deployment: 0 };
            podman.create_secret(&of, &Secret::from(value.as_str())).await.map_err(EngineError::internal)?;
        }
        Ok(())
    }

    /// Removes the secrets of a service but for these.
    pub(super) async fn sweep_service_secrets(
        &self,
        service: &Service,
        kept: &BTreeSet<String>,
    ) -> Result<(), EngineError> {
        let podman = &self.machine().podman;
        let own = holder(service);
        for secret in podman.secrets().await.map_err(EngineError::internal)? {
            if secret.app == own && !kept.contains(&secret.name) {
                podman.remove_secret(&secret.name).await.map_err(EngineError::internal)?;
            }
        }
        Ok(())
    }
}

/// What the secrets of a service are labelled with, in place of the name of an app, which never has a slash.
fn holder(service: &Service) -> String {
    format!("service/{}", service.slug)
}

impl From<QuadletError> for EngineError {
    fn from(error: QuadletError) -> Self {
        Self::internal(error)
    }
}
