//! Brings an older database up to date: the folder `migrations/` is the list, one transaction does them
//! all, and a copy is kept from before. A database of a newer rivetr is refused before it is touched.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use include_dir::{Dir, include_dir};
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};
use rusqlite_migration::{M, Migrations, MigrationsBuilder};
use thiserror::Error;

use super::damage::{look_over, replace};
use super::error::StoreError;
use super::open::{Access, connect, create, sync_parent};
use crate::domain::time::Timestamp;

static FOLDER: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/migrations");

/// This rivetr, as it signs the databases it opens.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Why a database could not be brought up to date; it is as it was.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// A newer rivetr wrote it.
    #[error(
        "the database {} was written by rivetr {written_by} (its schema has number {found}, this rivetr {VERSION} \
         knows {known}): install that version or a newer one. To stay with this one: {}",
        path.display(), replace(path, &format!("the backup from before the upgrade, from {},", backups.display()))
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Where backups are kept.
        backups: PathBuf,
        /// Its schema's number.
        found: usize,
        /// The newest schema this rivetr knows.
        known: usize,
        /// The version of rivetr that wrote it.
        written_by: String,
    },
    /// The copy could not be made, so nothing was changed.
    #[error("the database was not brought up to date, for its backup {} could not be written: {cause}", to.display())]
    Backup {
        /// The copy.
        to: PathBuf,
        /// What went wrong.
        cause: BackupError,
    },
    /// A migration does not apply.
    #[error(
        "the database could not be brought up to date ({0}): it is as it was; install the rivetr from before, and please report this"
    )]
    Apply(rusqlite_migration::Error),
    /// The database itself failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a copy could not be made.
#[derive(Debug, Error)]
pub enum BackupError {
    /// A file or directory.
    #[error(transparent)]
    File(#[from] std::io::Error),
    /// The database that is copied, or the copy.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite_migration::Error> for MigrateError {
    fn from(error: rusqlite_migration::Error) -> Self {
        if let rusqlite_migration::Error::RusqliteError { err, query } = error {
            let cause = StoreError::from(err);
            if let StoreError::Other(err) = cause {
                return Self::Apply(rusqlite_migration::Error::RusqliteError { query, err });
            }
            return Self::Store(cause);
        }
        Self::Apply(error)
    }
}

/// Refuses a database whose schema this rivetr does not know.
pub(super) fn refuse_newer(connection: &Connection, path: &Path, backups: &Path) -> Result<(), MigrateError> {
    let (found, known) = (version(connection)?, FOLDER.dirs().count());
    if found <= known {
        return Ok(());
    }
    // The newer schema may have moved it; then the number of the schema has to do.
    let written_by = connection
        .query_row("SELECT written_by FROM instance", [], |row| row.get(0))
        .unwrap_or_else(|_| "of a newer version".to_owned());
    Err(MigrateError::Newer { path: path.to_owned(), backups: backups.to_owned(), found, known, written_by })
}

/// Applies what is missing, after a copy of what is there.
pub(super) fn to_latest(
    connection: &mut Connection,
    path: &Path,
    backups: &Path,
    now: Timestamp,
) -> Result<(), MigrateError> {
    apply(&migrations()?, FOLDER.dirs().count(), connection, path, backups, now)
}

/// Writes which rivetr opened the database, for the message of [`MigrateError::Newer`].
pub(super) fn sign(connection: &Connection) -> Result<(), StoreError> {
    connection.execute("UPDATE instance SET written_by = ?1 WHERE written_by <> ?1", [VERSION])?;
    Ok(())
}

fn migrations() -> Result<Migrations<'static>, MigrateError> {
    let mut builder = MigrationsBuilder::from_directory(&FOLDER)?;
    for number in 1..=FOLDER.dirs().count() {
        builder = builder.edit(number, |migration: M<'_>| migration.foreign_key_check());
    }
    Ok(builder.finalize())
}

fn apply(
    migrations: &Migrations<'_>,
    newest: usize,
    connection: &mut Connection,
    path: &Path,
    backups: &Path,
    now: Timestamp,
) -> Result<(), MigrateError> {
    let from = version(connection)?;
    if from == newest {
        return Ok(());
    }
    let copy = if from == 0 { None } else { Some(back_up(connection, path, backups, from, now)?) };
    // While keys are enforced, replacing a table would take its children along; they are checked at the end.
    connection.pragma_update(None, "foreign_keys", false).map_err(StoreError::from)?;
    let applied = migrations.to_latest(connection);
    connection.pragma_update(None, "foreign_keys", true).map_err(StoreError::from)?;
    if let Err(error) = applied {
        // Nothing has changed, so the copy is of no use, and tries without end must not fill the disk.
        if let Some(copy) = copy
            && let Err(left) = std::fs::remove_file(&copy)
        {
            tracing::warn!(file = %copy.display(), error = %left, "a backup that is not needed could not be removed");
        }
        return Err(error.into());
    }
    tracing::info!(from, to = newest, "the database was brought up to date");
    Ok(())
}

fn version(connection: &Connection) -> Result<usize, StoreError> {
    let stored: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    usize::try_from(stored).map_err(|_| StoreError::Malformed("user_version"))
}

/// Copies the database to `<backups>/<its name>-<schema>-<time>.db`, whole or not at all.
fn back_up(
    connection: &Connection,
    path: &Path,
    backups: &Path,
    from: usize,
    now: Timestamp,
) -> Result<PathBuf, MigrateError> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let at = jiff::Timestamp::from_millisecond(now.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let to = backups.join(format!("{name}-{from}-{}.db", at.strftime("%Y%m%dT%H%M%SZ")));
    match copy_whole(connection, backups, &to) {
        Ok(()) => Ok(to),
        Err(cause) => Err(MigrateError::Backup { to, cause }),
    }
}

/// Copies the database to a file in `folder`, whole or not at all.
pub(super) fn copy_whole(connection: &Connection, folder: &Path, to: &Path) -> Result<(), BackupError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let aside = to.with_extension("part");
    let copied = copy_aside(connection, &aside).and_then(|()| {
        std::fs::rename(&aside, to)?;
        Ok(sync_parent(to)?)
    });
    if copied.is_err()
        && let Err(left) = remove_if_there(&aside)
    {
        tracing::warn!(file = %aside.display(), error = %left, "a half-written backup could not be removed");
    }
    copied
}

