//! Links that are used once, by the SHA-256 of what stands in them: for the first user, and for a new password.

use super::error::StoreError;
use super::people::PeopleError;
use super::reader::Reader;
use super::session::{self, Begin};
use super::user::{self, Account, PasswordHash};
use super::writer::Writer;
use super::{row, team};
use crate::domain::person::{Login, Role, TeamId, UserId};
use crate::domain::time::Timestamp;

impl Writer {
    /// Puts a link for the first user in the place of the one before; false: there is a user already.
    pub async fn put_setup_link(&self, hash: [u8; 32], expires: Timestamp) -> Result<bool, StoreError> {
        self.write(move |tx| {
            if !user::none(tx)? {
                return Ok(false);
            }
            let sql = "INSERT OR REPLACE INTO setup_link (id, hash, expires) VALUES (1, ?1, ?2)";
            tx.execute(sql, (hash.as_slice(), expires.0))?;
            Ok(true)
        })
        .await
    }

    /// Makes the first user: an administrator of the instance, owner of the first team, signed in. The link is gone.
    pub async fn claim_setup(
        &self,
        hash: [u8; 32],
        login: Login,
        password: PasswordHash,
        begin: Begin,
    ) -> Result<UserId, PeopleError> {
        self.write(move |tx| {
            let used = "DELETE FROM setup_link WHERE hash = ?1 AND expires > ?2";
            if !user::none(tx)? || tx.execute(used, (hash.as_slice(), begin.now.0))? == 0 {
                return Err(PeopleError::NoLink);
            }
            let id = user::insert(tx, &login, Some(&password), true, begin.now)?;
            team::put(tx, TeamId::FIRST, id, Role::Owner)?;
            session::insert(tx, id, false, &begin)?;
            Ok(id)
        })
        .await
    }

    /// Puts a link for a new password in the place of the one that the user had.
    pub async fn put_reset_link(
        &self,
        user: UserId,
        hash: [u8; 32],
        forget: bool,
        expires: Timestamp,
    ) -> Result<(), PeopleError> {
        self.write(move |tx| {
            user::by_id(tx, user)?.ok_or(PeopleError::NoUser)?;
            let sql =
                "INSERT OR REPLACE INTO reset_link (user, hash, forget, expires) VALUES (?1, ?2, ?3, ?4)";
            tx.execute(sql, (user.0, hash.as_slice(), forget, expires.0))?;
            Ok(())
        })
        .await
    }

    /// Gives the user of a link another password, and begins a session. The link and all other sessions are gone.
    /// With a second factor that stays, the session waits for it; whether it does.
    pub async fn use_reset_link(
        &self,
        hash: [u8; 32],
        password: PasswordHash,
        begin: Begin,
    ) -> Result<bool, PeopleError> {
        self.write(move |tx| {
            let (id, forget) = reset_of(tx, &hash, begin.now)?.ok_or(PeopleError::NoLink)?;
            let user = user::by_id(tx, id)?.filter(|user| !user.disabled).ok_or(PeopleError::NoLink)?;
            tx.execute("DELETE FROM reset_link WHERE user = ?1", [id.0])?;
            tx.execute("UPDATE user SET password = ?2 WHERE id = ?1", (id.0, password.0))?;
            user::end_others(tx, id, None)?;
            if forget {
                tx.execute("UPDATE user SET totp_good = 0, totp = NULL WHERE id = ?1", [id.0])?;
                tx.execute("DELETE FROM recovery_code WHERE user = ?1", [id.0])?;
            }
            let pending = user.second_factor && !forget;
            session::insert(tx, id, pending, &begin)?;
            Ok(pending)
        })
        .await
    }
}

impl Reader {
    /// Whether this is the link for the first user, and still good.
    pub async fn is_setup_link(&self, hash: &[u8; 32], now: Timestamp) -> Result<bool, StoreError> {
        let hash = *hash;
        self.read(move |tx| {
            let sql = "SELECT 1 FROM setup_link WHERE hash = ?1 AND expires > ?2";
            Ok(user::none(tx)? && row::first(tx, sql, (hash.as_slice(), now.0), |_| Ok(()))?.is_some())
        })
        .await
    }

    /// Whose password a link changes, if it is still good.
    pub async fn user_of_reset_link(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Account>, StoreError> {
        let hash = *hash;
        self.read(move |tx| {
            let Some((id, _)) = reset_of(tx, &hash, now)? else { return Ok(None) };
            let user = user::by_id(tx, id)?.filter(|user| !user.disabled);
            user.map(|user| user::account(tx, user)).transpose()
        })
        .await
    }
}

fn reset_of(
    connection: &rusqlite::Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<(UserId, bool)>, StoreError> {
    let sql = "SELECT user, forget FROM reset_link WHERE hash = ?1 AND expires > ?2";
    row::first(connection, sql, (hash.as_slice(), now.0), |row| {
        Ok((UserId(row::number(row, "user")?), row::number(row, "forget")?))
    })
}
