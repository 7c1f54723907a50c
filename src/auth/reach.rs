//! How far somebody reaches: by their parts in teams, and no further than their token.

use std::collections::BTreeMap;

use crate::domain::person::{Role, TeamId};
use crate::domain::right::{Reach, Scope};
use crate::store::Account;

/// The reach of a user, in one team alone if that is said.
pub(super) fn of(account: &Account, scope: Scope, only: Option<TeamId>) -> Reach {
    let teams = (!account.user.administers).then(|| account.teams.clone());
    narrow(Reach { teams, scope }, only)
}

/// The reach of the instance itself, in one team alone if that is said.
pub(super) fn of_instance(scope: Scope, only: Option<TeamId>) -> Reach {
    narrow(Reach { teams: None, scope }, only)
}

fn narrow(reach: Reach, only: Option<TeamId>) -> Reach {
    let Some(team) = only else { return reach };
    let role = match &reach.teams {
        None => Some(Role::Owner),
        Some(teams) => teams.get(&team).copied(),
    };
    let teams: BTreeMap<TeamId, Role> = role.map(|role| (team, role)).into_iter().collect();
    Reach { teams: Some(teams), scope: reach.scope }
}
