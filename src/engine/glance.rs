//! What can be seen of the host at a glance: figures that cost nothing to read, and what the doctor found last.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::{Engine, Health};
use crate::host::survey;

pub use crate::host::survey::Room;

/// How old what the doctor found may be before it is asked again.
const DOCTOR_AGAIN: Duration = Duration::from_mins(1);

/// The host as it stands; none: not known.
#[derive(Debug, Clone)]
pub struct Glance {
    /// Processes that run or want to, over the last minute.
    pub load: Option<f64>,
    /// How many cores there are for them.
    pub cores: Option<usize>,
    /// Memory.
    pub memory: Option<Room>,
    /// The disk that rivetr's state lies on.
    pub disk: Option<Room>,
    /// What the doctor found last; none: it is looking.
    pub health: Option<Arc<Health>>,
}

/// What the doctor found last, and when it was asked.
#[derive(Default)]
pub(super) struct Doctor(Mutex<(Option<Arc<Health>>, Option<Instant>)>);

impl Engine {
    /// The host at a glance. Never waits: the doctor is asked in the background.
    #[must_use]
    pub fn glance(&self) -> Glance {
        let room = survey::room(&self.machine().layout.state);
        let disk = room.inspect_err(|error| tracing::debug!(%error, "room on the disk not known")).ok();
        Glance {
            load: survey::load(),
            cores: std::thread::available_parallelism().ok().map(usize::from),
            memory: survey::memory(),
            disk,
            health: self.last_health(),
        }
    }

    fn last_health(&self) -> Option<Arc<Health>> {
        let doctor = |engine: &Self| {
            // What it holds is whole after any panic: each change of it is one assignment.
            engine.0.doctor.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
        };
        let (found, asked) = doctor(self);
        if asked.is_none_or(|at| at.elapsed() >= DOCTOR_AGAIN) {
            let put = |engine: &Self, found| {
                let mut last = engine.0.doctor.0.lock().unwrap_or_else(PoisonError::into_inner);
                *last = (found, Some(Instant::now()));
            };
            put(self, found.clone());
            let engine = self.clone();
            self.0.tasks.spawn(async move {
                if let Some(health) = engine.until_shutdown(Box::pin(engine.health())).await {
                    put(&engine, Some(Arc::new(health)));
                }
            });
        }
        found
    }
}
