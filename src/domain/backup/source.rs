//! What is backed up, looked up: a database, or a volume of an app or a service.

use super::super::database::Database;
use super::super::person::TeamId;
use super::super::volume::VolumeId;
use super::{Form, Subject};

/// What is backed up.
#[derive(Debug, Clone, PartialEq, Eq)]
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
}
