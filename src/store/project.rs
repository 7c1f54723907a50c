//! Projects, and the networks they are given from the configured pool.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rusqlite::{Connection, OptionalExtension, Params, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{database, row};
use crate::domain::database::Database;
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::project::{Project, ProjectId, Subnet};

/// The range that projects' networks are taken from, such as 10.90.0.0/16.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubnetPool {
    base: u32,
    prefix: u32,
}

/// A range that projects' networks cannot be taken from.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} cannot be the pool of networks: use a private range of /8 to /24 that begins at its first address, \
     such as 10.90.0.0/16"
)]
pub struct InvalidPool(String);

/// Why a project could not be made.
#[derive(Debug, Error)]
pub enum CreateProjectError {
    /// There is one of that name.
    #[error("there is a project {0} already")]
    Taken(Slug),
    /// The team is gone.
    #[error("there is no such team any more")]
    NoTeam,
    /// Every network of the pool belongs to a project.
    #[error(
        "project {project} cannot be created: all networks of {pool} are taken; name a larger pool in [network]"
    )]
    PoolExhausted {
        /// The project that was to be made.
        project: Slug,
        /// The pool.
        pool: SubnetPool,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a project or an environment could not be removed, or an environment not be made.
#[derive(Debug, Error)]
pub enum ChangeProjectError {
    /// There is no such project.
    #[error("there is no project {0}")]
    NoProject(Slug),
    /// There is no such environment.
    #[error("the project {project} has no environment {environment}")]
    NoEnvironment {
        /// The project.
        project: Slug,
        /// What was asked for.
        environment: Slug,
    },
    /// There is such an environment.
    #[error("the project {project} has an environment {environment} already")]
    EnvironmentTaken {
        /// The project.
        project: Slug,
        /// What was asked for.
        environment: Slug,
    },
    /// Apps are part of it.
    #[error("{what} still has apps: delete or move them first ({})", list(apps))]
    HasApps {
        /// "the project shop".
        what: String,
        /// The apps.
        apps: Vec<Slug>,
    },
    /// Databases are part of it.
    #[error("the project {project} still has databases: delete them first ({})", databases.join(", "))]
    HasDatabases {
        /// The project.
        project: Slug,
        /// The databases, those in the trash named as such.
        databases: Vec<String>,
    },
    /// A project has at least one environment.
    #[error("{0} is the only environment of its project: delete the project, or make another one first")]
    OnlyEnvironment(Slug),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SubnetPool {
    /// Takes an IPv4 range of private addresses as `10.90.0.0/16`.
    pub fn parse(text: &str) -> Result<Self, InvalidPool> {
        Self::read(text).ok_or_else(|| InvalidPool(text.chars().take(80).collect()))
    }

    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let (address, prefix): (Ipv4Addr, u32) = (address.parse().ok()?, prefix.parse().ok()?);
        let base = address.to_bits();
        let [a, b, ..] = address.octets();
        let shared = a == 100 && (64..128).contains(&b); // RFC 6598
        let pool = Self { base, prefix };
        let fits = (8..=24).contains(&prefix)
            && base.trailing_zeros() >= 32 - prefix
            && (address.is_private() || shared)
            && prefix
                >= if a == 10 {
                    8
                } else if shared {
                    10
                } else if a == 172 {
                    12
                } else {
                    16
                };
        fits.then_some(pool)
    }

    /// The networks of 256 addresses in it, first to last.
    fn subnets(self) -> impl Iterator<Item = Subnet> {
        (0..1_u32 << (24 - self.prefix))
            .map(move |n| Subnet::around(Ipv4Addr::from_bits(self.base + (n << 8))))
    }
}

impl std::fmt::Display for SubnetPool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from_bits(self.base), self.prefix)
    }
}

impl Writer {
    /// Creates a project with these environments and a network of its own from the pool.
    pub async fn create_project(
        &self,
        team: TeamId,
        slug: Slug,
        environments: Vec<Slug>,
        pool: SubnetPool,
    ) -> Result<Project, CreateProjectError> {
        self.write(move |tx| {
            let project = create(tx, team, slug, pool)?;
            for environment in &environments {
                insert_environment(tx, project.id, environment)?;
            }
            Ok(project)
        })
        .await
    }

