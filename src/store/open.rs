//! Opens the database: makes it when it is not there, looks it over, brings it up to date, starts the writer.
//!
//! Does not keep a second rivetr out (the lock of the state directory does), and does not restore backups.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, MAIN_DB, OpenFlags, TransactionBehavior};
use thiserror::Error;

use super::damage::{self, look_over};
use super::error::StoreError;
use super::migrate::{self, MigrateError};
use super::reader::Reader;
use super::writer::Writer;
use crate::domain::time::Timestamp;

/// How long a statement waits for another program that holds the file, such as a person's `sqlite3`.
const BUSY: Duration = Duration::from_secs(5);

/// The write-ahead log is cut to this many bytes when it could be emptied.
const WAL_LIMIT: i64 = 16 << 20;

/// Only rivetr's user reads the database: it holds the values of variables.
const MODE: u32 = 0o600;

/// Marks a file as rivetr's; the first migration writes it.
const APPLICATION_ID: i64 = 0x7276_7472;

/// Why the database could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// A file of rivetr's could not be made.
    #[error("the database {} cannot be created: {cause}; give its directory to the user that rivetr runs as", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is damaged.
    #[error(
        "the database {} is damaged ({detail}). Apps go on running. To repair: {cure}",
        path.display()
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What the check found.
        detail: String,
        /// What brings it back.
        cure: String,
    },
    /// A database of another program.
    #[error("{} is a database, but not one of rivetr's: move it away, or name another state directory", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It could not be brought up to date, or a newer rivetr wrote it.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The thread that writes could not be started.
    #[error("the thread that writes the database cannot be started: {0}")]
    Thread(std::io::Error),
    /// Anything else, by kind.
    #[error("{}: {cause}", path.display())]
    Store {
        /// The file.
        path: PathBuf,
        /// What the store says.
        cause: StoreError,
    },
}

/// Whether no database has ever been at `path`. Next to existing repositories that means that it was lost.
pub fn is_fresh(path: &Path) -> std::io::Result<bool> {
    match path.metadata() {
        Ok(metadata) => Ok(metadata.len() == 0),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error),
    }
}

/// Opens the database at `path`, making it if need be; before an older one is brought up to date, a copy
/// goes to `backups`. Blocks for a few milliseconds.
pub fn open(path: &Path, backups: &Path, now: Timestamp) -> Result<(Writer, Reader), OpenError> {
    let failed = |cause: StoreError| {
        let path = path.to_owned();
        if let StoreError::Corrupt(detail) = cause {
            return OpenError::Corrupt { detail, cure: damage::cure(&path, backups), path };
        }
        OpenError::Store { path, cause }
    };
    create(path).map_err(|cause| OpenError::Create { path: path.to_owned(), cause })?;
    let mut connection = connect(path, Access::Write).map_err(failed)?;
    match whose(&connection).map_err(failed)? {
        Whose::Another => return Err(OpenError::Foreign { path: path.to_owned() }),
        Whose::Nobodys => {}
        Whose::Ours => {
            migrate::refuse_newer(&connection, path, backups).map_err(|e| untangle(e, failed))?;
            look_over(&connection).map_err(failed)?;
        }
    }
    migrate::to_latest(&mut connection, path, backups, now).map_err(|e| untangle(e, failed))?;
    use_write_ahead_log(&connection).map_err(failed)?;
    migrate::sign(&connection).map_err(failed)?;
    empty_the_log(&connection).map_err(failed)?;
    let writer = Writer::start(connection).map_err(OpenError::Thread)?;
    Ok((writer, Reader::new(path.to_owned())))
}

/// Whether a file is a database of rivetr's that this version can open, or bring up to date. It is not changed.
pub fn check(path: &Path) -> Result<(), OpenError> {
    let failed = |cause| OpenError::Store { path: path.to_owned(), cause };
    let connection = connect(path, Access::Read).map_err(failed)?;
    match whose(&connection).map_err(failed)? {
        Whose::Another | Whose::Nobodys => Err(OpenError::Foreign { path: path.to_owned() }),
        Whose::Ours => {
            let folder = path.parent().unwrap_or(path);
            migrate::refuse_newer(&connection, path, folder).map_err(|e| untangle(e, failed))?;
            look_over(&connection).map_err(failed)
        }
    }
}

