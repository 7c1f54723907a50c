//! An app is changed: what may be is decided here, what has an effect at once gets it.

use std::path::PathBuf;

use super::{Engine, EngineError};
use crate::domain::app::{App, Settings};
use crate::domain::name::{HostName, Slug};
use crate::domain::runtime::policy::{self, Circumstances, Refusal};
use crate::domain::runtime::{PublishedPort, Runtime};
use crate::domain::volume::Mount;
use crate::host::layout::Manager;
use crate::quadlet::options;
use crate::quadlet::path::Owner;
use crate::store::ChangeAppError;

/// An app that was changed, and what of it is in force.
#[derive(Debug, Clone)]
pub struct Changed {
    /// The app as it is now.
    pub app: App,
    /// Its hosts are others, and the proxy serves them.
    pub hosts: bool,
    /// Its limits are others, and bind what runs.
    pub limits: bool,
    /// Something else is other too, which the next deployment brings.
    pub needs_deployment: bool,
}

impl Engine {
    /// Changes an app by what `change` makes of its settings: the new ones, and its hosts if those are to change.
    pub async fn change_app<E: From<EngineError>>(
        &self,
        slug: &Slug,
        administrator: bool,
        change: impl FnOnce(&Settings) -> Result<(Settings, Option<Vec<HostName>>), E>,
    ) -> Result<Changed, E> {
        // Nobody else changes an app, or takes a port, between the look and the leap.
        let _alone = self.0.changing.lock().await;
        let found = self.reader().app(slug).await.map_err(EngineError::from)?;
        let before = found.ok_or_else(|| EngineError::no_app(slug))?;
        let (settings, hosts) = change(&before.settings)?;
        Ok(self.store_change(&before, settings, hosts, administrator).await?)
    }

    async fn store_change(
        &self,
        before: &App,
        settings: Settings,
        hosts: Option<Vec<HostName>>,
        administrator: bool,
    ) -> Result<Changed, EngineError> {
        self.check_runtime(&before.slug, &settings, Some(&before.settings.runtime), administrator).await?;
        let hosts = match hosts {
            Some(hosts) => Some(self.own_hosts(&before.slug, hosts)?),
            None => None,
        };
        if settings.runtime.limits != before.settings.runtime.limits {
            self.refuse_drift(&[Owner::App(before.slug.clone())]).await?;
        }
        let app = self.0.writer.change_app(before.id, settings, hosts).await?;
        let hosts = app.domains != before.domains;
        let limits = app.settings.runtime.limits != before.settings.runtime.limits;
        if hosts {
            self.publish_routes().await?;
        }
        if limits {
            self.converge(&app).await?;
            self.enforce_limits(&app).await?;
        }
        let mut rest = app.settings.clone();
        rest.runtime.limits = before.settings.runtime.limits;
        let needs_deployment = app.live.is_some() && rest != before.settings;
        Ok(Changed { app, hosts, limits, needs_deployment })
    }

    /// Has the kernel hold the containers that run to the limits in their units.
    pub(super) async fn enforce_limits(&self, app: &App) -> Result<(), EngineError> {
        for release in self.reader().releases(app.id).await? {
            for (number, _) in release.replicas() {
                let enforced = self.machine().systemd.enforce_limits(&release.replica_service(number)).await;
                enforced.map_err(EngineError::internal)?;
            }
        }
        Ok(())
    }

    /// The hosts that an app may have, without the one that it gets by itself.
    pub(super) fn own_hosts(
        &self,
        app: &Slug,
        mut hosts: Vec<HostName>,
    ) -> Result<Vec<HostName>, EngineError> {
        let automatic = self.automatic_host(app)?;
        hosts.retain(|host| Some(host) != automatic.as_ref());
        if let Some(own) = hosts.iter().find(|host| self.0.settings.own_host.as_ref() == Some(host)) {
            let message = format!("rivetr itself answers at {own}; choose another host");
            return Err(EngineError::Conflict { field: "hosts", message });
        }
        Ok(hosts)
    }

    /// Whether a container of an app may have this, and a unit can say it.
    pub(super) async fn check_runtime(
        &self,
        app: &Slug,
        Settings { port, runtime, replicas, .. }: &Settings,
        before: Option<&Runtime>,
        administrator: bool,
    ) -> Result<(), EngineError> {
        options::check(app, *port, runtime)
            .map_err(|error| EngineError::Invalid { field: "runtime", message: error.to_string() })?;
        let taken = self.ports_of_others(Some(&Owner::App(app.clone()))).await?;
        let circumstances = Circumstances {
            administrator,
            rootless: self.machine().layout.manager == Manager::User,
            own_ports: &self.0.settings.own_ports,
            replicas: *replicas,
            taken: &taken,
            bind_roots: &self.0.settings.bind_roots,
            real_paths: &self.real_paths(runtime),
            before,
        };
        Ok(policy::check(runtime, &circumstances)?)
    }

    /// Whether what is mounted from the host still lies where it may. Asked again before each start: links can be
    /// made, and the list can be cut.
    pub(super) fn check_host_paths(&self, runtime: &Runtime) -> Result<(), Refusal> {
        policy::host_paths(runtime, &self.0.settings.bind_roots, &self.real_paths(runtime))
    }

    fn real_paths(&self, runtime: &Runtime) -> Vec<Option<PathBuf>> {
        let paths = runtime.mounts.iter().filter_map(Mount::host_path);
        paths.map(|path| self.machine().workspace.real_path(path.as_str().as_ref())).collect()
    }

    /// The ports of the host that others have, or will have once they are deployed, and who that is.
    pub(super) async fn ports_of_others(
        &self,
        but: Option<&Owner>,
    ) -> Result<Vec<(PublishedPort, String)>, EngineError> {
        let mut taken = Vec::new();
        let mut take = |owner: &Owner, port: PublishedPort, who: String| {
            if Some(owner) != but {
                taken.push((port, who));
            }
        };
        for app in self.reader().apps().await? {
            let mut ports = app.settings.runtime.publish;
            if let Some(live) = app.live {
                ports.extend(self.deployment(live).await?.settings.runtime.publish);
            }
            let owner = Owner::App(app.slug.clone());
            for port in ports {
                take(&owner, port, format!("app {}", app.slug));
            }
        }
        for database in self.reader().databases().await? {
            let Some(public) = &database.settings.public else { continue };
            let who = format!("database {}", database.slug);
            take(&Owner::Database(database.slug), public.as_published(), who);
        }
        for service in self.reader().services().await? {
            let owner = Owner::Service(service.slug.clone());
            let revisions = self.reader().revisions(service.id).await?.into_iter();
            for revision in revisions.filter(|one| service.live == Some(one.id) || !one.state.is_end()) {
                for port in revision.parts.into_iter().flat_map(|part| part.published) {
                    take(&owner, port, format!("service {}", service.slug));
                }
            }
        }
        Ok(taken)
    }
}

impl From<Refusal> for EngineError {
    fn from(Refusal { field, message }: Refusal) -> Self {
        Self::Invalid { field, message }
    }
}

impl From<ChangeAppError> for EngineError {
    fn from(error: ChangeAppError) -> Self {
        let message = error.to_string();
        match error {
            ChangeAppError::HostTaken { .. } | ChangeAppError::RedirectedTo { .. } => {
                Self::Conflict { field: "hosts", message }
            }
            ChangeAppError::NoApp | ChangeAppError::Deleting(_) => Self::Conflict { field: "app", message },
            ChangeAppError::OverQuota(over) => over.into(),
            ChangeAppError::Store(error) => error.into(),
        }
    }
}
