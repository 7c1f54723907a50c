//! Apps come and go.

use super::apply::ApplyError;
use super::steps::log_failure;
use super::{Engine, EngineError};
use crate::domain::app::{App, NewApp};
use crate::domain::name::{HostName, Slug};
use crate::domain::source::Source;
use crate::quadlet::app::check_variables;
use crate::quadlet::path::Owner;

impl Engine {
    /// Creates an app, with the host name that it gets by itself and a repository to push to.
    pub async fn create_app(&self, mut new: NewApp) -> Result<App, EngineError> {
        self.check_protocol(&new.source)?;
        // A value that a unit cannot carry is refused where it is typed, not when it is deployed.
        let checked = check_variables(&new.settings.variables);
        checked.map_err(|error| EngineError::Invalid { field: "env", message: error.to_string() })?;
        let automatic = self.automatic_host(&new.slug)?;
        new.hosts.retain(|host| Some(host) != automatic.as_ref());
        if let Some(own) = new.hosts.iter().find(|host| self.0.settings.own_host.as_ref() == Some(host)) {
            let message = format!("rivetr itself answers at {own}; choose another host");
            return Err(EngineError::Conflict { field: "hosts", message });
        }
        self.0.writer.ensure_project(&new.project, self.0.settings.pool).await?;
        let app = self.0.writer.create_app(new, automatic, self.now()).await?;
        self.prepare(&app).await?;
        Ok(app)
    }

    /// Removes an app and all that rivetr made for it; returns when nothing is left.
    pub async fn delete_app(&self, slug: &Slug) -> Result<(), EngineError> {
        let app = self.reader().app(slug).await?.ok_or_else(|| EngineError::no_app(slug))?;
        self.0.writer.begin_deletion(app.id).await?;
        self.finish_deletion(&app).await
    }

    /// Makes what an app needs on disk; again at each start, so that a crash in between leaves nothing half done.
    pub(super) async fn prepare(&self, app: &App) -> Result<(), EngineError> {
        self.machine().workspace.make_app(&app.slug).map_err(EngineError::internal)?;
        self.git().init(&self.repo(&app.slug)).await?;
        Ok(())
    }

    /// Goes through with a deletion that has begun. Each part can be done twice.
    pub(super) async fn finish_deletion(&self, app: &App) -> Result<(), EngineError> {
        self.settle(app.id).await?;
        self.publish_routes().await?;
        let releases = self.reader().releases(app.id).await?;
        for release in &releases {
            let limit = self.0.settings.drain_timeout;
            log_failure(
                release,
                "not drained",
                self.machine().proxy.drain(&release.unit_name(), limit).await,
            );
        }
        let without: Vec<_> = releases.iter().map(|release| release.id).collect();
        self.remove_releases(app, &without).await?;
        let owner = Owner::App(app.slug.clone());
        self.machine().units.remove_owner(&owner).map_err(EngineError::internal)?;
        self.remove_images(app, |_| false).await?;
        self.machine().workspace.remove_app(&app.slug).map_err(EngineError::internal)?;
        self.0.writer.finish_deletion(app.id).await?;
        tracing::info!(app = %app.slug, "app deleted");
        Ok(())
    }

    fn automatic_host(&self, app: &Slug) -> Result<Option<HostName>, EngineError> {
        let Some(base) = &self.0.settings.base_domain else { return Ok(None) };
        let host = HostName::parse(&format!("{app}.{base}"));
        host.map(Some).map_err(|error| EngineError::Invalid { field: "name", message: error.to_string() })
    }

    fn check_protocol(&self, source: &Source) -> Result<(), EngineError> {
        match source {
            Source::Git { url, .. } if !self.git().allows(url.scheme()) => Err(EngineError::Invalid {
                field: "git",
                message: format!(
                    "{}:// may not be used; add it to protocols under [git] in rivetr.toml to allow it",
                    url.scheme()
                ),
            }),
            Source::Git { .. } | Source::Push { .. } => Ok(()),
        }
    }
}

impl From<ApplyError> for EngineError {
    fn from(error: ApplyError) -> Self {
        Self::internal(error)
    }
}
