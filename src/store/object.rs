//! Whose something is: the team of an object, by the name or number that stands in addresses.

use rusqlite::{Connection, Params};

use super::domain::HELD;
use super::error::StoreError;
use super::reader::Reader;
use super::row;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::volume::{VolumeId, VolumeOf};

/// A kind of object that belongs to a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// An app, by name or number.
    App,
    /// The repository of an app.
    Repository,
    /// A deployment, by number.
    Deployment,
    /// A project, by name.
    Project,
    /// A backup, by number.
    Backup,
    /// A volume, by its name to Podman; one of an app that is gone is that of its former team.
    Volume,
    /// A database, by name or number.
    Database,
    /// A database in the trash, by number.
    TrashedDatabase,
    /// A domain, by number.
    Domain,
    /// The delivery of a webhook, by number.
    Delivery,
    /// A certificate, by its name: whose domain that is. Others are nobody's.
    Certificate,
    /// A key, by name.
    Key,
    /// A service, by name.
    Service,
    /// A team, by name.
    Team,
}

impl Object {
    /// What people call it.
    #[must_use]
    pub fn what(self) -> &'static str {
        match self {
            Self::App | Self::Repository => "app",
            Self::Deployment => "deployment",
            Self::Project => "project",
            Self::Backup => "backup",
            Self::Volume => "volume",
            Self::Database => "database",
            Self::TrashedDatabase => "database in the trash",
            Self::Domain => "domain",
            Self::Delivery => "delivery",
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Service => "service",
            Self::Team => "team",
        }
    }
}

const OF_APP: &str = "SELECT project.team AS team FROM app JOIN project ON project.id = app.project";

const OF_SERVICE: &str = "SELECT project.team AS team FROM service JOIN project ON project.id = service.project \
                          WHERE service.slug = ?1";

const OF_DATABASE: &str =
    "SELECT project.team AS team FROM database JOIN project ON project.id = database.project";

impl Reader {
    /// The team of an object; none: there is no such object, or it is no team's.
    pub async fn team_of(&self, object: Object, name: &str) -> Result<Option<TeamId>, StoreError> {
        let name = name.to_owned();
        self.read(move |tx| match object {
            Object::App => of_app(tx, &name),
            Object::Repository => of_app(tx, name.strip_suffix(".git").unwrap_or(&name)),
            Object::Backup => match name.parse::<i64>() {
                Ok(id) => by(tx, "SELECT team FROM backup WHERE id = ?1", [id]),
                Err(_) => Ok(None),
            },
            Object::Volume => match VolumeId::parse(&name).as_ref().map(VolumeId::of) {
                Ok(of) => of_volume(tx, of),
                Err(_) => Ok(None),
            },
            Object::Deployment => {
                numbered(tx, "JOIN deployment ON deployment.app = app.id WHERE deployment.id = ?1", &name)
            }
            Object::Database => of_database(tx, &name),
            Object::TrashedDatabase => database(tx, "WHERE database.id = ?1 AND deleted IS NOT NULL", &name),
            Object::Domain => match name.parse::<i64>() {
                Ok(id) => {
                    by(tx, &format!("SELECT project.team AS team FROM {HELD} WHERE domain.id = ?1"), [id])
                }
                Err(_) => Ok(None),
            },
            Object::Delivery => match name.parse::<i64>() {
                Ok(id) => {
                    let sql = "SELECT project.team AS team FROM webhook_delivery AS d \
                               LEFT JOIN app ON app.id = d.app LEFT JOIN service ON service.id = d.service \
                               JOIN project ON project.id = ifnull(app.project, service.project) WHERE d.id = ?1";
                    by(tx, sql, [id])
                }
                Err(_) => Ok(None),
            },
            Object::Project => {
                by(tx, "SELECT team FROM project WHERE slug = ?1 AND deleting = 0", [name.as_str()])
            }
            // A host is of one project alone.
            Object::Certificate => {
                let sql = format!("SELECT project.team AS team FROM {HELD} WHERE host = ?1 LIMIT 1");
                by(tx, &sql, [name.to_ascii_lowercase()])
            }
            Object::Key => by(tx, "SELECT ifnull(team, 1) AS team FROM key WHERE name = ?1", [name.as_str()]),
            Object::Service => by(tx, OF_SERVICE, [name.as_str()]),
            Object::Team => of_team(tx, &name),
        })
        .await
    }

