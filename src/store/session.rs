//! Sessions of browsers, by the SHA-256 of their cookies. One that waits for the second factor opens nothing.

use rusqlite::{Connection, Row, Transaction};

use super::error::StoreError;
use super::people::PeopleError;
use super::reader::Reader;
use super::user::{Account, PasswordHash};
use super::writer::Writer;
use super::{row, user};
use crate::domain::person::UserId;
use crate::domain::time::Timestamp;

/// The sessions that a user may have at once; the one that was used longest ago goes.
const SESSIONS_MAX: i64 = 50;

/// The addresses that are remembered of a user; the one that was used longest ago goes.
const ADDRESSES_MAX: i64 = 20;

/// A session's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

/// A session as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its number in the store.
    pub id: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// SHA-256 of its cookie.
    pub hash: [u8; 32],
    /// Whether it waits for the second factor.
    pub pending: bool,
    /// When it began.
    pub created: Timestamp,
    /// When it was last used, to a minute.
    pub used: Timestamp,
    /// When its password was last shown.
    pub proved: Timestamp,
    /// Where it began.
    pub address: Option<String>,
    /// The program that began it, as it calls itself.
    pub agent: String,
}

/// A session that begins.
#[derive(Debug, Clone)]
pub struct Begin {
    /// SHA-256 of its cookie.
    pub hash: [u8; 32],
    /// Where it begins.
    pub address: Option<String>,
    /// The program that begins it.
    pub agent: String,
    /// Now.
    pub now: Timestamp,
}

/// What ends a session that waits for the second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Factor {
    /// A code of this step of time.
    Totp(i64),
    /// A recovery code of this SHA-256.
    Recovery([u8; 32]),
}

/// Sessions that began or were used before these moments are over.
#[derive(Debug, Clone, Copy)]
pub struct Over {
    /// For those that were begun.
    pub created: Timestamp,
    /// For those that were used.
    pub used: Timestamp,
    /// For those that wait for the second factor.
    pub pending: Timestamp,
}

impl Writer {
    /// Begins a session of a user whose password still hashes to this. Those that are over go.
    pub async fn begin_session(
        &self,
        id: UserId,
        password: PasswordHash,
        pending: bool,
        begin: Begin,
        over: Over,
    ) -> Result<(), PeopleError> {
        self.write(move |tx| {
            sweep(tx, over)?;
            let user = user::by_id(tx, id)?.ok_or(PeopleError::NoUser)?;
            if user.disabled || user.password != Some(password) || user.second_factor != pending {
                return Err(PeopleError::Changed);
            }
            Ok(insert(tx, id, pending, &begin)?)
        })
        .await
    }

    /// Puts a new session in the place of one that waited for the second factor. A code is taken once.
    pub async fn pass_second_factor(
        &self,
        waiting: SessionId,
        factor: Factor,
        begin: Begin,
    ) -> Result<(), PeopleError> {
        self.write(move |tx| {
            let session = by_id(tx, waiting)?.filter(|session| session.pending).ok_or(PeopleError::NoLink)?;
            if !use_factor(tx, session.user, &factor)? {
                return Err(PeopleError::Changed);
            }
            tx.execute("DELETE FROM session WHERE id = ?1", [waiting.0])?;
            Ok(insert(tx, session.user, false, &begin)?)
        })
        .await
    }

    /// Counts a wrong code; from `most` on, the session that waits for the right one ends. Whether it goes on.
    pub async fn count_wrong_code(&self, waiting: SessionId, most: u32) -> Result<bool, StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE session SET tries = tries + 1 WHERE id = ?1 AND pending = 1", [waiting.0])?;
            tx.execute(
                "DELETE FROM session WHERE id = ?1 AND pending = 1 AND tries >= ?2",
                (waiting.0, most),
            )?;
            Ok(by_id(tx, waiting)?.is_some())
        })
        .await
    }

    /// Notes that a session was used.
    pub async fn touch_session(&self, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.prepare_cached("UPDATE session SET used = ?2 WHERE id = ?1")?.execute((id.0, now.0))?;
            Ok(())
        })
        .await
    }

    /// Notes that the password was shown once more.
    pub async fn prove_session(&self, id: SessionId, now: Timestamp) -> Result<(), StoreError> {
        self.write(move |tx| {
            tx.execute("UPDATE session SET proved = ?2 WHERE id = ?1", (id.0, now.0))?;
            Ok(())
        })
        .await
    }

    /// Ends a session of a user; whether there was one.
    pub async fn end_session(&self, user: UserId, id: SessionId) -> Result<bool, StoreError> {
        self.write(move |tx| {
            Ok(tx.execute("DELETE FROM session WHERE id = ?1 AND user = ?2", (id.0, user.0))? > 0)
        })
        .await
    }

    /// Ends every session of a user but that of this hash.
    pub async fn end_sessions(&self, user: UserId, kept: Option<[u8; 32]>) -> Result<(), StoreError> {
        self.write(move |tx| user::end_others(tx, user, kept)).await
    }
}

