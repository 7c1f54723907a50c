//! Whose turn it is: one deployment at a time per app, a limit over all, the oldest first.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use super::context::Stop;
use super::steps::log_failure;
use super::{Engine, EngineError, deploy};
use crate::domain::app::{App, AppId};
use crate::domain::deployment::{Deployment, DeploymentId, State, Trigger};
use crate::domain::name::Slug;
use crate::domain::source::{CommitId, Source};
use crate::store::{Enqueued, SaveError, Wish};

/// How long to wait before the queue is read again after it could not be.
const RETRY: Duration = Duration::from_secs(2);

/// Which deployments run now.
#[derive(Default)]
pub(super) struct Queue {
    running: Mutex<BTreeMap<AppId, Running>>,
    changed: Notify,
}

struct Running {
    id: DeploymentId,
    stop: watch::Sender<Option<Stop>>,
}

impl Engine {
    /// Asks for a deployment: when this returns it is stored and will be carried out.
    ///
    /// It takes the place of an older one of the same app that is not past building.
    pub async fn deploy(
        &self,
        app: &Slug,
        trigger: Trigger,
        commit: Option<CommitId>,
    ) -> Result<Deployment, EngineError> {
        self.deploy_built(app, trigger, commit, true).await
    }

    /// The same; without the cache, every step of the build is done anew.
    pub async fn deploy_built(
        &self,
        app: &Slug,
        trigger: Trigger,
        commit: Option<CommitId>,
        cache: bool,
    ) -> Result<Deployment, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        self.refuse_when_full(app.id).await?;
        let commit = match (commit, &app.source) {
            (Some(_), Source::Image { .. } | Source::Upload | Source::Inline { .. }) => {
                let message =
                    format!("{} does not come from a repository, so there are no commits", app.slug);
                return Err(EngineError::Invalid { field: "commit", message });
            }
            (Some(commit), _) => Some(commit),
            (None, Source::Git(_) | Source::Image { .. } | Source::Inline { .. }) => None,
            (None, Source::Upload) => {
                let message = format!(
                    "{0} comes from uploads: send what is to be deployed with rivetr deploy {0} --from DIR",
                    app.slug
                );
                return Err(EngineError::Conflict { field: "app", message });
            }
            (None, Source::Push { branch }) => {
                let head = self.git().resolve(&self.repo(&app.slug), &format!("refs/heads/{branch}")).await?;
                Some(head.ok_or_else(|| EngineError::Conflict {
                    field: "app",
                    message: format!(
                        "nothing of {} was deployed yet: git push its branch {branch} first",
                        app.slug
                    ),
                })?)
            }
        };
        self.enqueue(&app, Wish { commit, no_cache: !cache, ..Wish::of(trigger) }).await
    }

    /// Stores a wish, with what rivetr tells the app about itself, and sees to it.
    pub(super) async fn enqueue(&self, app: &App, wish: Wish) -> Result<Deployment, EngineError> {
        let sealing = self.0.sealing.read().await;
        let wish = Wish { injected: self.injected(app).await?, ..wish };
        let enqueued = self.0.writer.enqueue(app.id, wish, self.now()).await?;
        drop(sealing);
        self.take_up(&enqueued).await?;
        Ok(enqueued.deployment)
    }

    /// Refuses one more where enough wait. One of the same app would take the place of what waits.
    pub(super) async fn refuse_when_full(&self, app: AppId) -> Result<(), EngineError> {
        let limit = self.0.settings.queue_max;
        let unfinished = self.reader().unfinished().await?;
        let waiting = unfinished.iter().filter(|one| one.state == State::Queued && one.app != app).count();
        if waiting < limit {
            return Ok(());
        }
        let message = format!(
            "{waiting} deployments wait already; try again when some are done, or raise queue_max under [deploy]"
        );
        Err(EngineError::Conflict { field: "app", message })
    }

    /// Sees to a deployment that was just stored.
    pub(super) async fn take_up(&self, enqueued: &Enqueued) -> Result<(), EngineError> {
        for superseded in &enqueued.superseded {
            log_failure(superseded, "the push was not settled", self.settle_push(superseded).await);
            self.announce(superseded);
        }
        self.announce(&enqueued.deployment);
        // Also where the wish cannot be read: the queue is told, and comes to the same.
        self.0.queue.changed.notify_one();
        self.wish(enqueued.deployment.app, Stop::Supersede).await
    }

    /// Stops a deployment that is not yet live, and waits until it has ended.
    pub async fn cancel(&self, id: DeploymentId) -> Result<Deployment, EngineError> {
        loop {
            let mut deployment = self.deployment(id).await?;
            let waits = deployment.state == State::Queued;
            deployment.cancel(self.now())?;
            if self.stop_running(deployment.app, id, Stop::Cancel) {
                return self.ended(id).await;
            }
            if !waits {
                let message = "rivetr is just taking this deployment up again; try once more".to_owned();
                return Err(EngineError::Unavailable(message));
            }
            match self.0.writer.save(&deployment, self.now()).await {
                Ok(()) => {
                    log_failure(&deployment, "the push was not settled", self.settle_push(&deployment).await);
                    self.announce(&deployment);
                    return Ok(deployment);
                }
                // Its turn has come in this moment.
                Err(SaveError::Stale(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Starts deployments as their turn comes, until rivetr stops.
    pub(super) async fn dispatch(self) {
        loop {
            if let Err(error) = self.start_next().await {
                tracing::error!(%error, "the queue could not be read");
                self.pause(RETRY).await;
                self.0.queue.changed.notify_one();
            }
            tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                () = self.0.queue.changed.notified() => {}
            }
        }
    }

    /// Ends every deployment of this app: what can be cancelled is, what is past the commit is waited for.
    pub(super) async fn settle(&self, app: AppId) -> Result<(), EngineError> {
        let unfinished = self.reader().unfinished().await?;
        for deployment in unfinished.into_iter().filter(|one| one.app == app) {
            match self.cancel(deployment.id).await {
                Ok(_) => {}
                Err(EngineError::IllegalMove(_) | EngineError::Unavailable(_)) => {
                    self.ended(deployment.id).await?;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn start_next(&self) -> Result<(), EngineError> {
        for deployment in self.reader().unfinished().await? {
            let stop = {
                let mut running = self.0.queue.running();
                if running.contains_key(&deployment.app) {
                    None
                } else if running.len() >= self.0.settings.concurrency {
                    continue;
                } else {
                    let (sender, stop) = watch::channel(None);
                    running.insert(deployment.app, Running { id: deployment.id, stop: sender });
                    Some(stop)
                }
            };
            let Some(stop) = stop else {
                self.wish(deployment.app, Stop::Supersede).await?;
                continue;
            };
            let turn = Turn { engine: self.clone(), app: deployment.app };
            self.0.tasks.spawn(async move {
                deploy::run(turn.engine.clone(), deployment.id, stop).await;
                drop(turn);
            });
        }
        Ok(())
    }

    /// A newer deployment waits: stop the running one if it is not past building.
    async fn wish(&self, app: AppId, stop: Stop) -> Result<(), EngineError> {
        let id = self.0.queue.running().get(&app).map(|running| running.id);
        if let Some(id) = id {
            let deployment = self.deployment(id).await?;
            if deployment.state <= State::Building && self.has_newer(&deployment).await? {
                self.stop_running(app, id, stop);
            }
        }
        Ok(())
    }

    async fn has_newer(&self, deployment: &Deployment) -> Result<bool, EngineError> {
        let unfinished = self.reader().unfinished().await?;
        Ok(unfinished.iter().any(|other| other.app == deployment.app && other.number > deployment.number))
    }

    fn stop_running(&self, app: AppId, id: DeploymentId, stop: Stop) -> bool {
        let running = self.0.queue.running();
        let found = running.get(&app).filter(|running| running.id == id);
        found.is_some_and(|running| {
            running.stop.send_replace(Some(stop));
            true
        })
    }
}

/// An app's turn, given back also when its deployment panics.
struct Turn {
    engine: Engine,
    app: AppId,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.engine.0.queue.running().remove(&self.app);
        self.engine.0.queue.changed.notify_one();
    }
}

impl Queue {
    fn running(&self) -> MutexGuard<'_, BTreeMap<AppId, Running>> {
        // The map is whole after any panic: each change of it is one call.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
