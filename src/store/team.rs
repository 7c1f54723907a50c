//! Teams, and the parts that users have in them.
//!
//! Who may change a part is looked at in the transaction that changes it: two who change each other's at the same
//! moment are one after the other.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Params, Row, Transaction};

use super::error::StoreError;
use super::people::{By, PeopleError};
use super::reader::Reader;
use super::writer::Writer;
use super::{quota, row, user};
use crate::domain::name::Slug;
use crate::domain::person::{Login, Role, TeamId, UserId};
use crate::domain::quota::Quota;
use crate::domain::time::Timestamp;

/// A team as the store knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Team {
    /// Its number in the store.
    pub id: TeamId,
    /// Its name.
    pub slug: Slug,
    /// Whether it shows itself only to members who have a second factor.
    pub second_factor: bool,
    /// What its apps may use together.
    pub quota: Quota,
    /// When it was made.
    pub created: Timestamp,
}

/// A user's part in a team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// The name by which they sign in.
    pub login: Login,
    /// Their part.
    pub role: Role,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Whether they show a second factor when they sign in.
    pub second_factor: bool,
}

impl Writer {
    /// Makes a team, with its first owner if there is one.
    pub async fn create_team(
        &self,
        slug: Slug,
        owner: Option<UserId>,
        now: Timestamp,
    ) -> Result<Team, PeopleError> {
        self.write(move |tx| {
            refuse_taken(tx, &slug)?;
            tx.execute("INSERT INTO team (slug, created) VALUES (?1, ?2)", (slug.as_str(), now.0))?;
            let id = TeamId(tx.last_insert_rowid());
            if let Some(owner) = owner {
                user::by_id(tx, owner)?.ok_or(PeopleError::NoUser)?;
                put(tx, id, owner, Role::Owner)?;
            }
            Ok(Team { id, slug, second_factor: false, quota: Quota::default(), created: now })
        })
        .await
    }

    /// Gives a team another name.
    pub async fn rename_team(&self, by: By, team: TeamId, slug: Slug) -> Result<Team, PeopleError> {
        self.write(move |tx| {
            let found = by_id(tx, team)?.ok_or(PeopleError::NoTeam)?;
            require(tx, by, team, Role::Owner)?;
            if found.slug == slug {
                return Ok(found);
            }
            refuse_taken(tx, &slug)?;
            tx.execute("UPDATE team SET slug = ?2 WHERE id = ?1", (team.0, slug.as_str()))?;
            Ok(Team { slug, ..found })
        })
        .await
    }

    /// Says whether a team shows itself only to members who have a second factor. Who says so has one: nobody locks
    /// themselves out.
    pub async fn require_second_factor(
        &self,
        by: By,
        team: TeamId,
        required: bool,
    ) -> Result<Team, PeopleError> {
        self.write(move |tx| {
            let found = by_id(tx, team)?.ok_or(PeopleError::NoTeam)?;
            require(tx, by, team, Role::Owner)?;
            if let By::User(user) = by
                && required
                && !user::by_id(tx, user)?.is_some_and(|user| user.second_factor)
            {
                return Err(PeopleError::NoSecondFactor);
            }
            tx.execute("UPDATE team SET second_factor = ?2 WHERE id = ?1", (team.0, required))?;
            Ok(Team { second_factor: required, ..found })
        })
        .await
    }

    /// Deletes a team that has neither projects nor keys.
    pub async fn delete_team(&self, by: By, team: TeamId) -> Result<Team, PeopleError> {
        self.write(move |tx| {
            let found = by_id(tx, team)?.ok_or(PeopleError::NoTeam)?;
            require(tx, by, team, Role::Owner)?;
            if team == TeamId::FIRST {
                return Err(PeopleError::FirstTeam(found.slug));
            }
            for (what, sql) in [
                ("projects", "SELECT 1 FROM project WHERE team = ?1"),
                ("keys", "SELECT 1 FROM key WHERE team = ?1"),
            ] {
                if row::first(tx, sql, [team.0], |_| Ok(()))?.is_some() {
                    return Err(PeopleError::TeamHas { team: found.slug, what });
                }
            }
            tx.execute("DELETE FROM team WHERE id = ?1", [team.0])?;
            Ok(found)
        })
        .await
    }

