//! The tokens of the API: their names, reach and hashes. The tokens themselves are never stored.

use rusqlite::{Connection, Row, Transaction};

use super::error::StoreError;
use super::reader::Reader;
use super::row;
use super::user::{self, Account};
use super::writer::Writer;
use crate::domain::person::{TeamId, UserId};
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
    /// Where it was last used from.
    pub address: Option<String>,
    /// Whose it is; none: the instance's own.
    pub user: Option<UserId>,
    /// The one team that it is for.
    pub team: Option<TeamId>,
}

/// A token that is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// What a person calls it.
    pub name: String,
    /// How far it reaches.
    pub scope: Scope,
    /// From when on it is worth nothing.
    pub expires: Option<Timestamp>,
    /// Whose it is; none: the instance's own.
    pub user: Option<UserId>,
    /// The one team that it is for.
    pub team: Option<TeamId>,
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
        new: NewToken,
        hash: [u8; 32],
        now: Timestamp,
    ) -> Result<TokenId, StoreError> {
        self.write(move |tx| insert(tx, &new, &hash, now)).await
    }

    /// Forgets a token; whether there was one.
    pub async fn revoke_token(&self, id: TokenId) -> Result<bool, StoreError> {
        self.write(move |tx| Ok(tx.execute("DELETE FROM token WHERE id = ?1", [id.0])? > 0)).await
    }

    /// Notes that a token was used.
    pub async fn touch_token(
        &self,
        id: TokenId,
        address: Option<String>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached(
                "UPDATE token SET used = ?2, address = ?4 \
                 WHERE id = ?1 AND (used IS NULL OR abs(?2 - used) >= ?3)",
            )?
            .execute((id.0, now.0, NOTE_EVERY, address))?;
            Ok(())
        })
        .await
    }
}

impl Reader {
    /// The token with that SHA-256, expired or not, and whose it is.
    pub async fn token_by_hash(
        &self,
        hash: &[u8; 32],
    ) -> Result<Option<(Token, Option<Account>)>, StoreError> {
        let hash = *hash;
        self.read(move |tx| {
            let found = row::first(tx, "SELECT * FROM token WHERE hash = ?1", [hash.as_slice()], read)?;
            found.map(|token| with_owner(tx, token)).transpose()
        })
        .await
    }

    /// The token of that number, expired or not, and whose it is.
    pub async fn token(&self, id: TokenId) -> Result<Option<(Token, Option<Account>)>, StoreError> {
        self.read(move |tx| {
            let found = row::first(tx, "SELECT * FROM token WHERE id = ?1", [id.0], read)?;
            found.map(|token| with_owner(tx, token)).transpose()
        })
        .await
    }

    /// Every token, oldest first.
    pub async fn tokens(&self) -> Result<Vec<Token>, StoreError> {
        self.read(|tx| row::all(tx, "SELECT * FROM token ORDER BY id", [], read)).await
    }
}

fn with_owner(connection: &Connection, token: Token) -> Result<(Token, Option<Account>), StoreError> {
    let Some(id) = token.user else { return Ok((token, None)) };
    let owner = user::by_id(connection, id)?.ok_or(StoreError::Malformed("token"))?;
    Ok((token, Some(user::account(connection, owner)?)))
}

fn insert(
    tx: &Transaction<'_>,
    new: &NewToken,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<TokenId, StoreError> {
    let NewToken { name, scope, expires, user, team } = new;
    let (expires, user, team) = (expires.map(|at| at.0), user.map(|user| user.0), team.map(|team| team.0));
    tx.execute(
        "INSERT INTO token (name, scope, hash, expires, created, user, team) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        (name, scope.as_str(), hash.as_slice(), expires, now.0, user, team),
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
        address: row::number(row, "address")?,
        user: row::number::<Option<i64>>(row, "user")?.map(UserId),
        team: row::number::<Option<i64>>(row, "team")?.map(TeamId),
    })
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Fixture, NOW};
    use super::*;

    fn new(scope: Scope, expires: Option<Timestamp>) -> NewToken {
        NewToken { name: "ci".to_owned(), scope, expires, user: None, team: None }
    }

    #[tokio::test]
    async fn a_token_is_found_by_its_hash_until_it_is_revoked() {
        let store = Fixture::new();
        let later = Timestamp(NOW.0 + 1);
        let create = |scope, byte, expires| store.writer.create_token(new(scope, expires), [byte; 32], NOW);
        let id = create(Scope::Deploy, 1, Some(later)).await.unwrap();
        create(Scope::Admin, 2, None).await.unwrap();
        assert!(create(Scope::Read, 2, None).await.is_err(), "a hash is of one token");

        let (token, owner) = store.reader.token_by_hash(&[1; 32]).await.unwrap().unwrap();
        assert_eq!(owner, None);
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
        let id = store.writer.create_token(new(Scope::Read, None), [1; 32], NOW).await.unwrap();
        for (at, noted) in [(0, 0), (59_999, 0), (60_000, 60_000), (-3_600_000, -3_600_000)] {
            let from = Some("192.0.2.7".to_owned());
            store.writer.touch_token(id, from.clone(), Timestamp(NOW.0 + at)).await.unwrap();
            let token = store.reader.tokens().await.unwrap().remove(0);
            assert_eq!((token.used, token.address), (Some(Timestamp(NOW.0 + noted)), from));
        }
    }
}
