//! Which version of a server can read the files of which other one, as far as the tags of their images say.

use super::super::EngineError;
use crate::domain::database::{Database, DatabaseKind};
use crate::domain::image::ImageRef;

/// What a tag begins with: `8.4` of `8.4.3-oracle`, or `8` where it says no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    major: u32,
    minor: Option<u32>,
}

impl Version {
    fn of(tag: &str) -> Option<Self> {
        let number = |part: &str| {
            let end = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part.get(..end)?.parse().ok()
        };
        let mut parts = tag.split('.');
        Some(Self { major: number(parts.next()?)?, minor: parts.next().and_then(number) })
    }

    fn is_before(self, other: Self) -> bool {
        let minor = self.minor.zip(other.minor);
        self.major < other.major
            || self.major == other.major && minor.is_some_and(|(this, other)| this < other)
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.minor {
            Some(minor) => write!(f, "{}.{minor}", self.major),
            None => write!(f, "{}", self.major),
        }
    }
}

/// Refuses an image that cannot read the files of a database.
pub(super) fn refuse_unreadable(database: &Database, to: &ImageRef) -> Result<(), EngineError> {
    let (from, kind) = (&database.settings.image, database.kind);
    // One that never came here has done nothing to the files.
    let message = unreadable(kind, from, to, database.image.is_some());
    message.map_or(Ok(()), |message| Err(EngineError::Invalid { field: "image", message }))
}

/// The files of one major version of `PostgreSQL` and `MongoDB` mean nothing to the next; others bring theirs up to date,
/// and none can go back once they `ran`.
fn unreadable(kind: DatabaseKind, from: &ImageRef, to: &ImageRef, ran: bool) -> Option<String> {
    let (from, to) = (from.to_string(), to.to_string());
    let ((old_name, old), (new_name, new)) = (tag(&from)?, tag(&to)?);
    let (old, new) = (Version::of(old)?, Version::of(new)?);
    let rigid = matches!(kind, DatabaseKind::Postgres | DatabaseKind::Mongodb);
    let title = kind.title();
    if old_name != new_name {
        return None;
    }
    if kind == DatabaseKind::Mysql && new.major > 8 && old == (Version { major: 8, minor: Some(0) }) {
        return Some(format!(
            "{title} {new} cannot read the files of 8.0, 8.4 can: go to that version first"
        ));
    }
    let unreadable = if rigid { old.major != new.major } else { ran && new.is_before(old) };
    unreadable.then(|| {
        format!(
            "{title} {new} cannot read the files of {old}: create another database of that version, restore a backup \
             of this one into it, and link your apps to it"
        )
    })
}

/// The name of an image and its tag. A digest says nothing of the version.
fn tag(image: &str) -> Option<(&str, &str)> {
    image.split_once('@').map_or(image, |(image, _)| image).rsplit_once(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_that_cannot_read_the_files_is_refused() {
        let ran = |kind, from: &str, to: &str, ran| {
            let image = |text| ImageRef::parse(text).unwrap();
            unreadable(kind, &image(from), &image(to), ran).is_none()
        };
        let check = |kind, from: &str, to: &str| ran(kind, from, to, true);
        assert!(check(DatabaseKind::Postgres, "postgres:17.2", "postgres:17.1"));
        assert!(!check(DatabaseKind::Postgres, "postgres:17", "postgres:18"));
        assert!(!check(DatabaseKind::Postgres, "postgres:17", "postgres:16"));
        assert!(check(DatabaseKind::Mariadb, "mariadb:10.11", "mariadb:11.8"));
        assert!(!check(DatabaseKind::Mariadb, "mariadb:11.8", "mariadb:10.11"));
        assert!(!check(DatabaseKind::Mariadb, "mariadb:11.8.1-noble", "mariadb:11.4"));
        assert!(check(DatabaseKind::Mariadb, "mariadb:11.8.2", "mariadb:11.8.1"));
        assert!(ran(DatabaseKind::Mariadb, "mariadb:11.9", "mariadb:11.8", false), "there is no 11.9");
        assert!(check(DatabaseKind::Mysql, "mysql:8.0.40", "mysql:8.4"));
        assert!(check(DatabaseKind::Mysql, "mysql:8.4", "mysql:9.7-oracle"));
        assert!(check(DatabaseKind::Mysql, "mysql:9", "mysql:9.7"), "9 may be any of them");
        assert!(!check(DatabaseKind::Mysql, "mysql:8.0", "mysql:9"), "8.4 lies between");
        assert!(!check(DatabaseKind::Mysql, "mysql:8.4", "mysql:8.0"));
        assert!(check(DatabaseKind::Postgres, "postgres:17", "example.org/mine:1"), "nobody can tell");
        let digests = ["1", "2"].map(|digit| format!("postgres@sha256:{}", digit.repeat(64)));
        assert!(check(DatabaseKind::Postgres, &digests[0], &digests[1]), "nobody can tell");
        assert!(check(DatabaseKind::Valkey, "valkey:8.1", "valkey:latest"), "nobody can tell");
    }
}
