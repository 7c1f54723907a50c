//! Domains of services: a host leads to one port of one container.

use std::net::SocketAddrV4;
use std::num::NonZeroU16;

use rusqlite::{Connection, Row, Transaction};
use thiserror::Error;

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::super::{route, row};
use super::revision;
use crate::domain::domain::{DOMAINS_MAX, Pattern, Site};
use crate::domain::name::{HostName, Slug};
use crate::domain::person::TeamId;
use crate::domain::service::{ServiceDomain, ServiceDomainId, ServiceId};

/// A domain that a service is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceDomain {
    /// The host.
    pub host: HostName,
    /// The container, by its name in the compose file.
    pub container: String,
    /// The port that it listens on.
    pub port: NonZeroU16,
    /// Plain HTTP is redirected to HTTPS, once there is a certificate.
    pub https_redirect: bool,
}

/// Why a service does not get a domain.
#[derive(Debug, Error)]
pub enum ServiceDomainError {
    /// There is no such service.
    #[error("there is no such service")]
    NoService,
    /// There is no such domain.
    #[error("the service has no domain {0}")]
    NoDomain(HostName),
    /// It is somebody's.
    #[error("{host} belongs to {holder} already: choose another host, or remove it there first")]
    Taken {
        /// The host.
        host: HostName,
        /// Who has it, as far as who asks may know.
        holder: String,
    },
    /// The service has enough.
    #[error("a service has at most {DOMAINS_MAX} domains: remove one first")]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where a host of a service leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceRoute {
    /// Which requests it is about.
    pub site: Site,
    /// The service.
    pub service: Slug,
    /// Its containers that answer, by name, and where they listen; none: it is stopped.
    pub targets: Vec<(String, SocketAddrV4)>,
}

impl Writer {
    /// Gives a service one more domain.
    pub async fn add_service_domain(
        &self,
        service: ServiceId,
        new: NewServiceDomain,
    ) -> Result<ServiceDomain, ServiceDomainError> {
        self.write(move |tx| add(tx, service, &new)).await
    }

    /// Takes a domain from its service.
    pub async fn remove_service_domain(
        &self,
        service: ServiceId,
        host: HostName,
    ) -> Result<(), ServiceDomainError> {
        self.write(move |tx| {
            let sql = "DELETE FROM service_domain WHERE service = ?1 AND host = ?2";
            let gone = tx.execute(sql, (service.0, host.as_str())).map_err(StoreError::from)?;
            if gone == 0 {
                return Err(ServiceDomainError::NoDomain(host));
            }
            Ok(route::bump(tx).map(drop)?)
        })
        .await
    }
}

impl Reader {
    /// Every domain of every live service, by host.
    pub async fn service_routes(&self) -> Result<Vec<ServiceRoute>, StoreError> {
        self.read(|tx| {
            let sql = "SELECT service_domain.*, slug, stopped, parts FROM service_domain \
                       JOIN service ON service.id = service_domain.service \
                       JOIN revision ON revision.id = service.live WHERE NOT deleting ORDER BY host";
            row::all(tx, sql, [], |row| {
                let domain = read(row)?;
                let stopped: bool = row::number(row, "stopped")?;
                let parts = row::parsed(row, "parts", revision::from_json)?;
                let part = parts.into_iter().filter(|_| !stopped).find(|part| part.name == domain.container);
                let targets = part.map(|part| {
                    let at = part.addresses.iter().map(|ip| SocketAddrV4::new(*ip, domain.port.get()));
                    part.units.iter().cloned().zip(at).collect()
                });
                Ok(ServiceRoute {
                    site: Site { https_redirect: domain.https_redirect, ..Site::plain(domain.host) },
                    service: row::parsed(row, "slug", Slug::parse)?,
                    targets: targets.unwrap_or_default(),
                })
            })
        })
        .await
    }

    /// Every host of every service that is not being deleted.
    pub async fn service_hosts(&self) -> Result<Vec<HostName>, StoreError> {
        self.read(|tx| {
            let sql =
                "SELECT host FROM service_domain JOIN service ON service.id = service WHERE NOT deleting";
            row::all(tx, sql, [], |row| row::parsed(row, "host", HostName::parse))
        })
        .await
    }
}

