//! Invitations into teams, by the SHA-256 of what stands in their links. Each is for one login and used once.

use rusqlite::{Connection, Params, Row, Transaction};

use super::error::StoreError;
use super::people::{By, PeopleError};
use super::reader::Reader;
use super::session::{self, Begin};
use super::user::{self, PasswordHash};
use super::writer::Writer;
use super::{row, team};
use crate::domain::name::Slug;
use crate::domain::person::{Login, Role, TeamId, UserId};
use crate::domain::time::Timestamp;

/// An invitation's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InvitationId(pub i64);

/// An invitation that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invitation {
    /// Its number in the store.
    pub id: InvitationId,
    /// The team.
    pub team: TeamId,
    /// The team's name.
    pub team_name: Slug,
    /// Who is invited.
    pub login: Login,
    /// The part that they get.
    pub role: Role,
    /// Who invited them.
    pub by: String,
    /// When.
    pub created: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
    /// Whether there is a user of that login already, who then shows their own password.
    pub user_exists: bool,
}

/// An invitation that is made.
#[derive(Debug, Clone)]
pub struct NewInvitation {
    /// The team.
    pub team: TeamId,
    /// Who is invited.
    pub login: Login,
    /// The part that they get.
    pub role: Role,
    /// Who invites them, in words.
    pub by: String,
    /// Now.
    pub now: Timestamp,
    /// Until when it is good.
    pub expires: Timestamp,
}

/// How an invited person shows who they are.
#[derive(Debug, Clone)]
pub enum Entrant {
    /// They are new here, with this password.
    New(PasswordHash),
    /// They are known, and their password still hashes to this.
    Known(PasswordHash),
}

impl Writer {
    /// Invites somebody, in place of the invitation that they had into this team.
    pub async fn invite(
        &self,
        by: By,
        new: NewInvitation,
        hash: [u8; 32],
    ) -> Result<Invitation, PeopleError> {
        self.write(move |tx| {
            let NewInvitation { team, login, role, by: words, now, expires } = new;
            team::by_id(tx, team)?.ok_or(PeopleError::NoTeam)?;
            team::require(tx, by, team, Role::Admin.max(role))?;
            if let Some(user) = user::by_login(tx, &login)?
                && team::of_user(tx, user.id)?.contains_key(&team)
            {
                return Err(PeopleError::IsMember(login));
            }
            tx.execute("DELETE FROM invitation WHERE expires <= ?1", [now.0])?;
            let sql = "INSERT OR REPLACE INTO invitation (team, login, role, hash, by, created, expires) \
                       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
            let row = (team.0, login.as_str(), role.as_str(), hash.as_slice(), words, now.0, expires.0);
            tx.execute(sql, row)?;
            let id = tx.last_insert_rowid();
            select(tx, "WHERE invitation.id = ?1", [id])?.pop().ok_or(PeopleError::NoLink)
        })
        .await
    }

    /// Takes an invitation back.
    pub async fn revoke_invitation(
        &self,
        by: By,
        team: TeamId,
        id: InvitationId,
    ) -> Result<Invitation, PeopleError> {
        self.write(move |tx| {
            let rest = "WHERE invitation.id = ?1 AND invitation.team = ?2";
            let found = select(tx, rest, (id.0, team.0))?.pop().ok_or(PeopleError::NoLink)?;
            team::require(tx, by, team, Role::Admin.max(found.role))?;
            tx.execute("DELETE FROM invitation WHERE id = ?1", [id.0])?;
            Ok(found)
        })
        .await
    }

    /// Takes an invited person into the team, and begins a session. The invitation is gone. Whether the session waits
    /// for a second factor.
    pub async fn accept_invitation(
        &self,
        hash: [u8; 32],
        entrant: Entrant,
        begin: Begin,
    ) -> Result<(UserId, bool), PeopleError> {
        self.write(move |tx| {
            let found = by_hash(tx, &hash, begin.now)?.ok_or(PeopleError::NoLink)?;
            tx.execute("DELETE FROM invitation WHERE id = ?1", [found.id.0])?;
            let (id, pending) = enter(tx, &found, entrant, begin.now)?;
            if !team::of_user(tx, id)?.contains_key(&found.team) {
                team::put(tx, found.team, id, found.role)?;
            }
            session::insert(tx, id, pending, &begin)?;
            Ok((id, pending))
        })
        .await
    }
}

impl Reader {
    /// The open invitation of this link.
    pub async fn invitation(
        &self,
        hash: &[u8; 32],
        now: Timestamp,
    ) -> Result<Option<Invitation>, StoreError> {
        let hash = *hash;
        self.read(move |tx| by_hash(tx, &hash, now)).await
    }

    /// The open invitations into a team, by login.
    pub async fn invitations(&self, team: TeamId, now: Timestamp) -> Result<Vec<Invitation>, StoreError> {
        self.read(move |tx| {
            let rest = "WHERE invitation.team = ?1 AND expires > ?2 ORDER BY login";
            select(tx, rest, (team.0, now.0))
        })
        .await
    }
}

fn enter(
    tx: &Transaction<'_>,
    found: &Invitation,
    entrant: Entrant,
    now: Timestamp,
) -> Result<(UserId, bool), PeopleError> {
    let user = user::by_login(tx, &found.login)?;
    match (user, entrant) {
        (None, Entrant::New(password)) => {
            Ok((user::insert(tx, &found.login, Some(&password), false, now)?, false))
        }
        (Some(user), Entrant::Known(password))
            if !user.disabled && user.password.as_ref() == Some(&password) =>
        {
            Ok((user.id, user.second_factor))
        }
        (None | Some(_), _) => Err(PeopleError::Changed),
    }
}

fn by_hash(
    connection: &Connection,
    hash: &[u8; 32],
    now: Timestamp,
) -> Result<Option<Invitation>, StoreError> {
    Ok(select(connection, "WHERE hash = ?1 AND expires > ?2", (hash.as_slice(), now.0))?.pop())
}

fn select(connection: &Connection, rest: &str, params: impl Params) -> Result<Vec<Invitation>, StoreError> {
    let sql = format!(
        "SELECT invitation.*, team.slug AS team_name, \
         EXISTS (SELECT 1 FROM user WHERE user.login = invitation.login) AS user_exists \
         FROM invitation JOIN team ON team.id = invitation.team {rest}"
    );
    row::all(connection, &sql, params, read)
}

fn read(row: &Row<'_>) -> Result<Invitation, StoreError> {
    Ok(Invitation {
        id: InvitationId(row::number(row, "id")?),
        team: TeamId(row::number(row, "team")?),
        team_name: row::parsed(row, "team_name", Slug::parse)?,
        login: row::parsed(row, "login", Login::parse)?,
        role: row::parsed(row, "role", row::word(Role::parse))?,
        by: row::number(row, "by")?,
        created: row::time(row, "created")?,
        expires: row::time(row, "expires")?,
        user_exists: row::number(row, "user_exists")?,
    })
}
