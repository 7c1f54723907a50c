//! Containers for one command: which there are, and the address of each.

use std::net::Ipv4Addr;

use rusqlite::Transaction;
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::writer::Writer;
use super::{AllocateError, address, app, row};
use crate::domain::app::AppId;
use crate::domain::name::Slug;
use crate::domain::one_off::OneOff;

/// Why a command does not get a container of its own.
#[derive(Debug, Error)]
pub enum BeginOneOffError {
    /// There is no such app.
    #[error("there is no such app")]
    NoApp,
    /// The app is being deleted.
    #[error("the app {0} is being deleted")]
    Deleting(Slug),
    /// It has as many as it may have.
    #[error("{max} commands of {0} run already: end one of them first", max = OneOff::MAX)]
    TooMany(Slug),
    /// There is no address for it.
    #[error(transparent)]
    Allocate(#[from] AllocateError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Gives a command of an app a number and an address, which are its own until [`Writer::end_one_off`].
    pub async fn begin_one_off(&self, app: AppId) -> Result<(OneOff, Ipv4Addr), BeginOneOffError> {
        self.write(move |tx| begin(tx, app)).await
    }

    /// Gives the address of a container that is gone back. Can be done twice.
    pub async fn end_one_off(&self, one_off: &OneOff) -> Result<(), StoreError> {
        let number = one_off.number;
        self.write(move |tx| {
            tx.execute("DELETE FROM one_off WHERE number = ?1", [number])?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// The containers for one command that are there or may be.
    pub async fn one_offs(&self) -> Result<Vec<OneOff>, StoreError> {
        self.read(|tx| {
            let sql = "SELECT app.slug, number FROM one_off JOIN app ON app.id = one_off.app ORDER BY number";
            row::all(tx, sql, [], |row| {
                Ok(OneOff {
                    app: row::parsed(row, "slug", Slug::parse)?,
                    number: row::number(row, "number")?,
                })
            })
        })
        .await
    }
}

fn begin(tx: &Transaction<'_>, id: AppId) -> Result<(OneOff, Ipv4Addr), BeginOneOffError> {
    let app = app::by_id(tx, id)?.ok_or(BeginOneOffError::NoApp)?;
    if app.deleting {
        return Err(BeginOneOffError::Deleting(app.slug));
    }
    let running = "SELECT count(*) AS running FROM one_off WHERE app = ?1";
    let running: Option<u32> = row::first(tx, running, [id.0], |row| row::number(row, "running"))?;
    if running.is_some_and(|running| running >= OneOff::MAX) {
        return Err(BeginOneOffError::TooMany(app.slug));
    }
    let address = address::next(tx, &app.project)?;
    let [.., host] = address.octets();
    let insert = "INSERT INTO one_off (app, project, host) VALUES (?1, ?2, ?3) RETURNING number";
    let number = tx.query_row(insert, (id.0, app.project.id.0, host), |row| row.get(0));
    let number = number.map_err(StoreError::from)?;
    Ok((OneOff { app: app.slug, number }, address))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Fixture;
    use super::*;
    use crate::domain::app::Replicas;

    #[tokio::test]
    async fn each_has_a_number_and_an_address_of_its_own_until_it_ends() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        let live = store.live(&app).await;
        let (first, address) = store.writer.begin_one_off(app.id).await.unwrap();
        assert_eq!(first.unit_name(), "rivetr-run-blog-1");
        assert!(!live.addresses.contains(&address));
        let (second, other) = store.writer.begin_one_off(app.id).await.unwrap();
        assert_ne!((&second, other), (&first, address));
        let next = store.enqueue(&app).await;
        let given = store.writer.allocate_addresses(app.project.id, next.id, Replicas::ONE).await.unwrap();
        assert!(given.iter().all(|given| ![address, other].contains(given)), "{given:?}");

        store.writer.end_one_off(&second).await.unwrap();
        store.writer.end_one_off(&second).await.unwrap();
        assert_eq!(store.reader.one_offs().await.unwrap(), [first]);
        let (third, rested) = store.writer.begin_one_off(app.id).await.unwrap();
        assert!(third.number > second.number, "a number is never given twice");
        assert_ne!(rested, other, "a free address rests first");
    }

    #[tokio::test]
    async fn an_app_has_so_many_and_none_once_it_goes() {
        let store = Fixture::new();
        let app = store.app("blog").await;
        for _ in 0..OneOff::MAX {
            store.writer.begin_one_off(app.id).await.unwrap();
        }
        let many = store.writer.begin_one_off(app.id).await.unwrap_err();
        assert_eq!(many.to_string(), "16 commands of blog run already: end one of them first");
        store.writer.begin_deletion(app.id, false).await.unwrap();
        let late = store.writer.begin_one_off(app.id).await.unwrap_err();
        assert!(matches!(late, BeginOneOffError::Deleting(_)), "{late}");
        store.writer.finish_deletion(app.id).await.unwrap();
        assert_eq!(store.reader.one_offs().await.unwrap(), []);
        let gone = store.writer.begin_one_off(app.id).await.unwrap_err();
        assert!(matches!(gone, BeginOneOffError::NoApp), "{gone}");
    }
}
