//! Databases: created, changed, put into the trash and taken out of it, and which apps are told of them. Passwords come
//! sealed and stay so.

mod link;
#[cfg(test)]
mod tests;

use rusqlite::{Connection, Params, Row, Transaction};
use thiserror::Error;

pub use self::link::LinkError;
pub(super) use self::link::{forget_app, names as linked_names};
use super::error::StoreError;
use super::project::project;
use super::reader::Reader;
use super::writer::Writer;
use super::{AllocateError, quota, resident, row};
use crate::domain::database::{
    Credentials, Database, DatabaseId, DatabaseKind, DatabaseWord, PublicPort, ServerConfig, Settings, Wish,
    unit_name,
};
use crate::domain::deployment::ImageId;
use crate::domain::image::ImageRef;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::quota::OverQuota;
use crate::domain::runtime::{Cpus, Limits, Memory};
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;

/// A database as it is to be created.
#[derive(Debug, Clone)]
pub struct NewDatabase {
    /// Its name.
    pub slug: Slug,
    /// The name of its project.
    pub project: Slug,
    /// What kind of server it is.
    pub kind: DatabaseKind,
    /// How it runs.
    pub settings: Settings,
    /// Who may come in.
    pub credentials: Credentials,
    /// What its volume is called.
    pub volume: String,
    /// It is made for a restore alone: it is in no list, and does not count as what its team uses.
    pub scratch: bool,
}

