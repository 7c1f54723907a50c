//! The revisions of services: each is a row before anything is done for it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use rusqlite::{Connection, Row, Transaction};
use serde::{Deserialize, Serialize};

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::writer::Writer;
use super::super::{quota, route, row};
use super::{ServiceError, by_id as service_by_id};
use crate::domain::runtime::PublishedPort;
use crate::domain::secret::Sealed;
use crate::domain::service::{Part, Revision, RevisionId, RevisionState, ServiceId};
use crate::domain::source::CommitId;
use crate::domain::time::Timestamp;

/// A revision that is asked for.
#[derive(Debug, Clone)]
pub struct NewRevision {
    /// The service.
    pub service: ServiceId,
    /// Its number there, from [`Reader::next_revision`].
    pub number: u32,
    /// The revision whose files it brings back.
    pub back_to: Option<u32>,
    /// Its containers.
    pub parts: Vec<Part>,
    /// Its files, units and secrets.
    pub content: Sealed,
    /// What of the repository it is.
    pub commit: Option<CommitId>,
    /// What is not quite as its files say.
    pub warnings: Vec<String>,
}

/// What a revision turned out to be once its repository was fetched and read.
#[derive(Debug, Clone)]
pub struct ReadRevision {
    /// The commit.
    pub commit: CommitId,
    /// Its containers.
    pub parts: Vec<Part>,
    /// What is not quite as its files say.
    pub warnings: Vec<String>,
    /// Its files, units and secrets.
    pub content: Sealed,
}

/// How many revisions of a service are remembered, besides the live one.
const KEPT: u32 = 30;

impl Writer {
    /// Stores a revision that is asked for, in place of those that wait.
    pub async fn add_revision(&self, new: NewRevision, now: Timestamp) -> Result<Revision, ServiceError> {
        self.write(move |tx| {
            let NewRevision { service, number, back_to, parts, content, commit, warnings } = new;
            quota::of_revision(tx, service, &parts)?.map_err(ServiceError::OverQuota)?;
            supersede_waiting(tx, service, now)?;
            let insert = "INSERT INTO revision (service, number, state, back_to, parts, content, commit_id, warnings, created) \
                          VALUES (?1, ?2, 'queued', ?3, ?4, ?5, ?6, ?7, ?8) RETURNING id";
            let commit = commit.as_ref().map(CommitId::as_str);
            let (parts, warnings) = (to_json(&parts)?, lines_to_json(&warnings)?);
            let row = (service.0, number, back_to, parts, content.0, commit, warnings, now.0);
            let id: i64 = tx.query_row(insert, row, |row| row.get(0)).map_err(StoreError::from)?;
            forget_old(tx, service)?;
            Ok(by_id(tx, RevisionId(id))?.ok_or(StoreError::Malformed("revision"))?)
        })
        .await
    }

    /// Asks for a revision of what the repository of a service has by then, in place of those that wait.
    pub async fn ask_revision(
        &self,
        service: ServiceId,
        administrator: bool,
        now: Timestamp,
    ) -> Result<Revision, ServiceError> {
        self.write(move |tx| enqueue(tx, service, administrator, now)).await
    }

    /// Stores what a revision turned out to be.
    pub async fn fill_revision(
        &self,
        service: ServiceId,
        id: RevisionId,
        read: ReadRevision,
    ) -> Result<(), ServiceError> {
        self.write(move |tx| {
            let ReadRevision { commit, parts, warnings, content } = read;
            quota::of_revision(tx, service, &parts)?.map_err(ServiceError::OverQuota)?;
            let sql =
                "UPDATE revision SET commit_id = ?2, parts = ?3, warnings = ?4, content = ?5 WHERE id = ?1";
            let (parts, warnings) = (to_json(&parts)?, lines_to_json(&warnings)?);
            tx.execute(sql, (id.0, commit.as_str(), parts, warnings, content.0)).map_err(StoreError::from)?;
            Ok(())
        })
        .await
    }

    /// Stores where a revision has come to.
    pub async fn move_revision(&self, id: RevisionId, state: RevisionState) -> Result<(), StoreError> {
        self.write(move |tx| set(tx, id, state)).await
    }