    /// Marks a project that has no app as being deleted: none can come to it any more. Can be done twice.
    pub async fn begin_project_deletion(&self, slug: Slug) -> Result<Project, ChangeProjectError> {
        self.write(move |tx| {
            let found = select(tx, "WHERE slug = ?1", [slug.as_str()])?.pop();
            let project = found.ok_or_else(|| ChangeProjectError::NoProject(slug.clone()))?;
            refuse_apps(tx, &project, None)?;
            tx.execute("UPDATE project SET deleting = 1 WHERE id = ?1", [project.id.0])
                .map_err(StoreError::from)?;
            Ok(project)
        })
        .await
    }

    /// Forgets a project whose deletion has begun. Can be done twice.
    pub async fn finish_project_deletion(&self, id: ProjectId) -> Result<(), StoreError> {
        self.write(move |tx| {
            let ends = "SELECT id FROM project WHERE id = ?1 AND deleting = 1";
            tx.execute(&format!("DELETE FROM environment WHERE project IN ({ends})"), [id.0])?;
            tx.execute("DELETE FROM project WHERE id = ?1 AND deleting = 1", [id.0])?;
            Ok(())
        })
        .await
    }

    /// Adds an environment to a project.
    pub async fn create_environment(
        &self,
        project: Slug,
        environment: Slug,
    ) -> Result<(), ChangeProjectError> {
        self.write(move |tx| {
            let found =
                by_slug(tx, &project)?.ok_or_else(|| ChangeProjectError::NoProject(project.clone()))?;
            match insert_environment(tx, found.id, &environment)? {
                0 => Err(ChangeProjectError::EnvironmentTaken { project, environment }),
                _ => Ok(()),
            }
        })
        .await
    }