/// Whether this rivetr could open the database at `path` and bring it up to date: tried on a copy in `scratch`, an
/// empty folder. The database may be in use meanwhile, and stays as it is.
pub fn rehearse(path: &Path, backups: &Path, scratch: &Path, now: Timestamp) -> Result<(), OpenError> {
    let failed = |cause: StoreError| OpenError::Store { path: path.to_owned(), cause };
    let copy = scratch.join("rivetr.db");
    let connection = connect(path, Access::Read).map_err(failed)?;
    match whose(&connection).map_err(failed)? {
        Whose::Another => return Err(OpenError::Foreign { path: path.to_owned() }),
        Whose::Nobodys => return Ok(()),
        Whose::Ours => {}
    }
    migrate::refuse_newer(&connection, path, backups).map_err(|e| untangle(e, failed))?;
    migrate::copy_whole(&connection, scratch, &copy)
        .map_err(|cause| MigrateError::Backup { to: copy.clone(), cause })?;
    let mut connection = connect(&copy, Access::Write).map_err(failed)?;
    migrate::to_latest(&mut connection, &copy, &scratch.join("backup"), now).map_err(|e| untangle(e, failed))
}

/// What a connection may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    Read,
    Write,
}

/// A connection as every one of rivetr's is set up.
pub(super) fn connect(path: &Path, access: Access) -> Result<Connection, StoreError> {
    let direction = match access {
        Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
        Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE,
    };
    let mut connection = Connection::open_with_flags(path, direction | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cell_size_check", true)?;
    if access == Access::Write {
        // SQLite opens a write-protected file for reading without a word.
        if connection.is_readonly(MAIN_DB)? {
            return Err(StoreError::NotWritable);
        }
        connection.set_transaction_behavior(TransactionBehavior::Immediate);
        connection.pragma_update(None, "journal_size_limit", WAL_LIMIT)?;
    }
    Ok(connection)
}

/// Makes an empty file that only rivetr's user reads, if there is none; an existing one is not opened,
/// for closing it would end SQLite's own locks of this process.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(file) => {
            file.sync_all()?;
            sync_parent(path)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes a new name in a directory survive a power cut.
pub(super) fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => File::open(directory)?.sync_all(),
        _ => Ok(()),
    }
}

enum Whose {
    Ours,
    Nobodys,
    Another,
}

fn whose(connection: &Connection) -> Result<Whose, StoreError> {
    let id: i64 = connection.pragma_query_value(None, "application_id", |row| row.get(0))?;
    if id == APPLICATION_ID {
        return Ok(Whose::Ours);
    }
    let entries: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    Ok(if entries == 0 { Whose::Nobodys } else { Whose::Another })
}

/// From here on a commit is an append to the log. The schema of a new file was written before this, so
/// that losing the log loses the last changes and never everything.
fn use_write_ahead_log(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::NotWritable);
    }
    Ok(())
}

/// Writes what is in the log into the file, as far as other programs that read it allow. Needs a
/// transaction since the switch to the log: before one, SQLite says that the table is locked.
fn empty_the_log(connection: &Connection) -> Result<(), StoreError> {
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(())
}

