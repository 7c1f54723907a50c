//! Services, as people create and delete them.

mod revision;
mod source;

use std::net::Ipv4Addr;

use rusqlite::{Connection, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::project::project;
use super::reader::Reader;
use super::writer::Writer;
use super::{AllocateError, domain, quota, resident, route, row};
use crate::domain::domain::Behind;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::quota::OverQuota;
use crate::domain::service::{RevisionId, Service, ServiceId};
use crate::domain::time::Timestamp;

pub use self::revision::{NewRevision, ReadRevision};
pub(super) use self::revision::{enqueue, from_json as parts};

/// Why a service could not be created or changed.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// Another service has the name.
    #[error("there is a service {0} already: choose another name")]
    SlugTaken(Slug),
    /// There is no such project.
    #[error("there is no project {0}: `rivetr projects create {0}` makes it")]
    NoProject(Slug),
    /// Its files are handed in.
    #[error(
        "the service {0} follows no repository: `rivetr services source {0} --repository URL` has it follow one"
    )]
    NotFollowing(Slug),
    /// There is no such key.
    #[error("there is no key {0}: make it first, with `rivetr keys create {0}`")]
    NoKey(Slug),
    /// Volumes of that name may be here, and they are another team's.
    #[error(
        "a service {0} of another team was here, and its volumes may still be: choose another name, or ask who \
         administers this instance"
    )]
    OthersBefore(Slug),
    /// There is no such service.
    #[error("there is no such service")]
    NoService,
    /// It is on its way out.
    #[error("the service {0} is being deleted")]
    Deleting(Slug),
    /// Another service has a unit of that name.
    #[error(
        "the unit {unit} belongs to the service {service} already: give this service or its container another name"
    )]
    UnitTaken {
        /// The unit.
        unit: String,
        /// Who has it.
        service: Slug,
    },
    /// The team may not use so much.
    #[error(transparent)]
    OverQuota(OverQuota),
    /// There is no address for a container.
    #[error(transparent)]
    Allocate(#[from] AllocateError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Creates a service that has nothing yet.
    pub async fn create_service(
        &self,
        slug: &Slug,
        project: &Slug,
        salt: String,
        administrator: bool,
        now: Timestamp,
    ) -> Result<Service, ServiceError> {
        let (slug, project) = (slug.clone(), project.clone());
        self.write(move |tx| create(tx, &slug, &project, &salt, administrator, now)).await
    }

    /// Gives a service the names of these units, and the address of each that is to have one.
    pub async fn claim_units(
        &self,
        service: &Service,
        units: Vec<String>,
        addressed: Vec<String>,
    ) -> Result<Vec<(String, Ipv4Addr)>, ServiceError> {
        let service = service.clone();
        self.write(move |tx| {
            for unit in &units {
                claim(tx, service.id, unit)?;
            }
            let give = |unit: String| {
                let address = resident::give(tx, &service.project, &unit)?;
                Ok((unit, address))
            };
            addressed.into_iter().map(give).collect()
        })
        .await
    }

    /// Takes back the names of units that a service has no more, with their addresses. Can be done twice.
    pub async fn release_units(&self, service: ServiceId, units: Vec<String>) -> Result<(), StoreError> {
        self.write(move |tx| {
            for unit in &units {
                tx.execute("DELETE FROM service_unit WHERE unit = ?1 AND service = ?2", (unit, service.0))?;
                resident::free(tx, unit)?;
            }
            Ok(())
        })
        .await
    }

    /// Says whether a service is to run.
    pub async fn set_service_stopped(&self, service: ServiceId, stopped: bool) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE service SET stopped = ?2 WHERE id = ?1", (service.0, stopped))?;
            route::bump(tx).map(drop)
        })
        .await
    }

    /// Says whether the units of a service may be between two revisions.
    pub async fn set_service_unsettled(&self, service: ServiceId, unsettled: bool) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE service SET unsettled = ?2 WHERE id = ?1", (service.0, unsettled))?;
            Ok(())
        })
        .await
    }

    /// Marks a service as being deleted: no route leads to it. Can be done twice; that its volumes go with it is said once.
    pub async fn begin_service_deletion(&self, service: ServiceId, volumes: bool) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql =
                "UPDATE service SET deleting = 1, delete_volumes = max(delete_volumes, ?2) WHERE id = ?1";
            tx.execute(sql, (service.0, volumes))?;
            route::bump(tx).map(drop)
        })
        .await
    }

    /// Forgets a service whose deletion has begun. Can be done twice.
    pub async fn finish_service_deletion(&self, service: ServiceId) -> Result<(), StoreError> {
        self.write(move |tx| {
            let Some(found) = by_id(tx, service)?.filter(|found| found.deleting) else { return Ok(()) };
            let units =
                row::all(tx, "SELECT unit FROM service_unit WHERE service = ?1", [service.0], |row| {
                    row::number::<String>(row, "unit")
                })?;
            for unit in units {
                resident::free(tx, &unit)?;
            }
            let had = row::first(tx, "SELECT id FROM revision WHERE service = ?1", [service.0], |_| Ok(()))?;
            tx.execute("UPDATE service SET live = NULL WHERE id = ?1", [service.0])?;
            for table in ["service_unit", "domain", "revision"] {
                tx.execute(&format!("DELETE FROM {table} WHERE service = ?1"), [service.0])?;
            }
            tx.execute("DELETE FROM service WHERE id = ?1", [service.0])?;
            if had.is_some() {
                let sql = "INSERT OR REPLACE INTO former_service (slug, team) VALUES (?1, ?2)";
                tx.execute(sql, (found.slug.as_str(), found.project.team.0))?;
            }
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// Every service, by name.
    pub async fn services(&self) -> Result<Vec<Service>, StoreError> {
        self.read(|tx| {
            let mut found = row::all(tx, &format!("{SELECT} ORDER BY service.slug"), [], read)?;
            for service in &mut found {
                service.domains = domain::of(tx, Behind::Service(service.id))?;
            }
            Ok(found)
        })
        .await
    }

    /// The service of that name.
    pub async fn service(&self, slug: &Slug) -> Result<Option<Service>, StoreError> {
        let slug = slug.clone();
        self.read(move |tx| {
            let found = row::first(tx, &format!("{SELECT} WHERE service.slug = ?1"), [slug.as_str()], read)?;
            with_domains(tx, found)
        })
        .await
    }

    /// The service of that number.
    pub async fn service_by_id(&self, id: ServiceId) -> Result<Option<Service>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }

    /// The names of the units that a service has, had or is about to have.
    pub async fn service_units(&self, id: ServiceId) -> Result<Vec<String>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT unit FROM service_unit WHERE service = ?1 ORDER BY unit";
            row::all(tx, sql, [id.0], |row| row::number(row, "unit"))
        })
        .await
    }

    /// Whether the volumes of a service go with it.
    pub async fn service_takes_volumes_along(&self, id: ServiceId) -> Result<bool, StoreError> {
        let sql = "SELECT delete_volumes FROM service WHERE id = ?1";
        let found = self
            .read(move |tx| row::first(tx, sql, [id.0], |row| row::number(row, "delete_volumes")))
            .await?;
        Ok(found.unwrap_or(false))
    }
}

