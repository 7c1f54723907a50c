//! Which container has which address: given before it starts, free again when its release is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use rusqlite::{OptionalExtension, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::project::parse_subnet;
use super::writer::Writer;
use super::{route, row};
use crate::domain::app::Replicas;
use crate::domain::deployment::DeploymentId;
use crate::domain::project::{Project, ProjectId, Subnet};

/// Why no address could be given.
#[derive(Debug, Error)]
pub enum AllocateError {
    /// Every address of the project's network is in use.
    #[error("all 253 addresses of the project's network {} are in use: delete apps of the project, or use another project", .0.cidr())]
    Exhausted(Subnet),
    /// The deployment is not at work in that project.
    #[error("this deployment is not at work in that project")]
    NotAtWork,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// The addresses of a deployment's containers: those they have, or the next after the last one given, so that
    /// an address rests before it is used again.
    pub async fn allocate_addresses(
        &self,
        project: ProjectId,
        deployment: DeploymentId,
        replicas: Replicas,
    ) -> Result<Vec<Ipv4Addr>, AllocateError> {
        self.write(move |tx| allocate(tx, project, deployment, replicas.numbers())).await
    }

    /// The address of the container that runs a command of a deployment, which has addresses already.
    pub async fn command_address(
        &self,
        project: ProjectId,
        deployment: DeploymentId,
    ) -> Result<Ipv4Addr, AllocateError> {
        let given = self.write(move |tx| allocate(tx, project, deployment, COMMAND..=COMMAND)).await?;
        given.first().copied().ok_or(AllocateError::NotAtWork)
    }

    /// Frees the address of the container that ran a command.
    pub async fn free_command_address(&self, deployment: DeploymentId) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("DELETE FROM replica WHERE deployment = ?1 AND number = ?2", (deployment.0, COMMAND))?;
            Ok(())
        })
        .await
    }

    /// Frees the addresses of a release's containers above this number.
    pub async fn free_replicas(&self, deployment: DeploymentId, kept: Replicas) -> Result<(), StoreError> {
        self.write(move |tx| {
            let sql = "DELETE FROM replica WHERE deployment = ?1 AND number > ?2";
            if tx.execute(&format!("{sql} AND serves"), (deployment.0, kept.get()))? > 0 {
                route::bump(tx)?;
            }
            tx.execute(sql, (deployment.0, kept.get()))?;
            Ok(())
        })
        .await
    }

    /// Frees a deployment's addresses, if it has any. That of a live release is not freed but an error.
    pub async fn free_addresses(&self, deployment: DeploymentId) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("DELETE FROM replica WHERE deployment = ?1", [deployment.0])?;
            tx.execute("DELETE FROM address WHERE deployment = ?1", [deployment.0])?;
            Ok(())
        })
        .await
    }
}

/// The number under which the container of a command has its address.
const COMMAND: u8 = 0;

/// What is known of a project when one of its deployments asks for an address.
struct Asked {
    subnet: Subnet,
    last: u8,
}

fn allocate(
    tx: &Transaction<'_>,
    project: ProjectId,
    deployment: DeploymentId,
    numbers: RangeInclusive<u8>,
) -> Result<Vec<Ipv4Addr>, AllocateError> {
    let Some(Asked { subnet, mut last }) = ask(tx, project, deployment)? else {
        return Err(AllocateError::NotAtWork);
    };
    let (held, mut used) = (held(tx, deployment)?, used(tx, project)?);
    let mut given = Vec::new();
    for number in numbers {
        if let Some(host) = held.get(&number) {
            given.push(subnet.host(*host));
            continue;
        }
        let host = next_host(subnet, last, &used)?;
        give(tx, project, deployment, number, host)?;
        used.insert(host);
        last = host;
        given.push(subnet.host(host));
    }
    Ok(given)
}

/// An address that no container has, the next after the last one given; whoever takes it stores it.
pub(super) fn next(tx: &Transaction<'_>, project: &Project) -> Result<Ipv4Addr, AllocateError> {
    let last = "SELECT last_host FROM project WHERE id = ?1";
    let last = row::first(tx, last, [project.id.0], |row| row::number(row, "last_host"))?;
    let last = last.ok_or(AllocateError::NotAtWork)?;
    let host = next_host(project.subnet, last, &used(tx, project.id)?)?;
    note_last(tx, project.id, host)?;
    Ok(project.subnet.host(host))
}