/// Damage and full disks are told the same way wherever they are met.
fn untangle(error: MigrateError, failed: impl FnOnce(StoreError) -> OpenError) -> OpenError {
    if let MigrateError::Store(cause) = error {
        return failed(cause);
    }
    OpenError::Migrate(error)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::super::testing::{Fixture, NOW, without_root_power};
    use super::*;

    #[tokio::test]
    async fn every_connection_keeps_foreign_keys_and_waits_for_the_disk() {
        let store = Fixture::new();
        let wanted = (1, 2, "wal".to_owned());
        let pragmas = |tx: &rusqlite::Transaction<'_>| -> Result<(i64, i64, String), StoreError> {
            Ok((
                tx.pragma_query_value(None, "foreign_keys", |row| row.get(0))?,
                tx.pragma_query_value(None, "synchronous", |row| row.get(0))?,
                tx.pragma_query_value(None, "journal_mode", |row| row.get(0))?,
            ))
        };
        assert_eq!(store.writer.write(pragmas).await.unwrap(), wanted);
        assert_eq!(store.reader.read(pragmas).await.unwrap(), wanted);
    }

    #[tokio::test]
    async fn only_its_user_reads_the_database() {
        let store = Fixture::new();
        store.app("blog").await;
        for file in
            [store.path(), store.path().with_extension("db-wal"), store.path().with_extension("db-shm")]
        {
            assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600, "{}", file.display());
        }
    }

    #[test]
    fn a_database_is_fresh_until_it_was_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rivetr.db");
        assert!(is_fresh(&path).unwrap());
        File::create(&path).unwrap();
        assert!(is_fresh(&path).unwrap());
        drop(open(&path, folder.path(), NOW).unwrap());
        assert!(!is_fresh(&path).unwrap());
        assert!(is_fresh(&path.join("below-a-file")).is_err());
    }

    #[tokio::test]
    async fn an_upgrade_is_tried_on_a_copy() {
        let store = Fixture::new();
        store.app("blog").await;
        let (path, backups) = (store.path(), store.backups());
        let bytes = store.copy_of_everything();
        let rehearsed = || rehearse(&path, &backups, tempfile::tempdir().unwrap().path(), NOW);
        rehearsed().unwrap();
        let newest = connect(&path, Access::Read)
            .unwrap()
            .pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
            .unwrap();
        for (number, wrong) in [(newest - 1, "could not be brought up to date"), (99, "install that version")]
        {
            let set = move |tx: &rusqlite::Transaction<'_>| -> Result<(), StoreError> {
                Ok(tx.pragma_update(None, "user_version", number)?)
            };
            store.writer.write(set).await.unwrap();
            let error = rehearsed().unwrap_err().to_string();
            assert!(error.contains(wrong), "{error}");
        }
        let back = move |tx: &rusqlite::Transaction<'_>| -> Result<(), StoreError> {
            Ok(tx.pragma_update(None, "user_version", newest)?)
        };
        store.writer.write(back).await.unwrap();
        rehearsed().unwrap();
        assert_eq!(store.copy_of_everything(), bytes, "it is as it was");
        assert!(!backups.exists());
    }

    #[tokio::test]
    async fn losing_the_log_never_loses_everything() {
        let store = Fixture::new();
        let (path, backups) = (store.path(), store.backups());
        let copy = path.with_file_name("copy.db");
        std::fs::copy(&path, &copy).unwrap();
        let (_writer, reader) = open(&copy, &backups, NOW).unwrap();
        assert_eq!(reader.apps().await.unwrap(), []);
        assert!(!backups.exists(), "nothing was migrated");
    }

    #[tokio::test]
    async fn a_damaged_page_is_found_whichever_it_is() {
        const PAGE: usize = 4096;
        let store = Fixture::new();
        for number in 0..20 {
            store.app(&format!("app-{number}")).await;
        }
        let whole = store.copy_of_everything();
        assert!(whole.len() > 20 * PAGE);
        for page in 0..whole.len() / PAGE {
            let mut bytes = whole.clone();
            bytes[page * PAGE..page * PAGE + 64].fill(0xA5);
            let error = open(&store.scratch(&bytes), &store.backups(), NOW).err();
            assert!(matches!(error, Some(OpenError::Corrupt { .. })), "page {page}: {error:?}");
        }
    }

    #[test]
    fn a_file_that_is_no_database_and_one_that_is_not_ours_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rivetr.db");
        std::io::Write::write_all(&mut File::create(&path).unwrap(), &[7; 8192]).unwrap();
        let error = open(&path, folder.path(), NOW).err().unwrap();
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("stop rivetr and what starts it"), "{error}");

        let other = folder.path().join("other.db");
        Connection::open(&other).unwrap().execute_batch("CREATE TABLE notes (text)").unwrap();
        let error = open(&other, folder.path(), NOW).err().unwrap();
        assert!(matches!(error, OpenError::Foreign { .. }), "{error}");
    }

    #[test]
    fn a_directory_that_may_not_be_written_is_told_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rivetr.db");
        drop(open(&path, folder.path(), NOW).unwrap());
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o500)).unwrap();
        let (existing, fresh) = without_root_power(|| {
            let fresh = folder.path().join("fresh.db");
            (open(&path, folder.path(), NOW).err().unwrap(), open(&fresh, folder.path(), NOW).err().unwrap())
        });
        std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o700)).unwrap();
        assert!(matches!(existing, OpenError::Store { cause: StoreError::NotWritable, .. }), "{existing}");
        assert!(matches!(fresh, OpenError::Create { .. }), "{fresh}");
    }
}
