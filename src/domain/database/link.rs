//! A link: an app is told how to reach a database, and starts after it.

use super::{Connection, DatabaseId, DatabaseKind};
use crate::domain::app::AppId;
use crate::domain::name::{EnvKey, InvalidName};

/// An app and a database of one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The app that is told.
    pub app: AppId,
    /// The database.
    pub database: DatabaseId,
    /// What the names of its variables begin with.
    pub prefix: Prefix,
}

/// What the names of a link's variables begin with: `DATABASE` for `DATABASE_URL`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

impl Prefix {
    /// Takes capital letters, digits and underscores, at most 40, a letter first.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let well_formed = text.len() <= 40
            && text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.chars().all(inner)
            && !text.ends_with('_');
        let rule = "use at most 40 capital letters, digits and underscores, a letter first: DATABASE, REDIS, ORDERS_DB";
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidName::new("prefix", text, rule)) }
    }

    /// What a link to this kind begins with unless it is said.
    #[must_use]
    pub fn usual(kind: DatabaseKind) -> Self {
        let text = match kind {
            DatabaseKind::Postgres | DatabaseKind::Mysql | DatabaseKind::Mariadb => "DATABASE",
            DatabaseKind::Mongodb => "MONGODB",
            DatabaseKind::Redis | DatabaseKind::Valkey => "REDIS",
        };
        Self(text.to_owned())
    }

    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// One of a link's variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All in one: `DATABASE_URL`.
    Url,
    /// The host.
    Host,
    /// The port.
    Port,
    /// The user.
    User,
    /// The password.
    Password,
    /// The database within the server.
    Name,
}

impl Part {
    /// Every part, in the order in which they are shown.
    pub const ALL: [Self; 6] = [Self::Url, Self::Host, Self::Port, Self::User, Self::Password, Self::Name];

    /// Whether it holds the password.
    #[must_use]
    pub fn is_secret(self) -> bool {
        matches!(self, Self::Url | Self::Password)
    }

    /// The name of the variable.
    pub fn key(self, prefix: &Prefix) -> Result<EnvKey, InvalidName> {
        let end = match self {
            Self::Url => "URL",
            Self::Host => "HOST",
            Self::Port => "PORT",
            Self::User => "USER",
            Self::Password => "PASSWORD",
            Self::Name => "NAME",
        };
        EnvKey::parse(&format!("{}_{end}", prefix.0))
    }

    /// Its value.
    #[must_use]
    pub fn value(self, kind: DatabaseKind, connection: &Connection<'_>) -> String {
        match self {
            Self::Url => kind.url(connection),
            Self::Host => connection.host.to_owned(),
            Self::Port => connection.port.to_string(),
            Self::User => connection.user.to_owned(),
            Self::Password => connection.password.to_owned(),
            Self::Name => connection.database.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_link() {
        let prefix = Prefix::usual(DatabaseKind::Postgres);
        let connection = Connection { host: "orders", port: 5432, user: "u", password: "p", database: "d" };
        let all = Part::ALL.map(|part| {
            let key = part.key(&prefix).unwrap();
            format!("{}={}", key.as_str(), part.value(DatabaseKind::Postgres, &connection))
        });
        let expect = [
            "DATABASE_URL=postgres://u:p@orders:5432/d",
            "DATABASE_HOST=orders",
            "DATABASE_PORT=5432",
            "DATABASE_USER=u",
            "DATABASE_PASSWORD=p",
            "DATABASE_NAME=d",
        ];
        assert_eq!(all, expect);
    }

    #[test]
    fn prefixes() {
        for kind in DatabaseKind::ALL {
            let usual = Prefix::usual(kind);
            assert_eq!(Prefix::parse(usual.as_str()).unwrap(), usual);
        }
        for bad in ["", "a", "1A", "A_", "_A", "A-B", &"A".repeat(41)] {
            assert!(Prefix::parse(bad).is_err(), "{bad:?}");
        }
    }
}
