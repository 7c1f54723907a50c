//! What can go wrong when the engine is asked for something, as its faces need to tell it apart.

use thiserror::Error;

use crate::domain::deployment::IllegalMove;
use crate::domain::quota::OverQuota;
use crate::host::git::GitError;
use crate::store::{
    AllocateError, BeginOneOffError, ChangeProjectError, CreateAppError, CreateKeyError, CreateProjectError,
    DeleteAppError, DeleteKeyError, EnqueueError, SaveError, ScaleError, SetSourceError, StoreError,
};

/// Why the engine did not do what it was asked.
#[derive(Debug, Error)]
pub enum EngineError {
    /// There is no such thing.
    #[error("there is no {what} {name:?}")]
    NotFound {
        /// "app", "deployment".
        what: &'static str,
        /// What was asked for.
        name: String,
    },
    /// It is taken, or in the way of something that is there.
    #[error("{message}")]
    Conflict {
        /// The field of the request.
        field: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// It cannot be used.
    #[error("{message}")]
    Invalid {
        /// The field of the request.
        field: &'static str,
        /// What is wrong and what to do.
        message: String,
    },
    /// The deployment's state does not allow it.
    #[error(transparent)]
    IllegalMove(#[from] IllegalMove),
    /// Not now.
    #[error("{0}")]
    Unavailable(String),
    /// Not the caller's fault; the log says more.
    #[error("{0}")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl EngineError {
    pub(super) fn internal(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Internal(Box::new(error))
    }

    pub(super) fn no_app(name: &crate::domain::name::Slug) -> Self {
        Self::NotFound { what: "app", name: name.to_string() }
    }
}

impl From<StoreError> for EngineError {
    fn from(error: StoreError) -> Self {
        match error {
            // Whoever asks can see to it, and needs no other words.
            StoreError::DiskFull | StoreError::Locked | StoreError::NotWritable => {
                Self::Unavailable(error.to_string())
            }
            error @ (StoreError::Corrupt(_)
            | StoreError::Malformed(_)
            | StoreError::Disk(_)
            | StoreError::Panicked(_)
            | StoreError::Stopped(_)
            | StoreError::Other(_)) => Self::internal(error),
        }
    }
}

impl From<GitError> for EngineError {
    fn from(error: GitError) -> Self {
        Self::internal(error)
    }
}

impl From<CreateAppError> for EngineError {
    fn from(error: CreateAppError) -> Self {
        let message = error.to_string();
        match error {
            CreateAppError::SlugTaken(_) => Self::Conflict { field: "name", message },
            CreateAppError::HostTaken { .. } => Self::Conflict { field: "hosts", message },
            CreateAppError::NoProject(_) => Self::Invalid { field: "project", message },
            CreateAppError::NoEnvironment { .. } => Self::Invalid { field: "environment", message },
            CreateAppError::NoKey(_) => Self::Invalid { field: "git_key", message },
            CreateAppError::OverQuota(over) => over.into(),
            CreateAppError::Store(error) => error.into(),
        }
    }
}

impl From<OverQuota> for EngineError {
    fn from(OverQuota { field, message }: OverQuota) -> Self {
        Self::Invalid { field, message }
    }
}

impl From<SetSourceError> for EngineError {
    fn from(error: SetSourceError) -> Self {
        let message = error.to_string();
        match error {
            SetSourceError::NoApp => Self::NotFound { what: "app", name: String::new() },
            SetSourceError::NoKey(_) => Self::Invalid { field: "git_key", message },
            SetSourceError::Store(error) => error.into(),
        }
    }
}

impl From<CreateKeyError> for EngineError {
    fn from(error: CreateKeyError) -> Self {
        let message = error.to_string();
        match error {
            CreateKeyError::NameTaken(_) => Self::Conflict { field: "name", message },
            CreateKeyError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteKeyError> for EngineError {
    fn from(error: DeleteKeyError) -> Self {
        let message = error.to_string();
        match error {
            DeleteKeyError::NoKey(name) => Self::NotFound { what: "key", name: name.to_string() },
            DeleteKeyError::Used { .. } => Self::Conflict { field: "name", message },
            DeleteKeyError::Store(error) => error.into(),
        }
    }
}

impl From<EnqueueError> for EngineError {
    fn from(error: EnqueueError) -> Self {
        let message = error.to_string();
        match error {
            EnqueueError::Deleting(_) => Self::Conflict { field: "app", message },
            EnqueueError::NoApp => Self::NotFound { what: "app", name: String::new() },
            EnqueueError::Store(error) => error.into(),
        }
    }
}

impl From<BeginOneOffError> for EngineError {
    fn from(error: BeginOneOffError) -> Self {
        let message = error.to_string();
        match error {
            BeginOneOffError::NoApp => Self::NotFound { what: "app", name: String::new() },
            BeginOneOffError::Deleting(_)
            | BeginOneOffError::TooMany(_)
            | BeginOneOffError::Allocate(AllocateError::Exhausted(_)) => {
                Self::Conflict { field: "app", message }
            }
            BeginOneOffError::Allocate(error) => Self::internal(error),
            BeginOneOffError::Store(error) => error.into(),
        }
    }
}

impl From<CreateProjectError> for EngineError {
    fn from(error: CreateProjectError) -> Self {
        let message = error.to_string();
        match error {
            CreateProjectError::Taken(_) | CreateProjectError::PoolExhausted { .. } => {
                Self::Conflict { field: "name", message }
            }
            CreateProjectError::NoTeam => Self::Conflict { field: "team", message },
            CreateProjectError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeProjectError> for EngineError {
    fn from(error: ChangeProjectError) -> Self {
        let message = error.to_string();
        match error {
            ChangeProjectError::NoProject(name) => Self::NotFound { what: "project", name: name.to_string() },
            ChangeProjectError::NoEnvironment { environment, .. } => {
                Self::NotFound { what: "environment", name: environment.to_string() }
            }
            ChangeProjectError::EnvironmentTaken { .. } => Self::Conflict { field: "name", message },
            ChangeProjectError::HasApps { .. } => Self::Conflict { field: "apps", message },
            ChangeProjectError::HasDatabases { .. } => Self::Conflict { field: "databases", message },
            ChangeProjectError::OnlyEnvironment(_) => Self::Conflict { field: "environment", message },
            ChangeProjectError::Store(error) => error.into(),
        }
    }
}

impl From<DeleteAppError> for EngineError {
    fn from(error: DeleteAppError) -> Self {
        match error {
            DeleteAppError::Store(error) => error.into(),
            DeleteAppError::NoApp | DeleteAppError::NotBegun => {
                Self::Conflict { field: "app", message: error.to_string() }
            }
        }
    }
}

impl From<ScaleError> for EngineError {
    fn from(error: ScaleError) -> Self {
        let message = error.to_string();
        match error {
            ScaleError::Store(error) => error.into(),
            ScaleError::NoApp => Self::NotFound { what: "app", name: String::new() },
            ScaleError::Deleting(_) => Self::Conflict { field: "app", message },
            ScaleError::OverQuota(OverQuota { field: _, message }) => {
                Self::Invalid { field: "replicas", message }
            }
            ScaleError::AtWork(_) => Self::Conflict { field: "replicas", message },
        }
    }
}

impl From<SaveError> for EngineError {
    fn from(error: SaveError) -> Self {
        match error {
            SaveError::Stale(illegal) => illegal.into(),
            SaveError::Store(error) => error.into(),
            SaveError::Gone | SaveError::AnotherAtWork(_) | SaveError::NoAddress | SaveError::Deleting(_) => {
                Self::Conflict { field: "app", message: error.to_string() }
            }
        }
    }
}
