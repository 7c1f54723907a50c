//! How apps do, in a word each: what the store wants beside what systemd shows. systemd is asked once for all of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::sync::{Mutex, broadcast};
use tokio::time::Instant;

use super::{Engine, EngineError};
use crate::domain::app::{App, AppId, Wish};
use crate::domain::deployment::{DeploymentId, State, replica_name};
use crate::host::layout::Manager;
use crate::host::systemd::{ActiveState, BusError, Change, UnitSummary};
use crate::store::Outline;

/// How long what systemd said is taken for true: many who look at the same moment ask once.
const FRESH: Duration = Duration::from_millis(300);

/// What every unit of an app begins with.
const PREFIX: &str = "rivetr-app-";

/// How an app does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Every container of its live release runs.
    Running,
    /// Some of them do not.
    Partly,
    /// They end and are started again.
    Restarting,
    /// They have failed, or its only deployments have.
    Failed,
    /// They do not run, and nobody asked rivetr for that.
    Down,
    /// It was stopped.
    Stopped,
    /// It was stopped, and is on its way back.
    Starting,
    /// A deployment is under way.
    Deploying(State),
    /// Nothing was ever live.
    Never,
    /// It is being deleted.
    Deleting,
    /// systemd could not be asked.
    Unknown,
}

/// What there is of deployments and units, for apps of which one wants to know how they do.
pub struct Standings {
    /// The newest deployment of each app.
    pub newest: BTreeMap<AppId, Outline>,
    working: BTreeMap<AppId, Outline>,
    units: Option<Arc<Units>>,
}

/// The commands that show what rivetr shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByHand {
    /// How its unit stands.
    pub status: String,
    /// What it writes.
    pub journal: String,
}

/// What happened somewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stir {
    /// A deployment has come to this state.
    Moved(DeploymentId, State),
    /// This unit of some app, database or service has another state.
    Unit(String),
    /// A service or a database is other than before, as the store has it.
    Stored,
    /// Anything may have happened.
    Missed,
}

type Units = BTreeMap<String, ActiveState>;

/// What systemd said last.
#[derive(Default)]
pub(super) struct Sight(Mutex<Option<(Instant, Arc<Units>)>>);

impl Engine {
    /// What is needed to say how apps do.
    pub async fn standings(&self) -> Result<Standings, EngineError> {
        let (newest, working) = (self.reader().newest_deployments(), self.reader().unfinished_outlines());
        let (newest, working, units) = tokio::join!(newest, working, self.units_of_apps());
        let newest = newest?;
        Ok(Standings { newest, working: at_work(working?), units })
    }

    /// How one app does.
    pub async fn standing(&self, app: &App) -> Result<Standing, EngineError> {
        let name = replica_name(&app.slug, app.release.unwrap_or(0), 1);
        let patterns = [format!("{name}.service"), format!("{name}_*.service")];
        let asked = async {
            if app.release.is_none() {
                return Ok(Vec::new());
            }
            self.machine().systemd.list(&patterns.each_ref().map(String::as_str)).await
        };
        let newest = self.reader().deployments_of(app.id, None, 1);
        let (newest, working, listed) = tokio::join!(newest, self.reader().unfinished_outlines(), asked);
        let newest = newest?.into_iter().map(|one| (one.app, one)).collect();
        Ok(Standings { newest, working: at_work(working?), units: seen(listed).map(Arc::new) }.of(app))
    }

    /// What happens to apps, databases and services, and to their units, from now on.
    pub fn stirs(&self) -> impl Stream<Item = Stir> + Send + 'static + use<> {
        let stored = self.0.stirred.subscribe();
        let listeners = (self.0.moved.subscribe(), stored, self.machine().systemd.changes());
        stream::unfold(listeners, |(mut moves, mut stored, mut units)| async move {
            let stir = tokio::select! {
                moved = moves.recv() => match moved {
                    Ok((id, state)) => Stir::Moved(id, state),
                    Err(broadcast::error::RecvError::Lagged(_)) => Stir::Missed,
                    Err(broadcast::error::RecvError::Closed) => return None,
                },
                changed = stored.changed() => changed.ok().map(|()| Stir::Stored)?,
                stir = of_units(&mut units) => stir?,
            };
            Some((stir, (moves, stored, units)))
        })
    }

    /// Tells whoever looks that a service or a database is other than before.
    pub(super) fn stir(&self) {
        self.0.stirred.send_replace(());
    }

    /// How a person looks at a container of an app without rivetr.
    #[must_use]
    pub fn by_hand(&self, container: &str) -> ByHand {
        let layout = &self.machine().layout;
        let manager = match layout.manager {
            Manager::User => format!("--user -M {}@ ", layout.user),
            Manager::System => String::new(),
        };
        ByHand {
            status: format!("systemctl {manager}status {container}.service"),
            journal: format!("journalctl CONTAINER_NAME={container}"),
        }
    }

    /// Every loaded unit of an app; none: systemd could not be asked.
    async fn units_of_apps(&self) -> Option<Arc<Units>> {
        let mut last = self.0.sight.0.lock().await;
        if let Some((at, units)) = &*last
            && at.elapsed() < FRESH
        {
            return Some(Arc::clone(units));
        }
        let pattern = format!("{PREFIX}*.service");
        let units = seen(self.machine().systemd.list(&[&pattern]).await).map(Arc::new)?;
        *last = Some((Instant::now(), Arc::clone(&units)));
        Some(units)
    }
}