    /// Removes an environment that has no app.
    pub async fn delete_environment(
        &self,
        project: Slug,
        environment: Slug,
    ) -> Result<(), ChangeProjectError> {
        self.write(move |tx| {
            let found =
                by_slug(tx, &project)?.ok_or_else(|| ChangeProjectError::NoProject(project.clone()))?;
            refuse_apps(tx, &found, Some(&environment))?;
            let all = environments(tx, found.id)?;
            if !all.contains(&environment) {
                return Err(ChangeProjectError::NoEnvironment { project, environment });
            }
            if all.len() == 1 {
                return Err(ChangeProjectError::OnlyEnvironment(environment));
            }
            let sql = "DELETE FROM environment WHERE project = ?1 AND slug = ?2";
            tx.execute(sql, (found.id.0, environment.as_str())).map_err(StoreError::from)?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// Every project that stays, by name.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.read(|tx| select(tx, "WHERE deleting = 0 ORDER BY slug", [])).await
    }

    /// Every project whose deletion has begun.
    pub async fn deleted_projects(&self) -> Result<Vec<Project>, StoreError> {
        self.read(|tx| select(tx, "WHERE deleting = 1 ORDER BY slug", [])).await
    }

    /// The project of that name.
    pub async fn project(&self, slug: &Slug) -> Result<Option<Project>, StoreError> {
        let slug = slug.clone();
        self.read(move |tx| by_slug(tx, &slug)).await
    }

    /// The environments of every project, likewise.
    pub async fn environments_by_project(&self) -> Result<BTreeMap<ProjectId, Vec<Slug>>, StoreError> {
        let sql = "SELECT project, slug FROM environment ORDER BY id";
        let read = |row: &Row<'_>| {
            Ok((ProjectId(row::number(row, "project")?), row::parsed(row, "slug", Slug::parse)?))
        };
        let mut found = BTreeMap::<_, Vec<_>>::new();
        for (project, slug) in self.read(move |tx| row::all(tx, sql, [], read)).await? {
            found.entry(project).or_default().push(slug);
        }
        Ok(found)
    }

    /// The environments of a project, in the order in which they were made.
    pub async fn environments(&self, project: ProjectId) -> Result<Vec<Slug>, StoreError> {
        self.read(move |tx| environments(tx, project)).await
    }
}

fn create(
    tx: &Transaction<'_>,
    team: TeamId,
    slug: Slug,
    pool: SubnetPool,
) -> Result<Project, CreateProjectError> {
    if row::first(tx, "SELECT 1 FROM project WHERE slug = ?1", [slug.as_str()], |_| Ok(()))?.is_some() {
        return Err(CreateProjectError::Taken(slug));
    }
    if row::first(tx, "SELECT 1 FROM team WHERE id = ?1", [team.0], |_| Ok(()))?.is_none() {
        return Err(CreateProjectError::NoTeam);
    }
    for subnet in pool.subnets() {
        if let Some(id) = insert(tx, team, &slug, subnet)? {
            return Ok(Project { id, slug, team, subnet });
        }
    }
    Err(CreateProjectError::PoolExhausted { project: slug, pool })
}

/// How many rows that added: none, if it is there.
fn insert_environment(tx: &Transaction<'_>, project: ProjectId, slug: &Slug) -> Result<usize, StoreError> {
    let sql =
        "INSERT INTO environment (project, slug) VALUES (?1, ?2) ON CONFLICT (project, slug) DO NOTHING";
    Ok(tx.prepare_cached(sql)?.execute((project.0, slug.as_str()))?)
}

fn refuse_apps(
    tx: &Transaction<'_>,
    project: &Project,
    environment: Option<&Slug>,
) -> Result<(), ChangeProjectError> {
    let sql =
        "SELECT slug FROM app WHERE project = ?1 AND environment = ifnull(?2, environment) ORDER BY slug";
    let apps = row::all(tx, sql, (project.id.0, environment.map(Slug::as_str)), |row| {
        row::parsed(row, "slug", Slug::parse)
    })?;
    let mut apps = apps;
    if environment.is_none() {
        let sql = "SELECT slug FROM service WHERE project = ?1 ORDER BY slug";
        apps.extend(row::all(tx, sql, [project.id.0], |row| row::parsed(row, "slug", Slug::parse))?);
    }
    if apps.is_empty() {
        return if environment.is_none() { refuse_databases(tx, project) } else { Ok(()) };
    }
    let what = match environment {
        None => format!("the project {}", project.slug),
        Some(environment) => format!("the environment {environment} of {}", project.slug),
    };
    Err(ChangeProjectError::HasApps { what, apps })
}

fn refuse_databases(tx: &Transaction<'_>, project: &Project) -> Result<(), ChangeProjectError> {
    let named = |database: Database| match database.deleted {
        Some(_) => format!("{} in the trash", database.slug),
        None => database.slug.to_string(),
    };
    let databases: Vec<_> = database::of_project(tx, project.id.0)?.into_iter().map(named).collect();
    if databases.is_empty() {
        return Ok(());
    }
    Err(ChangeProjectError::HasDatabases { project: project.slug.clone(), databases })
}

pub(super) fn by_slug(connection: &Connection, slug: &Slug) -> Result<Option<Project>, StoreError> {
    Ok(select(connection, "WHERE slug = ?1 AND deleting = 0", [slug.as_str()])?.pop())
}

fn select(connection: &Connection, rest: &str, params: impl Params) -> Result<Vec<Project>, StoreError> {
    let sql = format!("SELECT id, slug, team, subnet FROM project {rest}");
    row::all(connection, &sql, params, |row| project(row, "id", "slug"))
}

fn environments(connection: &Connection, project: ProjectId) -> Result<Vec<Slug>, StoreError> {
    let sql = "SELECT slug FROM environment WHERE project = ?1 ORDER BY id";
    row::all(connection, sql, [project.0], |row| row::parsed(row, "slug", Slug::parse))
}

fn list(slugs: &[Slug]) -> String {
    slugs.iter().map(Slug::as_str).collect::<Vec<_>>().join(", ")
}

/// The new project's number, unless the network is taken.
fn insert(
    tx: &Transaction<'_>,
    team: TeamId,
    slug: &Slug,
    subnet: Subnet,
) -> Result<Option<ProjectId>, StoreError> {
    let id = tx
        .prepare_cached(
            "INSERT INTO project (slug, subnet, team) VALUES (?1, ?2, ?3) \
             ON CONFLICT (subnet) DO NOTHING RETURNING id",
        )?
        .query_row((slug.as_str(), subnet.cidr(), team.0), |row| row.get(0))
        .optional()?;
    Ok(id.map(ProjectId))
}

/// A project from columns of these names, and from `team` and `subnet`.
pub(super) fn project(row: &Row<'_>, id: &'static str, slug: &'static str) -> Result<Project, StoreError> {
    Ok(Project {
        id: ProjectId(row::number(row, id)?),
        slug: row::parsed(row, slug, Slug::parse)?,
        team: TeamId(row::number(row, "team")?),
        subnet: row::parsed(row, "subnet", row::word(parse_subnet))?,
    })
}

pub(super) fn parse_subnet(cidr: &str) -> Option<Subnet> {
    let address = cidr.strip_suffix(".0/24")?;
    format!("{address}.0").parse().ok().map(Subnet::around)
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, slug};
    use super::*;