    /// Gives a member another part, and returns the one before.
    pub async fn change_role(
        &self,
        by: By,
        team: TeamId,
        member: UserId,
        role: Role,
    ) -> Result<Role, PeopleError> {
        self.write(move |tx| {
            let before = role_of(tx, team, member)?.ok_or(PeopleError::NoMember)?;
            require(tx, by, team, Role::Admin.max(role).max(before))?;
            if before == role {
                return Ok(before);
            }
            if before == Role::Owner {
                refuse_last_owner(tx, team, member)?;
            }
            put(tx, team, member, role)?;
            end_sessions(tx, by, member)?;
            Ok(before)
        })
        .await
    }

    /// Takes a member out of a team, and returns the part that they had. Everybody may go by themselves.
    pub async fn remove_member(&self, by: By, team: TeamId, member: UserId) -> Result<Role, PeopleError> {
        self.write(move |tx| {
            let before = role_of(tx, team, member)?.ok_or(PeopleError::NoMember)?;
            if by != By::User(member) {
                require(tx, by, team, Role::Admin.max(before))?;
            }
            if before == Role::Owner {
                refuse_last_owner(tx, team, member)?;
            }
            tx.execute("DELETE FROM member WHERE team = ?1 AND user = ?2", (team.0, member.0))?;
            end_sessions(tx, by, member)?;
            Ok(before)
        })
        .await
    }
}

impl Reader {
    /// Every team, by name.
    pub async fn teams(&self) -> Result<Vec<Team>, StoreError> {
        self.read(|tx| select(tx, "ORDER BY slug", [])).await
    }

    /// The team of that name.
    pub async fn team(&self, slug: &Slug) -> Result<Option<Team>, StoreError> {
        let slug = slug.clone();
        self.read(move |tx| by_slug(tx, &slug)).await
    }

    /// The team of that number.
    pub async fn team_by_id(&self, id: TeamId) -> Result<Option<Team>, StoreError> {
        self.read(move |tx| by_id(tx, id)).await
    }

    /// How many members each team has; one without any is not there.
    pub async fn member_counts(&self) -> Result<BTreeMap<TeamId, u32>, StoreError> {
        self.read(|tx| {
            let counts =
                row::all(tx, "SELECT team, count(*) AS count FROM member GROUP BY team", [], |row| {
                    Ok((TeamId(row::number(row, "team")?), row::number::<u32>(row, "count")?))
                })?;
            Ok(counts.into_iter().collect())
        })
        .await
    }

    /// The members of a team, by login.
    pub async fn members(&self, team: TeamId) -> Result<Vec<Member>, StoreError> {
        self.read(move |tx| {
            let sql = "SELECT user, login, role, disabled, totp_good FROM member \
                       JOIN user ON user.id = member.user WHERE team = ?1 ORDER BY login";
            row::all(tx, sql, [team.0], |row| {
                Ok(Member {
                    user: UserId(row::number(row, "user")?),
                    login: row::parsed(row, "login", Login::parse)?,
                    role: row::parsed(row, "role", row::word(Role::parse))?,
                    disabled: row::number(row, "disabled")?,
                    second_factor: row::number(row, "totp_good")?,
                })
            })
        })
        .await
    }
}

/// The parts that a user has.
pub(super) fn of_user(connection: &Connection, user: UserId) -> Result<BTreeMap<TeamId, Role>, StoreError> {
    let sql = "SELECT team, role FROM member WHERE user = ?1";
    let parts = row::all(connection, sql, [user.0], |row| {
        Ok((TeamId(row::number(row, "team")?), row::parsed(row, "role", row::word(Role::parse))?))
    })?;
    Ok(parts.into_iter().collect())
}

