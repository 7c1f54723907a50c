//! What a caller may do: one table, read by every face.

use std::fmt;

/// One thing that a request may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Right {
    /// See apps, deployments, logs and the state of the host.
    Read,
    /// Deploy, push, cancel.
    Deploy,
    /// Create, change and delete apps.
    Manage,
    /// Create and revoke tokens, and change the instance.
    Administer,
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

    /// Whether a caller of this scope may do what `right` names.
    #[must_use]
    pub fn allows(self, right: Right) -> bool {
        let needed = match right {
            Right::Read => Self::Read,
            Right::Deploy => Self::Deploy,
            Right::Manage => Self::Write,
            Right::Administer => Self::Admin,
        };
        self >= needed
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

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_includes_the_ones_before_it() {
        let rights = [Right::Read, Right::Deploy, Right::Manage, Right::Administer];
        for (reach, scope) in Scope::ALL.into_iter().enumerate() {
            for (need, right) in rights.into_iter().enumerate() {
                assert_eq!(scope.allows(right), need <= reach, "{scope} and {right:?}");
            }
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!(Scope::parse("owner"), None);
    }
}
