//! People: users, the teams they are members of, and their part in them.

use std::fmt;

use super::name::InvalidName;

/// The longest login, in characters.
pub const LOGIN_MAX: usize = 64;

/// The shortest password, in bytes.
pub const PASSWORD_MIN: usize = 12;
/// The longest password, in bytes.
pub const PASSWORD_MAX: usize = 128;

/// A user's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserId(pub i64);

/// A team's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TeamId(pub i64);

impl TeamId {
    /// The team that is there from the beginning, and stays.
    pub const FIRST: Self = Self(1);
}

/// The name by which a user signs in: a short name, or an address of electronic mail.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Login(String);

impl Login {
    /// Takes letters, digits and `.`, `-`, `_`, `+`, `@`, of at most [`LOGIN_MAX`] characters; capital letters become
    /// small ones.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_alphanumeric() || ".-_+@".contains(c);
        let well_formed = text.len() <= LOGIN_MAX
            && text.chars().all(inner)
            && text.starts_with(|c: char| c.is_ascii_alphanumeric());
        if well_formed {
            return Ok(Self(text.to_ascii_lowercase()));
        }
        Err(InvalidName::new(
            "login",
            text,
            "use at most 64 letters, digits and .-_+@, and begin with a letter or digit",
        ))
    }

    /// The login as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The part that a user has in a team; each includes the ones before it. What it allows says `right.rs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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

impl Role {
    /// Every role, narrowest first.
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Developer, Self::Admin, Self::Owner];

    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Developer => "developer",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }

    /// The role of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins() {
        for (text, expect) in [
            ("ada", Some("ada")),
            ("Ada", Some("ada")),
            ("ada.l@example.org", Some("ada.l@example.org")),
            ("7of9", Some("7of9")),
            ("", None),
            ("-ada", None),
            ("@ada", None),
            ("ada lovelace", None),
            ("ada\n", None),
            ("ädä", None),
            ("<b>", None),
        ] {
            assert_eq!(Login::parse(text).ok().map(|login| login.to_string()).as_deref(), expect, "{text:?}");
        }
        assert!(
            Login::parse(&"a".repeat(LOGIN_MAX)).is_ok() && Login::parse(&"a".repeat(LOGIN_MAX + 1)).is_err()
        );
    }
}
