//! How many containers of an app answer, and whether any does: what changes of a live release without a deployment.
//!
//! What is wanted is stored first; then it is brought about, again where rivetr was interrupted.

use futures_util::future::try_join_all;

use super::apply::Start;
use super::rollback::never_live;
use super::steps::check::answers;
use super::steps::log_failure;
use super::{Engine, EngineError};
use crate::domain::app::{App, Replicas, Wish};
use crate::domain::deployment::Deployment;
use crate::domain::name::Slug;
use crate::domain::runtime::policy;
use crate::domain::volume::VolumeOf;
use crate::quadlet::path::Owner;

impl Engine {
    /// Gives an app another number of containers; returns when each new one answers and the others are gone.
    pub async fn scale(&self, app: &Slug, replicas: Replicas) -> Result<App, EngineError> {
        let app = {
            // Nobody else changes its settings meanwhile.
            let _alone = self.0.changing.lock().await;
            let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
            policy::replicas(&app.settings.runtime, replicas)?;
            self.refuse_drift(&[Owner::App(app.slug.clone())]).await?;
            if let Some(live) = app.live {
                policy::replicas(&self.deployment(live).await?.settings.runtime, replicas)?;
            }
            self.0.writer.scale(app.id, replicas).await?;
            app
        };
        let (engine, of) = (self.clone(), app.clone());
        self.through(Box::pin(async move { engine.bring_to_scale(&of).await })).await?;
        self.current(&app).await
    }

    /// Brings about the number of containers that is wanted, or else wants as many as there are that answer: one that
    /// does not would also keep the next deployment from going live.
    pub(super) async fn bring_to_scale(&self, app: &App) -> Result<(), EngineError> {
        let Err(error) = self.settle_scale(app).await else { return Ok(()) };
        if let Err(error) = self.take_back(app).await {
            tracing::warn!(app = %app.slug, %error, "the number of containers was not taken back");
        }
        Err(error)
    }

    /// Stops an app until it is started or deployed: its hosts say so, and it does not come up at boot.
    pub async fn stop_app(&self, app: &Slug) -> Result<App, EngineError> {
        self.wish_for(app, Wish::Stop).await
    }

    /// Starts an app that was stopped, by rivetr or by hand; returns when it answers.
    pub async fn start_app(&self, app: &Slug) -> Result<App, EngineError> {
        self.wish_for(app, Wish::Start).await
    }

