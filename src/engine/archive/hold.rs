//! How all that uses a volume is held still while its files are read or changed, and how it goes on: as commands of a unit,
//! so that systemd sees to the second whatever becomes of the first.

use std::collections::BTreeSet;

use tokio::sync::OwnedMutexGuard;

use super::super::{Engine, EngineError, words};
use crate::domain::backup::Hold;
use crate::domain::volume::{VolumeId, VolumeOf};
use crate::host::podman::Mounting;
use crate::host::systemd::{ActiveState, UnitSummary};

/// How the names of units begin that stay up, and can be stopped and started again.
const LASTING: [&str; 2] = ["rivetr-app-", "rivetr-svc-"];

/// Commands that hold what uses a volume, and those that let it go on.
#[derive(Default)]
pub(super) struct Held {
    pub(super) hold: Vec<Vec<String>>,
    pub(super) release: Vec<Vec<String>>,
}

/// The units that are stopped for a volume, and those that are to be up again after it.
pub(super) struct Halting {
    stop: BTreeSet<String>,
    start: BTreeSet<String>,
    manager: &'static str,
}

impl Engine {
    /// Waits until nobody else holds the containers of an app or a service still or brings new ones up: what is held does
    /// not answer, and what comes up in the middle of a copy would write into it.
    pub(in super::super) async fn steady(&self, of: &VolumeOf) -> OwnedMutexGuard<()> {
        self.0.steady.take(of.clone()).await
    }

    /// How what uses a volume now is held.
    pub(super) async fn held(&self, volume: &str, hold: Hold) -> Result<Held, EngineError> {
        match hold {
            Hold::Pause => {
                let using =
                    self.machine().podman.running_with(volume).await.map_err(EngineError::internal)?;
                let names: Vec<String> = using.into_iter().map(|one| one.name).collect();
                if names.is_empty() {
                    return Ok(Held::default());
                }
                let mut pause = words(&["podman", "pause"]);
                pause.extend(names.iter().cloned());
                // One by one: a container that has ended meanwhile keeps no other from going on.
                let release = names.iter().map(|name| words(&["podman", "unpause", name])).collect();
                Ok(Held { hold: vec![pause], release })
            }
            Hold::Stop => {
                let halting = self.halting(volume).await?;
                Ok(Held { hold: halting.stop(), release: halting.start(false) })
            }
        }
    }

    /// The units that use a volume now. Others of their owner may be bound to them, and go down and come up with them.
    pub(super) async fn halting(&self, volume: &str) -> Result<Halting, EngineError> {
        let mut stop = BTreeSet::new();
        for Mounting { name, unit } in
            self.machine().podman.running_with(volume).await.map_err(EngineError::internal)?
        {
            let Some(unit) = unit.filter(|unit| LASTING.iter().any(|prefix| unit.starts_with(prefix))) else {
                let message = format!(
                    "the container {name} uses the volume {volume} and cannot be stopped and started again: wait \
                     until it has ended"
                );
                return Err(EngineError::Conflict { field: "volume", message });
            };
            stop.insert(unit);
        }
        let mut start = stop.clone();
        let pattern = match VolumeId::parse(volume).as_ref().map(VolumeId::of) {
            Ok(VolumeOf::App(app)) => format!("rivetr-app-{app}-*.service"),
            Ok(VolumeOf::Service(service)) => format!("rivetr-svc-{service}-*.service"),
            Err(error) => {
                return Err(EngineError::Invalid { field: "volume", message: error.to_string() });
            }
        };
        if !stop.is_empty() {
            let listed = self.machine().systemd.list(&[&pattern]).await.map_err(EngineError::internal)?;
            // What was stopped for the backup before may still wait for what it depends on.
            let up = |unit: &UnitSummary| {
                unit.start_pending
                    || matches!(unit.active_state, ActiveState::Active | ActiveState::Activating)
            };
            start.extend(listed.into_iter().filter(up).map(|unit| unit.unit));
        }
        Ok(Halting { stop, start, manager: self.machine().layout.manager.option() })
    }
}

impl Halting {
    /// Stops them.
    pub(super) fn stop(&self) -> Vec<Vec<String>> {
        self.all("stop", &self.stop)
    }

    /// Starts them again, and waits until they are up where somebody wants to know. Else one by one: of a release that
    /// went meanwhile there is no unit, and systemd 262 starts none of those that are named with one that is not there.
    pub(super) fn start(&self, wait: bool) -> Vec<Vec<String>> {
        if wait {
            return self.all("start", &self.start);
        }
        self.start
            .iter()
            .map(|unit| words(&["systemctl", self.manager, "start", "--no-block", unit]))
            .collect()
    }

    fn all(&self, verb: &str, units: &BTreeSet<String>) -> Vec<Vec<String>> {
        if units.is_empty() {
            return Vec::new();
        }
        let mut command = words(&["systemctl", self.manager, verb]);
        command.extend(units.iter().cloned());
        vec![command]
    }
}
