//! What the engine does first: finds out what was interrupted, goes on with it, and sweeps up what is left over.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use thiserror::Error;

use super::{Engine, EngineError, steps};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::host::git;
use crate::host::units::UnitsError;
use crate::quadlet::path::Owner;
use crate::store::{CreateProjectError, StoreError};

/// How long to wait before apps that could not be put in order are tried again; twice as long each time.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest such wait.
const LONGEST_PAUSE: Duration = Duration::from_mins(2);

/// How many apps are put in order at once: one whose container starts slowly does not hold up the others.
const AT_ONCE: usize = 8;

/// Why the engine cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Units of apps are there that the database does not know.
    #[error(
        "the database knows no app, but units of apps are there ({owners}). Bring back the database from a backup, \
         or stop these units and remove their folders, then start rivetr again. The apps keep running meanwhile"
    )]
    ForeignUnits {
        /// The folders.
        owners: String,
    },
    /// The first project could not be made.
    #[error(transparent)]
    Project(#[from] CreateProjectError),
    /// The unit files could not be read.
    #[error(transparent)]
    Units(#[from] UnitsError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Engine {
    /// Checks that this database belongs to this machine, then begins to work.
    pub async fn start(&self) -> Result<(), StartError> {
        let apps = self.reader().apps().await?;
        self.refuse_foreign_units(&apps)?;
        self.make_first_project().await?;
        self.recall_certificates().await?;
        if let Err(error) = self.recall_killed_builds() {
            tracing::warn!(%error, "what interrupted builds left may stay");
        }
        for app in &apps {
            if let Err(error) = self.machine().workspace.sweep_incoming(&app.slug) {
                tracing::warn!(app = %app.slug, %error, "what interrupted uploads left is not removed");
            }
            if let Err(error) = git::unlock(&self.repo(&app.slug)) {
                tracing::warn!(app = %app.slug, %error, "locks that an interrupted git left are not removed");
            }
        }
        if let Err(error) = self.end_archiving().await {
            tracing::warn!(%error, "what was held for an archive may still be");
        }
        for one_off in self.left_one_offs().await? {
            self.0.tasks.spawn(self.clone().end_one_off(one_off));
        }
        let left_backups = self.left_backups().await?;
        // Listens before it looks: what changes meanwhile is looked at again.
        let changes = self.machine().systemd.changes();
        let runs = self.machine().systemd.changes();
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            if let Err(error) = engine.delete_projects_again().await {
                tracing::error!(%error, "projects not deleted yet");
            }
            if let Err(error) = engine.recover_services().await {
                tracing::error!(%error, "services are not looked after");
            }
            let left = engine.until_shutdown(engine.recover(apps)).await.unwrap_or_default();
            engine.0.tasks.spawn(engine.clone().recover_rest(left));
            engine.0.tasks.spawn(engine.clone().sweep_deleted());
            engine.0.tasks.spawn(engine.clone().recover_databases());
            engine.0.tasks.spawn(engine.clone().empty_trash());
            engine.0.tasks.spawn(engine.clone().keep_backups(left_backups));
            engine.0.tasks.spawn(engine.clone().reconcile_on_change(changes));
            engine.0.tasks.spawn(engine.clone().keep_history(runs));
            engine.0.tasks.spawn(engine.clone().catch_up());
            engine.0.tasks.spawn(engine.clone().keep_certificates());
            engine.0.tasks.spawn(engine.clone().check_at_start());
            engine.dispatch().await;
        });
        Ok(())
    }

    /// An empty database beside running apps is a lost database, not a fresh start (SECURITY, fault 15).
    fn refuse_foreign_units(&self, apps: &[App]) -> Result<(), StartError> {
        let owners = self.machine().units.owners()?;
        let of_apps = owners.iter().filter(|owner| matches!(owner, Owner::App(_)));
        let of_apps: Vec<String> = of_apps.map(Owner::folder).collect();
        if apps.is_empty() && !of_apps.is_empty() {
            return Err(StartError::ForeignUnits { owners: of_apps.join(", ") });
        }
        Ok(())
    }

    /// Goes on with apps that could not be put in order, until they are: Podman or the proxy may come later.
    async fn recover_rest(self, mut left: Vec<App>) {
        let mut pause = FIRST_PAUSE;
        while !left.is_empty() && !self.0.shutdown.is_cancelled() {
            self.pause(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            left = self.until_shutdown(self.recover(left)).await.unwrap_or_default();
        }
    }

    /// Puts apps in order; returns those with which it did not work. A route that could not be told counts for all.
    async fn recover(&self, apps: Vec<App>) -> Vec<App> {
        for app in &apps {
            if let Err(error) = self.name_anew(app).await {
                tracing::warn!(app = %app.slug, %error, "the automatic host was not changed");
            }
        }
        if let Err(error) = self.publish_routes().await {
            tracing::error!(%error, "the proxy was not told the routes");
            return apps;
        }
        let recovered = stream::iter(apps).map(|app| async move {
            let error = self.recover_app(&app).await.err()?;
            tracing::error!(app = %app.slug, %error, "not all of this app could be put in order");
            Some(app)
        });
        recovered.buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await
    }

    /// Brings every database to where it should be; those in the trash too, where that was interrupted.
    async fn recover_databases(self) {
        match self.reader().every_database().await {
            Ok(all) => all.iter().for_each(|database| self.tend_soon(database.id, false)),
            Err(error) => tracing::error!(%error, "databases not looked after"),
        }
    }

    /// Removes the images of apps that are no more. No deployment waits for it: Podman may be slow.
    async fn sweep_deleted(self) {
        if let Some(Err(error)) = self.until_shutdown(self.sweep_images_of_none()).await {
            tracing::warn!(%error, "images of deleted apps not removed");
        }
    }

    /// Gives an app the automatic host that follows from what is configured now.
    async fn name_anew(&self, app: &App) -> Result<(), EngineError> {
        let host = self.automatic_host(&app.slug)?;
        let has = |host| app.domains.iter().any(|domain| domain.site.is_all_of(host));
        if !host.as_ref().is_some_and(has) {
            self.0.writer.set_automatic_host(app.id, host).await.map_err(EngineError::internal)?;
        }
        Ok(())
    }

    async fn recover_app(&self, app: &App) -> Result<(), EngineError> {
        // It may be long ago that it was read: some apps take many tries.
        let Some(app) = &self.reader().app_by_id(app.id).await? else { return Ok(()) };
        if app.deleting {
            // It waits for deployments to end, and those wait for the queue.
            self.go_on_deleting(app);
            return Ok(());
        }
        self.prepare(app).await?;
        self.forget_builds(app).await?;
        self.sweep_workspaces(app).await?;
        self.sweep_uploads(&app.slug).await?;
        if self.is_past_commit(app).await? {
            // The pipeline goes on where it was, and removes what it replaces.
            return Ok(());
        }
        self.sweep_units(app).await?;
        // A change of limits may have been interrupted between the file and the kernel.
        self.enforce_limits(app).await?;
        if self.unfinished_of(app).await?.is_empty() {
            steps::command::clear(self, app).await?;
        }
        self.sweep_images(&app.slug).await?;
        self.sweep_deployments(app).await?;
        self.settle_wish(app, false).await?;
        self.bring_to_scale(app).await?;
        if let Some(live) = app.live {
            self.watch_over(&self.deployment(live).await?);
        }
        Ok(())
    }

    /// Makes the units of an app what they should be, and ends those of deployments that ended while systemd could not
    /// be told.
    pub(super) async fn sweep_units(&self, app: &App) -> Result<(), EngineError> {
        // Listed first: what went live since is either not on the list, or known as live.
        let releases = self.reader().releases(app.id).await?;
        let Some(app) = &self.reader().app_by_id(app.id).await? else { return Ok(()) };
        if self.is_past_commit(app).await? {
            return Ok(());
        }
        for release in releases {
            if release.state.is_end() && app.live != Some(release.id) {
                self.remove_releases(app, &[release.id]).await?;
            }
        }
        self.converge(app).await?;
        Ok(self.sweep_releases(app).await?)
    }

    /// What is left to do once a release is live. Where rivetr ends before it is done, its next start does it.
    pub(super) async fn tidy(&self, app: &App, live: &Deployment) {
        steps::log_failure(live, "commands not forgotten", steps::command::clear_own(self, app, live).await);
        steps::log_failure(live, "old deployments not forgotten", self.sweep_deployments(app).await);
        steps::log_failure(live, "old images not removed", self.sweep_images(&app.slug).await);
    }

    /// Whether a deployment of this app has been made live and is not yet done.
    pub(super) async fn is_past_commit(&self, app: &App) -> Result<bool, EngineError> {
        let unfinished = self.reader().unfinished().await?;
        Ok(unfinished.iter().any(|one| one.app == app.id && one.state.is_past_commit()))
    }

    /// Ends and forgets builds of deployments that have ended, and sweeps up after those that were killed.
    pub(super) async fn forget_builds(&self, app: &App) -> Result<(), EngineError> {
        let systemd = &self.machine().systemd;
        let prefix = format!("rivetr-build-{}-", app.slug);
        let pattern = format!("{prefix}*.service");
        // Listed first: what is begun since then is not on the list.
        let units = systemd.list(&[&pattern]).await.map_err(EngineError::internal)?;
        let running: BTreeSet<u32> = self.unfinished_of(app).await?.iter().map(|one| one.number).collect();
        for unit in units {
            // The pattern also finds the builds of an app whose name begins with this one's and a dash.
            let number = unit.unit.strip_prefix(&prefix).and_then(|rest| rest.strip_suffix(".service"));
            let Some(number) = number.and_then(|number| number.parse::<u32>().ok()) else { continue };
            if running.contains(&number) {
                continue;
            }
            let killed = self.reader().deployment_numbered(app.id, number).await?;
            let since = killed.map_or(self.now(), |killed| killed.created);
            self.kill_build(&unit.unit, since).await.map_err(EngineError::internal)?;
        }
        if let Err(error) = self.sweep_after_builds().await {
            tracing::warn!(app = %app.slug, %error, "what builds left not removed");
        }
        Ok(())
    }

    /// Removes checkouts and pushed references of deployments that have ended.
    async fn sweep_workspaces(&self, app: &App) -> Result<(), EngineError> {
        // Listed first: whatever lies there belongs to a deployment that was stored before.
        let sources = self.machine().workspace.sources(&app.slug).map_err(EngineError::internal)?;
        let unfinished = self.unfinished_of(app).await?;
        for number in sources.into_iter().filter(|number| !unfinished.iter().any(|one| one.number == *number))
        {
            self.machine().workspace.remove_number(&app.slug, number).map_err(EngineError::internal)?;
        }
        self.sweep_pushes(app).await
    }

    pub(super) async fn unfinished_of(&self, app: &App) -> Result<Vec<Deployment>, EngineError> {
        let unfinished = self.reader().unfinished().await?;
        Ok(unfinished.into_iter().filter(|one| one.app == app.id).collect())
    }
}
