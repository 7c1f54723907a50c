//! Databases: the kinds there are, what one is made of, and how programs reach it.

mod kind;
mod link;
mod public;

use std::net::Ipv4Addr;

pub use self::kind::{Connection, DatabaseKind, Dump};
pub use self::link::{Link, Part, Prefix};
pub use self::public::PublicPort;
use super::deployment::ImageId;
use super::image::ImageRef;
use super::name::{InvalidName, Slug};
use super::project::Project;
use super::runtime::Limits;
use super::secret::Sealed;
use super::time::Timestamp;

/// A database's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub i64);

/// A database as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Database {
    /// Its number in the store.
    pub id: DatabaseId,
    /// Its name, by which programs of its project find it.
    pub slug: Slug,
    /// The project whose network it is on.
    pub project: Project,
    /// What kind of server it is.
    pub kind: DatabaseKind,
    /// How it runs.
    pub settings: Settings,
    /// Who may come in.
    pub credentials: Credentials,
    /// The volume that holds its data, as Podman calls it; it keeps this name when the database gets another.
    pub volume: String,
    /// The address of its container; none in the trash.
    pub address: Option<Ipv4Addr>,
    /// The image that it runs, by its identity, once it was pulled.
    pub image: Option<ImageId>,
    /// Whether it is to run.
    pub wish: Wish,
    /// Why it does not do what it should, in words for people.
    pub problem: Option<String>,
    /// When it was created.
    pub created: Timestamp,
    /// When it was deleted: it is in the trash, where its volume is kept for a while.
    pub deleted: Option<Timestamp>,
}

/// Whether a database is to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// It runs.
    Run,
    /// It was stopped, and stays so until it is started.
    Stop,
}

/// How a database runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The image to run: the kind's own of some version, or another that keeps its contract.
    pub image: ImageRef,
    /// Lines of the server's own configuration, over what rivetr and the image say.
    pub config: Option<ServerConfig>,
    /// What it may use.
    pub limits: Limits,
    /// The port of the host at which it answers; none: only programs of its project reach it.
    pub public: Option<PublicPort>,
}

/// Who may come in: one user who owns one database, and the server's own administrator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; the kinds that know none have `default`.
    pub user: DatabaseWord,
    /// The database within the server; a number for the kinds that count them.
    pub database: DatabaseWord,
    /// The user's password, sealed for [`Credentials::place`].
    pub password: Sealed,
    /// The password of the server's administrator, sealed likewise.
    pub root_password: Sealed,
}

impl Credentials {
    /// What the passwords of a database are sealed for: its volume, whose name never changes.
    #[must_use]
    pub fn place(volume: &str) -> String {
        format!("database/{volume}")
    }
}

impl Database {
    /// The name of its unit and container: `rivetr-db-orders`.
    #[must_use]
    pub fn unit_name(&self) -> String {
        unit_name(&self.slug)
    }

    /// The service that systemd knows it by.
    #[must_use]
    pub fn service(&self) -> String {
        format!("{}.service", self.unit_name())
    }
}

/// The name of the unit of a database of this name.
#[must_use]
pub fn unit_name(slug: &Slug) -> String {
    format!("rivetr-db-{slug}")
}

/// The name of a user or a database within a server: it stands in addresses and in commands, so that it is plain.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseWord(String);

impl DatabaseWord {
    /// Takes letters, digits and underscores, at most 32 (what `MySQL` allows for users), no digit first.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let well_formed = (1..=32).contains(&text.len())
            && text.chars().all(inner)
            && !text.starts_with(|c: char| c.is_ascii_digit());
        let rule = "use at most 32 lower-case letters, digits and underscores, a letter first";
        if well_formed { Ok(Self(text.to_owned())) } else { Err(InvalidName::new("name", text, rule)) }
    }

    /// The word that is nearest to the name of a database.
    #[must_use]
    pub fn of(slug: &Slug) -> Self {
        let text: String = slug.as_str().replace('-', "_").chars().take(28).collect();
        let digit = text.starts_with(|c: char| c.is_ascii_digit());
        Self(if digit { format!("db_{text}") } else { text })
    }

    /// The word that stands for what a kind does not have by name: `default`, `0`.
    #[must_use]
    pub(crate) fn fixed(text: &'static str) -> Self {
        Self(text.to_owned())
    }

    /// As it was stored.
    #[must_use]
    pub fn stored(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The word as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for DatabaseWord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Lines of a server's configuration, in its own language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConfig(String);

impl ServerConfig {
    /// The longest, in bytes.
    pub const MAX: usize = 64 << 10;

    /// Takes any text without NUL; of nothing but blanks comes none.
    pub fn parse(text: &str) -> Result<Option<Self>, InvalidName> {
        if text.trim().is_empty() {
            return Ok(None);
        }
        if text.len() > Self::MAX || text.contains('\0') {
            let rule = "use at most 64 KiB of text without NUL";
            return Err(InvalidName::new("configuration", text, rule));
        }
        let mut text = text.replace("\r\n", "\n");
        if !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(Some(Self(text)))
    }

    /// The lines.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        for good in ["a", "orders", "o_1", &"a".repeat(32)] {
            assert_eq!(DatabaseWord::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "1a", "A", "a-b", "a b", "a'", &"a".repeat(33)] {
            assert!(DatabaseWord::parse(bad).is_err(), "{bad:?}");
        }
        for (slug, expect) in [("orders", "orders"), ("my-shop", "my_shop"), ("3-d", "db_3_d")] {
            let word = DatabaseWord::of(&Slug::parse(slug).unwrap());
            assert_eq!(word.as_str(), expect);
            assert_eq!(DatabaseWord::parse(expect).unwrap(), word);
        }
        let long = DatabaseWord::of(&Slug::parse(&"9".repeat(40)).unwrap());
        assert!(DatabaseWord::parse(long.as_str()).is_ok());
    }

    #[test]
    fn configurations() {
        assert_eq!(ServerConfig::parse(" \n").unwrap(), None);
        let read = ServerConfig::parse("a = 1\r\nb = 2").unwrap().unwrap();
        assert_eq!(read.as_str(), "a = 1\nb = 2\n");
        assert!(ServerConfig::parse("a\0").is_err());
        assert!(ServerConfig::parse(&"a".repeat(ServerConfig::MAX + 1)).is_err());
    }
}