fn next_host(subnet: Subnet, last: u8, used: &BTreeSet<u8>) -> Result<u8, AllocateError> {
    let after_last = last.saturating_add(1)..=Subnet::LAST_HOST;
    let mut turn = after_last.chain(Subnet::FIRST_HOST..=Subnet::LAST_HOST);
    turn.find(|host| !used.contains(host)).ok_or(AllocateError::Exhausted(subnet))
}

fn ask(
    tx: &Transaction<'_>,
    project: ProjectId,
    deployment: DeploymentId,
) -> Result<Option<Asked>, StoreError> {
    row::first(
        tx,
        "SELECT subnet, last_host FROM deployment \
         JOIN app ON app.id = deployment.app JOIN project ON project.id = app.project \
         WHERE deployment.id = ?1 AND project.id = ?2 \
         AND (ended IS NULL OR deployment.id IN (SELECT deployment FROM address))",
        (deployment.0, project.0),
        |row| {
            Ok(Asked {
                subnet: row::parsed(row, "subnet", row::word(parse_subnet))?,
                last: row::number(row, "last_host")?,
            })
        },
    )
}

/// The host numbers of a deployment's containers by their own.
fn held(tx: &Transaction<'_>, deployment: DeploymentId) -> Result<BTreeMap<u8, u8>, StoreError> {
    let found = row::all(
        tx,
        "SELECT 1 AS number, host FROM address WHERE deployment = ?1 \
         UNION ALL SELECT number, host FROM replica WHERE deployment = ?1",
        [deployment.0],
        |row| Ok((row::number(row, "number")?, row::number(row, "host")?)),
    )?;
    Ok(found.into_iter().collect())
}

fn used(tx: &Transaction<'_>, project: ProjectId) -> Result<BTreeSet<u8>, StoreError> {
    let sql = "SELECT host FROM address WHERE project = ?1 \
               UNION ALL SELECT host FROM replica WHERE project = ?1 \
               UNION ALL SELECT host FROM one_off WHERE project = ?1 \
               UNION ALL SELECT host FROM resident WHERE project = ?1";
    Ok(row::all(tx, sql, [project.0], |row| row::number(row, "host"))?.into_iter().collect())
}

fn give(
    tx: &Transaction<'_>,
    project: ProjectId,
    deployment: DeploymentId,
    number: u8,
    host: u8,
) -> Result<(), StoreError> {
    if number == 1 {
        tx.execute(
            "INSERT INTO address (deployment, project, host) VALUES (?1, ?2, ?3)",
            (deployment.0, project.0, host),
        )?;
    } else {
        tx.execute(
            "INSERT INTO replica (deployment, number, project, host) VALUES (?1, ?2, ?3, ?4)",
            (deployment.0, number, project.0, host),
        )?;
    }
    note_last(tx, project, host)
}

fn note_last(tx: &Transaction<'_>, project: ProjectId, host: u8) -> Result<(), StoreError> {
    tx.execute("UPDATE project SET last_host = ?2 WHERE id = ?1", (project.0, host))?;
    Ok(())
}