    /// Stores that a revision failed, and why.
    pub async fn fail_revision(&self, id: RevisionId, why: String, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE revision SET state = 'failed', failure = ?2, ended = ?3 WHERE id = ?1";
            tx.execute(sql, (id.0, why, now.0))?;
            Ok(())
        })
        .await
    }

    /// Stores that another revision took the place of one of which nothing was started, and why.
    pub async fn supersede_revision(
        &self,
        id: RevisionId,
        why: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE revision SET state = 'superseded', failure = ?2, ended = ?3 WHERE id = ?1";
            tx.execute(sql, (id.0, why, now.0))?;
            Ok(())
        })
        .await
    }

    /// Makes a revision the live one of its service: the one before is superseded, and the routes follow.
    pub async fn make_revision_live(&self, revision: &Revision, now: Timestamp) -> Result<(), StoreError> {
        let (id, service) = (revision.id, revision.service);
        self.write(move |tx| {
            let before = "UPDATE revision SET state = 'superseded' WHERE service = ?1 AND state = 'live'";
            tx.execute(before, [service.0])?;
            tx.execute("UPDATE revision SET state = 'live', ended = ?2 WHERE id = ?1", (id.0, now.0))?;
            let live = "UPDATE service SET live = ?2, unsettled = 0 WHERE id = ?1";
            tx.execute(live, (service.0, id.0))?;
            route::bump(tx).map(drop)
        })
        .await
    }
}

impl Reader {
    /// The number of a service's next revision.
    pub async fn next_revision(&self, service: ServiceId) -> Result<u32, StoreError> {
        let sql = "SELECT ifnull(max(number), 0) + 1 AS next FROM revision WHERE service = ?1";
        let found =
            self.read(move |tx| row::first(tx, sql, [service.0], |row| row::number(row, "next"))).await?;
        found.ok_or(StoreError::Malformed("number"))
    }

    /// The revision of that number in the store.
    pub async fn revision(&self, id: RevisionId) -> Result<Option<Revision>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }

    /// The revisions of a service, newest first.
    pub async fn revisions(&self, service: ServiceId) -> Result<Vec<Revision>, StoreError> {
        let sql = "SELECT * FROM revision WHERE service = ?1 ORDER BY number DESC";
        self.read(move |tx| row::all(tx, sql, [service.0], read)).await
    }

    /// The newest revision of a service.
    pub async fn newest_revision(&self, service: ServiceId) -> Result<Option<Revision>, StoreError> {
        let sql = "SELECT * FROM revision WHERE service = ?1 ORDER BY number DESC LIMIT 1";
        self.read(move |tx| row::first(tx, sql, [service.0], read)).await
    }

    /// The newest revision of a service of which it is known what it is made of.
    pub async fn newest_read_revision(&self, service: ServiceId) -> Result<Option<Revision>, StoreError> {
        let sql =
            "SELECT * FROM revision WHERE service = ?1 AND content IS NOT NULL ORDER BY number DESC LIMIT 1";
        self.read(move |tx| row::first(tx, sql, [service.0], read)).await
    }

    /// The revision of a service that has this number in it.
    pub async fn revision_numbered(
        &self,
        service: ServiceId,
        number: u32,
    ) -> Result<Option<Revision>, StoreError> {
        let sql = "SELECT * FROM revision WHERE service = ?1 AND number = ?2";
        self.read(move |tx| row::first(tx, sql, (service.0, number), read)).await
    }

    /// The newest revision of every service that has one.
    pub async fn newest_revisions(&self) -> Result<BTreeMap<ServiceId, Revision>, StoreError> {
        let sql = "SELECT *, max(number) FROM revision GROUP BY service";
        let newest = self.read(move |tx| row::all(tx, sql, [], read)).await?;
        Ok(newest.into_iter().map(|revision| (revision.service, revision)).collect())
    }

    /// The live revision of every service that has one.
    pub async fn live_revisions(&self) -> Result<Vec<Revision>, StoreError> {
        let sql =
            "SELECT revision.* FROM revision JOIN service ON service.live = revision.id ORDER BY revision.id";
        self.read(move |tx| row::all(tx, sql, [], read)).await
    }
}

/// Asks for a revision of what the repository of a service has, in the transaction at hand.
pub(in crate::store) fn enqueue(
    tx: &Transaction<'_>,
    service: ServiceId,
    administrator: bool,
    now: Timestamp,
) -> Result<Revision, ServiceError> {
    let found = service_by_id(tx, service)?.ok_or(ServiceError::NoService)?;
    if found.deleting {
        return Err(ServiceError::Deleting(found.slug));
    }
    if found.followed.is_none() {
        return Err(ServiceError::NotFollowing(found.slug));
    }
    supersede_waiting(tx, service, now)?;
    let insert = "INSERT INTO revision (service, number, state, parts, administrator, created) \
                  SELECT ?1, ifnull(max(number), 0) + 1, 'queued', '[]', ?2, ?3 FROM revision WHERE service = ?1 \
                  RETURNING id";
    let id = tx.query_row(insert, (service.0, administrator, now.0), |row| row.get(0));
    forget_old(tx, service)?;
    let found = by_id(tx, RevisionId(id.map_err(StoreError::from)?))?;
    found.ok_or(ServiceError::Store(StoreError::Malformed("revision")))
}

