//! Whether a container ran out of memory.
//!
//! Its unit does not say: the kernel kills one process, the container may live on, and how process 1 was killed is
//! lost with its next start. The manager notes it in the journal, which keeps it.

use super::Engine;
use crate::domain::deployment::Deployment;
use crate::domain::time::Timestamp;
use crate::host::survey;
use crate::host::systemd::{ActiveState, UnitStatus};

impl Engine {
    /// When something in a container of a deployment was last killed for want of memory. Who cannot ask says nothing.
    pub(super) async fn out_of_memory(&self, deployment: &Deployment, unit: &str) -> Option<Timestamp> {
        let noted = self.machine().journal.out_of_memory(unit).await;
        let noted =
            noted.inspect_err(|error| tracing::warn!(unit, %error, "not known whether it ran out of memory"));
        // An app that was deleted may have had a unit of this name.
        noted.ok().flatten().filter(|at| *at >= deployment.created)
    }

    /// The same of a unit that was looked at. The journal is asked only where something has happened.
    pub(super) async fn ran_out_of_memory(&self, live: &Deployment, unit: &UnitStatus) -> Option<Timestamp> {
        let kills = unit.control_group.as_deref().map_or(Ok(0), survey::oom_kills);
        let kills = kills.inspect_err(|error| tracing::debug!(unit = unit.unit, %error, "kills not counted"));
        let quiet = unit.active_state == ActiveState::Active && unit.n_restarts == 0;
        if quiet && kills.is_ok_and(|kills| kills == 0) {
            return None;
        }
        self.out_of_memory(live, &unit.unit).await
    }
}

/// What ran out of memory, and what to do.
pub(super) fn shortage(what: &str, deployment: &Deployment) -> String {
    match deployment.settings.runtime.limits.memory {
        Some(memory) => format!(
            "{what} ran out of memory: it may use {memory}. Give the app more (--memory), or have it use less"
        ),
        None => format!(
            "{what} ran out of memory: it may use all there is, and the machine has no more. Have the app use less, \
             and give it a limit (--memory)"
        ),
    }
}