/// Why a database was not created, changed or brought back.
#[derive(Debug, Error)]
pub enum DatabaseError {
    /// Another one has the name.
    #[error("there is a database {0} already: choose another name")]
    NameTaken(Slug),
    /// Another one has the port.
    #[error("the port {port} belongs to the database {other}: choose another one")]
    PortTaken {
        /// The port.
        port: u16,
        /// The database that has it.
        other: Slug,
    },
    /// There is no such project.
    #[error("there is no project {0}: `rivetr projects create {0}` makes it")]
    NoProject(Slug),
    /// There is no such database, or it is in the trash, or it is not.
    #[error("there is no such database any more")]
    Gone,
    /// The team may not use so much.
    #[error(transparent)]
    OverQuota(OverQuota),
    /// There is no address for it.
    #[error(transparent)]
    Allocate(#[from] AllocateError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Creates a database, with an address.
    pub async fn create_database(&self, new: NewDatabase, now: Timestamp) -> Result<Database, DatabaseError> {
        self.write(move |tx| create(tx, new, now)).await
    }

    /// Changes how a database runs.
    pub async fn set_database_settings(
        &self,
        id: DatabaseId,
        settings: Settings,
    ) -> Result<Database, DatabaseError> {
        self.write(move |tx| {
            let database = there(tx, id)?;
            refuse_port(tx, id, settings.public.as_ref())?;
            quota::of_database(tx, &database, settings.limits)?.map_err(DatabaseError::OverQuota)?;
            // What another image is, is not known before it was pulled.
            let image = database.image.filter(|_| database.settings.image == settings.image);
            let Settings { image: reference, config, limits: Limits { memory, cpus }, public } = settings;
            tx.execute(
                "UPDATE database SET image = ?2, image_id = ?3, config = ?4, memory = ?5, cpus = ?6, port = ?7, \
                 allow = ?8 WHERE id = ?1",
                (
                    id.0,
                    reference.to_string(),
                    image.map(|image| image.as_str().to_owned()),
                    config.map(|config| config.as_str().to_owned()),
                    memory.map(|memory| memory.to_string()),
                    cpus.map(|cpus| cpus.to_string()),
                    public.as_ref().map(|public| public.port.to_string()),
                    public.as_ref().map(PublicPort::allowed),
                ),
            )
            .map_err(StoreError::from)?;
            there(tx, id)
        })
        .await
    }

    /// Gives a database another name; its address goes with it.
    pub async fn rename_database(&self, id: DatabaseId, slug: Slug) -> Result<Database, DatabaseError> {
        self.write(move |tx| {
            let database = there(tx, id)?;
            refuse_name(tx, id, &slug)?;
            tx.execute("UPDATE database SET slug = ?2 WHERE id = ?1", (id.0, slug.as_str()))
                .map_err(StoreError::from)?;
            resident::rename(tx, &database.unit_name(), &unit_name(&slug))?;
            there(tx, id)
        })
        .await
    }

    /// Stores which image a database runs.
    pub async fn set_database_image(&self, id: DatabaseId, image: ImageId) -> Result<(), StoreError> {
        let sql = "UPDATE database SET image_id = ?2 WHERE id = ?1";
        self.write(move |tx| Ok(tx.execute(sql, (id.0, image.as_str())).map(drop)?)).await
    }

    /// Stores whether a database is to run.
    pub async fn set_database_wish(&self, id: DatabaseId, wish: Wish) -> Result<(), StoreError> {
        let sql = "UPDATE database SET stopped = ?2 WHERE id = ?1";
        self.write(move |tx| Ok(tx.execute(sql, (id.0, wish == Wish::Stop)).map(drop)?)).await
    }

    /// Stores why a database does not do what it should; none: it does.
    pub async fn set_database_problem(
        &self,
        id: DatabaseId,
        problem: Option<String>,
    ) -> Result<(), StoreError> {
        let sql = "UPDATE database SET problem = ?2 WHERE id = ?1 AND problem IS NOT ?2";
        self.write(move |tx| Ok(tx.execute(sql, (id.0, problem)).map(drop)?)).await
    }

    /// Stores another password of a database's user.
    pub async fn set_database_password(&self, id: DatabaseId, password: Sealed) -> Result<(), StoreError> {
        let sql = "UPDATE database SET password = ?2 WHERE id = ?1";
        self.write(move |tx| Ok(tx.execute(sql, (id.0, password.0)).map(drop)?)).await
    }

    /// Puts a database into the trash, which frees its name; no app is told of it any more. Can be done twice.
    pub async fn trash_database(&self, id: DatabaseId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE database SET deleted = ?2, problem = NULL WHERE id = ?1 AND deleted IS NULL";
            tx.execute(sql, (id.0, now.0))?;
            tx.execute("DELETE FROM database_link WHERE database = ?1", [id.0])?;
            Ok(())
        })
        .await
    }

    /// Gives back the address of a database that is in the trash. Can be done twice.
    pub async fn free_database_address(&self, id: DatabaseId) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "DELETE FROM resident WHERE unit IN (SELECT 'rivetr-db-' || slug FROM database AS gone \
                       WHERE id = ?1 AND deleted IS NOT NULL AND NOT EXISTS \
                       (SELECT 1 FROM database WHERE slug = gone.slug AND deleted IS NULL))";
            tx.execute(sql, [id.0])?;
            Ok(())
        })
        .await
    }

    /// Takes a database out of the trash.
    pub async fn restore_database(&self, id: DatabaseId) -> Result<Database, DatabaseError> {
        self.write(move |tx| {
            let found = by_id(tx, id)?.filter(|database| database.deleted.is_some());
            let database = found.ok_or(DatabaseError::Gone)?;
            refuse_name(tx, id, &database.slug)?;
            refuse_port(tx, id, database.settings.public.as_ref())?;
            quota::of_returned_database(tx, &database)?.map_err(DatabaseError::OverQuota)?;
            tx.execute("UPDATE database SET deleted = NULL, scratch = 0 WHERE id = ?1", [id.0])
                .map_err(StoreError::from)?;
            resident::give(tx, &database.project, &database.unit_name())?;
            there(tx, id)
        })
        .await
    }

    /// Forgets a database that is in the trash. Can be done twice.
    pub async fn forget_database(&self, id: DatabaseId) -> Result<(), StoreError> {
        let sql = "DELETE FROM database WHERE id = ?1 AND deleted IS NOT NULL";
        self.write(move |tx| Ok(tx.execute(sql, [id.0]).map(drop)?)).await
    }
}

