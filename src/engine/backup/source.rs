//! What is backed up, as it is asked for.

use super::super::{Engine, EngineError};
use crate::domain::backup::{Hold, Schedule, Source};
use crate::domain::person::TeamId;
use crate::domain::volume::VolumeId;
use crate::store::Object;

impl Source {
    /// How what uses it is held: as it is asked for, or as its schedule says, or as usual. A database goes on.
    pub(super) fn hold(
        &self,
        asked: Option<Hold>,
        schedule: Option<&Schedule>,
    ) -> Result<Option<Hold>, EngineError> {
        match (self, asked) {
            (Self::Database(_), None) => Ok(None),
            (Self::Database(_), Some(_)) => {
                let message = "a database goes on while it is backed up: leave this out".to_owned();
                Err(EngineError::Invalid { field: "hold", message })
            }
            (Self::Volume(..), asked) => {
                let usual = schedule.and_then(|schedule| schedule.hold).unwrap_or(Hold::Pause);
                Ok(Some(asked.unwrap_or(usual)))
            }
        }
    }
}

impl Engine {
    /// The volume of that name, if Podman has it.
    pub async fn volume_source(&self, name: &str) -> Result<Source, EngineError> {
        let missing = || EngineError::NotFound { what: "volume", name: name.chars().take(200).collect() };
        let volume = VolumeId::parse(name).map_err(|_| missing())?;
        let there = self.machine().podman.all_volumes().await.map_err(EngineError::internal)?;
        if !there.iter().any(|one| one.name == name) {
            return Err(missing());
        }
        let team = self.team_of_volume(&volume).await?.unwrap_or(TeamId::FIRST);
        Ok(Source::Volume(volume, team))
    }

    /// Whose a volume is; none: of an app or a service that nobody remembers.
    pub(super) async fn team_of_volume(&self, volume: &VolumeId) -> Result<Option<TeamId>, EngineError> {
        Ok(self.reader().team_of(Object::Volume, &volume.to_string()).await?)
    }
}
