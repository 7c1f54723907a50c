//! The secret of a user's second factor, sealed, and the codes that stand in for it.

use rusqlite::Transaction;

use super::error::StoreError;
use super::people::PeopleError;
use super::reader::Reader;
use super::row;
use super::user::{self, Totp};
use super::writer::Writer;
use crate::domain::person::UserId;
use crate::domain::secret::Sealed;

impl Writer {
    /// Keeps a secret that does not count before a code of it was shown. One that counts stays.
    pub async fn begin_totp(&self, user: UserId, secret: Sealed) -> Result<(), PeopleError> {
        self.write(move |tx| {
            let found = user::by_id(tx, user)?.ok_or(PeopleError::NoUser)?;
            if found.second_factor {
                return Err(PeopleError::Changed);
            }
            tx.execute("UPDATE user SET totp = ?2, totp_step = 0 WHERE id = ?1", (user.0, secret.0))?;
            Ok(())
        })
        .await
    }

    /// Has a secret count from now on: a code of this step was shown. Every session but `kept` ends.
    pub async fn confirm_totp(
        &self,
        user: UserId,
        secret: Sealed,
        step: i64,
        codes: Vec<[u8; 32]>,
        kept: Option<[u8; 32]>,
    ) -> Result<(), PeopleError> {
        self.write(move |tx| {
            let sql = "UPDATE user SET totp_good = 1, totp_step = ?3 \
                       WHERE id = ?1 AND totp = ?2 AND totp_good = 0";
            if tx.execute(sql, (user.0, secret.0, step))? == 0 {
                return Err(PeopleError::Changed);
            }
            put_codes(tx, user, &codes)?;
            user::end_others(tx, user, kept)?;
            Ok(())
        })
        .await
    }

    /// Forgets the second factor of a user, recovery codes included. Every session but `kept` ends.
    pub async fn forget_second_factor(
        &self,
        user: UserId,
        kept: Option<[u8; 32]>,
    ) -> Result<(), PeopleError> {
        self.write(move |tx| {
            tx.execute("UPDATE user SET totp_good = 0, totp = NULL WHERE id = ?1", [user.0])?;
            tx.execute("DELETE FROM recovery_code WHERE user = ?1", [user.0])?;
            user::end_others(tx, user, kept)?;
            Ok(())
        })
        .await
    }

    /// Takes a code of this step from a user who has signed in; false: it was taken before.
    pub async fn use_totp_step(&self, user: UserId, step: i64) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE user SET totp_step = ?2 WHERE id = ?1 AND totp_good = 1 AND totp_step < ?2";
            Ok(tx.execute(sql, (user.0, step))? == 1)
        })
        .await
    }

    /// Puts these recovery codes in the place of those before.
    pub async fn put_recovery_codes(&self, user: UserId, codes: Vec<[u8; 32]>) -> Result<(), PeopleError> {
        self.write(move |tx| {
            user::by_id(tx, user)?.filter(|user| user.second_factor).ok_or(PeopleError::Changed)?;
            Ok(put_codes(tx, user, &codes)?)
        })
        .await
    }
}

impl Reader {
    /// The secret by which a user's codes are made.
    pub async fn totp(&self, user: UserId) -> Result<Option<Totp>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT totp, totp_good FROM user WHERE id = ?1 AND totp IS NOT NULL";
            row::first(tx, sql, [user.0], |row| {
                Ok(Totp { secret: Sealed(row::number(row, "totp")?), good: row::number(row, "totp_good")? })
            })
        })
        .await
    }

    /// How many recovery codes a user has left.
    pub async fn recovery_codes(&self, user: UserId) -> Result<u32, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT count(*) AS count FROM recovery_code WHERE user = ?1";
            Ok(row::first(tx, sql, [user.0], |row| row::number(row, "count"))?.unwrap_or(0))
        })
        .await
    }
}

fn put_codes(tx: &Transaction<'_>, user: UserId, codes: &[[u8; 32]]) -> Result<(), StoreError> {
    tx.execute("DELETE FROM recovery_code WHERE user = ?1", [user.0])?;
    for code in codes {
        tx.execute("INSERT INTO recovery_code (hash, user) VALUES (?1, ?2)", (code.as_slice(), user.0))?;
    }
    Ok(())
}