const SELECT: &str = "SELECT service.*, project.id AS project_id, project.slug AS project_slug, \
                      project.team AS team, project.subnet AS subnet FROM service \
                      JOIN project ON project.id = service.project";

fn create(
    tx: &Transaction<'_>,
    slug: &Slug,
    project: &Slug,
    salt: &str,
    administrator: bool,
    now: Timestamp,
) -> Result<Service, ServiceError> {
    let taken = row::first(tx, "SELECT id FROM service WHERE slug = ?1", [slug.as_str()], |_| Ok(()))?;
    if taken.is_some() {
        return Err(ServiceError::SlugTaken(slug.clone()));
    }
    let sql = "SELECT id, team FROM project WHERE slug = ?1 AND deleting = 0";
    let of = |row: &Row<'_>| Ok((row::number::<i64>(row, "id")?, TeamId(row::number(row, "team")?)));
    let found = row::first(tx, sql, [project.as_str()], of)?;
    let Some((project, team)) = found else { return Err(ServiceError::NoProject(project.clone())) };
    let former = row::first(tx, "SELECT team FROM former_service WHERE slug = ?1", [slug.as_str()], |row| {
        Ok(TeamId(row::number(row, "team")?))
    })?;
    if former.is_some_and(|former| former != team) && !administrator {
        return Err(ServiceError::OthersBefore(slug.clone()));
    }
    quota::of_new_service(tx, team)?.map_err(ServiceError::OverQuota)?;
    // Whose the name was stays known: what is made here may come to nothing, and the volumes stay theirs.
    let insert = "INSERT INTO service (slug, project, salt, created) VALUES (?1, ?2, ?3, ?4) RETURNING id";
    let id = tx.query_row(insert, (slug.as_str(), project, salt, now.0), |row| row.get(0));
    let id = ServiceId(id.map_err(StoreError::from)?);
    by_id(tx, id)?.ok_or(ServiceError::NoService)
}

fn claim(tx: &Transaction<'_>, service: ServiceId, unit: &str) -> Result<(), ServiceError> {
    let sql = "SELECT service.id, service.slug FROM service_unit JOIN service ON service.id = service_unit.service \
               WHERE unit = ?1";
    let of = |row: &Row<'_>| Ok((ServiceId(row::number(row, "id")?), row::parsed(row, "slug", Slug::parse)?));
    match row::first(tx, sql, [unit], of)? {
        Some((id, _)) if id == service => Ok(()),
        Some((_, service)) => Err(ServiceError::UnitTaken { unit: unit.to_owned(), service }),
        None => {
            let sql = "INSERT INTO service_unit (unit, service) VALUES (?1, ?2)";
            tx.execute(sql, (unit, service.0)).map_err(StoreError::from)?;
            Ok(())
        }
    }
}

pub(super) fn by_id(connection: &Connection, id: ServiceId) -> Result<Option<Service>, StoreError> {
    let found = row::first(connection, &format!("{SELECT} WHERE service.id = ?1"), [id.0], read)?;
    with_domains(connection, found)
}

fn with_domains(connection: &Connection, found: Option<Service>) -> Result<Option<Service>, StoreError> {
    let Some(mut service) = found else { return Ok(None) };
    service.domains = domain::of(connection, Behind::Service(service.id))?;
    Ok(Some(service))
}

fn read(row: &Row<'_>) -> Result<Service, StoreError> {
    Ok(Service {
        id: ServiceId(row::number(row, "id")?),
        slug: row::parsed(row, "slug", Slug::parse)?,
        project: project(row, "project_id", "project_slug")?,
        salt: row::number(row, "salt")?,
        live: row::number::<Option<i64>>(row, "live")?.map(RevisionId),
        unsettled: row::number(row, "unsettled")?,
        stopped: row::number(row, "stopped")?,
        deleting: row::number(row, "deleting")?,
        created: row::time(row, "created")?,
        domains: Vec::new(),
        followed: source::of(row)?,
    })
}
