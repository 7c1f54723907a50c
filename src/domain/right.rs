//! What a caller may do: one table, read by every face and by the documentation.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::person::{Role, TeamId};

/// One thing that a request may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// See apps, deployments, logs.
    Read,
    /// Deploy, push, cancel.
    Deploy,
    /// Create, change and delete apps; open a terminal in one.
    Manage,
    /// Invite and remove people, create and delete projects.
    Lead,
    /// Make owners, and delete the team.
    Own,
    /// Change the instance: what no team has for itself.
    Administer,
}

impl Right {
    /// Every right, least first.
    pub const ALL: [Self; 6] =
        [Self::Read, Self::Deploy, Self::Manage, Self::Lead, Self::Own, Self::Administer];

    /// The narrowest role that has it in its team; none: it is of the instance, and no team's.
    #[must_use]
    pub fn of_role(self) -> Option<Role> {
        match self {
            Self::Read => Some(Role::Viewer),
            Self::Deploy | Self::Manage => Some(Role::Developer),
            Self::Lead => Some(Role::Admin),
            Self::Own => Some(Role::Owner),
            Self::Administer => None,
        }
    }

    /// The narrowest scope of a token that carries it.
    #[must_use]
    pub fn of_scope(self) -> Scope {
        match self {
            Self::Read => Scope::Read,
            Self::Deploy => Scope::Deploy,
            Self::Manage => Scope::Write,
            Self::Lead | Self::Own | Self::Administer => Scope::Admin,
        }
    }

    /// What it is for, in the words of the documentation.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::Read => "see apps, deployments and logs",
            Self::Deploy => "deploy, roll back, cancel, restart, start and stop",
            Self::Manage => {
                "create, change and delete apps, their variables, domains and volumes; open a terminal"
            }
            Self::Lead => "create and delete projects, invite and remove people, keep keys",
            Self::Own => "make owners, ask for a second factor, rename and delete the team",
            Self::Administer => "change the instance: registries, certificates, the host, all teams",
        }
    }
}

impl Role {
    /// Whether it has this right in its team.
    #[must_use]
    pub fn allows(self, right: Right) -> bool {
        right.of_role().is_some_and(|needed| self >= needed)
    }
}

/// How far a token reaches; each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// See everything, change nothing.
    Read,
    /// Also deploy.
    Deploy,
    /// Also create, change and delete apps.
    Write,
    /// Everything.
    Admin,
}

impl Scope {
    /// Every scope, narrowest first.
    pub const ALL: [Self; 4] = [Self::Read, Self::Deploy, Self::Write, Self::Admin];

    /// Whether a token of this scope carries `right`.
    #[must_use]
    pub fn allows(self, right: Right) -> bool {
        self >= right.of_scope()
    }

    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Deploy => "deploy",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }

    /// The scope of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// What each role has and each scope carries, as the documentation shows it.
#[must_use]
pub fn table() -> String {
    let mark = |yes: bool| if yes { "yes" } else { "" };
    let roles = Role::ALL.map(|role| format!(" {role} |")).concat();
    let lines = Role::ALL.map(|_| " --- |").concat();
    let heading = format!("| right |{roles} token's scope | what it is for |\n| --- |{lines} --- | --- |\n");
    let rows = Right::ALL.map(|right| {
        let roles = Role::ALL.map(|role| format!(" {} |", mark(role.allows(right)))).concat();
        let (name, scope, about) = (format!("{right:?}").to_lowercase(), right.of_scope(), right.about());
        format!("| {name} |{roles} {scope} | {about} |\n")
    });
    heading + &rows.concat()
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How far a caller reaches: over all teams or in some, and never further than its token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The teams, and the part that the caller has in each. None: the instance, with all of them.
    pub teams: Option<BTreeMap<TeamId, Role>>,
    /// What the caller's token carries; all of it, without one.
    pub scope: Scope,
    /// What opens to the caller with a second factor.
    pub closed: Closed,
}

/// What is closed to somebody who has no second factor yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Closed {
    /// The teams.
    pub teams: BTreeSet<TeamId>,
    /// Whether the instance is, too: who administers it and is in such a team reaches only their other teams.
    pub instance: bool,
}

impl Closed {
    /// Nothing is.
    pub const NOTHING: Self = Self { teams: BTreeSet::new(), instance: false };

    /// Whether nothing is.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }
}

impl Reach {
    /// Over everything.
    pub const ALL: Self = Self { teams: None, scope: Scope::Admin, closed: Closed::NOTHING };

    /// Whether the caller may do this in that team.
    #[must_use]
    pub fn allows_in(&self, right: Right, team: TeamId) -> bool {
        let by_role = match &self.teams {
            None => true,
            Some(teams) => teams.get(&team).is_some_and(|role| role.allows(right)),
        };
        by_role && self.scope.allows(right)
    }

    /// Whether the caller may do this somewhere: in one of its teams, or, what is no team's, on the instance.
    #[must_use]
    pub fn allows(&self, right: Right) -> bool {
        let by_role = match &self.teams {
            None => true,
            Some(teams) => teams.values().any(|role| role.allows(right)),
        };
        by_role && self.scope.allows(right)
    }

    /// Whether the caller knows that this team is there.
    #[must_use]
    pub fn sees(&self, team: TeamId) -> bool {
        self.teams.as_ref().is_none_or(|teams| teams.contains_key(&team))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_and_each_role_includes_the_ones_before_it() {
        for (reach, scope) in Scope::ALL.into_iter().enumerate() {
            let carried = Right::ALL.map(|right| scope.allows(right)).iter().filter(|yes| **yes).count();
            assert_eq!(carried, [1, 2, 3, 6][reach], "{scope}");
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        for (reach, role) in Role::ALL.into_iter().enumerate() {
            let has = Right::ALL.map(|right| role.allows(right));
            assert_eq!(has.iter().filter(|yes| **yes).count(), [1, 3, 4, 5][reach], "{role}");
            assert!(has.is_sorted_by(|a, b| a >= b), "{role}: {has:?}");
            assert_eq!(Role::parse(role.as_str()), Some(role));
        }
        assert_eq!((Scope::parse("owner"), Role::parse("read")), (None, None));
    }

    #[test]
    fn the_documentation_has_this_table() {
        let page = include_str!("../../docs/people.md");
        assert!(page.contains(&table()), "docs/people.md should have this table:\n{}", table());
    }

    #[test]
    fn a_token_and_a_role_narrow_each_other() {
        let (mine, other) = (TeamId(1), TeamId(2));
        let reach = |role, scope| Reach {
            teams: Some(BTreeMap::from([(mine, role)])),
            scope,
            closed: Closed::NOTHING,
        };
        let narrow = reach(Role::Owner, Scope::Read);
        assert!(narrow.allows_in(Right::Read, mine) && !narrow.allows_in(Right::Deploy, mine));
        let wide = reach(Role::Viewer, Scope::Admin);
        assert!(wide.allows_in(Right::Read, mine) && !wide.allows_in(Right::Deploy, mine));
        let owner = reach(Role::Owner, Scope::Admin);
        assert!(owner.allows(Right::Own) && !owner.allows(Right::Administer));
        assert!(!owner.allows_in(Right::Read, other) && !owner.sees(other) && owner.sees(mine));
        assert!(Reach::ALL.allows(Right::Administer) && Reach::ALL.allows_in(Right::Own, other));
    }
}
