//! Containers that are neither a release nor a one-off command, and the address of each: databases, services, jobs.

use std::net::Ipv4Addr;

use rusqlite::Transaction;

use super::error::StoreError;
use super::project::parse_subnet;
use super::writer::Writer;
use super::{AllocateError, address, row};
use crate::domain::project::Project;

impl Writer {
    /// The address of the container of this unit: the one that it has, or the next after the last one given.
    pub async fn resident_address(&self, project: &Project, unit: &str) -> Result<Ipv4Addr, AllocateError> {
        let (project, unit) = (project.clone(), unit.to_owned());
        self.write(move |tx| give(tx, &project, &unit)).await
    }

    /// Gives the address of a container that is gone back. Can be done twice.
    pub async fn free_resident(&self, unit: &str) -> Result<(), StoreError> {
        let unit = unit.to_owned();
        self.write(move |tx| free(tx, &unit)).await
    }
}

/// The address of a unit, in the transaction at hand.
pub(super) fn give(tx: &Transaction<'_>, project: &Project, unit: &str) -> Result<Ipv4Addr, AllocateError> {
    let sql = "SELECT subnet, host FROM resident JOIN project ON project.id = resident.project \
               WHERE unit = ?1 AND project.id = ?2";
    let held = row::first(tx, sql, (unit, project.id.0), |row| {
        let subnet = row::parsed(row, "subnet", row::word(parse_subnet))?;
        Ok(subnet.host(row::number(row, "host")?))
    })?;
    if let Some(held) = held {
        return Ok(held);
    }
    let address = address::next(tx, project)?;
    let [.., host] = address.octets();
    let insert = "INSERT INTO resident (unit, project, host) VALUES (?1, ?2, ?3)";
    tx.execute(insert, (unit, project.id.0, host)).map_err(StoreError::from)?;
    Ok(address)
}

/// Has a unit of another name have the address, in the transaction at hand.
pub(super) fn rename(tx: &Transaction<'_>, from: &str, to: &str) -> Result<(), StoreError> {
    tx.execute("UPDATE resident SET unit = ?2 WHERE unit = ?1", (from, to))?;
    Ok(())
}

/// Frees the address of a unit, in the transaction at hand.
pub(super) fn free(tx: &Transaction<'_>, unit: &str) -> Result<(), StoreError> {
    tx.execute("DELETE FROM resident WHERE unit = ?1", [unit])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use crate::domain::app::Replicas;

    #[tokio::test]
    async fn a_resident_keeps_its_address_until_it_is_freed_and_nobody_else_gets_it() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let give = async |unit: &str| store.writer.resident_address(&app.project, unit).await.unwrap();
        let first = give("rivetr-db-orders").await;
        assert_eq!(give("rivetr-db-orders").await, first);
        let other = give("rivetr-db-users").await;
        assert_ne!(other, first);
        let deployment = store.enqueue(&app).await;
        let given =
            store.writer.allocate_addresses(app.project.id, deployment.id, Replicas::ONE).await.unwrap();
        let (_, command) = store.writer.begin_one_off(app.id).await.unwrap();
        assert!(![given[0], command].iter().any(|taken| [first, other].contains(taken)));

        store.writer.free_resident("rivetr-db-orders").await.unwrap();
        store.writer.free_resident("rivetr-db-orders").await.unwrap();
        assert_ne!(give("rivetr-db-orders").await, first, "a free address rests first");
    }
}
