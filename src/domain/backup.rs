//! Backups: what one is of, how far it has come, when the next one is due, and which ones go.

mod retention;
mod schedule;
mod source;

use std::fmt;

pub use self::retention::{Kept, Retention, expired};
pub use self::schedule::{Schedule, When};
pub use self::source::Source;
use super::database::{DatabaseId, DatabaseKind, Dump};
use super::name::Slug;
use super::person::TeamId;
use super::time::Timestamp;
use super::volume::{VolumeId, VolumeName, VolumeOf};

/// A backup's number in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(pub i64);

/// The number of a restore or a check in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RestoreId(pub i64);

/// What a backup is of. Numbers are never given twice, so that what comes later by the same name is something else.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    /// A database, by its number.
    Database(DatabaseId),
    /// A volume of an app or of a service.
    Volume(VolumeId),
}

/// Where a backup lies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// On this machine, below the state directory.
    Disk,
    /// In a storage that speaks S3, by the name of the destination.
    Storage(Slug),
}

/// Why a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Somebody asked for it.
    Asked,
    /// It was time.
    Scheduled,
    /// Something was about to be done that cannot be undone.
    Before,
    /// Somebody handed it in.
    Imported,
}

/// How what uses a volume is held while its files are read, so that they are those of one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// Its processes stand still, and know nothing of it.
    Pause,
    /// It is stopped and started again, for programs whose files make sense only once they have ended.
    Stop,
}

/// What the file holds, once it is opened and expanded: what it is restored with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `pg_dump --format=custom`, for `pg_restore`.
    Postgres,
    /// Statements of SQL, for the client of `MariaDB` or `MySQL`.
    Sql,
    /// A file of Redis or Valkey.
    Rdb,
    /// `mongodump --archive`, for `mongorestore --archive`.
    MongoArchive,
    /// The files of a volume, as tar.
    Tar,
}

/// How far a backup has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is its turn as soon as there is time.
    Queued,
    /// It is being made. If rivetr ends meanwhile, it has failed.
    Running {
        /// Since when.
        since: Timestamp,
    },
    /// It is there.
    Done {
        /// Since when.
        at: Timestamp,
        /// What is known of the file.
        file: Stored,
        /// Whether it could be restored.
        verdict: Option<Verdict>,
    },
    /// There is none.
    Failed {
        /// When that was known.
        at: Timestamp,
        /// Why, and what to do, for people.
        reason: String,
    },
}

/// What is known of a backup's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The length of what was backed up, in bytes.
    pub plain: u64,
    /// The length of the file, in bytes.
    pub bytes: u64,
    /// How many tables or keys there were; none for what has neither.
    pub items: Option<u64>,
    /// The SHA-256 of the file.
    pub sha256: [u8; 32],
}

/// What came of restoring a backup into a container that was made for this alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// When it was tried.
    pub at: Timestamp,
    /// It answers and has what it should have.
    pub good: bool,
    /// What was found or what went wrong, for people.
    pub found: String,
}

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    /// Its number.
    pub id: BackupId,
    /// What it is of.
    pub subject: Subject,
    /// How that was called.
    pub name: String,
    /// Whose it is.
    pub team: TeamId,
    /// Why it was made.
    pub reason: Reason,
    /// Where it lies.
    pub place: Place,
    /// What the file holds.
    pub form: Form,
    /// For which key it is sealed: `age1…`.
    pub recipient: String,
    /// How what uses it is held meanwhile; none: it goes on.
    pub hold: Option<Hold>,
    /// When it was asked for.
    pub created: Timestamp,
    /// How far it has come.
    pub state: State,
}

/// What becomes of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A container that is made for this and goes again: to see whether the backup can be restored.
    Check,
    /// What it is of: the old data stay until it has worked.
    InPlace,
    /// A new database of this name.
    New(Slug),
    /// A new volume of this name, of the same app or service.
    NewVolume(VolumeName),
}