    #[test]
    fn pools() {
        for good in ["10.0.0.0/8", "10.90.0.0/16", "192.168.7.0/24", "172.16.0.0/12", "100.64.0.0/10"] {
            assert_eq!(SubnetPool::parse(good).unwrap().to_string(), good);
        }
        for bad in [
            "",
            "10.90.0.0",
            "10.90.0.0/25",
            "10.90.0.1/16",
            "10.90.1.0/16",
            "8.8.8.0/24",
            "127.0.0.0/8",
            "192.168.0.0/15",
            "172.16.0.0/11",
            "10.0.0.0/7",
            "fd00::/8",
            "10.90.0.0/-1",
            "10.90.0.0/16 ",
        ] {
            let message = SubnetPool::parse(bad).unwrap_err().to_string();
            assert!(message.contains("such as 10.90.0.0/16"), "{bad}");
        }
    }

    #[tokio::test]
    async fn each_project_has_a_network_of_its_own() {
        let store = Fixture::new();
        let pool = SubnetPool::parse("10.90.4.0/23").unwrap();
        let create =
            |name| store.writer.create_project(TeamId::FIRST, slug(name), vec![slug("production")], pool);
        let (first, second) = (create("one").await.unwrap(), create("two").await.unwrap());
        assert_eq!(
            (first.subnet.cidr(), second.subnet.cidr()),
            ("10.90.4.0/24".into(), "10.90.5.0/24".into())
        );
        assert!(matches!(create("one").await.unwrap_err(), CreateProjectError::Taken(_)));
        let refused = create("three").await.unwrap_err();
        assert!(matches!(refused, CreateProjectError::PoolExhausted { .. }));
        assert!(refused.to_string().contains("all networks of 10.90.4.0/23 are taken"), "{refused}");
        assert_eq!(store.reader.project(&slug("one")).await.unwrap(), Some(first.clone()));
        assert_eq!(store.reader.projects().await.unwrap(), [first.clone(), second]);

        // A network is free again when its project is gone.
        for _ in 0..2 {
            store.writer.finish_project_deletion(first.id).await.unwrap();
        }
        assert!(store.reader.project(&slug("one")).await.unwrap().is_some(), "its deletion has not begun");
        store.writer.begin_project_deletion(slug("one")).await.unwrap();
        assert_eq!(store.reader.deleted_projects().await.unwrap(), std::slice::from_ref(&first));
        assert_eq!(store.reader.project(&slug("one")).await.unwrap(), None);
        store.writer.finish_project_deletion(first.id).await.unwrap();
        assert_eq!(create("three").await.unwrap().subnet, first.subnet);
    }

    #[tokio::test]
    async fn what_has_apps_stays() {
        let store = Fixture::new();
        store.app("blog").await;
        let (default, production, staging) = (slug("default"), slug("production"), slug("staging"));
        let create = || store.writer.create_environment(default.clone(), staging.clone());
        create().await.unwrap();
        assert!(matches!(create().await, Err(ChangeProjectError::EnvironmentTaken { .. })));
        let project = store.reader.project(&default).await.unwrap().unwrap();
        assert_eq!(
            store.reader.environments(project.id).await.unwrap(),
            [production.clone(), staging.clone()]
        );

        let delete = |name: &Slug| store.writer.delete_environment(default.clone(), name.clone());
        let refused = delete(&production).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the environment production of default still has apps: delete or move them first (blog)"
        );
        assert!(matches!(delete(&slug("x")).await, Err(ChangeProjectError::NoEnvironment { .. })));
        delete(&staging).await.unwrap();
        let refused = store.writer.begin_project_deletion(default.clone()).await.unwrap_err();
        assert!(matches!(refused, ChangeProjectError::HasApps { .. }), "{refused}");

        let pool = SubnetPool::parse("10.90.0.0/16").unwrap();
        store
            .writer
            .create_project(TeamId::FIRST, slug("empty"), vec![production.clone()], pool)
            .await
            .unwrap();
        let refused = store.writer.delete_environment(slug("empty"), production).await.unwrap_err();
        assert!(matches!(refused, ChangeProjectError::OnlyEnvironment(_)), "{refused}");
    }
}
