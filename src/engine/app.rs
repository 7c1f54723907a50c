//! Apps come and go.

use std::time::Duration;

use tokio::sync::oneshot;

use super::apply::ApplyError;
use super::{Engine, EngineError, steps};
use crate::domain::app::{App, NewApp};
use crate::domain::name::{HostName, Slug};
use crate::domain::source::{GitAccess, GitToken, Source};
use crate::domain::volume::VolumeOf;
use crate::quadlet::path::Owner;

/// How long to wait before a deletion that did not go through is tried again.
const DELETE_AGAIN: Duration = Duration::from_secs(5);

impl Engine {
    /// Creates an app, with the host name that it gets by itself and a repository to push to.
    pub async fn create_app(&self, mut new: NewApp, administrator: bool) -> Result<App, EngineError> {
        let automatic = self.automatic_host(&new.slug)?;
        if automatic.is_some() && automatic == self.0.settings.own_host {
            let message = format!("rivetr itself answers where {} would; choose another name", new.slug);
            return Err(EngineError::Conflict { field: "name", message });
        }
        new.hosts = self.own_hosts(&new.slug, new.hosts)?;
        let _alone = self.0.changing.lock().await;
        self.check_runtime(&new.slug, &new.settings, None, administrator).await?;
        let of = VolumeOf::App(new.slug.clone());
        self.refuse_volumes_of_others(&of, &new.project, administrator).await?;
        let _sealing = self.0.sealing.read().await;
        self.seal_first(&mut new)?;
        let whose = format!("app/{}", new.slug);
        new.source = self.sealed_source(&whose, new.source, new.git_token.take())?;
        let app = self.0.writer.create_app(new, automatic, self.now()).await?;
        self.prepare(&app).await?;
        self.hosts_changed();
        Ok(app)
    }

    /// Makes an app's code come from elsewhere, from its next deployment on. What serves is not touched.
    pub async fn set_source(
        &self,
        slug: &Slug,
        source: Source,
        token: Option<GitToken>,
    ) -> Result<App, EngineError> {
        let app = self.reader().app(slug).await?.ok_or_else(|| EngineError::no_app(slug))?;
        let _sealing = self.0.sealing.read().await;
        let source = self.sealed_source(&format!("app/{slug}"), source, token)?;
        self.0.writer.set_source(app.id, source).await?;
        self.reader().app_by_id(app.id).await?.ok_or_else(|| EngineError::no_app(slug))
    }

    /// Removes an app and all that rivetr made for it, its volumes only if that is said; returns when nothing is
    /// left. It goes on, and is tried again, when the caller has gone or a part of it does not work at once.
    pub async fn delete_app(&self, slug: &Slug, volumes: bool) -> Result<(), EngineError> {
        let app = self.reader().app(slug).await?.ok_or_else(|| EngineError::no_app(slug))?;
        self.0.writer.begin_deletion(app.id, volumes).await?;
        let first_try = self.go_on_deleting(&app);
        let stopping =
            || Err(EngineError::Unavailable("rivetr is stopping; the deletion goes on".to_owned()));
        first_try.await.unwrap_or_else(|_| stopping())
    }

    /// Deletes an app in the background, trying until it has worked; tells how the first try went.
    pub(super) fn go_on_deleting(&self, app: &App) -> oneshot::Receiver<Result<(), EngineError>> {
        let (tell, first_try) = oneshot::channel();
        let (engine, app) = (self.clone(), app.clone());
        self.0.tasks.spawn(async move {
            let mut tell = Some(tell);
            while let Some(Err(error)) =
                engine.until_shutdown(Box::pin(engine.delete_once(&app, &mut tell))).await
            {
                tracing::error!(app = %app.slug, %error, "not deleted yet");
                if let Some(tell) = tell.take() {
                    // An error says that nobody waits for it any more.
                    tell.send(Err(error)).ok();
                }
                engine.pause(DELETE_AGAIN).await;
            }
        });
        first_try
    }

