//! Which container has which address: given before it starts, free again when its release is gone.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use rusqlite::{OptionalExtension, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::project::parse_subnet;
use super::row;
use super::writer::Writer;
use crate::domain::deployment::DeploymentId;
use crate::domain::project::{ProjectId, Subnet};

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
    /// The address of a deployment's container: the one it has, or the next after the last one given, so
    /// that an address rests before it is used again.
    pub async fn allocate_address(
        &self,
        project: ProjectId,
        deployment: DeploymentId,
    ) -> Result<Ipv4Addr, AllocateError> {
        self.write(move |tx| allocate(tx, project, deployment)).await
    }

    /// Frees a deployment's address, if it has one. That of a live release is not freed but an error.
    pub async fn free_address(&self, deployment: DeploymentId) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("DELETE FROM address WHERE deployment = ?1", [deployment.0])?;
            Ok(())
        })
        .await
    }
}

/// What is known of a project when one of its deployments asks for an address.
struct Asked {
    subnet: Subnet,
    last: u8,
    held: Option<u8>,
}

fn allocate(
    tx: &Transaction<'_>,
    project: ProjectId,
    deployment: DeploymentId,
) -> Result<Ipv4Addr, AllocateError> {
    let Some(Asked { subnet, last, held }) = ask(tx, project, deployment)? else {
        return Err(AllocateError::NotAtWork);
    };
    if let Some(held) = held {
        return Ok(subnet.host(held));
    }
    let used = used(tx, project)?;
    let after_last = last.saturating_add(1)..=Subnet::LAST_HOST;
    let next = after_last.chain(Subnet::FIRST_HOST..=Subnet::LAST_HOST).find(|host| !used.contains(host));
    let host = next.ok_or(AllocateError::Exhausted(subnet))?;
    give(tx, project, deployment, host)?;
    Ok(subnet.host(host))
}

fn ask(
    tx: &Transaction<'_>,
    project: ProjectId,
    deployment: DeploymentId,
) -> Result<Option<Asked>, StoreError> {
    row::first(
        tx,
        "SELECT subnet, last_host, address.host AS held FROM deployment \
         JOIN app ON app.id = deployment.app JOIN project ON project.id = app.project \
         LEFT JOIN address ON address.deployment = deployment.id \
         WHERE deployment.id = ?1 AND project.id = ?2 AND (ended IS NULL OR held IS NOT NULL)",
        (deployment.0, project.0),
        |row| {
            Ok(Asked {
                subnet: row::parsed(row, "subnet", row::word(parse_subnet))?,
                last: row::number(row, "last_host")?,
                held: row::number(row, "held")?,
            })
        },
    )
}

fn used(tx: &Transaction<'_>, project: ProjectId) -> Result<BTreeSet<u8>, StoreError> {
    Ok(row::all(tx, "SELECT host FROM address WHERE project = ?1", [project.0], |row| {
        row::number(row, "host")
    })?
    .into_iter()
    .collect())
}

fn give(
    tx: &Transaction<'_>,
    project: ProjectId,
    deployment: DeploymentId,
    host: u8,
) -> Result<(), StoreError> {
    tx.execute(
        "INSERT INTO address (deployment, project, host) VALUES (?1, ?2, ?3)",
        (deployment.0, project.0, host),
    )?;
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

/// The address in a row with the columns `subnet` and `host`, if it has one.
pub(super) fn read(row: &Row<'_>) -> Result<Option<Ipv4Addr>, StoreError> {
    let subnet = row::maybe_parsed(row, "subnet", row::word(parse_subnet))?;
    let host: Option<u8> = row::number(row, "host")?;
    Ok(subnet.zip(host).map(|(subnet, host)| subnet.host(host)))
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
            let address = store.writer.allocate_address(app.project.id, deployment.id).await.unwrap();
            let again = store.writer.allocate_address(app.project.id, deployment.id).await.unwrap();
            assert_eq!(address, again);
            given.push((app, deployment, address));
        }
        let hosts: Vec<u8> = given.iter().map(|(_, _, address)| address.octets()[3]).collect();
        assert_eq!(hosts, [2, 3, 4]);

        let (app, first, _) = &given[0];
        store.writer.free_address(first.id).await.unwrap();
        store.writer.free_address(first.id).await.unwrap();
        assert_eq!(store.reader.deployment(first.id).await.unwrap().unwrap().address, None);
        let next = store.writer.allocate_address(app.project.id, first.id).await.unwrap();
        assert_eq!(next.octets()[3], 5, "a free address rests first");
        assert_eq!(store.reader.releases(app.id).await.unwrap()[0].address, Some(next));
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
            store.writer.allocate_address(project.id, deployment.id).await.unwrap();
        }
        let full = store.writer.allocate_address(project.id, last.id).await.unwrap_err();
        assert!(matches!(full, AllocateError::Exhausted(_)), "{full}");
        store.writer.free_address(others[100].id).await.unwrap();
        let found = store.writer.allocate_address(project.id, last.id).await.unwrap();
        assert_eq!(found.octets()[3], 102);
    }

    #[tokio::test]
    async fn only_a_deployment_at_work_in_the_project_is_given_one() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let other = store.project("other").await;
        let mut deployment = store.enqueue(&app).await;
        let elsewhere = store.writer.allocate_address(other.id, deployment.id).await;
        assert!(matches!(elsewhere, Err(AllocateError::NotAtWork)));
        deployment.cancel(NOW).unwrap();
        store.writer.save(&deployment, NOW).await.unwrap();
        let ended = store.writer.allocate_address(app.project.id, deployment.id).await;
        assert!(matches!(ended, Err(AllocateError::NotAtWork)));
    }

    #[tokio::test]
    async fn the_address_of_what_serves_is_never_freed() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let live = store.live(&app).await;
        assert!(store.writer.free_address(live.id).await.is_err());
        assert_eq!(store.reader.deployment(live.id).await.unwrap().unwrap().address, live.address);
    }
}