/// Whether a deployment has an address.
pub(super) fn holds(tx: &Transaction<'_>, deployment: DeploymentId) -> Result<bool, StoreError> {
    let found = tx
        .prepare_cached("SELECT 1 FROM address WHERE deployment = ?1")?
        .query_row([deployment.0], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}

/// The addresses in a row with the columns `subnet` and `hosts`, a JSON list.
pub(super) fn read(row: &Row<'_>) -> Result<Vec<Ipv4Addr>, StoreError> {
    let subnet = row::parsed(row, "subnet", row::word(parse_subnet))?;
    let hosts = row::parsed(row, "hosts", |text| serde_json::from_str::<Vec<u8>>(text))?;
    Ok(hosts.into_iter().map(|host| subnet.host(host)).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW};
    use super::*;

    #[tokio::test]
    async fn addresses_are_given_in_turn_kept_and_free_again() {
        let store = Fixture::new();
        let mut given = Vec::new();
        for number in 0..3 {
            let app = store.app(&format!("app-{number}")).await;
            let deployment = store.enqueue(&app).await;
            let address =
                store.writer.allocate_addresses(app.project.id, deployment.id, Replicas::ONE).await.unwrap();
            let again =
                store.writer.allocate_addresses(app.project.id, deployment.id, Replicas::ONE).await.unwrap();
            assert_eq!(address, again);
            given.push((app, deployment, address));
        }
        let hosts: Vec<u8> = given.iter().map(|(_, _, address)| address[0].octets()[3]).collect();
        assert_eq!(hosts, [2, 3, 4]);

        let (app, first, _) = &given[0];
        store.writer.free_addresses(first.id).await.unwrap();
        store.writer.free_addresses(first.id).await.unwrap();
        assert_eq!(store.reader.deployment(first.id).await.unwrap().unwrap().addresses, [] as [Ipv4Addr; 0]);
        let next = store.writer.allocate_addresses(app.project.id, first.id, Replicas::ONE).await.unwrap();
        assert_eq!(next[0].octets()[3], 5, "a free address rests first");
        assert_eq!(store.reader.releases(app.id).await.unwrap()[0].addresses, next);
    }

    #[tokio::test]
    async fn a_full_network_says_so_and_a_freed_address_is_found_again() {
        let store = Fixture::new();
        let project = store.project("default").await;
        let mut deployments = Vec::new();
        for number in 0..254 {
            let app = store.app(&format!("app-{number}")).await;
            deployments.push(store.enqueue(&app).await);
        }
        let (last, others) = deployments.split_last().unwrap();
        for deployment in others {
            store.writer.allocate_addresses(project.id, deployment.id, Replicas::ONE).await.unwrap();
        }
        let full = store.writer.allocate_addresses(project.id, last.id, Replicas::ONE).await.unwrap_err();
        assert!(matches!(full, AllocateError::Exhausted(_)), "{full}");
        store.writer.free_addresses(others[100].id).await.unwrap();
        let found = store.writer.allocate_addresses(project.id, last.id, Replicas::ONE).await.unwrap();
        assert_eq!(found[0].octets()[3], 102);
    }

    #[tokio::test]
    async fn only_a_deployment_at_work_in_the_project_is_given_one() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let other = store.project("other").await;
        let mut deployment = store.enqueue(&app).await;
        let elsewhere = store.writer.allocate_addresses(other.id, deployment.id, Replicas::ONE).await;
        assert!(matches!(elsewhere, Err(AllocateError::NotAtWork)));
        deployment.cancel(NOW).unwrap();
        store.writer.save(&deployment, NOW).await.unwrap();
        let ended = store.writer.allocate_addresses(app.project.id, deployment.id, Replicas::ONE).await;
        assert!(matches!(ended, Err(AllocateError::NotAtWork)));
    }

    #[tokio::test]
    async fn the_address_of_what_serves_is_never_freed() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let live = store.live(&app).await;
        assert!(store.writer.free_addresses(live.id).await.is_err());
        assert_eq!(store.reader.deployment(live.id).await.unwrap().unwrap().addresses, live.addresses);
    }

    #[tokio::test]
    async fn every_container_of_a_release_has_one_and_so_has_a_command() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let deployment = store.enqueue(&app).await;
        let three = Replicas::new(3).unwrap();
        let early = store.writer.command_address(app.project.id, deployment.id).await;
        assert!(early.is_err(), "a command runs beside a release");
        let given = store.writer.allocate_addresses(app.project.id, deployment.id, three).await.unwrap();
        let command = store.writer.command_address(app.project.id, deployment.id).await.unwrap();
        let hosts: Vec<u8> = given.iter().chain([&command]).map(|address| address.octets()[3]).collect();
        assert_eq!(hosts, [2, 3, 4, 5]);
        assert_eq!(store.writer.command_address(app.project.id, deployment.id).await.unwrap(), command);
        assert_eq!(store.reader.deployment(deployment.id).await.unwrap().unwrap().addresses, given);

        let other = store.enqueue(&store.app("other").await).await;
        let next = store.writer.allocate_addresses(app.project.id, other.id, Replicas::ONE).await.unwrap();
        assert_eq!(next[0].octets()[3], 6);
        store.writer.free_command_address(deployment.id).await.unwrap();
        store.writer.free_addresses(deployment.id).await.unwrap();
        assert_eq!(store.reader.releases(app.id).await.unwrap(), []);
    }

    #[tokio::test]
    async fn no_address_stands_in_both_tables() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let deployment = store.enqueue(&app).await;
        let two = Replicas::new(2).unwrap();
        store.writer.allocate_addresses(app.project.id, deployment.id, two).await.unwrap();
        let twice = store.writer.write(move |tx| give(tx, app.project.id, DeploymentId(99), 1, 3)).await;
        assert!(twice.is_err());
    }
}
