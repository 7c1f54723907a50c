//! Keys of SSH, and the keys of the servers that were met. The private halves are sealed before they come here.

use rusqlite::{Connection, Row, Transaction};
use thiserror::Error;

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::key::{HostKey, Key, KnownHost, PublicKey, SshHost};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;

/// Why a key could not be stored.
#[derive(Debug, Error)]
pub enum CreateKeyError {
    /// Another key has the name.
    #[error("there is a key {0} already: choose another name")]
    NameTaken(Slug),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a key could not be deleted.
#[derive(Debug, Error)]
pub enum DeleteKeyError {
    /// There is no such key.
    #[error("there is no key {0}")]
    NoKey(Slug),
    /// Apps or services are fetched with it.
    #[error("the key {key} is used by {}: give them another source first", names(users))]
    Used {
        /// The key.
        key: Slug,
        /// The apps and services.
        users: Vec<Slug>,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Writer {
    /// Stores a key.
    pub async fn create_key(&self, key: Key, private: Sealed) -> Result<(), CreateKeyError> {
        self.write(move |tx| {
            let Key { name, team, public, created } = key;
            if by_name(tx, &name)?.is_some() {
                return Err(CreateKeyError::NameTaken(name));
            }
            let insert = "INSERT INTO key (name, public, private, created, team) VALUES (?1, ?2, ?3, ?4, ?5)";
            let row = (name.as_str(), public.to_string(), private.0, created.0, team.0);
            tx.execute(insert, row).map_err(StoreError::from)?;
            Ok(())
        })
        .await
    }

    /// Forgets a key that no app and no service uses.
    pub async fn delete_key(&self, name: Slug) -> Result<(), DeleteKeyError> {
        self.write(move |tx| {
            let mut users = users(tx, &name)?;
            users.extend(services(tx, &name)?);
            if !users.is_empty() {
                return Err(DeleteKeyError::Used { key: name, users });
            }
            let deleted = tx.execute("DELETE FROM key WHERE name = ?1", [name.as_str()]);
            if deleted.map_err(StoreError::from)? == 0 { Err(DeleteKeyError::NoKey(name)) } else { Ok(()) }
        })
        .await
    }

    /// Stores the keys of a server that was met for the first time. Where another met it meanwhile, what that one
    /// saw holds.
    pub async fn pin_hosts(&self, keys: Vec<HostKey>, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            let known = keys.iter().map(|key| known_as(tx, &key.host)).collect::<Result<Vec<_>, _>>()?;
            for (HostKey { host, key }, _) in keys.iter().zip(known).filter(|(_, known)| known.is_empty()) {
                tx.prepare_cached("INSERT OR IGNORE INTO known_host (host, key, seen) VALUES (?1, ?2, ?3)")?
                    .execute((host.to_string(), key.to_string(), now.0))?;
            }
            Ok(())
        })
        .await
    }

    /// Forgets the keys of a server, so that the next ones it shows are taken; whether there were any.
    pub async fn forget_host(&self, host: SshHost) -> Result<bool, StoreError> {
        let delete = "DELETE FROM known_host WHERE host = ?1";
        self.write(move |tx| Ok(tx.execute(delete, [host.to_string()])? > 0)).await
    }
}

impl Reader {
    /// Every key, by name.
    pub async fn keys(&self) -> Result<Vec<Key>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM key ORDER BY name", [], read)).await
    }

    /// The key of that name, with the apps that are fetched with it.
    pub async fn key(&self, name: &Slug) -> Result<Option<(Key, Vec<Slug>)>, StoreError> {
        let name = name.clone();
        self.read(move |tx| by_name(tx, &name)?.map(|key| Ok((key, users(tx, &name)?))).transpose()).await
    }

    /// The private half of a key, sealed.
    pub async fn private_key(&self, name: &Slug) -> Result<Option<Sealed>, StoreError> {
        let name = name.clone();
        let select = "SELECT private FROM key WHERE name = ?1";
        self.read(move |tx| {
            row::first(tx, select, [name.as_str()], |row| Ok(Sealed(row::number(row, "private")?)))
        })
        .await
    }

    /// The keys of every server that was met, by name.
    pub async fn known_hosts(&self) -> Result<Vec<KnownHost>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM known_host ORDER BY host, id", [], read_known)).await
    }

    /// The keys of one server.
    pub async fn host_keys(&self, host: &SshHost) -> Result<Vec<KnownHost>, StoreError> {
        let host = host.clone();
        self.read(move |tx| known_as(tx, &host)).await
    }
}

/// Whether a team has a key of that name, in the transaction at hand.
pub(super) fn exists(connection: &Connection, name: &Slug, team: TeamId) -> Result<bool, StoreError> {
    Ok(by_name(connection, name)?.is_some_and(|key| key.team == team))
}

fn by_name(connection: &Connection, name: &Slug) -> Result<Option<Key>, StoreError> {
    row::first(connection, "SELECT * FROM key WHERE name = ?1", [name.as_str()], read)
}

fn known_as(connection: &Connection, host: &SshHost) -> Result<Vec<KnownHost>, StoreError> {
    row::all(
        connection,
        "SELECT * FROM known_host WHERE host = ?1 ORDER BY id",
        [host.to_string()],
        read_known,
    )
}

/// The apps whose source names a key.
fn users(tx: &Transaction<'_>, name: &Slug) -> Result<Vec<Slug>, StoreError> {
    let select = "SELECT slug FROM app WHERE json_extract(source, '$.git.access.key') = ?1 ORDER BY slug";
    row::all(tx, select, [name.as_str()], |row| row::parsed(row, "slug", Slug::parse))
}

