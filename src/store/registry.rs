//! Sign-ins at registries. Passwords are sealed before they get here, and nothing here can open them.

use rusqlite::Row;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::image::RegistryHost;
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;

/// How rivetr signs in at a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registry {
    /// The registry.
    pub host: RegistryHost,
    /// The name it signs in by.
    pub user: String,
    /// The password, sealed.
    pub password: Sealed,
    /// When it was handed in.
    pub changed: Timestamp,
}

impl Writer {
    /// Stores a sign-in, in place of the one that the registry had.
    pub async fn put_registry(&self, registry: Registry) -> Result<(), StoreError> {
        let Registry { host, user, password, changed } = registry;
        self.write(move |tx| {
            tx.execute(
                "INSERT INTO registry (host, user, password, changed) VALUES (?1, ?2, ?3, ?4) \
                 ON CONFLICT (host) DO UPDATE SET user = ?2, password = ?3, changed = ?4",
                (host.as_str(), user, password.0, changed.0),
            )?;
            Ok(())
        })
        .await
    }

    /// Forgets a sign-in; whether there was one.
    pub async fn remove_registry(&self, host: &RegistryHost) -> Result<bool, StoreError> {
        let host = host.clone();
        self.write(move |tx| Ok(tx.execute("DELETE FROM registry WHERE host = ?1", [host.as_str()])? > 0))
            .await
    }
}

impl Reader {
    /// Every sign-in, by host.
    pub async fn registries(&self) -> Result<Vec<Registry>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM registry ORDER BY host", [], read)).await
    }
}

fn read(row: &Row<'_>) -> Result<Registry, StoreError> {
    Ok(Registry {
        host: row::parsed(row, "host", RegistryHost::parse)?,
        user: row::number(row, "user")?,
        password: Sealed(row::number(row, "password")?),
        changed: row::time(row, "changed")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW};
    use super::*;

    #[tokio::test]
    async fn one_sign_in_a_registry() {
        let store = Fixture::new();
        let sign_in = |host: &str, user: &str| Registry {
            host: RegistryHost::parse(host).unwrap(),
            user: user.to_owned(),
            password: Sealed(vec![0, 255]),
            changed: NOW,
        };
        for (host, user) in [("quay.io", "ada"), ("ghcr.io", "ada"), ("GHCR.io", "grace")] {
            store.writer.put_registry(sign_in(host, user)).await.unwrap();
        }
        let expect = vec![sign_in("ghcr.io", "grace"), sign_in("quay.io", "ada")];
        assert_eq!(store.reader.registries().await.unwrap(), expect);
        let quay = RegistryHost::parse("quay.io").unwrap();
        assert!(store.writer.remove_registry(&quay).await.unwrap());
        assert!(!store.writer.remove_registry(&quay).await.unwrap());
        assert_eq!(store.reader.registries().await.unwrap().len(), 1);
    }
}
