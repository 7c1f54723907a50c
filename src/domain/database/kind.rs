//! The kinds of databases, and what differs between them: images, paths, how one is asked whether it answers, and the
//! address that programs are given.

use super::{Credentials, DatabaseWord};
use crate::domain::image::ImageRef;
use crate::domain::name::{InvalidName, Slug};

/// A kind of server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DatabaseKind {
    /// `PostgreSQL`.
    Postgres,
    /// `MySQL`.
    Mysql,
    /// `MariaDB`.
    Mariadb,
    /// `MongoDB`.
    Mongodb,
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// By what its data is written out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dump {
    /// `pg_dump`, in its custom format.
    Postgres,
    /// `mysqldump` or `mariadb-dump`: SQL.
    Sql,
    /// `mongodump --archive`.
    Mongo,
    /// The server's own file of all it holds.
    Rdb,
}

/// How a program reaches a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connection<'a> {
    /// The name or address.
    pub host: &'a str,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: &'a str,
    /// The password.
    pub password: &'a str,
    /// The database within the server.
    pub database: &'a str,
}

/// What a kind is made of.
struct Facts {
    word: &'static str,
    title: &'static str,
    repository: &'static str,
    versions: &'static [&'static str],
    port: u16,
    data: &'static str,
}

impl DatabaseKind {
    /// Every kind, in the order in which they are offered.
    pub const ALL: [Self; 6] =
        [Self::Postgres, Self::Mariadb, Self::Mysql, Self::Mongodb, Self::Valkey, Self::Redis];

    fn facts(self) -> Facts {
        match self {
            Self::Postgres => Facts {
                word: "postgres",
                title: "PostgreSQL",
                repository: "docker.io/library/postgres",
                versions: &["17", "18", "16", "15", "14"],
                port: 5432,
                data: "/var/lib/postgresql/data",
            },
            Self::Mysql => Facts {
                word: "mysql",
                title: "MySQL",
                repository: "docker.io/library/mysql",
                versions: &["8.4", "9", "8.0"],
                port: 3306,
                data: "/var/lib/mysql",
            },
            Self::Mariadb => Facts {
                word: "mariadb",
                title: "MariaDB",
                repository: "docker.io/library/mariadb",
                versions: &["11.8", "11.4", "10.11"],
                port: 3306,
                data: "/var/lib/mysql",
            },
            Self::Mongodb => Facts {
                word: "mongodb",
                title: "MongoDB",
                repository: "docker.io/library/mongo",
                versions: &["8.0", "7.0"],
                port: 27017,
                data: "/data/db",
            },
            Self::Redis => Facts {
                word: "redis",
                title: "Redis",
                repository: "docker.io/library/redis",
                versions: &["8.0", "7.4", "7.2"],
                port: 6379,
                data: "/data",
            },
            Self::Valkey => Facts {
                word: "valkey",
                title: "Valkey",
                repository: "docker.io/valkey/valkey",
                versions: &["8.1", "8.0", "7.2"],
                port: 6379,
                data: "/data",
            },
        }
    }

    /// The word people write.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.facts().word
    }

    /// The kind of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// What people call it.
    #[must_use]
    pub fn title(self) -> &'static str {
        self.facts().title
    }

    /// The versions that are offered, the usual one first. Others can be written.
    #[must_use]
    pub fn versions(self) -> &'static [&'static str] {
        self.facts().versions
    }

    /// The version that a new one has unless it is said.
    #[must_use]
    pub fn usual_version(self) -> &'static str {
        self.versions().first().copied().unwrap_or("latest")
    }

    /// The version that an image of this kind's own is; none: it is another one's.
    #[must_use]
    pub fn version_of(self, image: &ImageRef) -> Option<String> {
        let text = image.to_string();
        let version = text.strip_prefix(self.facts().repository)?.strip_prefix(':')?;
        Some(version.to_owned())
    }

    /// The image of a version.
    pub fn image(self, version: &str) -> Result<ImageRef, InvalidName> {
        ImageRef::parse(&format!("{}:{version}", self.facts().repository))
    }

    /// The port that it listens on in its container.
    #[must_use]
    pub fn port(self) -> u16 {
        self.facts().port
    }

    /// Where its data lies in its container.
    #[must_use]
    pub fn data(self) -> &'static str {
        self.facts().data
    }

    /// By what its data is written out.
    #[must_use]
    pub fn dump(self) -> Dump {
        match self {
            Self::Postgres => Dump::Postgres,
            Self::Mysql | Self::Mariadb => Dump::Sql,
            Self::Mongodb => Dump::Mongo,
            Self::Redis | Self::Valkey => Dump::Rdb,
        }
    }

    /// Whether it knows users and databases by name.
    #[must_use]
    pub fn has_names(self) -> bool {
        self.dump() != Dump::Rdb
    }

    /// The user and the database that a new one of this name has unless it is said.
    #[must_use]
    pub fn names(self, slug: &Slug) -> (DatabaseWord, DatabaseWord) {
        if self.has_names() {
            return (DatabaseWord::of(slug), DatabaseWord::of(slug));
        }
        (DatabaseWord::fixed("default"), DatabaseWord::fixed("0"))
    }

    /// The address that programs are given. Its parts need no escaping: words and passwords are plain.
    #[must_use]
    pub fn url(self, connection: &Connection<'_>) -> String {
        let Connection { host, port, user, password, database } = connection;
        let scheme = match self {
            Self::Postgres => "postgres",
            Self::Mysql | Self::Mariadb => "mysql",
            Self::Mongodb => "mongodb",
            Self::Redis | Self::Valkey => "redis",
        };
        // The user of MongoDB is the server's own administrator.
        let rest = if self == Self::Mongodb { "?authSource=admin" } else { "" };
        format!("{scheme}://{user}:{password}@{host}:{port}/{database}{rest}")
    }
}

impl<'a> Connection<'a> {
    /// By the names of some credentials.
    #[must_use]
    pub fn of(credentials: &'a Credentials, password: &'a str, host: &'a str, port: u16) -> Self {
        let Credentials { user, database, password: _, root_password: _ } = credentials;
        Self { host, port, user: user.as_str(), password, database: database.as_str() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_images_and_an_address() {
        let connection = Connection { host: "orders", port: 1, user: "u", password: "p", database: "d" };
        for (kind, url) in [
            (DatabaseKind::Postgres, "postgres://u:p@orders:1/d"),
            (DatabaseKind::Mysql, "mysql://u:p@orders:1/d"),
            (DatabaseKind::Mariadb, "mysql://u:p@orders:1/d"),
            (DatabaseKind::Mongodb, "mongodb://u:p@orders:1/d?authSource=admin"),
            (DatabaseKind::Redis, "redis://u:p@orders:1/d"),
            (DatabaseKind::Valkey, "redis://u:p@orders:1/d"),
        ] {
            assert_eq!(kind.url(&connection), url);
            assert_eq!(DatabaseKind::parse(kind.as_str()), Some(kind));
            for version in kind.versions() {
                let image = kind.image(version).unwrap();
                assert_eq!(kind.version_of(&image).as_deref(), Some(*version));
            }
            assert_eq!(kind.version_of(&ImageRef::parse("example.org/x:1").unwrap()), None);
        }
        assert_eq!(DatabaseKind::parse("oracle"), None);
    }
}