/// A restore, or a check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restore {
    /// Its number.
    pub id: RestoreId,
    /// From which backup.
    pub backup: BackupId,
    /// Into what.
    pub target: Target,
    /// When it was asked for.
    pub created: Timestamp,
    /// What is restored has the new data already.
    pub swapped: bool,
    /// When it ended, and why if it came to nothing.
    pub ended: Option<(Timestamp, Option<String>)>,
}

/// A move that the state does not allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IllegalMove;

impl State {
    /// It is being made from now on.
    pub fn begin(self, now: Timestamp) -> Result<Self, IllegalMove> {
        match self {
            Self::Queued => Ok(Self::Running { since: now }),
            Self::Running { .. } | Self::Done { .. } | Self::Failed { .. } => Err(IllegalMove),
        }
    }

    /// The file is there, whole.
    pub fn finish(self, file: Stored, now: Timestamp) -> Result<Self, IllegalMove> {
        match self {
            Self::Running { .. } => Ok(Self::Done { at: now, file, verdict: None }),
            Self::Queued | Self::Done { .. } | Self::Failed { .. } => Err(IllegalMove),
        }
    }

    /// It came to nothing.
    pub fn fail(self, reason: String, now: Timestamp) -> Result<Self, IllegalMove> {
        match self {
            Self::Queued | Self::Running { .. } => Ok(Self::Failed { at: now, reason }),
            Self::Done { .. } | Self::Failed { .. } => Err(IllegalMove),
        }
    }

    /// It was tried whether it can be restored.
    pub fn judge(self, verdict: Verdict) -> Result<Self, IllegalMove> {
        match self {
            Self::Done { at, file, .. } => Ok(Self::Done { at, file, verdict: Some(verdict) }),
            Self::Queued | Self::Running { .. } | Self::Failed { .. } => Err(IllegalMove),
        }
    }

    /// As it is stored and shown.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running { .. } => "running",
            Self::Done { .. } => "done",
            Self::Failed { .. } => "failed",
        }
    }
}

impl Backup {
    /// The path of its file within its place: `orders/orders-20261130T013000Z-12.pgdump.zst.age`.
    #[must_use]
    pub fn file(&self) -> String {
        let at = jiff::Timestamp::from_millisecond(self.created.0).unwrap_or_default();
        let at = at.strftime("%Y%m%dT%H%M%SZ");
        format!("{0}/{0}-{at}-{1}.{2}.zst.age", self.name, self.id.0, self.form.ending())
    }

    /// It is there, and nothing was found to be put into it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        matches!(&self.state, State::Done { file, .. } if file.items == Some(0))
    }

    /// It can be restored as far as is known.
    #[must_use]
    pub fn is_good(&self) -> bool {
        match &self.state {
            State::Done { verdict, .. } => verdict.as_ref().is_none_or(|verdict| verdict.good),
            State::Queued | State::Running { .. } | State::Failed { .. } => false,
        }
    }
}

impl Form {
    /// How the name of a file of this form ends.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Postgres => "pgdump",
            Self::Sql => "sql",
            Self::Rdb => "rdb",
            Self::MongoArchive => "archive",
            Self::Tar => "tar",
        }
    }

    /// The form that the data of a kind of database is written in.
    #[must_use]
    pub fn of(kind: DatabaseKind) -> Self {
        match kind.dump() {
            Dump::Postgres => Self::Postgres,
            Dump::Sql => Self::Sql,
            Dump::Mongo => Self::MongoArchive,
            Dump::Rdb => Self::Rdb,
        }
    }

    /// The form of that ending.
    #[must_use]
    pub fn of_ending(word: &str) -> Option<Self> {
        [Self::Postgres, Self::Sql, Self::Rdb, Self::MongoArchive, Self::Tar]
            .into_iter()
            .find(|form| form.ending() == word)
    }
}

impl Hold {
    /// As it is stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pause => "pause",
            Self::Stop => "stop",
        }
    }

    /// The way of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Pause, Self::Stop].into_iter().find(|one| one.word() == word)
    }
}

impl Reason {
    /// As it is stored and shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Scheduled => "scheduled",
            Self::Before => "before",
            Self::Imported => "imported",
        }
    }

    /// The reason of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Asked, Self::Scheduled, Self::Before, Self::Imported]
            .into_iter()
            .find(|one| one.word() == word)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disk => f.write_str("disk"),
            Self::Storage(name) => fmt::Display::fmt(name, f),
        }
    }
}