impl Reader {
    /// The session whose cookie has this SHA-256, with its user, over or not.
    pub async fn session(&self, hash: &[u8; 32]) -> Result<Option<(Session, Account)>, StoreError> {
        let hash = *hash;
        self.read(move |tx| {
            let sql = "SELECT * FROM session WHERE hash = ?1";
            let Some(session) = row::first(tx, sql, [hash.as_slice()], read)? else { return Ok(None) };
            let user = user::by_id(tx, session.user)?.ok_or(StoreError::Malformed("session"))?;
            Ok(Some((session, user::account(tx, user)?)))
        })
        .await
    }

    /// The sessions of a user, the last one first.
    pub async fn sessions(&self, user: UserId) -> Result<Vec<Session>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT * FROM session WHERE user = ?1 ORDER BY used DESC, id DESC";
            row::all(tx, sql, [user.0], read)
        })
        .await
    }
}

/// Adds a session, and remembers where a user has come in.
pub(super) fn insert(
    tx: &Transaction<'_>,
    user: UserId,
    pending: bool,
    begin: &Begin,
) -> Result<(), StoreError> {
    let Begin { hash, address, agent, now } = begin;
    tx.execute(
        "INSERT INTO session (user, hash, pending, created, used, address, agent) \
         VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
        (user.0, hash.as_slice(), pending, now.0, address, agent),
    )?;
    tx.execute(
        "DELETE FROM session WHERE user = ?1 AND id NOT IN \
         (SELECT id FROM session WHERE user = ?1 ORDER BY used DESC, id DESC LIMIT ?2)",
        (user.0, SESSIONS_MAX),
    )?;
    if pending {
        return Ok(());
    }
    let address = address.as_deref().unwrap_or_default();
    tx.execute(
        "INSERT INTO sign_in (user, address, at) VALUES (?1, ?2, ?3) \
         ON CONFLICT (user, address) DO UPDATE SET at = excluded.at",
        (user.0, address, now.0),
    )?;
    tx.execute(
        "DELETE FROM sign_in WHERE user = ?1 AND address NOT IN \
         (SELECT address FROM sign_in WHERE user = ?1 ORDER BY at DESC, address LIMIT ?2)",
        (user.0, ADDRESSES_MAX),
    )?;
    Ok(())
}

/// Whether a code was good, which it is once.
fn use_factor(tx: &Transaction<'_>, user: UserId, factor: &Factor) -> Result<bool, StoreError> {
    let rows = match factor {
        Factor::Totp(step) => tx.execute(
            "UPDATE user SET totp_step = ?2 WHERE id = ?1 AND totp_good = 1 AND totp_step < ?2",
            (user.0, step),
        )?,
        Factor::Recovery(hash) => {
            tx.execute("DELETE FROM recovery_code WHERE user = ?1 AND hash = ?2", (user.0, hash.as_slice()))?
        }
    };
    Ok(rows == 1)
}

fn sweep(tx: &Transaction<'_>, over: Over) -> Result<(), StoreError> {
    tx.execute(
        "DELETE FROM session WHERE created <= ?1 OR used <= ?2 OR pending = 1 AND created <= ?3",
        (over.created.0, over.used.0, over.pending.0),
    )?;
    Ok(())
}

fn by_id(connection: &Connection, id: SessionId) -> Result<Option<Session>, StoreError> {
    row::first(connection, "SELECT * FROM session WHERE id = ?1", [id.0], read)
}

fn read(row: &Row<'_>) -> Result<Session, StoreError> {
    Ok(Session {
        id: SessionId(row::number(row, "id")?),
        user: UserId(row::number(row, "user")?),
        hash: row::number(row, "hash")?,
        pending: row::number(row, "pending")?,
        created: row::time(row, "created")?,
        used: row::time(row, "used")?,
        proved: row::maybe_time(row, "proved")?.unwrap_or(row::time(row, "created")?),
        address: row::number(row, "address")?,
        agent: row::number(row, "agent")?,
    })
}
