//! Teams and users: who is changed by whom. What it takes in the team is looked at once more where it is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use thiserror::Error;

use super::audit::{Actor, Deed, Doer};
use super::link::{self, Link, NoRandom};
use super::session::{NewSession, Origin};
use super::setup::{ClaimError, Fields, check_new_password};
use super::sign_in::{SignInError, SignedIn};
use super::{Auth, Person};
use crate::domain::name::Slug;
use crate::domain::person::{Login, Role, TeamId, UserId};
use crate::domain::quota::Quota;
use crate::domain::time::Timestamp;
use crate::store::{Account, By, Member, PeopleError, StoreError, Team, User};

/// How long a link for a new password is good.
const RESET_LINK: Duration = Duration::from_hours(1);

/// Why something about people was not changed.
#[derive(Debug, Error)]
pub enum ChangeError {
    /// Fields are wrong.
    #[error("{}", .0.values().next().map_or("", String::as_str))]
    Invalid(Fields),
    /// It is not allowed, or there is no such thing.
    #[error(transparent)]
    People(#[from] PeopleError),
    /// No random bytes.
    #[error(transparent)]
    Random(#[from] NoRandom),
    /// The password could not be hashed.
    #[error(transparent)]
    SignIn(#[from] SignInError),
}

impl ChangeError {
    /// One wrong field.
    pub(super) fn field(name: &'static str, why: &impl ToString) -> Self {
        Self::Invalid(Fields::from([(name, why.to_string())]))
    }
}

impl From<StoreError> for ChangeError {
    fn from(error: StoreError) -> Self {
        Self::People(error.into())
    }
}

/// Teams.
impl Auth {
    /// The teams that a caller has a part in, by name; all of them, for who stands above them.
    pub async fn teams(&self, caller: &super::Caller) -> Result<Vec<Team>, StoreError> {
        let teams = self.0.reader.teams().await?;
        Ok(teams.into_iter().filter(|team| caller.sees(team.id)).collect())
    }

    /// Makes a team; a user who does is its first owner.
    pub async fn create_team(&self, by: Actor<'_>, name: &str) -> Result<Team, ChangeError> {
        let slug = Slug::parse(name).map_err(|error| ChangeError::field("name", &error.rule))?;
        let team = self.0.writer.create_team(slug, by.caller.user(), self.now()).await?;
        self.record(by.doer, Deed::new("team.created", format!("team {}", team.slug)).of(team.id)).await;
        Ok(team)
    }

    /// Gives a team another name.
    pub async fn rename_team(&self, by: Actor<'_>, team: TeamId, name: &str) -> Result<Team, ChangeError> {
        let slug = Slug::parse(name).map_err(|error| ChangeError::field("name", &error.rule))?;
        let before = self.0.reader.team_by_id(team).await?.ok_or(PeopleError::NoTeam)?;
        let team = self.0.writer.rename_team(of(by), team, slug).await?;
        let deed = Deed::new("team.renamed", format!("team {}", before.slug)).of(team.id);
        let deed = deed.before(before.slug.as_str()).after(team.slug.as_str());
        self.record(by.doer, deed).await;
        Ok(team)
    }

    /// Says whether a team shows itself only to members who have a second factor.
    pub async fn require_second_factor(
        &self,
        by: Actor<'_>,
        team: TeamId,
        required: bool,
    ) -> Result<Team, ChangeError> {
        let before = self.0.reader.team_by_id(team).await?.ok_or(PeopleError::NoTeam)?.second_factor;
        let team = self.0.writer.require_second_factor(of(by), team, required).await?;
        let deed = Deed::new("team.second_factor_changed", format!("team {}", team.slug)).of(team.id);
        self.record(by.doer, deed.before(before).after(required)).await;
        Ok(team)
    }

    /// Says what the apps, databases and services of a team may use together.
    pub async fn set_quota(&self, by: Actor<'_>, team: TeamId, quota: Quota) -> Result<Team, ChangeError> {
        let before = self.0.reader.team_by_id(team).await?.ok_or(PeopleError::NoTeam)?.quota;
        let team = self.0.writer.set_quota(team, quota).await?;
        let deed = Deed::new("team.limits_changed", format!("team {}", team.slug)).of(team.id);
        self.record(by.doer, deed.before(quota_as_json(before)).after(quota_as_json(quota))).await;
        Ok(team)
    }

    /// The names of teams, in their order.
    pub async fn names(&self, of: &BTreeSet<TeamId>) -> Result<Vec<String>, StoreError> {
        let teams = self.0.reader.teams().await?;
        Ok(teams.into_iter().filter(|team| of.contains(&team.id)).map(|team| team.slug.to_string()).collect())
    }

    /// How many members each team has.
    pub async fn member_counts(&self) -> Result<BTreeMap<TeamId, u32>, StoreError> {
        self.0.reader.member_counts().await
    }

    /// Deletes a team that has neither projects nor keys.
    pub async fn delete_team(&self, by: Actor<'_>, team: TeamId) -> Result<(), ChangeError> {
        let team = self.0.writer.delete_team(of(by), team).await?;
        self.record(by.doer, Deed::new("team.deleted", format!("team {}", team.slug)).of(team.id)).await;
        Ok(())
    }

    /// The members of a team, by login.
    pub async fn members(&self, team: TeamId) -> Result<Vec<Member>, StoreError> {
        self.0.reader.members(team).await
    }

    /// Gives a member another part: at most the caller's own, and not from above it.
    pub async fn change_role(
        &self,
        by: Actor<'_>,
        team: TeamId,
        member: UserId,
        role: Role,
    ) -> Result<(), ChangeError> {
        let before = self.0.writer.change_role(of(by), team, member, role).await?;
        let object = self.member_in_words(team, member).await?;
        let deed = Deed::new("member.role_changed", object).of(team);
        self.record(by.doer, deed.before(before.as_str()).after(role.as_str())).await;
        Ok(())
    }

    /// Takes a member out of a team. Everybody may go by themselves, but for the last owner.
    pub async fn remove_member(
        &self,
        by: Actor<'_>,
        team: TeamId,
        member: UserId,
    ) -> Result<(), ChangeError> {
        let before = self.0.writer.remove_member(of(by), team, member).await?;
        let object = self.member_in_words(team, member).await?;
        let deed = Deed::new("member.removed", object).of(team).before(before.as_str());
        self.record(by.doer, deed).await;
        Ok(())
    }

    async fn member_in_words(&self, team: TeamId, member: UserId) -> Result<String, StoreError> {
        let login = self.0.reader.user_by_id(member).await?.map(|account| account.user.login.to_string());
        let team = self.0.reader.team_by_id(team).await?.map(|team| team.slug.to_string());
        Ok(format!("user {} of team {}", login.unwrap_or_default(), team.unwrap_or_default()))
    }
}

/// Users, for who administers the instance.
impl Auth {
    /// Every user, by login.
    pub async fn users(&self) -> Result<Vec<Account>, StoreError> {
        self.0.reader.users().await
    }

    /// The user of that login.
    pub async fn user(&self, login: &str) -> Result<Option<Account>, StoreError> {
        match Login::parse(login) {
            Ok(login) => self.0.reader.user(&login).await,
            Err(_) => Ok(None),
        }
    }

    /// Makes a user, with a part in a team. Without a password they need a link to set one.
    pub async fn create_user(
        &self,
        by: Actor<'_>,
        login: &str,
        password: Option<&str>,
        part: Option<(TeamId, Role)>,
        administers: bool,
    ) -> Result<User, ChangeError> {
        let login = Login::parse(login).map_err(|error| ChangeError::field("login", &error.rule))?;
        let hash = match password {
            Some(password) => {
                super::password::check(password, login.as_str())
                    .map_err(|error| ChangeError::field("password", &error))?;
                Some(self.hash_password(password).await?)
            }
            None => None,
        };
        let user = self.0.writer.create_user(login, hash, part, administers, self.now()).await?;
        let mut deed = Deed::new("user.created", format!("user {}", user.login));
        if let Some((team, role)) = part {
            deed = deed.of(team).after(role.as_str());
        }
        self.record(by.doer, deed).await;
        Ok(user)
    }

    /// Keeps a user out, or lets them in again.
    pub async fn disable_user(&self, by: Actor<'_>, user: &User, disabled: bool) -> Result<(), ChangeError> {
        self.0.writer.disable_user(user.id, disabled).await?;
        let action = if disabled { "user.disabled" } else { "user.enabled" };
        self.record(by.doer, Deed::new(action, format!("user {}", user.login))).await;
        Ok(())
    }

    /// Makes a user an administrator of the instance, or takes that from them.
    pub async fn set_administers(&self, by: Actor<'_>, user: &User, on: bool) -> Result<(), ChangeError> {
        self.0.writer.set_administers(user.id, on, by.caller.user()).await?;
        let deed = Deed::new("user.administrator_changed", format!("user {}", user.login));
        self.record(by.doer, deed.before(user.administers).after(on)).await;
        Ok(())
    }

    /// Deletes a user, with their sessions and tokens.
    pub async fn delete_user(&self, by: Actor<'_>, user: &User) -> Result<(), ChangeError> {
        self.0.writer.delete_user(user.id).await?;
        self.record(by.doer, Deed::new("user.deleted", format!("user {}", user.login))).await;
        Ok(())
    }

    /// What stands in a link by which a user sets a password, in place of the one before, and until when it is good.
    /// The second factor stays unless it is said to be forgotten.
    pub async fn reset_link(
        &self,
        by: Actor<'_>,
        user: &User,
        forget_second_factor: bool,
    ) -> Result<(String, Timestamp), ChangeError> {
        let link = Link::new()?;
        let expires = self.now().after(RESET_LINK);
        self.0.writer.put_reset_link(user.id, link.digest, forget_second_factor, expires).await?;
        let deed = Deed::new("user.reset_link_made", format!("user {}", user.login));
        self.record(by.doer, deed.after(serde_json::json!({ "forget_second_factor": forget_second_factor })))
            .await;
        Ok((link.text, expires))
    }
}

/// Passwords, for their users.
impl Auth {
    /// Whose password a link sets, if it is still good.
    pub async fn reset_link_of(&self, secret: &str) -> Result<Option<String>, StoreError> {
        let Some(hash) = link::digest(secret) else { return Ok(None) };
        let found = self.0.reader.user_of_reset_link(&hash, self.now()).await?;
        Ok(found.map(|account| account.user.login.to_string()))
    }

    /// Sets the password of the user of a link, and begins a session.
    pub async fn reset(&self, secret: &str, password: &str, from: &Origin) -> Result<SignedIn, ClaimError> {
        let hash = link::digest(secret).ok_or(ClaimError::Closed)?;
        let found = self.0.reader.user_of_reset_link(&hash, self.now()).await?;
        let user = found.ok_or(ClaimError::Closed)?.user;
        check_new_password(password, user.login.as_str())?;
        let password = self.hash_password(password).await?;
        let link = Link::new().map_err(SignInError::from)?;
        let begin = self.beginning(link.digest, from);
        let pending = self.0.writer.use_reset_link(hash, password, begin).await?;
        let by = Doer::at_the_door(user.login.as_str(), Some(user.id), from);
        self.record(&by, Deed::new("password.reset", format!("user {}", user.login))).await;
        Ok(self.signed_in(link.text, pending))
    }

    /// Changes the password of a person who shows the old one. Their other sessions end.
    pub async fn change_password(
        &self,
        person: &Person,
        old: &str,
        new: &str,
        from: &Origin,
    ) -> Result<(), ClaimError> {
        let (_, before) = self.prove(&person.login, old, from).await?;
        check_new_password(new, &person.login)?;
        let hash = self.hash_password(new).await?;
        let kept = self.session_of(person).await?.map(|(session, _)| session.hash);
        self.0.writer.set_password(person.id, Some(before), hash, kept).await?;
        let by = Doer::at_the_door(&person.login, Some(person.id), from);
        self.record(&by, Deed::new("password.changed", format!("user {}", person.login))).await;
        Ok(())
    }

    /// A session that has begun, waiting for the second factor or not.
    pub(super) fn signed_in(&self, cookie: String, pending: bool) -> SignedIn {
        let session = NewSession { cookie, lasts: self.longest(pending) };
        if pending { SignedIn::NeedsSecondFactor(session) } else { SignedIn::Done(session) }
    }
}

fn quota_as_json(Quota { apps, memory, cpus }: Quota) -> serde_json::Value {
    let (memory, cpus) = (memory.map(|memory| memory.to_string()), cpus.map(|cpus| cpus.to_string()));
    serde_json::json!({ "apps": apps, "memory": memory, "cpus": cpus })
}

/// Who changes it, as far as their own part limits them.
pub(super) fn of(by: Actor<'_>) -> By {
    by.caller.user().map_or(By::Instance, By::User)
}