    async fn delete_once(
        &self,
        app: &App,
        tell: &mut Option<oneshot::Sender<Result<(), EngineError>>>,
    ) -> Result<(), EngineError> {
        // One at a time: another may have done it, and an app of the same name may be there by now.
        let _alone = self.0.deleting.lock().await;
        if self.reader().app_by_id(app.id).await?.is_some() {
            self.finish_deletion(app).await?;
        }
        if let Some(tell) = tell.take() {
            tell.send(Ok(())).ok();
        }
        Ok(())
    }

    /// Makes what an app needs on disk; again at each start, so that a crash in between leaves nothing half done.
    pub(super) async fn prepare(&self, app: &App) -> Result<(), EngineError> {
        self.machine().workspace.make_app(&app.slug).map_err(EngineError::internal)?;
        self.git().init(&self.repo(&app.slug)).await?;
        Ok(())
    }

    /// Goes through with a deletion that has begun. Each part can be done twice.
    async fn finish_deletion(&self, app: &App) -> Result<(), EngineError> {
        self.settle(app.id).await?;
        self.publish_routes().await?;
        let releases = self.reader().releases(app.id).await?;
        for release in &releases {
            if self.drain(release).await.is_none_or(|left| left > 0) {
                tracing::warn!(app = %app.slug, unit = release.unit_name(), "requests may have been cut off");
            }
        }
        let without: Vec<_> = releases.iter().map(|release| release.id).collect();
        self.end_jobs_of(app).await?;
        self.remove_releases(app, &without).await?;
        self.end_one_offs_of(app).await?;
        let owner = Owner::App(app.slug.clone());
        self.machine().units.remove_owner(&owner).map_err(EngineError::internal)?;
        if self.reader().takes_volumes_along(app.id).await? {
            self.remove_volumes_of(app).await?;
        }
        steps::command::clear(self, app).await?;
        self.machine().workspace.remove_app(&app.slug).map_err(EngineError::internal)?;
        self.0.writer.finish_deletion(app.id).await?;
        self.hosts_changed();
        if let Err(error) = self.sweep_images(&app.slug).await {
            tracing::warn!(app = %app.slug, %error, "images not removed; the next start does it");
        }
        tracing::info!(app = %app.slug, "app deleted");
        Ok(())
    }

    pub(super) fn automatic_host(&self, app: &Slug) -> Result<Option<HostName>, EngineError> {
        let Some(base) = &self.0.settings.base_domain else { return Ok(None) };
        let host = HostName::parse(&format!("{app}.{base}"));
        host.map(Some).map_err(|error| EngineError::Invalid { field: "name", message: error.to_string() })
    }

    /// The source as it is stored: over a transport that may be used, and its token sealed for `whose` it is, such as
    /// `app/blog`.
    pub(super) fn sealed_source(
        &self,
        whose: &str,
        source: Source,
        token: Option<GitToken>,
    ) -> Result<Source, EngineError> {
        let mut git = match source {
            Source::Git(git) => git,
            Source::Push { .. } | Source::Image { .. } | Source::Upload | Source::Inline { .. } => {
                return Ok(source);
            }
        };
        if !self.git().allows(git.url.scheme()) {
            let scheme = git.url.scheme();
            let message = format!(
                "{scheme}:// may not be used; add it to protocols under [git] in rivetr.toml to allow it"
            );
            return Err(EngineError::Invalid { field: "git", message });
        }
        if let Some(GitToken { user, token }) = token {
            let sealed = self.vault().seal(&git.url.token_place(whose), &token);
            git.access = GitAccess::Token { user, token: sealed.map_err(EngineError::internal)? };
        }
        Ok(Source::Git(git))
    }
}

impl From<ApplyError> for EngineError {
    fn from(error: ApplyError) -> Self {
        Self::internal(error)
    }
}
