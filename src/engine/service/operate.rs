//! Start, stop, restart and delete.

use std::time::Duration;

use super::super::apply::ApplyError;
use super::super::exec::{Ending, Window, not_begun};
use super::super::{Engine, EngineError, ExecSession};
use crate::domain::name::Slug;
use crate::domain::service::Service;
use crate::domain::volume::VolumeOf;
use crate::domain::webhook::Target;
use crate::host::podman::PodmanError;
use crate::quadlet::path::Owner;

/// How long to wait before a deletion that did not go through is tried again.
const DELETE_AGAIN: Duration = Duration::from_secs(5);

impl Engine {
    /// Starts a service, also what somebody stopped by hand of it.
    pub async fn start_service(&self, slug: &Slug) -> Result<(), EngineError> {
        self.set_running(slug, false).await
    }

    /// Stops a service until it is started or updated and started, also over reboots.
    pub async fn stop_service(&self, slug: &Slug) -> Result<(), EngineError> {
        self.set_running(slug, true).await
    }

    async fn set_running(&self, slug: &Slug, stopped: bool) -> Result<(), EngineError> {
        let service = self.there(slug).await?;
        if !stopped {
            self.refuse_drift(&[Owner::Service(slug.clone())]).await?;
        }
        self.0.writer.set_service_stopped(service.id, stopped).await?;
        self.stir();
        {
            let _alone = self.0.serving.take(service.id).await;
            let service = self.there(slug).await?;
            if let Some(live) = service.live {
                let content = self.open_revision(&self.revision(live).await?)?;
                self.converge_service(&service, Some(&content), !stopped).await.map_err(told)?;
            }
        }
        self.publish_routes().await
    }

    /// Stops and starts the containers of a service, or those of one name.
    pub async fn restart_service(&self, slug: &Slug, container: Option<&str>) -> Result<(), EngineError> {
        let service = self.there(slug).await?;
        self.refuse_drift(&[Owner::Service(slug.clone())]).await?;
        let _alone = self.0.serving.take(service.id).await;
        let service = self.there(slug).await?;
        if service.stopped {
            let message = format!("{slug} is stopped: start it");
            return Err(EngineError::Conflict { field: "service", message });
        }
        let Some(live) = service.live else { return Err(nothing_yet(slug)) };
        let revision = self.revision(live).await?;
        let parts = revision.parts.iter().filter(|part| container.is_none_or(|name| part.name == name));
        let units: Vec<String> = parts.flat_map(|part| part.units.clone()).collect();
        if units.is_empty() {
            return Err(no_container(slug, container.unwrap_or_default()));
        }
        for unit in &units {
            let stopped = self.machine().systemd.stop(&format!("{unit}.service")).await;
            stopped.map_err(EngineError::internal)?;
        }
        let content = self.open_revision(&revision)?;
        self.converge_service(&service, Some(&content), true).await.map_err(told)
    }

    /// Removes a service and all that was made for it, its volumes only if that is said. It goes on, and is tried again, when
    /// a part of it does not work at once.
    pub async fn delete_service(&self, slug: &Slug, volumes: bool) -> Result<(), EngineError> {
        let service = self.service(slug).await?;
        self.0.writer.begin_service_deletion(service.id, volumes).await?;
        self.stir();
        let (tell, first_try) = tokio::sync::oneshot::channel();
        self.delete_in_background(&service, Some(tell));
        let stopping =
            || Err(EngineError::Unavailable("rivetr is stopping; the deletion goes on".to_owned()));
        first_try.await.unwrap_or_else(|_| stopping())
    }

    pub(super) fn go_on_deleting_service(&self, service: &Service) {
        self.delete_in_background(service, None);
    }