fn add(
    tx: &Transaction<'_>,
    id: ServiceId,
    new: &NewServiceDomain,
) -> Result<ServiceDomain, ServiceDomainError> {
    let Some(service) = super::by_id(tx, id)?.filter(|service| !service.deleting) else {
        return Err(ServiceDomainError::NoService);
    };
    if service.domains.len() >= DOMAINS_MAX {
        return Err(ServiceDomainError::TooMany);
    }
    let NewServiceDomain { host, container, port, https_redirect } = new;
    let base = host.as_str().split_once('.').map_or("", |(_, rest)| rest);
    let by_app = "SELECT app.slug AS slug, project.team AS team FROM domain JOIN app ON app.id = domain.app \
                  JOIN project ON project.id = app.project WHERE host = ?1 OR host = '*.' || ?2 LIMIT 1";
    let by_service = "SELECT service.slug AS slug, project.team AS team FROM service_domain \
                      JOIN service ON service.id = service JOIN project ON project.id = service.project \
                      WHERE host = ?1 AND ?2 = ?2";
    for (sql, kind) in [(by_app, "app"), (by_service, "service")] {
        let holder = row::first(tx, sql, (host.as_str(), base), |row| {
            Ok((row::parsed(row, "slug", Slug::parse)?, TeamId(row::number(row, "team")?)))
        })?;
        if let Some((slug, team)) = holder {
            let holder = if team == service.project.team {
                format!("{kind} {slug}")
            } else {
                format!("another {kind}")
            };
            return Err(ServiceDomainError::Taken { host: host.clone(), holder });
        }
    }
    let insert = "INSERT INTO service_domain (service, host, container, port, https_redirect) \
                  VALUES (?1, ?2, ?3, ?4, ?5)";
    let row = (id.0, host.as_str(), container, port.get(), https_redirect);
    tx.execute(insert, row).map_err(StoreError::from)?;
    route::bump(tx)?;
    let made = of(tx, id)?.into_iter().find(|domain| domain.host == *host);
    made.ok_or(ServiceDomainError::NoService)
}

/// The domains of a service, in the order they were given.
pub(super) fn of(connection: &Connection, service: ServiceId) -> Result<Vec<ServiceDomain>, StoreError> {
    row::all(connection, "SELECT * FROM service_domain WHERE service = ?1 ORDER BY id", [service.0], read)
}

/// The service that has a host which an app's domain would be about too, and its team.
pub(in super::super) fn taken(
    connection: &Connection,
    pattern: &Pattern,
) -> Result<Option<(Slug, TeamId)>, StoreError> {
    let (condition, value) = match pattern {
        Pattern::Exact(host) => ("host = ?1", host.as_str()),
        Pattern::Below(base) => ("substr(host, instr(host, '.') + 1) = ?1", base.as_str()),
    };
    let sql = format!(
        "SELECT service.slug AS slug, project.team AS team FROM service_domain JOIN service ON service.id = service \
         JOIN project ON project.id = service.project WHERE {condition} LIMIT 1"
    );
    row::first(connection, &sql, [value], |row| {
        Ok((row::parsed(row, "slug", Slug::parse)?, TeamId(row::number(row, "team")?)))
    })
}

/// Every host of every service, with its team.
pub(in super::super) fn hosts(connection: &Connection) -> Result<Vec<(String, TeamId)>, StoreError> {
    let sql = "SELECT host, project.team AS team FROM service_domain JOIN service ON service.id = service \
               JOIN project ON project.id = service.project";
    row::all(connection, sql, [], |row| Ok((row::number(row, "host")?, TeamId(row::number(row, "team")?))))
}

fn read(row: &Row<'_>) -> Result<ServiceDomain, StoreError> {
    let port: u16 = row::number(row, "port")?;
    Ok(ServiceDomain {
        id: ServiceDomainId(row::number(row, "id")?),
        host: row::parsed(row, "host", HostName::parse)?,
        container: row::number(row, "container")?,
        port: NonZeroU16::new(port).ok_or(StoreError::Malformed("port"))?,
        https_redirect: row::number(row, "https_redirect")?,
    })
}