impl Place {
    /// Takes `disk` or the name of a destination.
    pub fn parse(text: &str) -> Result<Self, super::name::InvalidName> {
        if text == "disk" { Ok(Self::Disk) } else { Slug::parse(text).map(Self::Storage) }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Database(number) => write!(f, "database/{}", number.0),
            Self::Volume(name) => write!(f, "volume/{name}"),
        }
    }
}

impl Subject {
    /// Takes what it is shown as.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.split_once('/')? {
            ("database", number) => number.parse().ok().map(|number| Self::Database(DatabaseId(number))),
            ("volume", name) => VolumeId::parse(name).ok().map(Self::Volume),
            _ => None,
        }
    }

    /// How those begin that are volumes of an app or a service, as they are shown.
    #[must_use]
    pub fn prefix_of(of: &VolumeOf) -> String {
        format!("volume/{}", of.prefix())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);

    fn stored() -> Stored {
        Stored { plain: 1, bytes: 2, items: Some(3), sha256: [3; 32] }
    }

    fn verdict(good: bool) -> Verdict {
        Verdict { at: NOW, good, found: "12 tables".to_owned() }
    }

    #[test]
    fn only_these_moves_are_legal() {
        let running = State::Running { since: NOW };
        let done = State::Done { at: NOW, file: stored(), verdict: None };
        let failed = State::Failed { at: NOW, reason: "x".to_owned() };
        assert_eq!(State::Queued.begin(NOW), Ok(running.clone()));
        assert_eq!(running.clone().finish(stored(), NOW), Ok(done.clone()));
        for state in [State::Queued, running.clone()] {
            assert_eq!(state.clone().fail("x".to_owned(), NOW), Ok(failed.clone()));
            assert_eq!(state.judge(verdict(true)), Err(IllegalMove));
        }
        for state in [done.clone(), failed] {
            assert_eq!(state.clone().begin(NOW), Err(IllegalMove));
            assert_eq!(state.clone().finish(stored(), NOW), Err(IllegalMove));
            assert_eq!(state.fail("x".to_owned(), NOW), Err(IllegalMove));
        }
        assert_eq!(running.begin(NOW), Err(IllegalMove));
        assert_eq!(State::Queued.finish(stored(), NOW), Err(IllegalMove));
        let again = done.judge(verdict(false)).unwrap().judge(verdict(true)).unwrap();
        assert_eq!(again, State::Done { at: NOW, file: stored(), verdict: Some(verdict(true)) });
    }

    #[test]
    fn names_and_words() {
        let backup = Backup {
            id: BackupId(12),
            subject: Subject::Database(DatabaseId(3)),
            name: "orders".to_owned(),
            team: TeamId::FIRST,
            reason: Reason::Asked,
            place: Place::Disk,
            form: Form::Postgres,
            recipient: "age1x".to_owned(),
            hold: None,
            created: NOW,
            state: State::Queued,
        };
        assert_eq!(backup.file(), "orders/orders-20231114T221320Z-12.pgdump.zst.age");
        assert!(!backup.is_good());
        let volume = VolumeId::parse("rivetr-vol-blog-data").unwrap();
        for subject in [Subject::Database(DatabaseId(3)), Subject::Volume(volume)] {
            assert_eq!(Subject::parse(&subject.to_string()), Some(subject));
        }
        for wrong in ["", "database", "database/x", "volume/", "volume/rivetr-db-x_1", "app/3"] {
            assert_eq!(Subject::parse(wrong), None, "{wrong}");
        }
        for place in [Place::Disk, Place::Storage(Slug::parse("offsite").unwrap())] {
            assert_eq!(Place::parse(&place.to_string()).unwrap(), place);
        }
        assert_eq!(Form::of_ending("sql"), Some(Form::Sql));
        assert_eq!(Reason::of_word("before"), Some(Reason::Before));
        assert_eq!((Hold::of_word("stop"), Hold::of_word("kill")), (Some(Hold::Stop), None));
    }
}
