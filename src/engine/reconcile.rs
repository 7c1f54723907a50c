//! Keeps an eye on the units: says when one fails, and puts back a unit file that has gone.
//!
//! It does not start what a person stopped, and it does not undo what a person edited.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::host::systemd::{ActiveState, Change, UnitChange};

/// How many apps are looked after at once: one that starts slowly does not hold up the others.
const AT_ONCE: usize = 8;

/// How long changes are gathered before they are looked at: a deployment alone makes a dozen.
const GATHER: Duration = Duration::from_millis(500);

impl Engine {
    /// Looks after the units of apps as systemd reports changes, until rivetr stops.
    pub(super) async fn reconcile_on_change(self, mut changes: Receiver<Change>) {
        loop {
            let first = tokio::select! {
                () = self.0.shutdown.cancelled() => return,
                change = changes.recv() => change,
            };
            let mut touched = BTreeSet::new();
            let mut away = matches!(first, Ok(Change::Missed));
            match first {
                Ok(Change::Unit(change)) => touched.extend(touched_by(&change)),
                Ok(Change::Missed) | Err(RecvError::Lagged(_)) => touched.extend(self.everything().await),
                Err(RecvError::Closed) => return,
            }
            if touched.is_empty() {
                continue;
            }
            self.pause(GATHER).await;
            loop {
                let next = changes.try_recv();
                away |= matches!(next, Ok(Change::Missed));
                match next {
                    Ok(Change::Unit(change)) => touched.extend(touched_by(&change)),
                    Ok(Change::Missed) | Err(TryRecvError::Lagged(_)) => {
                        touched.extend(self.everything().await);
                    }
                    Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                }
            }
            let engine = &self;
            let looked = stream::iter(touched).for_each_concurrent(AT_ONCE, |touched| async move {
                match touched {
                    Touched::App(app) => engine.look_after(&app, away).await,
                    Touched::Database(name) => engine.look_after_database(&name).await,
                }
            });
            self.until_shutdown(looked).await;
        }
    }

    /// Does something that can be done again at the next start; nothing, if rivetr stops meanwhile.
    pub(super) async fn until_shutdown<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.0.shutdown.cancelled() => None,
            done = work => Some(done),
        }
    }

    /// Waits, or returns at once when rivetr stops.
    pub(super) async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.0.shutdown.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    /// Where systemd was `away`, also what could not be ended meanwhile is.
    async fn look_after(&self, slug: &Slug, away: bool) {
        let app = match self.reader().app(slug).await {
            Ok(Some(app)) if !app.deleting => app,
            Ok(_) => return,
            Err(error) => return tracing::error!(app = %slug, %error, "not looked after"),
        };
        match self.is_past_commit(&app).await {
            // The pipeline is about to remove what it replaces.
            Ok(true) => return,
            Ok(false) => {}
            Err(error) => return tracing::error!(app = %slug, %error, "not looked after"),
        }
        let looked = if away {
            self.swept(&app).await
        } else {
            self.converge(&app).await.map_err(EngineError::internal)
        };
        if let Err(error) = looked {
            tracing::warn!(app = %slug, %error, "the units are not what they should be");
        }
    }

    async fn swept(&self, app: &App) -> Result<(), EngineError> {
        self.sweep_units(app).await?;
        self.forget_builds(app).await
    }

    /// Puts back what has gone of the units of a database. What is under way is left to whoever began it: a start waits
    /// until the server answers.
    async fn look_after_database(&self, name: &Slug) {
        match self.reader().database(name).await {
            Ok(Some(database)) => self.tend_soon(database.id, false),
            Ok(None) => {}
            Err(error) => tracing::error!(database = %name, %error, "not looked after"),
        }
    }

    async fn everything(&self) -> Vec<Touched> {
        let (apps, databases) = (self.reader().apps().await, self.reader().every_database().await);
        match (apps, databases) {
            (Ok(apps), Ok(databases)) => {
                let kept = databases.into_iter().filter(|database| database.deleted.is_none());
                let databases = kept.map(|database| Touched::Database(database.slug));
                apps.into_iter().map(|app| Touched::App(app.slug)).chain(databases).collect()
            }
            (Err(error), _) | (_, Err(error)) => {
                tracing::error!(%error, "apps and databases not read");
                Vec::new()
            }
        }
    }
}

/// Something whose units changed.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Touched {
    App(Slug),
    Database(Slug),
}

fn touched_by(change: &UnitChange) -> Option<Touched> {
    app_of(change).map(Touched::App).or_else(|| database_of(change).map(Touched::Database))
}

/// The database whose container has stopped or failed, if that is what changed.
fn database_of(change: &UnitChange) -> Option<Slug> {
    let name = change.unit.strip_prefix("rivetr-db-")?.strip_suffix(".service")?;
    let ended = matches!(change.active_state, ActiveState::Failed | ActiveState::Inactive);
    ended.then(|| Slug::parse(name).ok())?
}

/// The app whose release has stopped or failed, if that is what changed.
fn app_of(change: &UnitChange) -> Option<Slug> {
    let name = change.unit.strip_prefix("rivetr-app-")?.strip_suffix(".service")?;
    let (app, number) = name.rsplit_once('-')?;
    // A further container of the release: `blog-7_2`.
    number.split('_').next()?.parse::<u32>().ok()?;
    if change.active_state == ActiveState::Failed {
        tracing::warn!(app, unit = %change.unit, "unit failed");
    }
    matches!(change.active_state, ActiveState::Failed | ActiveState::Inactive)
        .then(|| Slug::parse(app).ok())?
}
