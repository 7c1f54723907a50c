//! What can go wrong with people and teams, and who changes them.

use thiserror::Error;

use super::error::StoreError;
use crate::domain::name::Slug;
use crate::domain::person::{Login, Role, UserId};

/// Who changes something, as far as their own part limits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Somebody who stands above all teams.
    Instance,
    /// A user, with the part that they have when it is changed.
    User(UserId),
}

/// Why something about people was not changed. Nothing of it was stored.
#[derive(Debug, Error)]
pub enum PeopleError {
    /// There is no such user.
    #[error("there is no such user")]
    NoUser,
    /// There is no such team.
    #[error("there is no such team")]
    NoTeam,
    /// The user has no part in the team.
    #[error("there is no such member of this team")]
    NoMember,
    /// A link was used, has expired, or never was one.
    #[error("this link is not good any more: ask for a new one")]
    NoLink,
    /// A user has the login.
    #[error("the login {0} is taken: choose another one")]
    LoginTaken(Login),
    /// A team has the name.
    #[error("the name {0} is taken: choose another one")]
    TeamTaken(Slug),
    /// They are in the team already.
    #[error("{0} is a member of this team already: change the role instead")]
    IsMember(Login),
    /// The team would have no owner.
    #[error("this is the only owner of a team: make another owner first")]
    LastOwner,
    /// Nobody could administer the instance.
    #[error("this is the only administrator of this instance: make another one first")]
    LastAdministrator,
    /// The team that stays.
    #[error("the team {0} is the first one and stays")]
    FirstTeam(Slug),
    /// The team has something.
    #[error("the team {team} still has {what}: delete them first")]
    TeamHas {
        /// The team.
        team: Slug,
        /// "projects".
        what: &'static str,
    },
    /// It is not for the part that the caller has.
    #[error("as {0} of this team you cannot do this: it needs a wider role")]
    Above(Role),
    /// Who asks it of others has none.
    #[error("set up a second factor of your own first: the team would be closed to you, too")]
    NoSecondFactor,
    /// What was to be changed has changed meanwhile.
    #[error("this has changed meanwhile: load it again")]
    Changed,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<rusqlite::Error> for PeopleError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}