/// The services whose repository is opened by a key.
fn services(tx: &Transaction<'_>, name: &Slug) -> Result<Vec<Slug>, StoreError> {
    let select = "SELECT slug FROM service WHERE json_extract(source, '$.git.access.key') = ?1 ORDER BY slug";
    row::all(tx, select, [name.as_str()], |row| row::parsed(row, "slug", Slug::parse))
}

fn read(row: &Row<'_>) -> Result<Key, StoreError> {
    Ok(Key {
        name: row::parsed(row, "name", Slug::parse)?,
        team: row::number::<Option<i64>>(row, "team")?.map_or(TeamId::FIRST, TeamId),
        public: row::parsed(row, "public", row::word(PublicKey::parse))?,
        created: row::time(row, "created")?,
    })
}

fn read_known(row: &Row<'_>) -> Result<KnownHost, StoreError> {
    let host = row::parsed(row, "host", SshHost::parse)?;
    let key = row::parsed(row, "key", row::word(PublicKey::parse))?;
    Ok(KnownHost { key: HostKey { host, key }, seen: row::time(row, "seen")? })
}

fn names(apps: &[Slug]) -> String {
    apps.iter().map(Slug::as_str).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW, new_app, slug};
    use super::super::{CreateAppError, SetSourceError};
    use super::*;
    use crate::domain::key::PrivateKey;
    use crate::domain::source::{Branch, GitAccess, GitSource, GitUrl, Reference, Source};

    fn public(seed: u8) -> PublicKey {
        PrivateKey::from_seed(&[seed; 32]).unwrap().public
    }

    fn key(name: &str) -> Key {
        Key { name: slug(name), team: TeamId::FIRST, public: public(1), created: NOW }
    }

    fn with_key(name: &str) -> Source {
        let url = GitUrl::parse("ssh://git@example.org/a.git").unwrap();
        let reference = Reference::Branch(Branch::parse("main").unwrap());
        Source::Git(GitSource { access: GitAccess::Key(slug(name)), ..GitSource::new(url, reference) })
    }

    #[tokio::test]
    async fn a_key_lasts_as_long_as_it_is_used() {
        let store = Fixture::new();
        let sealed = Sealed(vec![1, 2, 3]);
        store.writer.create_key(key("deploy"), sealed.clone()).await.unwrap();
        let again = store.writer.create_key(key("deploy"), sealed.clone()).await.unwrap_err();
        assert!(matches!(again, CreateKeyError::NameTaken(_)));
        assert_eq!(store.reader.private_key(&slug("deploy")).await.unwrap(), Some(sealed));
        assert_eq!(store.reader.private_key(&slug("other")).await.unwrap(), None);

        let app = store.app("blog").await;
        let unknown = store.writer.set_source(app.id, with_key("other")).await.unwrap_err();
        assert!(matches!(unknown, SetSourceError::NoKey(_)), "{unknown}");
        store.writer.set_source(app.id, with_key("deploy")).await.unwrap();
        assert_eq!(store.reader.app_by_id(app.id).await.unwrap().unwrap().source, with_key("deploy"));
        // One of another team is as little there.
        let team = store.writer.create_team(slug("team"), None, NOW).await.unwrap().id;
        store.writer.create_key(Key { team, ..key("theirs") }, Sealed(vec![1])).await.unwrap();
        let foreign = store.writer.set_source(app.id, with_key("theirs")).await.unwrap_err();
        assert!(matches!(foreign, SetSourceError::NoKey(_)), "{foreign}");
        let new = crate::domain::app::NewApp { source: with_key("theirs"), ..new_app("docs") };
        let foreign = store.writer.create_app(new, None, NOW).await.unwrap_err();
        assert!(matches!(foreign, CreateAppError::NoKey(_)), "{foreign}");
        store.writer.delete_key(slug("theirs")).await.unwrap();

        let new = crate::domain::app::NewApp { source: with_key("other"), ..new_app("docs") };
        let unknown = store.writer.create_app(new, None, NOW).await.unwrap_err();
        assert!(matches!(unknown, CreateAppError::NoKey(_)), "{unknown}");

        let (shown, users) = store.reader.key(&slug("deploy")).await.unwrap().unwrap();
        assert_eq!((shown, users), (key("deploy"), vec![slug("blog")]));
        let refused = store.writer.delete_key(slug("deploy")).await.unwrap_err().to_string();
        assert_eq!(refused, "the key deploy is used by blog: give them another source first");
        store.writer.set_source(app.id, app.source).await.unwrap();
        store.writer.delete_key(slug("deploy")).await.unwrap();
        assert!(matches!(store.writer.delete_key(slug("deploy")).await, Err(DeleteKeyError::NoKey(_))));
        assert_eq!(store.reader.keys().await.unwrap(), []);
    }

    #[tokio::test]
    async fn the_first_keys_of_a_server_hold_until_they_are_forgotten() {
        let store = Fixture::new();
        let host = SshHost::parse("git.example.org:2222").unwrap();
        let met = |seed| HostKey { host: host.clone(), key: public(seed) };
        store.writer.pin_hosts(vec![met(1), met(2)], NOW).await.unwrap();
        store.writer.pin_hosts(vec![met(3)], NOW).await.unwrap();
        let keys = |known: Vec<KnownHost>| known.into_iter().map(|known| known.key).collect::<Vec<_>>();
        assert_eq!(keys(store.reader.host_keys(&host).await.unwrap()), [met(1), met(2)]);
        let other = SshHost::parse("git.example.org").unwrap();
        assert_eq!(store.reader.host_keys(&other).await.unwrap(), []);
        assert!(store.writer.forget_host(host.clone()).await.unwrap());
        assert!(!store.writer.forget_host(host.clone()).await.unwrap());
        store.writer.pin_hosts(vec![met(3)], NOW).await.unwrap();
        assert_eq!(keys(store.reader.known_hosts().await.unwrap()), [met(3)]);
    }
}