    async fn wish_for(&self, app: &Slug, wish: Wish) -> Result<App, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        if app.deleting {
            return Err(EngineError::Conflict {
                field: "app",
                message: format!("{} is being deleted", app.slug),
            });
        }
        if app.live.is_none() {
            return Err(never_live(&app.slug));
        }
        if wish == Wish::Stop
            && let Some(one) = self.unfinished_of(&app).await?.first()
        {
            let message = format!(
                "deployment {} of {} is under way and would start it: cancel it first",
                one.number, app.slug
            );
            return Err(EngineError::Conflict { field: "app", message });
        }
        if wish == Wish::Start {
            self.refuse_drift(&[Owner::App(app.slug.clone())]).await?;
        }
        if (app.wish, wish) != (Wish::Run, Wish::Start) {
            self.0.writer.set_wish(app.id, wish).await?;
        }
        let (engine, of) = (self.clone(), app.clone());
        self.through(Box::pin(async move { engine.settle_wish(&of, wish == Wish::Start).await })).await?;
        self.current(&app).await
    }

    /// Goes through with what was stored, also when who asked has gone.
    pub(super) async fn through(
        &self,
        work: impl Future<Output = Result<(), EngineError>> + Send + 'static,
    ) -> Result<(), EngineError> {
        let engine = self.clone();
        let done = self.0.tasks.spawn(async move { engine.until_shutdown(work).await }).await;
        let stopping =
            || EngineError::Unavailable("rivetr is stopping; it goes on when it starts".to_owned());
        done.ok().flatten().unwrap_or_else(|| Err(stopping()))
    }

    /// Brings about what is wanted of an app: that it is stopped, or comes back. `anyway`: also what was stopped by
    /// hand is started.
    pub(super) async fn settle_wish(&self, app: &App, anyway: bool) -> Result<(), EngineError> {
        let _alone = self.0.settling.take(app.id).await;
        let app = self.current(app).await?;
        let Some(live) = app.live else { return Ok(()) };
        let live = self.deployment(live).await?;
        match app.wish {
            Wish::Stop => {
                self.publish_routes().await?;
                if self.drain(&live).await.is_none_or(|left| left > 0) {
                    tracing::warn!(app = %app.slug, unit = live.unit_name(), "requests may have been cut off");
                }
                self.converge(&app).await?;
            }
            Wish::Start => {
                let _steady = self.steady(&VolumeOf::App(app.slug.clone())).await;
                self.converge(&app).await?;
                let answered = self.all_answer(&app, &live, 1).await;
                // Whoever does not answer yet is to run all the same, as after a crash.
                self.0.writer.set_wish(app.id, Wish::Run).await?;
                self.publish_routes().await?;
                // No unit changes any more, and pages still say that it starts. An error says that nobody listens.
                self.0.moved.send((live.id, live.state)).ok();
                answered?;
            }
            Wish::Run if anyway => {
                let _steady = self.steady(&VolumeOf::App(app.slug.clone())).await;
                self.start_release(&app, Start::Everything).await?;
                self.all_answer(&app, &live, 1).await?;
            }
            Wish::Run => {}
        }
        Ok(())
    }

    async fn take_back(&self, app: &App) -> Result<(), EngineError> {
        let Some(live) = self.current(app).await?.live else { return Ok(()) };
        let serving = Replicas::new(self.reader().serving(live).await?).unwrap_or(Replicas::ONE);
        self.0.writer.scale(app.id, serving).await?;
        self.settle_scale(app).await
    }

    /// Brings the live release to the number of containers that is wanted, never below what was and what will be.
    async fn settle_scale(&self, app: &App) -> Result<(), EngineError> {
        let _alone = self.0.settling.take(app.id).await;
        let app = self.current(app).await?;
        let Some(live) = app.live else { return Ok(()) };
        let mut release = self.deployment(live).await?;
        let wanted = release.settings.replicas;
        let (have, want) = (release.addresses.len(), usize::from(wanted.get()));
        if want < have {
            return self.shrink(&app, &release, wanted).await;
        }
        let serving = self.reader().serving(release.id).await?;
        if usize::from(serving) >= want {
            return Ok(());
        }
        let before = release.clone();
        release.addresses = self
            .0
            .writer
            .allocate_addresses(app.project.id, release.id, wanted)
            .await
            .map_err(|error| EngineError::Conflict { field: "replicas", message: error.to_string() })?;
        self.carry_dropins(&before, &release)?;
        self.failpoint("scaling");
        let _steady = self.steady(&VolumeOf::App(app.slug.clone())).await;
        self.converge(&app).await?;
        if app.wish == Wish::Run {
            self.all_answer(&app, &release, serving.saturating_add(1)).await?;
        }
        self.0.writer.serve_replicas(release.id, (1, wanted.get()), true).await?;
        self.publish_routes().await
    }

    /// No more requests to those that go, then the end of those that are under way, then theirs.
    async fn shrink(&self, app: &App, release: &Deployment, kept: Replicas) -> Result<(), EngineError> {
        let going: Vec<u8> =
            release.replicas().map(|(number, _)| number).filter(|number| *number > kept.get()).collect();
        let (Some(first), Some(last)) = (going.first().copied(), going.last().copied()) else {
            return Ok(());
        };
        self.0.writer.serve_replicas(release.id, (first, last), false).await?;
        self.publish_routes().await?;
        self.failpoint("shrinking");
        let names = going.iter().map(|number| release.replica_name(*number));
        if self.drain_replicas(names).await.is_none_or(|left| left > 0) {
            tracing::warn!(app = %app.slug, unit = release.unit_name(), "requests may have been cut off");
        }
        let same = release.replicas().filter(|(number, _)| *number <= kept.get());
        let mut stays = release.clone();
        stays.addresses = same.map(|(_, address)| address).collect();
        log_failure(release, "drop-ins not removed", self.drop_carried(release, first..=last, &stays));
        Ok(self.remove_replicas(app, release.id, kept).await?)
    }

    /// Waits until every container of a release from `first` on answers.
    async fn all_answer(&self, app: &App, release: &Deployment, first: u8) -> Result<(), EngineError> {
        let asked = release.replicas().filter(|(number, _)| *number >= first);
        let asked = asked.map(|replica| answers(self, app, release, replica));
        try_join_all(asked).await.map(drop).map_err(|silent| {
            EngineError::Unavailable(format!(
                "{} does not answer: {}. `rivetr logs {}` shows what it wrote",
                release.replica_name(silent.replica),
                silent.reason,
                app.slug
            ))
        })
    }

    pub(super) async fn current(&self, app: &App) -> Result<App, EngineError> {
        self.reader().app_by_id(app.id).await?.ok_or_else(|| EngineError::no_app(&app.slug))
    }
}
