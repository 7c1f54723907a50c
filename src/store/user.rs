//! Users: who can sign in, and what it takes.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rusqlite::{Connection, Params, Row, Transaction};

use super::error::StoreError;
use super::people::PeopleError;
use super::reader::Reader;
use super::writer::Writer;
use super::{row, team};
use crate::domain::person::{Login, Role, TeamId, UserId};
use crate::domain::secret::Sealed;
use crate::domain::time::Timestamp;

/// The hash of a password, in the PHC format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A user as the store knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Their number in the store.
    pub id: UserId,
    /// The name by which they sign in.
    pub login: Login,
    /// What their password hashes to; none: they have not set one yet.
    pub password: Option<PasswordHash>,
    /// Whether they administer the instance.
    pub administers: bool,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Whether they show a second factor when they sign in.
    pub second_factor: bool,
    /// When they were made.
    pub created: Timestamp,
    /// When they last signed in.
    pub signed_in: Option<Timestamp>,
}

/// A user, and the parts that they have in teams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The user.
    pub user: User,
    /// Their parts.
    pub teams: BTreeMap<TeamId, Role>,
    /// The teams of these that show themselves only to who has a second factor.
    pub strict: BTreeSet<TeamId>,
}

/// The secret by which a user's codes are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Totp {
    /// The secret.
    pub secret: Sealed,
    /// Whether a code of it was shown: before that it does not count.
    pub good: bool,
}

impl Writer {
    /// Makes a user who has no password yet, with a part in a team.
    pub async fn create_user(
        &self,
        login: Login,
        password: Option<PasswordHash>,
        part: Option<(TeamId, Role)>,
        administers: bool,
        now: Timestamp,
    ) -> Result<User, PeopleError> {
        self.write(move |tx| {
            let id = insert(tx, &login, password.as_ref(), administers, now)?;
            if let Some((team, role)) = part {
                team::by_id(tx, team)?.ok_or(PeopleError::NoTeam)?;
                team::put(tx, team, id, role)?;
            }
            by_id(tx, id)?.ok_or(PeopleError::NoUser)
        })
        .await
    }

    /// Keeps a user out, or lets them in again. Their sessions end.
    pub async fn disable_user(&self, id: UserId, disabled: bool) -> Result<(), PeopleError> {
        self.write(move |tx| {
            let user = by_id(tx, id)?.ok_or(PeopleError::NoUser)?;
            if disabled {
                refuse_last_administrator(tx, &user)?;
                tx.execute("DELETE FROM session WHERE user = ?1", [id.0])?;
            }
            tx.execute("UPDATE user SET disabled = ?2 WHERE id = ?1", (id.0, disabled))?;
            Ok(())
        })
        .await
    }

    /// Makes a user an administrator of the instance, or takes that from them. Their sessions end but that of `kept`.
    pub async fn set_administers(
        &self,
        id: UserId,
        administers: bool,
        kept: Option<UserId>,
    ) -> Result<(), PeopleError> {
        self.write(move |tx| {
            let user = by_id(tx, id)?.ok_or(PeopleError::NoUser)?;
            if user.administers == administers {
                return Ok(());
            }
            if !administers {
                refuse_last_administrator(tx, &user)?;
            }
            tx.execute("UPDATE user SET administers = ?2 WHERE id = ?1", (id.0, administers))?;
            if kept != Some(id) {
                tx.execute("DELETE FROM session WHERE user = ?1", [id.0])?;
            }
            Ok(())
        })
        .await
    }

    /// Deletes a user, with their sessions and tokens.
    pub async fn delete_user(&self, id: UserId) -> Result<(), PeopleError> {
        self.write(move |tx| {
            let user = by_id(tx, id)?.ok_or(PeopleError::NoUser)?;
            refuse_last_administrator(tx, &user)?;
            for (team, role) in team::of_user(tx, id)? {
                if role == Role::Owner {
                    team::refuse_last_owner(tx, team, id)?;
                }
            }
            tx.execute("DELETE FROM user WHERE id = ?1", [id.0])?;
            Ok(())
        })
        .await
    }

    /// Gives a user another password in place of the one that hashes to `before`; every session but `kept` ends.
    pub async fn set_password(
        &self,
        id: UserId,
        before: Option<PasswordHash>,
        password: PasswordHash,
        kept: Option<[u8; 32]>,
    ) -> Result<(), PeopleError> {
        self.write(move |tx| {
            let user = by_id(tx, id)?.ok_or(PeopleError::NoUser)?;
            if user.password != before {
                return Err(PeopleError::Changed);
            }
            tx.execute("UPDATE user SET password = ?2 WHERE id = ?1", (id.0, password.0))?;
            end_others(tx, id, kept)?;
            Ok(())
        })
        .await
    }
}

