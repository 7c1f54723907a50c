//! How databases do, in a word each: what the store wants beside what systemd shows.

use std::collections::BTreeMap;

use super::super::{Engine, EngineError, UnitSummary};
use crate::domain::database::{Database, Wish};
use crate::host::systemd::ActiveState;

/// How a database does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DatabaseStanding {
    /// Its image is on its way.
    Pulling,
    /// It has been started and does not answer yet.
    Starting,
    /// It answers.
    Running,
    /// It was stopped.
    Stopped,
    /// It does not run, and nobody asked rivetr for that.
    Down,
    /// It does not start.
    Failed,
    /// systemd could not be asked.
    Unknown,
}

impl DatabaseStanding {
    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pulling => "pulling",
            Self::Starting => "starting",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Down => "down",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

impl Engine {
    /// What systemd shows of a database, and what it uses; none: it has no unit.
    pub async fn database_status(&self, database: &Database) -> Result<Option<UnitSummary>, EngineError> {
        let found = self.machine().systemd.unit(&database.service()).await.map_err(EngineError::internal)?;
        Ok(found.map(|unit| self.summary(unit)))
    }

    /// How each of these databases does.
    pub async fn database_standings(
        &self,
        databases: &[Database],
    ) -> Result<Vec<DatabaseStanding>, EngineError> {
        let listed = self.machine().systemd.list(&["rivetr-db-*.service"]).await;
        let units: Option<BTreeMap<String, ActiveState>> = match listed {
            Ok(units) => Some(units.into_iter().map(|unit| (unit.unit, unit.active_state)).collect()),
            Err(error) => {
                tracing::warn!(%error, "systemd was not asked about databases");
                None
            }
        };
        let stands = |database: &Database| match &units {
            None => DatabaseStanding::Unknown,
            Some(units) => judge(database, units.get(&database.service()).copied()),
        };
        Ok(databases.iter().map(stands).collect())
    }
}

fn judge(database: &Database, state: Option<ActiveState>) -> DatabaseStanding {
    match (database.wish, state) {
        (_, Some(ActiveState::Active | ActiveState::Reloading)) => DatabaseStanding::Running,
        (Wish::Stop, _) => DatabaseStanding::Stopped,
        (Wish::Run, _) if database.problem.is_some() => DatabaseStanding::Failed,
        (Wish::Run, Some(ActiveState::Activating | ActiveState::Deactivating | ActiveState::Other)) => {
            DatabaseStanding::Starting
        }
        (Wish::Run, Some(ActiveState::Failed)) => DatabaseStanding::Failed,
        (Wish::Run, None) if database.image.is_none() => DatabaseStanding::Pulling,
        (Wish::Run, None) => DatabaseStanding::Starting,
        (Wish::Run, Some(ActiveState::Inactive)) => DatabaseStanding::Down,
    }
}