impl Reader {
    /// Every database that somebody made and that is not in the trash, by name.
    pub async fn databases(&self) -> Result<Vec<Database>, StoreError> {
        let rest = "WHERE database.deleted IS NULL AND NOT database.scratch ORDER BY database.slug";
        self.read(move |tx| select(tx, rest, [])).await
    }

    /// The databases in the trash, the last one first.
    pub async fn trashed_databases(&self) -> Result<Vec<Database>, StoreError> {
        let rest = "WHERE database.deleted IS NOT NULL AND NOT database.scratch \
                    ORDER BY database.deleted DESC, database.id DESC";
        self.read(move |tx| select(tx, rest, [])).await
    }

    /// All that there is, by name: also what is in the trash, and what a restore made for itself.
    pub async fn every_database(&self) -> Result<Vec<Database>, StoreError> {
        self.read(move |tx| select(tx, "ORDER BY database.slug, database.id", [])).await
    }

    /// The database of that name.
    pub async fn database(&self, slug: &Slug) -> Result<Option<Database>, StoreError> {
        let slug = slug.clone();
        self.read(move |tx| by_slug(tx, &slug)).await
    }

    /// The database of that number, in the trash or not.
    pub async fn database_by_id(&self, id: DatabaseId) -> Result<Option<Database>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }
}

fn create(tx: &Transaction<'_>, new: NewDatabase, now: Timestamp) -> Result<Database, DatabaseError> {
    let NewDatabase { slug, project, kind, settings, credentials, volume, scratch } = new;
    let Settings { image, config, limits, public } = settings;
    let Credentials { user, database, password, root_password } = credentials;
    let found = super::project::by_slug(tx, &project)?;
    let project = found.ok_or(DatabaseError::NoProject(project))?;
    refuse_name(tx, DatabaseId(0), &slug)?;
    refuse_port(tx, DatabaseId(0), public.as_ref())?;
    let limits = if scratch {
        limits
    } else {
        quota::of_new_database(tx, project.team, limits)?.map_err(DatabaseError::OverQuota)?
    };
    let Limits { memory, cpus } = limits;
    tx.execute(
        "INSERT INTO database (slug, project, kind, image, config, memory, cpus, port, allow, user, name, password, \
         root_password, volume, created, scratch) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
        (
            slug.as_str(),
            project.id.0,
            kind.as_str(),
            image.to_string(),
            config.map(|config| config.as_str().to_owned()),
            memory.map(|memory| memory.to_string()),
            cpus.map(|cpus| cpus.to_string()),
            public.as_ref().map(|public| public.port.to_string()),
            public.as_ref().map(PublicPort::allowed),
            user.as_str(),
            database.as_str(),
            password.0,
            root_password.0,
            volume,
            now.0,
            scratch,
        ),
    )
    .map_err(StoreError::from)?;
    let id = DatabaseId(tx.last_insert_rowid());
    resident::give(tx, &project, &unit_name(&slug))?;
    there(tx, id)
}

fn there(tx: &Transaction<'_>, id: DatabaseId) -> Result<Database, DatabaseError> {
    by_id(tx, id)?.filter(|database| database.deleted.is_none()).ok_or(DatabaseError::Gone)
}

fn refuse_name(tx: &Transaction<'_>, id: DatabaseId, slug: &Slug) -> Result<(), DatabaseError> {
    match by_slug(tx, slug)? {
        Some(other) if other.id != id => Err(DatabaseError::NameTaken(slug.clone())),
        Some(_) | None => Ok(()),
    }
}

fn refuse_port(
    tx: &Transaction<'_>,
    id: DatabaseId,
    public: Option<&PublicPort>,
) -> Result<(), DatabaseError> {
    let Some(PublicPort { port, allow: _ }) = public else { return Ok(()) };
    let rest = "WHERE database.port = ?1 AND database.id <> ?2 AND database.deleted IS NULL";
    match select(tx, rest, (port.to_string(), id.0))?.pop() {
        Some(other) => Err(DatabaseError::PortTaken { port: port.get(), other: other.slug }),
        None => Ok(()),
    }
}

