//! Storages where backups may lie.

use rusqlite::{Connection, Row};
use thiserror::Error;

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::row;
use super::super::writer::Writer;
use crate::domain::backup::Place;
use crate::domain::name::Slug;
use crate::domain::s3::{BucketName, Endpoint, Location, Prefix, Region};
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;

/// A storage, and who comes to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredDestination {
    /// Its name here.
    pub name: Slug,
    /// Where it is.
    pub location: Location,
    /// The name of the access key.
    pub key_id: String,
    /// The access key, sealed.
    pub secret: Sealed,
    /// When it was handed in.
    pub created: Timestamp,
}

impl StoredDestination {
    /// What its access key is sealed for.
    #[must_use]
    pub fn place(name: &Slug) -> String {
        format!("backup-destination/{name}")
    }
}

/// Why a destination cannot go.
#[derive(Debug, Error)]
pub enum DestinationError {
    /// There is none of this name.
    #[error("there is no destination {0} for backups")]
    None(Slug),
    /// It is needed.
    #[error(
        "{backups} backups lie at {name} and {schedules} schedules write there: delete those first, or give the schedules \
         another place"
    )]
    Used {
        /// Which.
        name: Slug,
        /// How many backups lie there.
        backups: u32,
        /// How many schedules name it.
        schedules: u32,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Stores a destination, in place of the one that had the name.
    pub async fn put_destination(&self, destination: StoredDestination) -> Result<(), StoreError> {
        let StoredDestination { name, location, key_id, secret, created } = destination;
        let Location { endpoint, region, bucket, prefix, path_style, ca } = location;
        self.write(move |tx| {
            tx.execute(
                "INSERT INTO backup_destination \
                 (name, endpoint, region, bucket, prefix, path_style, ca, key_id, secret, created) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) \
                 ON CONFLICT (name) DO UPDATE SET endpoint = ?2, region = ?3, bucket = ?4, prefix = ?5, \
                 path_style = ?6, ca = ?7, key_id = ?8, secret = ?9",
                (
                    name.as_str(),
                    endpoint.to_string(),
                    region.as_str(),
                    bucket.as_str(),
                    prefix.as_str(),
                    path_style,
                    ca,
                    key_id,
                    secret.0,
                    created.0,
                ),
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets a destination that nothing needs.
    pub async fn remove_destination(&self, name: Slug) -> Result<(), DestinationError> {
        self.write(move |tx| {
            let count = |table: &str| {
                let count = format!("SELECT count(*) AS uses FROM {table} WHERE place = ?1");
                let uses = row::first(tx, &count, [name.as_str()], |row| row::number::<u32>(row, "uses"))?;
                Ok::<_, StoreError>(uses.unwrap_or(0))
            };
            let (backups, schedules) = (count("backup")?, count("backup_schedule")?);
            if backups + schedules > 0 {
                return Err(DestinationError::Used { name, backups, schedules });
            }
            let delete = "DELETE FROM backup_destination WHERE name = ?1";
            let gone = tx.execute(delete, [name.as_str()]).map_err(StoreError::from)?;
            if gone == 0 { Err(DestinationError::None(name)) } else { Ok(()) }
        })
        .await
    }
}

impl Reader {
    /// Every destination, by name.
    pub async fn destinations(&self) -> Result<Vec<StoredDestination>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM backup_destination ORDER BY name", [], read)).await
    }

    /// The destination of this name.
    pub async fn destination(&self, name: &Slug) -> Result<Option<StoredDestination>, StoreError> {
        let name = name.clone();
        let select = "SELECT * FROM backup_destination WHERE name = ?1";
        self.read(move |tx| row::first(tx, select, [name.as_str()], read)).await
    }
}

/// Whether backups can lie there, in the transaction at hand.
pub(super) fn exists(connection: &Connection, place: &Place) -> Result<bool, StoreError> {
    let Place::Storage(name) = place else { return Ok(true) };
    let select = "SELECT * FROM backup_destination WHERE name = ?1";
    Ok(row::first(connection, select, [name.as_str()], read)?.is_some())
}

fn read(row: &Row<'_>) -> Result<StoredDestination, StoreError> {
    let location = Location {
        endpoint: row::parsed(row, "endpoint", Endpoint::parse)?,
        region: row::parsed(row, "region", Region::parse)?,
        bucket: row::parsed(row, "bucket", BucketName::parse)?,
        prefix: row::parsed(row, "prefix", Prefix::parse)?,
        path_style: row::number(row, "path_style")?,
        ca: row::number(row, "ca")?,
    };
    Ok(StoredDestination {
        name: row::parsed(row, "name", Slug::parse)?,
        location,
        key_id: row::number(row, "key_id")?,
        secret: Sealed(row::number(row, "secret")?),
        created: row::time(row, "created")?,
    })
}