fn supersede_waiting(tx: &Transaction<'_>, service: ServiceId, now: Timestamp) -> Result<(), StoreError> {
    let sql = "UPDATE revision SET state = 'superseded', ended = ?2 WHERE service = ?1 AND state = 'queued'";
    tx.execute(sql, (service.0, now.0))?;
    Ok(())
}

fn set(tx: &Transaction<'_>, id: RevisionId, state: RevisionState) -> Result<(), StoreError> {
    tx.execute("UPDATE revision SET state = ?2 WHERE id = ?1", (id.0, state.as_str()))?;
    Ok(())
}

fn forget_old(tx: &Transaction<'_>, service: ServiceId) -> Result<(), StoreError> {
    let sql = "DELETE FROM revision WHERE service = ?1 AND state IN ('failed', 'superseded') AND id NOT IN \
               (SELECT id FROM revision WHERE service = ?1 ORDER BY number DESC LIMIT ?2)";
    tx.execute(sql, (service.0, KEPT))?;
    Ok(())
}

fn by_id(connection: &Connection, id: RevisionId) -> Result<Option<Revision>, StoreError> {
    row::first(connection, "SELECT * FROM revision WHERE id = ?1", [id.0], read)
}

fn read(row: &Row<'_>) -> Result<Revision, StoreError> {
    Ok(Revision {
        id: RevisionId(row::number(row, "id")?),
        service: ServiceId(row::number(row, "service")?),
        number: row::number(row, "number")?,
        state: row::parsed(row, "state", row::word(RevisionState::of))?,
        back_to: row::number(row, "back_to")?,
        failure: row::number(row, "failure")?,
        parts: row::parsed(row, "parts", from_json)?,
        content: row::number::<Option<Vec<u8>>>(row, "content")?.map(Sealed),
        commit: row::maybe_parsed(row, "commit_id", CommitId::parse)?,
        warnings: row::parsed(row, "warnings", |text| serde_json::from_str(text))?,
        administrator: row::number(row, "administrator")?,
        created: row::time(row, "created")?,
        ended: row::maybe_time(row, "ended")?,
    })
}

/// A container as it stands in the row.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    image: String,
    units: Vec<String>,
    addresses: Vec<Ipv4Addr>,
    published: Vec<String>,
    ports: Vec<u16>,
    checked: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cpus: Option<u64>,
}

fn lines_to_json(lines: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(lines).map_err(|_| StoreError::Malformed("warnings"))
}

fn to_json(parts: &[Part]) -> Result<String, StoreError> {
    let stored = parts.iter().map(|part| {
        let Part { name, image, units, addresses, published, ports, checked, memory, cpus } = part.clone();
        let published = published.iter().map(ToString::to_string).collect();
        Stored { name, image, units, addresses, published, ports, checked, memory, cpus }
    });
    serde_json::to_string(&stored.collect::<Vec<_>>()).map_err(|_| StoreError::Malformed("parts"))
}

