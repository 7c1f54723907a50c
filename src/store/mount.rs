//! Files that are mounted into an app's container. Contents come sealed and stay so.

use rusqlite::{Connection, OptionalExtension, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::app::AppId;
use crate::domain::mount::{MountPath, MountedFile};
use crate::domain::secret::Sealed;

/// The contents of all files of an app together, in bytes: each deployment keeps a copy.
const APP_MAX: i64 = 4_000_000;

/// Why a file could not be set.
#[derive(Debug, Error)]
pub enum SetFileError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// They would be more than a deployment keeps.
    #[error("all mounted files together can hold at most 4 MB: bring larger ones with the image or a volume")]
    TooLong,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Sets a file, or takes the place of the one at its path.
    pub async fn set_file(&self, app: AppId, file: MountedFile) -> Result<(), SetFileError> {
        self.write(move |tx| set(tx, app, &file)).await
    }

    /// Removes a file; false: there is none at that path.
    pub async fn unset_file(&self, app: AppId, path: &MountPath) -> Result<bool, StoreError> {
        let path = path.clone();
        self.write(move |tx| {
            let sql = "DELETE FROM mounted_file WHERE app = ?1 AND path = ?2";
            Ok(tx.execute(sql, (app.0, path.as_str()))? > 0)
        })
        .await
    }
}

impl Reader {
    /// The files of an app, by path.
    pub async fn files(&self, app: AppId) -> Result<Vec<MountedFile>, StoreError> {
        self.read(move |tx| of_app(tx, app)).await
    }
}

fn set(tx: &Transaction<'_>, app: AppId, file: &MountedFile) -> Result<(), SetFileError> {
    let there = tx.query_row("SELECT 1 FROM app WHERE id = ?1", [app.0], |_| Ok(()));
    if there.optional().map_err(StoreError::from)?.is_none() {
        return Err(SetFileError::NoApp);
    }
    if write(tx, app, file)? > APP_MAX {
        return Err(SetFileError::TooLong);
    }
    Ok(())
}

/// Returns how long all files of the app are now.
fn write(tx: &Transaction<'_>, app: AppId, file: &MountedFile) -> Result<i64, StoreError> {
    let MountedFile { path, content } = file;
    tx.execute(
        "INSERT INTO mounted_file (app, path, content) VALUES (?1, ?2, ?3) \
         ON CONFLICT (app, path) DO UPDATE SET content = excluded.content",
        (app.0, path.as_str(), &content.0),
    )?;
    let sql = "SELECT coalesce(sum(length(content)), 0) FROM mounted_file WHERE app = ?1";
    Ok(tx.query_row(sql, [app.0], |row| row.get(0))?)
}

/// The files of an app, by path, in the transaction at hand.
pub(super) fn of_app(connection: &Connection, app: AppId) -> Result<Vec<MountedFile>, StoreError> {
    let sql = "SELECT path, content FROM mounted_file WHERE app = ?1 ORDER BY path";
    row::all(connection, sql, [app.0], |row| {
        let path = row::parsed(row, "path", MountPath::parse)?;
        Ok(MountedFile { path, content: Sealed(row::number(row, "content")?) })
    })
}

/// Forgets the files of an app.
pub(super) fn forget(tx: &Transaction<'_>, app: AppId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM mounted_file WHERE app = ?1", [app.0])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;

    fn file(path: &str, content: &[u8]) -> MountedFile {
        MountedFile { path: MountPath::parse(path).unwrap(), content: Sealed(content.to_vec()) }
    }

    #[tokio::test]
    async fn files_are_set_replaced_copied_and_removed() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        for (path, content) in [("/b", b"1"), ("/a", b"2"), ("/b", b"3")] {
            store.writer.set_file(app.id, file(path, content)).await.unwrap();
        }
        let expect = [file("/a", b"2"), file("/b", b"3")];
        assert_eq!(store.reader.files(app.id).await.unwrap(), expect);
        assert_eq!(store.enqueue(&app).await.settings.files, expect);
        assert!(store.writer.unset_file(app.id, &expect[0].path).await.unwrap());
        assert!(!store.writer.unset_file(app.id, &expect[0].path).await.unwrap());

        let long = vec![0; usize::try_from(APP_MAX).unwrap()];
        let refused = store.writer.set_file(app.id, file("/c", &long)).await;
        assert!(matches!(refused, Err(SetFileError::TooLong)));
        assert_eq!(store.reader.files(app.id).await.unwrap(), [file("/b", b"3")]);
        let nobody = store.writer.set_file(AppId(99), file("/c", b"1")).await;
        assert!(matches!(nobody, Err(SetFileError::NoApp)));
    }
}
