//! What is backed up, looked up: a database, or a volume of an app or a service.

use super::super::{Engine, EngineError};
use crate::domain::backup::{Form, Hold, Schedule, Subject};
use crate::domain::database::Database;
use crate::domain::person::TeamId;
use crate::domain::volume::VolumeId;
use crate::store::Object;

/// What is backed up.
#[derive(Debug, Clone)]
pub enum Source {
    /// A database.
    Database(Box<Database>),
    /// A volume, with the team whose it is.
    Volume(VolumeId, TeamId),
}

impl Source {
    /// What its backups are of.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::Database(database) => Subject::Database(database.id),
            Self::Volume(volume, _) => Subject::Volume(volume.clone()),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Database(database) => database.slug.to_string(),
            Self::Volume(volume, _) => volume.to_string(),
        }
    }

    /// Whose it is.
    #[must_use]
    pub fn team(&self) -> TeamId {
        match self {
            Self::Database(database) => database.project.team,
            Self::Volume(_, team) => *team,
        }
    }

    /// What it is, with its name.
    #[must_use]
    pub fn words(&self) -> String {
        match self {
            Self::Database(database) => format!("database {}", database.slug),
            Self::Volume(volume, _) => format!("volume {volume}"),
        }
    }

    /// What a file of it holds.
    #[must_use]
    pub fn form(&self) -> Form {
        match self {
            Self::Database(database) => Form::of(database.kind),
            Self::Volume(..) => Form::Tar,
        }
    }

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
    pub(in super::super) async fn team_of_volume(
        &self,
        volume: &VolumeId,
    ) -> Result<Option<TeamId>, EngineError> {
        Ok(self.reader().team_of(Object::Volume, &volume.to_string()).await?)
    }

    /// What a subject is now; none: it is gone, or in the trash. Whether a volume is still there nobody is asked.
    pub(super) async fn source_of(&self, subject: &Subject) -> Result<Option<Source>, EngineError> {
        Ok(match subject {
            Subject::Database(number) => {
                let found = self.reader().database_by_id(*number).await?;
                found
                    .filter(|database| database.deleted.is_none())
                    .map(|database| Source::Database(Box::new(database)))
            }
            Subject::Volume(volume) => {
                let team = self.team_of_volume(volume).await?;
                team.map(|team| Source::Volume(volume.clone(), team))
            }
        })
    }
}