/// Whether pages show a unit: of an app, a database or a service.
fn is_told_of(unit: &str) -> bool {
    [PREFIX, "rivetr-db-", "rivetr-svc-"].iter().any(|prefix| unit.starts_with(prefix))
}

/// Waits until the unit of an app, a database or a service changes.
async fn of_units(changes: &mut broadcast::Receiver<Change>) -> Option<Stir> {
    loop {
        match changes.recv().await {
            Ok(Change::Unit(change)) if is_told_of(&change.unit) => {
                return Some(Stir::Unit(change.unit));
            }
            Ok(Change::Unit(_)) => {}
            Ok(Change::Missed) | Err(broadcast::error::RecvError::Lagged(_)) => return Some(Stir::Missed),
            Err(broadcast::error::RecvError::Closed) => return None,
        }
    }
}

fn seen(listed: Result<Vec<UnitSummary>, BusError>) -> Option<Units> {
    match listed {
        Ok(units) => Some(units.into_iter().map(|unit| (unit.unit, unit.active_state)).collect()),
        Err(error) => {
            tracing::debug!(%error, "systemd was not asked how apps do");
            None
        }
    }
}

/// Of those that wait or are at work, the one of each app that counts: what is at work, else what waits.
fn at_work(unfinished: Vec<Outline>) -> BTreeMap<AppId, Outline> {
    let mut working = BTreeMap::new();
    for one in unfinished {
        let known: Option<&Outline> = working.get(&one.app);
        if known.is_none_or(|known| known.state == State::Queued) {
            working.insert(one.app, one);
        }
    }
    working
}

impl Standings {
    /// How an app does.
    #[must_use]
    pub fn of(&self, app: &App) -> Standing {
        if app.deleting {
            return Standing::Deleting;
        }
        if let Some(working) = self.working.get(&app.id) {
            return Standing::Deploying(working.state);
        }
        let Some(release) = app.release else {
            return match self.newest.get(&app.id).map(|newest| newest.state) {
                Some(State::Failed) => Standing::Failed,
                _ => Standing::Never,
            };
        };
        match app.wish {
            Wish::Stop => return Standing::Stopped,
            Wish::Start => return Standing::Starting,
            Wish::Run => {}
        }
        let Some(units) = &self.units else { return Standing::Unknown };
        let names = app.settings.replicas.numbers().map(|number| replica_name(&app.slug, release, number));
        together(names.map(|name| units.get(&format!("{name}.service"))))
    }

    /// The deployment of an app that waits or is at work.
    #[must_use]
    pub fn working(&self, app: AppId) -> Option<&Outline> {
        self.working.get(&app)
    }
}

/// How the containers of a release do together.
fn together<'a>(units: impl Iterator<Item = Option<&'a ActiveState>>) -> Standing {
    let (mut all, mut up, mut failed, mut restarting) = (0, 0, 0, 0);
    for unit in units {
        all += 1;
        match unit {
            Some(ActiveState::Active | ActiveState::Reloading) => up += 1,
            Some(ActiveState::Failed) => failed += 1,
            // On its way up: for the first time, or again.
            Some(ActiveState::Activating) => restarting += 1,
            Some(ActiveState::Inactive | ActiveState::Deactivating | ActiveState::Other) | None => {}
        }
    }
    match (up, failed, restarting) {
        _ if up == all => Standing::Running,
        (1.., ..) => Standing::Partly,
        (0, _, 1..) => Standing::Restarting,
        (0, 1.., 0) => Standing::Failed,
        _ => Standing::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_do_well_only_together() {
        let check = |units: &[&str], expect| {
            let units: Vec<_> = units
                .iter()
                .map(|word| match *word {
                    "up" => Some(ActiveState::Active),
                    "failed" => Some(ActiveState::Failed),
                    "again" => Some(ActiveState::Activating),
                    "down" => Some(ActiveState::Inactive),
                    _ => None,
                })
                .collect();
            assert_eq!(together(units.iter().map(Option::as_ref)), expect);
        };
        check(&["up"], Standing::Running);
        check(&["up", "up"], Standing::Running);
        check(&["up", "failed"], Standing::Partly);
        check(&["up", "none"], Standing::Partly);
        check(&["failed", "again"], Standing::Restarting);
        check(&["failed", "down"], Standing::Failed);
        check(&["down"], Standing::Down);
        check(&["none"], Standing::Down);
    }
}