fn copy_aside(connection: &Connection, aside: &Path) -> Result<(), BackupError> {
    remove_if_there(aside)?;
    create(aside)?;
    let mut copy = connect(aside, Access::Write)?;
    let step =
        Backup::new(connection, &mut copy).and_then(|backup| backup.step(-1)).map_err(StoreError::from)?;
    if step != StepResult::Done {
        return Err(StoreError::Locked.into());
    }
    look_over(&copy)?;
    // A backup is one file: without this it would want a log beside it.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(())).map_err(StoreError::from)?;
    copy.close().map_err(|(_, error)| StoreError::from(error))?;
    Ok(())
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW};
    use super::super::{OpenError, open};
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_list_is_the_folder() {
        let on_disk = names(&Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations"));
        let mut built_in: Vec<_> = FOLDER.dirs().map(|dir| dir.path().display().to_string()).collect();
        built_in.sort();
        assert_eq!(built_in, on_disk, "touch src/store/migrate.rs to build the new ones in");
    }

    #[test]
    fn they_apply_to_an_empty_database_and_every_table_is_strict() {
        migrations().unwrap().validate().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        migrations().unwrap().to_latest(&mut connection).unwrap();
        assert_eq!(version(&connection).unwrap(), FOLDER.dirs().count());
        let mut tables = connection
            .prepare("SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite_%'")
            .unwrap();
        let tables: Vec<(String, bool)> = tables
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert!(tables.len() >= 8, "{tables:?}");
        for (name, strict) in tables {
            assert!(strict, "{name} is not STRICT");
        }
    }

    #[tokio::test]
    async fn a_newer_database_is_refused_untouched_and_the_message_says_what_to_do() {
        let store = Fixture::new();
        let (path, backups) = (store.path(), store.backups());
        store
            .writer
            .write(|tx| -> Result<(), StoreError> {
                tx.execute("UPDATE instance SET written_by = '9.8.7'", [])?;
                Ok(tx.pragma_update(None, "user_version", 99)?)
            })
            .await
            .unwrap();
        let bytes = store.copy_of_everything();
        let copy = path.with_file_name("newer.db");
        std::fs::copy(store.scratch(&bytes), &copy).unwrap();
        let error = open(&copy, &backups, NOW).err().unwrap();
        assert!(matches!(error, OpenError::Migrate(MigrateError::Newer { found: 99, .. })), "{error}");
        let message = error.to_string();
        for part in ["rivetr 9.8.7", "number 99", "install that version", "backup from before the upgrade"] {
            assert!(message.contains(part), "{part:?} is not in {message:?}");
        }
        assert_eq!(std::fs::read(&copy).unwrap(), bytes);
        assert!(!backups.exists());
    }

    #[test]
    fn hosts_become_domains() {
        let migrations = migrations().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        migrations.to_version(&mut connection, 8).unwrap();
        connection
            .execute_batch(
                "INSERT INTO project (id, slug, subnet) VALUES (1, 'p', '10.90.0.0/24'); \
                 INSERT INTO environment (project, slug) VALUES (1, 'e'); \
                 INSERT INTO app (id, slug, project, environment, source, settings, created) \
                 VALUES (7, 'a', 1, 'e', '{}', '{}', 0); \
                 INSERT INTO host (name, app, automatic) VALUES ('b.test', 7, 0), ('a.test', 7, 0), ('c.test', 7, 1);",
            )
            .unwrap();
        migrations.to_latest(&mut connection).unwrap();
        let mut domains = connection
            .prepare(
                "SELECT app || ' ' || host || path || ' ' || strip || https_redirect || automatic FROM domain ORDER BY id",
            )
            .unwrap();
        let domains: Vec<String> =
            domains.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(domains, ["7 b.test/ 010", "7 a.test/ 010", "7 c.test/ 011"]);
        let traffic: String = connection.query_row("SELECT traffic FROM app", [], |row| row.get(0)).unwrap();
        assert_eq!(traffic, "{}");
    }

    #[test]
    fn domains_of_services_become_domains_and_the_first_team_is_as_old_as_what_it_has() {
        let migrations = migrations().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        migrations.to_version(&mut connection, 21).unwrap();
        connection
            .execute_batch(
                "INSERT INTO project (id, slug, subnet, team) VALUES (3, 'p', '10.90.0.0/24', 1); \
                 INSERT INTO environment (project, slug) VALUES (3, 'e'); \
                 INSERT INTO app (id, slug, project, environment, source, settings, created) \
                 VALUES (7, 'a', 3, 'e', '{}', '{}', 1600000000000); \
                 INSERT INTO domain (id, app, host, path, strip) VALUES (9, 7, 'a.test', '/api', 1); \
                 INSERT INTO service (id, slug, project, salt, created) VALUES (4, 's', 3, 'x', 1700000000000); \
                 INSERT INTO service_domain (service, host, container, port, https_redirect) \
                 VALUES (4, 's.test', 'web', 80, 0);",
            )
            .unwrap();
        migrations.to_latest(&mut connection).unwrap();
        let mut domains = connection
            .prepare(
                "SELECT id || ' ' || coalesce(app, 'no app') || ' ' || coalesce(service || container || port, 'no service') \
                 || ' ' || host || path || ' ' || strip || https_redirect FROM domain ORDER BY id",
            )
            .unwrap();
        let domains: Vec<String> =
            domains.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        assert_eq!(domains, ["9 7 no service a.test/api 11", "10 no app 4web80 s.test/ 00"]);
        let created: i64 =
            connection.query_row("SELECT created FROM team WHERE id = 1", [], |row| row.get(0)).unwrap();
        assert_eq!(created, 1_600_000_000_000);
    }

    #[test]
    fn what_was_there_before_people_belongs_to_the_first_team() {
        let migrations = migrations().unwrap();
        let mut connection = Connection::open_in_memory().unwrap();
        migrations.to_version(&mut connection, 11).unwrap();
        connection
            .execute_batch(
                "INSERT INTO project (id, slug, subnet) VALUES (3, 'p', '10.90.0.0/24'); \
                 INSERT INTO key (name, public, private, created) VALUES ('k', 'x', x'00', 0); \
                 INSERT INTO token (name, scope, hash, created) VALUES ('t', 'read', zeroblob(32), 0);",
            )
            .unwrap();
        migrations.to_latest(&mut connection).unwrap();
        let seen: String = connection
            .query_row(
                "SELECT (SELECT group_concat(slug) FROM team) || ' ' || (SELECT team FROM project) || ' ' || \
                 (SELECT team FROM key) || ' ' || (SELECT user IS NULL AND team IS NULL FROM token)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(seen, "main 1 1 1");
        for broken in [
            "INSERT INTO project (slug, subnet) VALUES ('q', '10.90.1.0/24')",
            "INSERT INTO project (slug, subnet, team) VALUES ('q', '10.90.1.0/24', 9)",
            "UPDATE project SET team = NULL",
            "DELETE FROM team",
        ] {
            connection.pragma_update(None, "foreign_keys", true).unwrap();
            assert!(connection.execute(broken, []).is_err(), "{broken}");
        }
    }

    /// The folder's migrations and one more.
    fn with_another(sql: &'static str) -> (Migrations<'static>, usize) {
        let newest = FOLDER.dirs().count();
        let mut all: Vec<M<'static>> = Vec::new();
        let mut dirs: Vec<_> = FOLDER.dirs().collect();
        dirs.sort_by_key(|dir| dir.path());
        for dir in dirs {
            let file = dir.files().find(|file| file.path().ends_with("up.sql")).unwrap();
            all.push(M::up(file.contents_utf8().unwrap()).foreign_key_check());
        }
        all.push(M::up(sql).foreign_key_check());
        (Migrations::new(all), newest + 1)
    }

    #[tokio::test]
    async fn an_older_database_is_copied_before_it_is_changed() {
        let store = Fixture::new();
        store.app("blog").await;
        let (path, backups) = (store.path(), store.backups());
        let (migrations, newest) = with_another("CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT");
        let mut connection = connect(&path, Access::Write).unwrap();
        apply(&migrations, newest, &mut connection, &path, &backups, NOW).unwrap();
        assert_eq!(version(&connection).unwrap(), newest);

        let copies = names(&backups);
        assert_eq!(copies, [format!("rivetr-{}-20231114T221320Z.db", newest - 1)]);
        let (_writer, reader) = open(&backups.join(&copies[0]), &backups, NOW).unwrap();
        assert_eq!(reader.apps().await.unwrap().len(), 1, "the copy is whole, changes in the log included");
    }

    #[tokio::test]
    async fn a_migration_that_fails_changes_nothing_and_leaves_no_copy() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let (path, backups) = (store.path(), store.backups());
        let before = version(&connect(&path, Access::Write).unwrap()).unwrap();
        for broken in [
            "CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT; SELECT nothing FROM nowhere",
            "DELETE FROM project", // leaves apps without their project
        ] {
            let (migrations, newest) = with_another(broken);
            let mut connection = connect(&path, Access::Write).unwrap();
            let error = apply(&migrations, newest, &mut connection, &path, &backups, NOW).unwrap_err();
            assert!(matches!(error, MigrateError::Apply(_)), "{error}");
            assert_eq!(version(&connection).unwrap(), before);
            assert_eq!(names(&backups), [""; 0]);
        }
        assert_eq!(store.reader.apps().await.unwrap(), [app]);
    }

    #[tokio::test]
    async fn without_room_for_the_copy_nothing_is_changed() {
        let store = Fixture::new();
        let (path, blocked) = (store.path(), store.path().join("below-a-file"));
        let (migrations, newest) = with_another("CREATE TABLE more (id INTEGER PRIMARY KEY) STRICT");
        let mut connection = connect(&path, Access::Write).unwrap();
        let error = apply(&migrations, newest, &mut connection, &path, &blocked, NOW).unwrap_err();
        assert!(matches!(error, MigrateError::Backup { .. }), "{error}");
        assert_eq!(version(&connection).unwrap(), newest - 1);
    }
}