    fn delete_in_background(
        &self,
        service: &Service,
        mut tell: Option<tokio::sync::oneshot::Sender<Result<(), EngineError>>>,
    ) {
        let (engine, service) = (self.clone(), service.clone());
        self.0.tasks.spawn(async move {
            while let Some(outcome) = engine.until_shutdown(Box::pin(engine.finish_deleting(&service))).await
            {
                let done = outcome.is_ok();
                if let Err(error) = &outcome {
                    tracing::error!(service = %service.slug, %error, "not deleted yet");
                }
                if let Some(tell) = tell.take() {
                    // An error says that nobody waits for it any more.
                    tell.send(outcome).ok();
                }
                if done {
                    return;
                }
                engine.pause(DELETE_AGAIN).await;
            }
        });
    }

    /// Each part can be done twice.
    async fn finish_deleting(&self, service: &Service) -> Result<(), EngineError> {
        let owner = Owner::Service(service.slug.clone());
        self.end_pull_for(&owner).await?;
        self.end_builds_of_service(service).await?;
        let _alone = self.0.serving.take(service.id).await;
        if self.reader().service_by_id(service.id).await?.is_none() {
            return Ok(());
        }
        self.publish_routes().await?;
        self.converge_service(service, None, false).await?;
        self.machine().units.remove_owner(&owner).map_err(EngineError::internal)?;
        let podman = &self.machine().podman;
        for network in
            self.reader().service_units(service.id).await?.iter().filter(|unit| unit.ends_with("-network"))
        {
            podman.remove_network(network).await.map_err(EngineError::internal)?;
        }
        if self.reader().service_takes_volumes_along(service.id).await? {
            self.remove_volumes_of(&VolumeOf::Service(service.slug.clone())).await?;
        }
        self.end_pull_for(&owner).await?;
        self.end_builds_of_service(service).await?;
        self.remove_all_service_images(service).await?;
        let alone = self.0.repositories.take(Target::Service(service.id)).await;
        self.machine().workspace.remove_service(&service.slug).map_err(EngineError::internal)?;
        drop(alone);
        self.0.writer.finish_service_deletion(service.id).await?;
        self.stir();
        self.hosts_changed();
        tracing::info!(service = %service.slug, "service deleted");
        Ok(())
    }

    /// Runs a command in a container of a service; of several replicas in the first.
    pub async fn exec_in_service(
        &self,
        slug: &Slug,
        container: &str,
        command: &[String],
        terminal: Option<Window>,
    ) -> Result<ExecSession, EngineError> {
        let service = self.service(slug).await?;
        let Some(live) = service.live else { return Err(nothing_yet(slug)) };
        let parts = self.revision(live).await?.parts;
        let unit = parts.iter().find(|part| part.name == container).and_then(|part| part.units.first());
        let unit = unit.ok_or_else(|| no_container(slug, container))?;
        let begun = self.begin(unit, command, terminal, Ending::of(self.clone(), None)).await;
        begun.map_err(|error| {
            if !matches!(error, PodmanError::Refused { status: 404, .. }) {
                return not_begun(error);
            }
            let message = format!("the container {container} does not run: systemctl status {unit}.service");
            EngineError::Conflict { field: "container", message }
        })
    }

    pub(super) async fn there(&self, slug: &Slug) -> Result<Service, EngineError> {
        let service = self.service(slug).await?;
        if service.deleting {
            let message = format!("the service {slug} is being deleted");
            return Err(EngineError::Conflict { field: "service", message });
        }
        Ok(service)
    }
}

/// What did not start is the service's own affair, and no failure of rivetr.
fn told(error: EngineError) -> EngineError {
    let EngineError::Internal(inner) = error else { return error };
    let message = match inner.downcast_ref::<ApplyError>() {
        Some(ApplyError::Start(error)) => error.to_string(),
        _ => return EngineError::Internal(inner),
    };
    EngineError::Conflict { field: "service", message }
}

fn nothing_yet(slug: &Slug) -> EngineError {
    let message = format!("no revision of {slug} has come up yet: rivetr services show {slug} says why");
    EngineError::Conflict { field: "service", message }
}

fn no_container(slug: &Slug, name: &str) -> EngineError {
    EngineError::NotFound { what: "container", name: format!("{slug}/{name}") }
}
