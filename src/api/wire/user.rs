//! People and teams, as JSON says them. Secrets are in one answer each, the one to their making.

use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, Hidden};
use crate::domain::quota::Quota;
use crate::domain::runtime::{Cpus, Memory};

/// A link that is good once: the only time it is shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Link {
    /// Its address.
    pub url: String,
    /// When it ends (RFC 3339, UTC).
    pub expires: String,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("expires", &self.expires).finish_non_exhaustive()
    }
}

/// A part in a team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Looks on.
    Viewer,
    /// Runs apps.
    Developer,
    /// Also decides about people and projects.
    Admin,
    /// Also decides about the team itself.
    Owner,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// In words.
    pub caller: String,
    /// The login of the user, if it is one.
    pub login: Option<String>,
    /// Whether all teams are the caller's to see.
    pub instance: bool,
    /// The parts in teams; of who stands above them, none.
    pub teams: Vec<Part>,
    /// The teams that show themselves once the user has a second factor.
    #[serde(default)]
    pub closed_teams: Vec<String>,
}

/// A part in a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    /// The team.
    pub team: String,
    /// The part.
    pub role: Role,
}

/// A team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Team {
    /// Its name.
    pub name: String,
    /// How many members it has.
    pub members: u32,
    /// Whether it shows itself only to members who have a second factor.
    #[serde(default)]
    pub second_factor: bool,
    /// What its apps may use together.
    #[serde(default)]
    pub limits: TeamLimits,
    /// When it was made (RFC 3339, UTC).
    pub created: String,
}

/// What the apps, databases and services of a team may use together. What is not said is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TeamLimits {
    /// How many there may be of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub apps: Option<u32>,
    /// What their limits of memory may come to, each times its containers: `4G`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// What their limits of processors may come to: `2.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpus: Option<String>,
}

impl TeamLimits {
    /// What is said, checked.
    pub fn parse(&self) -> Result<Quota, FieldErrors> {
        let mut wrong = FieldErrors::default();
        let memory = self.memory.as_deref().and_then(|text| wrong.take("memory", Memory::parse(text)));
        let cpus = self.cpus.as_deref().and_then(|text| wrong.take("cpus", Cpus::parse(text)));
        if wrong.0.is_empty() { Ok(Quota { apps: self.apps, memory, cpus }) } else { Err(wrong) }
    }
}

impl From<Quota> for TeamLimits {
    fn from(Quota { apps, memory, cpus }: Quota) -> Self {
        let (memory, cpus) = (memory.map(|memory| memory.to_string()), cpus.map(|cpus| cpus.to_string()));
        Self { apps, memory, cpus }
    }
}

/// What changes about a team.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeTeam {
    /// Another name: lower-case letters, digits and dashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it shows itself only to members who have a second factor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second_factor: Option<bool>,
}

/// A new team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NameTeam {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
}

/// A member of a team.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The name by which they sign in.
    pub login: String,
    /// Their part.
    pub role: Role,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Whether they show a second factor when they sign in.
    pub second_factor: bool,
}

/// Another part for a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeRole {
    /// The part.
    pub role: Role,
}

/// An invitation that is made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Who is invited.
    pub login: String,
    /// The part that they get.
    pub role: Role,
}

/// An invitation that is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its number.
    pub id: i64,
    /// Who is invited.
    pub login: String,
    /// The part that they get.
    pub role: Role,
    /// Who invited them.
    pub by: String,
    /// When it ends (RFC 3339, UTC).
    pub expires: String,
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of its own in the JSON")]
pub struct User {
    /// The name by which they sign in.
    pub login: String,
    /// Their parts in teams.
    pub teams: Vec<Part>,
    /// Whether they administer the instance.
    pub administrator: bool,
    /// Whether they are kept out.
    pub disabled: bool,
    /// Whether they have set a password.
    pub password: bool,
    /// Whether they show a second factor when they sign in.
    pub second_factor: bool,
    /// When they were made (RFC 3339, UTC).
    pub created: String,
    /// When they last signed in (RFC 3339, UTC).
    pub signed_in: Option<String>,
}

/// A new user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateUser {
    /// The name by which they sign in.
    pub login: String,
    /// Their password; without one, the answer has a link by which they set it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub password: Option<Hidden>,
    /// A team that they are a member of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team: Option<String>,
    /// Their part in it; `developer` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Role>,
    /// Whether they administer the instance.
    #[serde(default)]
    pub administrator: bool,
}

/// A user that was just made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CreatedUser {
    /// The user.
    pub user: User,
    /// The link by which they set a password, unless they have one.
    pub link: Option<Link>,
}

/// What changes about a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeUser {
    /// Whether they are kept out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disabled: Option<bool>,
    /// Whether they administer the instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub administrator: Option<bool>,
}

/// How a user comes back in.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reset {
    /// Whether the second factor is forgotten with the password.
    #[serde(default)]
    pub forget_second_factor: bool,
}

/// Something that was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Deed {
    /// Its number.
    pub id: i64,
    /// When (RFC 3339, UTC).
    pub at: String,
    /// By whom.
    pub by: String,
    /// About which team, if it is about one.
    pub team: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// The number of the request.
    pub request: Option<String>,
    /// What: `app.deleted`.
    pub action: String,
    /// To what.
    pub object: String,
    /// What it was before, without secrets.
    pub before: Option<serde_json::Value>,
    /// What it is now.
    pub after: Option<serde_json::Value>,
    /// What binds it to the one before, in hexadecimal.
    pub hash: String,
}

/// What looking through the audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// Whether every entry is as it was written.
    pub whole: bool,
    /// How many entries there are, if so.
    pub entries: Option<u64>,
    /// The hash of the last one, in hexadecimal.
    pub last: Option<String>,
    /// The first entry that is not as it was written.
    pub broken_at: Option<i64>,
}
