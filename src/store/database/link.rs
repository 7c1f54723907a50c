//! Which apps are told of which databases.

use rusqlite::{Row, Transaction};
use thiserror::Error;

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::super::{app, row};
use crate::domain::app::AppId;
use crate::domain::database::{DatabaseId, Link, Prefix};
use crate::domain::name::Slug;

/// Why an app is not told of a database.
#[derive(Debug, Error)]
pub enum LinkError {
    /// They are apart.
    #[error(
        "the app {app} is in the project {apps}, and the database {database} in {databases}: projects do not reach \
         each other"
    )]
    OtherProject {
        /// The app.
        app: Slug,
        /// Its project.
        apps: Slug,
        /// The database.
        database: Slug,
        /// Its project.
        databases: Slug,
    },
    /// The variables of another database are called so.
    #[error("the app is told of {other} by variables that begin with {}_ already: give another prefix", prefix.as_str())]
    PrefixTaken {
        /// The prefix.
        prefix: Prefix,
        /// The other database.
        other: Slug,
    },
    /// The app or the database is gone, or on its way out.
    #[error("there is no such app or database any more")]
    Gone,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Has an app told of a database from its next deployment on; another prefix takes the place of the one it had.
    pub async fn link_database(&self, link: Link) -> Result<(), LinkError> {
        self.write(move |tx| put(tx, &link)).await
    }

    /// Ends that; whether there was such a link.
    pub async fn unlink_database(&self, app: AppId, database: DatabaseId) -> Result<bool, StoreError> {
        let sql = "DELETE FROM database_link WHERE app = ?1 AND database = ?2";
        self.write(move |tx| Ok(tx.execute(sql, (app.0, database.0))? > 0)).await
    }
}

impl Reader {
    /// Every link, of an app or of all.
    pub async fn database_links(&self, app: Option<AppId>) -> Result<Vec<Link>, StoreError> {
        let sql = "SELECT * FROM database_link WHERE ?1 IS NULL OR app = ?1 ORDER BY app, prefix";
        self.read(move |tx| row::all(tx, sql, [app.map(|app| app.0)], read)).await
    }
}

fn put(tx: &Transaction<'_>, link: &Link) -> Result<(), LinkError> {
    let app = app::by_id(tx, link.app)?.filter(|app| !app.deleting).ok_or(LinkError::Gone)?;
    let found = super::by_id(tx, link.database)?.filter(|database| database.deleted.is_none());
    let database = found.ok_or(LinkError::Gone)?;
    if app.project.id != database.project.id {
        return Err(LinkError::OtherProject {
            app: app.slug,
            apps: app.project.slug,
            database: database.slug,
            databases: database.project.slug,
        });
    }
    let sql = "SELECT * FROM database_link WHERE app = ?1 AND prefix = ?2 AND database <> ?3";
    let key = (link.app.0, link.prefix.as_str(), link.database.0);
    if let Some(other) = row::first(tx, sql, key, read)? {
        let other = super::by_id(tx, other.database)?.ok_or(LinkError::Gone)?;
        return Err(LinkError::PrefixTaken { prefix: link.prefix.clone(), other: other.slug });
    }
    let delete = "DELETE FROM database_link WHERE app = ?1 AND database = ?2";
    tx.execute(delete, (link.app.0, link.database.0)).map_err(StoreError::from)?;
    let insert = "INSERT INTO database_link (app, prefix, database) VALUES (?1, ?2, ?3)";
    tx.execute(insert, key).map_err(StoreError::from)?;
    Ok(())
}

/// The databases that an app is told of, by name, in the transaction at hand.
pub(in crate::store) fn names(tx: &Transaction<'_>, app: AppId) -> Result<Vec<Slug>, StoreError> {
    let sql =
        "SELECT slug FROM database_link JOIN database ON database.id = database WHERE app = ?1 ORDER BY slug";
    row::all(tx, sql, [app.0], |row| row::parsed(row, "slug", Slug::parse))
}

/// Forgets the links of an app.
pub(in crate::store) fn forget_app(tx: &Transaction<'_>, app: AppId) -> Result<(), StoreError> {
    tx.execute("DELETE FROM database_link WHERE app = ?1", [app.0])?;
    Ok(())
}

fn read(row: &Row<'_>) -> Result<Link, StoreError> {
    Ok(Link {
        app: AppId(row::number(row, "app")?),
        database: DatabaseId(row::number(row, "database")?),
        prefix: row::parsed(row, "prefix", Prefix::parse)?,
    })
}