    /// Every app with its team, by name; also those that are gone and left volumes or may have.
    pub async fn app_teams(&self) -> Result<Vec<(Slug, TeamId)>, StoreError> {
        self.read(|tx| {
            let sql = "SELECT app.slug AS slug, project.team AS team FROM app \
                       JOIN project ON project.id = app.project \
                       UNION ALL SELECT slug, team FROM former_app ORDER BY slug";
            row::all(tx, sql, [], |row| {
                Ok((row::parsed(row, "slug", Slug::parse)?, TeamId(row::number(row, "team")?)))
            })
        })
        .await
    }

    /// Every host that an app or a service answers at, with its team.
    pub async fn host_teams(&self) -> Result<Vec<(String, TeamId)>, StoreError> {
        self.read(|tx| {
            let sql = format!("SELECT DISTINCT host, project.team AS team FROM {HELD}");
            row::all(tx, &sql, [], |row| Ok((row::number(row, "host")?, TeamId(row::number(row, "team")?))))
        })
        .await
    }
}

/// Whose a volume is: that of an app or a service that is gone is its former team's.
pub(super) fn of_volume(connection: &Connection, of: &VolumeOf) -> Result<Option<TeamId>, StoreError> {
    match of {
        VolumeOf::App(app) => {
            let former = "SELECT team FROM former_app WHERE slug = ?1";
            by(connection, &format!("{OF_APP} WHERE app.slug = ?1 UNION ALL {former}"), [app.as_str()])
        }
        VolumeOf::Service(service) => {
            let former = "SELECT team FROM former_service WHERE slug = ?1";
            by(connection, &format!("{OF_SERVICE} UNION ALL {former}"), [service.as_str()])
        }
    }
}

/// Pages name a team by its number, which a new name leaves as it is. A name made of digits is a name first.
fn of_team(connection: &Connection, name: &str) -> Result<Option<TeamId>, StoreError> {
    if let Some(team) = by(connection, "SELECT id AS team FROM team WHERE slug = ?1", [name])? {
        return Ok(Some(team));
    }
    let Ok(id) = name.parse::<i64>() else { return Ok(None) };
    by(connection, "SELECT id AS team FROM team WHERE id = ?1", [id])
}

/// A name made of digits is a name first, as where databases are looked up.
fn of_database(connection: &Connection, name: &str) -> Result<Option<TeamId>, StoreError> {
    let sql = format!("{OF_DATABASE} WHERE database.slug = ?1 AND deleted IS NULL");
    match by(connection, &sql, [name])? {
        Some(team) => Ok(Some(team)),
        None => database(connection, "WHERE database.id = ?1 AND deleted IS NULL", name),
    }
}

fn database(connection: &Connection, rest: &str, name: &str) -> Result<Option<TeamId>, StoreError> {
    match name.parse::<i64>() {
        Ok(number) => by(connection, &format!("{OF_DATABASE} {rest}"), [number]),
        Err(_) => Ok(None),
    }
}

/// A name made of digits is a name first, as where apps are looked up.
fn of_app(connection: &Connection, name: &str) -> Result<Option<TeamId>, StoreError> {
    if let Some(team) = by(connection, &format!("{OF_APP} WHERE app.slug = ?1"), [name])? {
        return Ok(Some(team));
    }
    numbered(connection, "WHERE app.id = ?1", name)
}

fn numbered(connection: &Connection, rest: &str, name: &str) -> Result<Option<TeamId>, StoreError> {
    match name.parse::<i64>() {
        Ok(number) => by(connection, &format!("{OF_APP} {rest}"), [number]),
        Err(_) => Ok(None),
    }
}

fn by(connection: &Connection, sql: &str, params: impl Params) -> Result<Option<TeamId>, StoreError> {
    row::first(connection, sql, params, |row| Ok(TeamId(row::number(row, "team")?)))
}