/// The teams of a user that show themselves only to who has a second factor.
pub(super) fn strict_of_user(connection: &Connection, user: UserId) -> Result<BTreeSet<TeamId>, StoreError> {
    let sql =
        "SELECT id FROM team JOIN member ON member.team = team.id WHERE user = ?1 AND second_factor = 1";
    let teams = row::all(connection, sql, [user.0], |row| Ok(TeamId(row::number(row, "id")?)))?;
    Ok(teams.into_iter().collect())
}

/// Makes a user a member, or gives them another part.
pub(super) fn put(tx: &Transaction<'_>, team: TeamId, user: UserId, role: Role) -> Result<(), StoreError> {
    let sql = "INSERT INTO member (team, user, role) VALUES (?1, ?2, ?3) \
               ON CONFLICT (team, user) DO UPDATE SET role = excluded.role";
    tx.execute(sql, (team.0, user.0, role.as_str()))?;
    Ok(())
}

/// Refuses whoever has less than this part in a team.
pub(super) fn require(tx: &Transaction<'_>, by: By, team: TeamId, role: Role) -> Result<(), PeopleError> {
    let By::User(user) = by else { return Ok(()) };
    if user::by_id(tx, user)?.is_some_and(|user| user.administers && !user.disabled) {
        return Ok(());
    }
    match role_of(tx, team, user)? {
        None => Err(PeopleError::NoTeam),
        Some(own) if own < role => Err(PeopleError::Above(own)),
        Some(_) => Ok(()),
    }
}

/// Refuses to leave a team without an owner, if this is the only one.
pub(super) fn refuse_last_owner(
    tx: &Transaction<'_>,
    team: TeamId,
    owner: UserId,
) -> Result<(), PeopleError> {
    let sql = "SELECT 1 FROM member JOIN user ON user.id = member.user \
               WHERE team = ?1 AND user <> ?2 AND role = 'owner' AND disabled = 0";
    match row::first(tx, sql, (team.0, owner.0), |_| Ok(()))? {
        Some(()) => Ok(()),
        None => Err(PeopleError::LastOwner),
    }
}

pub(super) fn by_id(connection: &Connection, id: TeamId) -> Result<Option<Team>, StoreError> {
    Ok(select(connection, "WHERE id = ?1", [id.0])?.pop())
}

fn by_slug(connection: &Connection, slug: &Slug) -> Result<Option<Team>, StoreError> {
    Ok(select(connection, "WHERE slug = ?1", [slug.as_str()])?.pop())
}

/// Whoever's part has changed signs in anew, unless they changed it themselves.
fn end_sessions(tx: &Transaction<'_>, by: By, member: UserId) -> Result<(), StoreError> {
    if by != By::User(member) {
        tx.execute("DELETE FROM session WHERE user = ?1", [member.0])?;
    }
    Ok(())
}

fn role_of(connection: &Connection, team: TeamId, user: UserId) -> Result<Option<Role>, StoreError> {
    let sql = "SELECT role FROM member WHERE team = ?1 AND user = ?2";
    row::first(connection, sql, (team.0, user.0), |row| row::parsed(row, "role", row::word(Role::parse)))
}

fn refuse_taken(tx: &Transaction<'_>, slug: &Slug) -> Result<(), PeopleError> {
    match by_slug(tx, slug)? {
        Some(_) => Err(PeopleError::TeamTaken(slug.clone())),
        None => Ok(()),
    }
}

fn select(connection: &Connection, rest: &str, params: impl Params) -> Result<Vec<Team>, StoreError> {
    row::all(connection, &format!("SELECT * FROM team {rest}"), params, read)
}

fn read(row: &Row<'_>) -> Result<Team, StoreError> {
    Ok(Team {
        id: TeamId(row::number(row, "id")?),
        slug: row::parsed(row, "slug", Slug::parse)?,
        second_factor: row::number(row, "second_factor")?,
        quota: quota::read(row)?,
        created: row::time(row, "created")?,
    })
}