impl Writer {
    /// Keeps another hash of the same password, unless it was changed meanwhile; whether it is kept. Sessions go on.
    pub async fn renew_password(
        &self,
        id: UserId,
        before: PasswordHash,
        hash: PasswordHash,
    ) -> Result<bool, StoreError> {
        self.write(move |tx| {
            let sql = "UPDATE user SET password = ?3 WHERE id = ?1 AND password = ?2";
            Ok(tx.execute(sql, (id.0, before.0, hash.0))? == 1)
        })
        .await
    }
}

impl Reader {
    /// Every user, by login, with their parts.
    pub async fn users(&self) -> Result<Vec<Account>, StoreError> {
        self.read(|tx| select(tx, "ORDER BY login", [])?.into_iter().map(|user| account(tx, user)).collect())
            .await
    }

    /// The user of that login, with their parts.
    pub async fn user(&self, login: &Login) -> Result<Option<Account>, StoreError> {
        let login = login.clone();
        self.read(move |tx| by_login(tx, &login)?.map(|user| account(tx, user)).transpose()).await
    }

    /// The user of that number, with their parts.
    pub async fn user_by_id(&self, id: UserId) -> Result<Option<Account>, StoreError> {
        self.read(move |tx| by_id(tx, id)?.map(|user| account(tx, user)).transpose()).await
    }

    /// Whether nobody can sign in yet.
    pub async fn has_no_user(&self) -> Result<bool, StoreError> {
        self.read(|tx| none(tx)).await
    }

    /// Whether a user has signed in from an address before.
    pub async fn has_signed_in_from(&self, id: UserId, address: &str) -> Result<bool, StoreError> {
        let address = address.to_owned();
        self.read(move |tx| {
            let sql = "SELECT 1 FROM sign_in WHERE user = ?1 AND address = ?2";
            Ok(row::first(tx, sql, (id.0, address), |_| Ok(()))?.is_some())
        })
        .await
    }
}

/// Adds a user; an error if there is one of that login.
pub(super) fn insert(
    tx: &Transaction<'_>,
    login: &Login,
    password: Option<&PasswordHash>,
    administers: bool,
    now: Timestamp,
) -> Result<UserId, PeopleError> {
    if by_login(tx, login)?.is_some() {
        return Err(PeopleError::LoginTaken(login.clone()));
    }
    tx.execute(
        "INSERT INTO user (login, password, administers, created) VALUES (?1, ?2, ?3, ?4)",
        (login.as_str(), password.map(|hash| hash.0.as_str()), administers, now.0),
    )?;
    Ok(UserId(tx.last_insert_rowid()))
}

/// Whether there is no user.
pub(super) fn none(connection: &Connection) -> Result<bool, StoreError> {
    Ok(row::first(connection, "SELECT 1 FROM user", [], |_| Ok(()))?.is_none())
}

/// Ends the sessions of a user but that of this hash.
pub(super) fn end_others(tx: &Transaction<'_>, id: UserId, kept: Option<[u8; 32]>) -> Result<(), StoreError> {
    let kept = kept.unwrap_or_default();
    tx.execute("DELETE FROM session WHERE user = ?1 AND hash <> ?2", (id.0, kept.as_slice()))?;
    Ok(())
}

pub(super) fn by_id(connection: &Connection, id: UserId) -> Result<Option<User>, StoreError> {
    Ok(select(connection, "WHERE id = ?1", [id.0])?.pop())
}

pub(super) fn by_login(connection: &Connection, login: &Login) -> Result<Option<User>, StoreError> {
    Ok(select(connection, "WHERE login = ?1", [login.as_str()])?.pop())
}

pub(super) fn account(connection: &Connection, user: User) -> Result<Account, StoreError> {
    let teams = team::of_user(connection, user.id)?;
    let strict = team::strict_of_user(connection, user.id)?;
    Ok(Account { user, teams, strict })
}

fn refuse_last_administrator(tx: &Transaction<'_>, user: &User) -> Result<(), PeopleError> {
    if !user.administers || user.disabled {
        return Ok(());
    }
    let sql = "SELECT 1 FROM user WHERE administers = 1 AND disabled = 0 AND id <> ?1";
    match row::first(tx, sql, [user.id.0], |_| Ok(()))? {
        Some(()) => Ok(()),
        None => Err(PeopleError::LastAdministrator),
    }
}

fn select(connection: &Connection, rest: &str, params: impl Params) -> Result<Vec<User>, StoreError> {
    let sql = format!(
        "SELECT *, (SELECT max(at) FROM sign_in WHERE sign_in.user = user.id) AS signed_in FROM user {rest}"
    );
    row::all(connection, &sql, params, read)
}

fn read(row: &Row<'_>) -> Result<User, StoreError> {
    Ok(User {
        id: UserId(row::number(row, "id")?),
        login: row::parsed(row, "login", Login::parse)?,
        password: row::number::<Option<String>>(row, "password")?.map(PasswordHash),
        administers: row::number(row, "administers")?,
        disabled: row::number(row, "disabled")?,
        second_factor: row::number(row, "totp_good")?,
        created: row::time(row, "created")?,
        signed_in: row::maybe_time(row, "signed_in")?,
    })
}
