//! How far somebody reaches: by their parts in teams, and no further than their token. Here alone it is decided that a
//! team that asks for a second factor is closed to a member who has none.

use std::collections::BTreeMap;

use crate::domain::person::{Role, TeamId};
use crate::domain::right::{Closed, Reach, Scope};
use crate::store::Account;

/// The reach of a user, in one team alone if that is said.
pub(super) fn of(account: &Account, scope: Scope, only: Option<TeamId>) -> Reach {
    let Account { user, teams, strict } = account;
    if user.second_factor || strict.is_empty() {
        let teams = (!user.administers).then(|| teams.clone());
        return narrow(Reach { teams, scope, closed: Closed::NOTHING }, only);
    }
    // Who stands above all teams stands above a closed one, too: until it is open, they reach their other teams.
    let open = teams.iter().filter(|(team, _)| !strict.contains(team));
    let teams = Some(open.map(|(team, role)| (*team, *role)).collect());
    narrow(Reach { teams, scope, closed: Closed { teams: strict.clone(), instance: user.administers } }, only)
}

/// The reach of the instance itself, in one team alone if that is said.
pub(super) fn of_instance(scope: Scope, only: Option<TeamId>) -> Reach {
    narrow(Reach { teams: None, scope, closed: Closed::NOTHING }, only)
}

fn narrow(reach: Reach, only: Option<TeamId>) -> Reach {
    let Some(team) = only else { return reach };
    let Reach { teams, scope, mut closed } = reach;
    let role = match &teams {
        None => Some(Role::Owner),
        Some(teams) => teams.get(&team).copied(),
    };
    closed.teams.retain(|one| *one == team);
    let teams: BTreeMap<TeamId, Role> = role.map(|role| (team, role)).into_iter().collect();
    Reach { teams: Some(teams), scope, closed }
}
