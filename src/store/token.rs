//! The tokens of the API: their names, reach and hashes. The tokens themselves are never stored.

use rusqlite::{Row, Transaction};

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::writer::Writer;
use crate::domain::right::Scope;
use crate::domain::time::Timestamp;

/// The last use of a token is noted at most this often, in milliseconds: not every request is worth a write.
const NOTE_EVERY: i64 = 60_000;

/// A token's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub i64);

/// A token as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its number in the store.
    pub id: TokenId,
    /// What a person calls it.
    pub name: String,
    /// How far it reaches.
    pub scope: Scope,
    /// When it was created.
    pub created: Timestamp,
    /// From when on it is worth nothing.
    pub expires: Option<Timestamp>,
    /// When it was last used, to a minute.
    pub used: Option<Timestamp>,
}

impl Token {
    /// Whether its time is over.
    #[must_use]
    pub fn is_expired(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }
}

impl Writer {
    /// Stores a token by the SHA-256 of it.
    pub async fn create_token(
        &self,
        name: String,
        scope: Scope,
        hash: [u8; 32],
        expires: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<TokenId, StoreError> {
        self.write(move |tx| insert(tx, &name, scope, &hash, expires, now)).await
    }

    /// Forgets a token; whether there was one.
    pub async fn revoke_token(&self, id: TokenId) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute("DELETE FROM token WHERE id = ?1", [id.0])? > 0)).await
    }

    /// Notes that a token was used.
    pub async fn touch_token(&self, id: TokenId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE token SET used = ?2 WHERE id = ?1 AND (used IS NULL OR abs(?2 - used) >= ?3)",
            )?
            .execute((id.0, now.0, NOTE_EVERY))?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// The token with that SHA-256, expired or not.
    pub async fn token_by_hash(&self, hash: &[u8; 32]) -> Result<Option<Token>, StoreError> {
        let hash = *hash;
        self.read(move |tx| row::first(tx, "SELECT * FROM token WHERE hash = ?1", [hash.as_slice()], read))
            .await
    }

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM token ORDER BY id", [], read)).await
    }
}

fn insert(
    tx: &Transaction<'_>,
    name: &str,
    scope: Scope,
    hash: &[u8; 32],
    expires: Option<Timestamp>,
    now: Timestamp,
) -> Result<TokenId, StoreError> {
    tx.execute(
        "INSERT INTO token (name, scope, hash, expires, created) VALUES (?1, ?2, ?3, ?4, ?5)",
        (name, scope.as_str(), hash.as_slice(), expires.map(|time| time.0), now.0),
    )?;
    Ok(TokenId(tx.last_insert_rowid()))
}

fn read(row: &Row<'_>) -> Result<Token, StoreError> {
    Ok(Token {
        id: TokenId(row::number(row, "id")?),
        name: row::number(row, "name")?,
        scope: row::parsed(row, "scope", row::word(Scope::parse))?,
        created: row::time(row, "created")?,
        expires: row::maybe_time(row, "expires")?,
        used: row::maybe_time(row, "used")?,
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW};
    use super::*;

    #[tokio::test]
    async fn a_token_is_found_by_its_hash_until_it_is_revoked() {
        let store = Fixture::new();
        let later = Timestamp(NOW.0 + 1);
        let create = |scope, byte, expires| {
            store.writer.create_token("ci".to_owned(), scope, [byte; 32], expires, NOW)
        };
        let id = create(Scope::Deploy, 1, Some(later)).await.unwrap();
        create(Scope::Admin, 2, None).await.unwrap();
        assert!(create(Scope::Read, 2, None).await.is_err(), "a hash is of one token");

        let token = store.reader.token_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!((token.id, token.scope, token.used), (id, Scope::Deploy, None));
        assert!(!token.is_expired(NOW) && token.is_expired(later));
        assert_eq!(store.reader.token_by_hash(&[3; 32]).await.unwrap(), None);
        assert_eq!(store.reader.tokens().await.unwrap().len(), 2);

        assert!(store.writer.revoke_token(id).await.unwrap());
        assert!(!store.writer.revoke_token(id).await.unwrap());
        assert_eq!(store.reader.token_by_hash(&[1; 32]).await.unwrap(), None);
    }

    #[tokio::test]
    async fn use_is_noted_to_a_minute_also_when_the_clock_goes_back() {
        let store = Fixture::new();
        let id = store.writer.create_token("ci".to_owned(), Scope::Read, [1; 32], None, NOW).await.unwrap();
        for (at, noted) in [(0, 0), (59_999, 0), (60_000, 60_000), (-3_600_000, -3_600_000)] {
            store.writer.touch_token(id, Timestamp(NOW.0 + at)).await.unwrap();
            let used = store.reader.tokens().await.unwrap()[0].used;
            assert_eq!(used, Some(Timestamp(NOW.0 + noted)));
        }
    }
}
