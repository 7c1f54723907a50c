//! Projects, and the networks they are given from the configured pool.

use std::net::Ipv4Addr;

use rusqlite::{OptionalExtension, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::name::Slug;
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
pub enum EnsureProjectError {
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
    /// The project of that name; made, with a network of its own from the pool, if there is none.
    pub async fn ensure_project(&self, slug: &Slug, pool: SubnetPool) -> Result<Project, EnsureProjectError> {
        let slug = slug.clone();
        self.write(move |tx| ensure(tx, slug, pool)).await
    }
}

impl Reader {
    /// Every project, by name.
    pub async fn projects(&self) -> Result<Vec<Project>, StoreError> {
        self.read(|tx| {
            row::all(tx, "SELECT id, slug, subnet FROM project ORDER BY slug", [], |row| {
                project(row, "id", "slug", "subnet")
            })
        })
        .await
    }
}

fn ensure(tx: &Transaction<'_>, slug: Slug, pool: SubnetPool) -> Result<Project, EnsureProjectError> {
    let sql = "SELECT id, slug, subnet FROM project WHERE slug = ?1";
    let found = row::first(tx, sql, [slug.as_str()], |row| project(row, "id", "slug", "subnet"))?;
    if let Some(found) = found {
        return Ok(found);
    }
    for subnet in pool.subnets() {
        if let Some(id) = insert(tx, &slug, subnet)? {
            return Ok(Project { id, slug, subnet });
        }
    }
    Err(EnsureProjectError::PoolExhausted { project: slug, pool })
}

/// The new project's number, unless the network is taken.
fn insert(tx: &Transaction<'_>, slug: &Slug, subnet: Subnet) -> Result<Option<ProjectId>, StoreError> {
    let id = tx
        .prepare_cached(
            "INSERT INTO project (slug, subnet) VALUES (?1, ?2) ON CONFLICT (subnet) DO NOTHING RETURNING id",
        )?
        .query_row((slug.as_str(), subnet.cidr()), |row| row.get(0))
        .optional()?;
    Ok(id.map(ProjectId))
}

/// A project from the columns of these names.
pub(super) fn project(
    row: &Row<'_>,
    id: &'static str,
    slug: &'static str,
    subnet: &'static str,
) -> Result<Project, StoreError> {
    Ok(Project {
        id: ProjectId(row::number(row, id)?),
        slug: row::parsed(row, slug, Slug::parse)?,
        subnet: row::parsed(row, subnet, row::word(parse_subnet))?,
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
    async fn each_project_has_a_network_of_its_own_and_keeps_it() {
        let store = Fixture::new();
        let pool = SubnetPool::parse("10.90.4.0/23").unwrap();
        let first = store.writer.ensure_project(&slug("one"), pool).await.unwrap();
        let second = store.writer.ensure_project(&slug("two"), pool).await.unwrap();
        assert_eq!(
            (first.subnet.cidr(), second.subnet.cidr()),
            ("10.90.4.0/24".into(), "10.90.5.0/24".into())
        );

        let other = SubnetPool::parse("10.91.0.0/16").unwrap();
        assert_eq!(store.writer.ensure_project(&slug("one"), other).await.unwrap(), first);
        let refused = store.writer.ensure_project(&slug("three"), pool).await.unwrap_err();
        assert!(matches!(refused, EnsureProjectError::PoolExhausted { .. }));
        assert!(refused.to_string().contains("all networks of 10.90.4.0/23 are taken"), "{refused}");
        assert_eq!(store.reader.projects().await.unwrap(), [first, second]);
    }
}
