//! What can go wrong with the database, told apart by what a person has to do about it.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
use thiserror::Error;

/// Why the store could not do what it was asked; nothing of the change was stored.
#[derive(Debug, Error)]
pub enum StoreError {
    /// There is no room for the change.
    #[error(
        "the disk that holds the database is full: free some space and try again, a restart is not needed"
    )]
    DiskFull,
    /// The file is damaged.
    #[error("the database is damaged ({0}): `rivetr doctor` says what to do; apps go on running")]
    Corrupt(String),
    /// A row holds something that rivetr never writes.
    #[error("the database holds a value that rivetr does not write, in {0}: undo what was edited by hand")]
    Malformed(&'static str),
    /// Another program holds the database.
    #[error("the database is held by another program: end it (a shell of sqlite3, a backup) and try again")]
    Locked,
    /// The file or its directory may not be written.
    #[error(
        "the database cannot be opened or written: give its directory and files to the user that rivetr runs as"
    )]
    NotWritable,
    /// The disk does not do what it is asked.
    #[error("the disk that holds the database fails ({0}): look into the kernel's log")]
    Disk(rusqlite::Error),
    /// A step of rivetr's own panicked; its transaction was taken back.
    #[error("a step in the store broke off ({0}): this is a mistake in rivetr, please report it")]
    Panicked(String),
    /// The thread that writes, or the runtime that reads, is gone.
    #[error("the store has stopped ({0}): restart rivetr")]
    Stopped(String),
    /// Anything else that SQLite says.
    #[error("the database refused: {0}")]
    Other(rusqlite::Error),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        if let E::FromSqlConversionFailure(..) | E::InvalidColumnType(..) | E::IntegralValueOutOfRange(..) =
            error
        {
            return Self::Corrupt(error.to_string());
        }
        let Some(cause) = error.sqlite_error() else { return Self::Other(error) };
        // Growing the shared index of the WAL fails this way on a full disk, not with SQLITE_FULL.
        if cause.extended_code == SQLITE_IOERR_SHMSIZE {
            return Self::DiskFull;
        }
        let code = cause.code;
        if code == ErrorCode::DiskFull {
            Self::DiskFull
        } else if matches!(code, ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) {
            Self::Corrupt(error.to_string())
        } else if matches!(code, ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) {
            Self::Locked
        } else if matches!(code, ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) {
            Self::NotWritable
        } else if code == ErrorCode::SystemIoFailure {
            Self::Disk(error)
        } else {
            Self::Other(error)
        }
    }
}
