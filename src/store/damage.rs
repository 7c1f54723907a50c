//! Whether the database is damaged, where, and what brings it back. Repairs nothing.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::error::StoreError;

/// How many findings are told: the first few say as much as all.
const FINDINGS: u32 = 3;

/// SQLite's quick check: every page of every table and index, without comparing one with the other.
pub(super) fn look_over(connection: &Connection) -> Result<(), StoreError> {
    look(connection, "quick_check")
}

/// SQLite's whole check, which compares each index with its table as well.
pub(super) fn look_through(connection: &Connection) -> Result<(), StoreError> {
    look(connection, "integrity_check")
}

/// Where something is found, the tables that are hit are named.
fn look(connection: &Connection, check: &str) -> Result<(), StoreError> {
    let found = match findings(connection, check, FINDINGS) {
        Ok(found) if found.is_empty() => return Ok(()),
        Ok(found) => found,
        // Damage may break off the check itself.
        Err(StoreError::Corrupt(why)) => vec![why],
        Err(error) => return Err(error),
    };
    let mut hit = Vec::new();
    for table in tables(connection)? {
        match findings(connection, check, format!("'{table}'")) {
            Ok(found) if found.is_empty() => {}
            Ok(_) | Err(StoreError::Corrupt(_)) => hit.push(table),
            Err(error) => return Err(error),
        }
    }
    let part = if hit.is_empty() { String::new() } else { format!("in {}: ", hit.join(", ")) };
    Err(StoreError::Corrupt(part + &found.join("; ")))
}

/// What a check finds, a line each; nothing where all is well.
fn findings(
    connection: &Connection,
    check: &str,
    argument: impl std::fmt::Display,
) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare(&format!("PRAGMA {check}({argument})"))?;
    let found = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<Result<Vec<_>, _>>()?;
    Ok(if found == ["ok"] { Vec::new() } else { found.iter().map(|line| line.replace('\n', " ")).collect() })
}

fn tables(connection: &Connection) -> Result<Vec<String>, StoreError> {
    let mut statement = connection.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?;
    Ok(statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?)
}

/// What to do about a damaged database, with the backup that is there.
#[must_use]
pub fn cure(database: &Path, backups: &Path) -> String {
    let backup = match newest(backups) {
        Ok(Some(backup)) => format!("{}, the newest backup,", backup.display()),
        Ok(None) => format!(
            "a backup of your own (there is none in {}, where rivetr keeps one from before each upgrade)",
            backups.display()
        ),
        Err(error) => format!("the newest backup from {} ({error})", backups.display()),
    };
    replace(database, &backup)
}

/// How a person puts a backup in the place of the database. A socket that still listens would start rivetr meanwhile.
pub(super) fn replace(database: &Path, backup: &str) -> String {
    format!(
        "stop rivetr and what starts it (systemctl stop rivetr.socket rivetr-http.socket rivetr.service, with --user \
         for a user's own), move {} aside together with its -wal and -shm, copy {backup} there with `cp \
         --preserve`, and start all three again; what changed since then is lost",
        database.display()
    )
}

/// The backup that was written last.
fn newest(backups: &Path) -> std::io::Result<Option<PathBuf>> {
    let entries = match std::fs::read_dir(backups) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut dated = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().extension().is_some_and(|extension| extension == "db") {
            dated.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    Ok(dated.into_iter().max().map(|(_, path)| path))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;
    use std::time::Duration;

    use super::super::testing::Fixture;
    use super::*;

    const PAGE: u64 = 4096;
    const LIMIT: Duration = Duration::from_mins(1);

    /// Writes the log into the file, and says on which page a table or index begins.
    fn root_page(store: &Fixture, name: &str) -> u64 {
        let connection = Connection::open(store.path()).unwrap();
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
        connection.query_row(sql, [name], |row| row.get::<_, u32>(0)).unwrap().into()
    }

    fn overwrite(store: &Fixture, page: u64) {
        let file = std::fs::OpenOptions::new().write(true).open(store.path()).unwrap();
        file.write_all_at(&[0xA5; 64], (page - 1) * PAGE).unwrap();
    }

    #[tokio::test]
    async fn damage_on_the_disk_is_found_by_who_has_read_it_before_and_its_table_is_named() {
        for (name, table) in [("webhook", "webhook"), ("domain_app", "domain")] {
            let store = Fixture::new();
            store.app("blog").await;
            let page = root_page(&store, name);
            assert!(store.reader.integrity(LIMIT).await.unwrap());
            overwrite(&store, page);
            let error = store.reader.integrity(LIMIT).await.unwrap_err();
            let StoreError::Corrupt(detail) = error else { panic!("{error}") };
            assert!(detail.starts_with(&format!("in {table}: ")), "{detail}");
        }
    }

    #[tokio::test]
    async fn an_index_that_does_not_fit_its_table_is_found() {
        let store = Fixture::new();
        store.app("blog").await;
        let connection = Connection::open(store.path()).unwrap();
        connection.pragma_update(None, "writable_schema", true).unwrap();
        let sql =
            "UPDATE sqlite_schema SET sql = replace(sql, 'project, environment', 'environment, project')
                   WHERE name = 'app_environment'";
        assert_eq!(connection.execute(sql, []).unwrap(), 1);
        let connection = Connection::open(store.path()).unwrap();
        look_over(&connection).unwrap();
        let StoreError::Corrupt(detail) = look_through(&connection).unwrap_err() else { panic!() };
        assert!(detail.starts_with("in app: ") && detail.contains("app_environment"), "{detail}");
    }

    #[test]
    fn the_cure_names_the_newest_backup_and_claims_none_that_is_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let (database, backups) = (folder.path().join("rivetr.db"), folder.path().join("backup"));
        let text = cure(&database, &backups);
        assert!(text.contains("there is none in "), "{text}");
        std::fs::create_dir(&backups).unwrap();
        for (age, name) in
            [(20, "rivetr-1-a.db"), (10, "rivetr-2-b.db"), (0, "rivetr-3-c.part"), (30, "rivetr-9.db")]
        {
            let file = std::fs::File::create(backups.join(name)).unwrap();
            let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000 - age);
            file.set_modified(long_ago).unwrap();
        }
        let text = cure(&database, &backups);
        assert!(text.contains("/backup/rivetr-2-b.db, the newest backup, there"), "{text}");
    }
}