/// The databases of a project, those in the trash too, in the transaction at hand.
pub(super) fn of_project(tx: &Transaction<'_>, project: i64) -> Result<Vec<Database>, StoreError> {
    select(tx, "WHERE database.project = ?1 ORDER BY database.slug", [project])
}

/// The databases that a team made and that are not in the trash, with what each may use.
pub(super) fn of_team(
    connection: &Connection,
    team: TeamId,
) -> Result<Vec<(DatabaseId, Slug, Limits)>, StoreError> {
    let rest =
        "WHERE project.team = ?1 AND database.deleted IS NULL AND NOT database.scratch ORDER BY database.id";
    let all = select(connection, rest, [team.0])?.into_iter();
    Ok(all.map(|database| (database.id, database.slug, database.settings.limits)).collect())
}

fn by_slug(connection: &Connection, slug: &Slug) -> Result<Option<Database>, StoreError> {
    Ok(select(connection, "WHERE database.slug = ?1 AND database.deleted IS NULL", [slug.as_str()])?.pop())
}

/// The database of that number, in the trash or not, in the transaction at hand.
pub(super) fn by_id(connection: &Connection, id: DatabaseId) -> Result<Option<Database>, StoreError> {
    Ok(select(connection, "WHERE database.id = ?1", [id.0])?.pop())
}

fn select(connection: &Connection, rest: &str, params: impl Params) -> Result<Vec<Database>, StoreError> {
    let sql = format!(
        "SELECT database.*, project.slug AS project_slug, project.id AS project_id, project.team, project.subnet, \
         resident.host AS host FROM database JOIN project ON project.id = database.project \
         LEFT JOIN resident ON resident.unit = 'rivetr-db-' || database.slug \
         AND resident.project = database.project AND database.deleted IS NULL {rest}"
    );
    row::all(connection, &sql, params, read)
}

fn read(row: &Row<'_>) -> Result<Database, StoreError> {
    let project = project(row, "project_id", "project_slug")?;
    let host: Option<u8> = row::number(row, "host")?;
    let port: Option<String> = row::number(row, "port")?;
    let public = match port {
        Some(port) => Some(row::parsed(row, "allow", |allow| PublicPort::parse(&port, allow))?),
        None => None,
    };
    let config = row::maybe_parsed(row, "config", ServerConfig::parse)?.flatten();
    Ok(Database {
        id: DatabaseId(row::number(row, "id")?),
        slug: row::parsed(row, "slug", Slug::parse)?,
        address: host.map(|host| project.subnet.host(host)),
        project,
        kind: row::parsed(row, "kind", row::word(DatabaseKind::parse))?,
        settings: Settings {
            image: row::parsed(row, "image", ImageRef::parse)?,
            config,
            limits: Limits {
                memory: row::maybe_parsed(row, "memory", Memory::parse)?,
                cpus: row::maybe_parsed(row, "cpus", Cpus::parse)?,
            },
            public,
        },
        credentials: Credentials {
            user: row::parsed(row, "user", |text| Ok::<_, ()>(DatabaseWord::stored(text)))?,
            database: row::parsed(row, "name", |text| Ok::<_, ()>(DatabaseWord::stored(text)))?,
            password: Sealed(row::number(row, "password")?),
            root_password: Sealed(row::number(row, "root_password")?),
        },
        volume: row::number(row, "volume")?,
        image: row::maybe_parsed(row, "image_id", ImageId::parse)?,
        wish: if row::number(row, "stopped")? { Wish::Stop } else { Wish::Run },
        problem: row::number(row, "problem")?,
        created: row::time(row, "created")?,
        deleted: row::maybe_time(row, "deleted")?,
    })
}