pub(in super::super) fn from_json(text: &str) -> Result<Vec<Part>, StoreError> {
    let malformed = || StoreError::Malformed("parts");
    let stored: Vec<Stored> = serde_json::from_str(text).map_err(|_| malformed())?;
    let part = |stored: Stored| {
        let Stored { name, image, units, addresses, published, ports, checked, memory, cpus } = stored;
        let published = published.iter().map(|text| PublishedPort::parse(text));
        let published = published.collect::<Result<_, _>>().map_err(|_| malformed())?;
        Ok(Part { name, image, units, addresses, published, ports, checked, memory, cpus })
    };
    stored.into_iter().map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;
    use std::num::NonZeroU16;

    use super::super::super::testing::{Fixture, host};
    use super::*;
    use crate::domain::domain::{Behind, Inlet, PathPrefix, Site};
    use crate::domain::name::Slug;
    use crate::domain::route::ServiceRoute;
    use crate::domain::service::Service;
    use crate::domain::traffic::Traffic;
    use crate::store::ServiceError;

    const NOW: Timestamp = Timestamp(1);

    async fn service(store: &Fixture, name: &str) -> Service {
        store.service(name).await
    }

    fn part(unit: &str) -> Part {
        Part {
            name: "web".to_owned(),
            image: "docker.io/library/nginx:1".to_owned(),
            units: vec![unit.to_owned()],
            addresses: vec![Ipv4Addr::new(10, 90, 0, 9)],
            published: vec![PublishedPort::parse("0.0.0.0:8080:80").unwrap()],
            ports: vec![80],
            checked: true,
            memory: Some(1 << 30),
            cpus: None,
        }
    }

    #[tokio::test]
    async fn one_revision_is_live_and_one_waits() {
        let store = Fixture::new();
        let shop = service(&store, "shop").await;
        let add = async |back_to| {
            let number = store.reader.next_revision(shop.id).await.unwrap();
            let content = Sealed(b"sealed".to_vec());
            let parts = vec![part("rivetr-svc-shop-web")];
            let (commit, warnings) = (None, Vec::new());
            let new = NewRevision { service: shop.id, number, back_to, parts, content, commit, warnings };
            store.writer.add_revision(new, NOW).await.unwrap()
        };
        let first = add(None).await;
        assert_eq!((first.number, &first.parts), (1, &vec![part("rivetr-svc-shop-web")]));
        store.writer.make_revision_live(&first, NOW).await.unwrap();
        let (second, third) = (add(None).await, add(Some(1)).await);
        store.writer.make_revision_live(&third, NOW).await.unwrap();
        let states: Vec<_> = store
            .reader
            .revisions(shop.id)
            .await
            .unwrap()
            .into_iter()
            .map(|one| (one.number, one.state))
            .collect();
        let superseded = RevisionState::Superseded;
        assert_eq!(states, [(3, RevisionState::Live), (second.number, superseded), (1, superseded)]);
        assert_eq!(store.reader.service_by_id(shop.id).await.unwrap().unwrap().live, Some(third.id));

        let inlet = Inlet { container: "web".to_owned(), port: NonZeroU16::new(8080).unwrap() };
        let site = Site { path: PathPrefix::parse("/api").unwrap(), ..Site::plain(host("shop.test")) };
        store.writer.add_service_domain(shop.id, inlet, site.clone()).await.unwrap();
        let traffic = Traffic { sticky: true, ..Traffic::default() };
        store.writer.set_traffic(Behind::Service(shop.id), traffic.clone()).await.unwrap();
        let target = ("rivetr-svc-shop-web".to_owned(), SocketAddrV4::new(Ipv4Addr::new(10, 90, 0, 9), 8080));
        let route = ServiceRoute { site, service: shop.slug.clone(), targets: vec![target], traffic };
        assert_eq!(store.reader.service_routes().await.unwrap(), std::slice::from_ref(&route));
        store.writer.set_service_stopped(shop.id, true).await.unwrap();
        let stopped = ServiceRoute { targets: Vec::new(), ..route };
        assert_eq!(store.reader.service_routes().await.unwrap(), [stopped]);
    }

    #[tokio::test]
    async fn a_unit_is_of_one_service_alone_until_that_is_gone() {
        let store = Fixture::new();
        let units = async || store.reader.units_of_services().await.unwrap().into_iter().collect::<Vec<_>>();
        let first = service(&store, "a").await;
        let slug = |text: &str| Slug::parse(text).unwrap();
        let (name, project) = (slug("a-b"), slug("default"));
        let other = store.writer.create_service(&name, &project, "s".to_owned(), false, NOW).await.unwrap();
        let claim = async |service: &Service| {
            let unit = "rivetr-svc-a-b-c".to_owned();
            store.writer.claim_units(service, vec![unit.clone()], vec![unit]).await
        };
        let given = claim(&first).await.unwrap();
        assert_eq!(claim(&first).await.unwrap(), given, "again the same address");
        assert!(matches!(claim(&other).await, Err(ServiceError::UnitTaken { .. })));
        assert_eq!(units().await, [(slug("a"), vec!["rivetr-svc-a-b-c".to_owned()])]);
        store.writer.begin_service_deletion(first.id, false).await.unwrap();
        assert_eq!(units().await, []);
        store.writer.finish_service_deletion(first.id).await.unwrap();
        store.writer.finish_service_deletion(first.id).await.unwrap();
        assert_ne!(claim(&other).await.unwrap(), given, "a free address rests first");
    }
}
