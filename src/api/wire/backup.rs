//! Backups, as JSON says them.

use std::num::{NonZeroU32, NonZeroU64};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{FieldErrors, Hidden, time};
use crate::domain::backup::{self, Hold, Place, Retention, Schedule, State, Subject, Target, When};
use crate::domain::image::Digest;
use crate::domain::name::Slug;
use crate::domain::s3::{BucketName, Endpoint, Location, Prefix, Region};
use crate::domain::secret::Secret;
use crate::domain::volume::VolumeName;
use crate::engine::{NewDestination, ShownBackup};
use crate::store::StoredDestination;

/// The longest access key or file of roots, in bytes.
const KEY_MAX: usize = 1024;
const CA_MAX: usize = 64 * 1024;
/// The longest time from one check to the next, in days.
const CHECK_DAYS_MAX: u16 = 366;

/// A backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Backup {
    /// Its number.
    pub id: i64,
    /// What it is of: `database`, `volume`.
    pub kind: String,
    /// How that was called.
    pub name: String,
    /// Why it was made: `asked`, `scheduled`, `before`, `imported`.
    pub reason: String,
    /// Where it lies: `disk`, or the name of a destination.
    pub place: String,
    /// The path of its file there.
    pub file: String,
    /// `queued`, `running`, `done`, `failed`.
    pub state: String,
    /// When it was asked for (RFC 3339, UTC).
    pub created: String,
    /// When it came to its state.
    pub moved: Option<String>,
    /// The length of what was written out, in bytes.
    pub plain: Option<u64>,
    /// The length of the file, in bytes.
    pub bytes: Option<u64>,
    /// How many tables, keys or files there were.
    pub items: Option<u64>,
    /// The SHA-256 of the file.
    pub sha256: Option<String>,
    /// For which key the file is sealed.
    pub recipient: String,
    /// Why it failed.
    pub failure: Option<String>,
    /// How what uses the volume was held: `pause`, `stop`.
    #[serde(default)]
    pub hold: Option<String>,
    /// What came of restoring it into a container, or a volume, that was made for this.
    pub verdict: Option<Verdict>,
    /// What was restored from it, newest first.
    pub restores: Vec<Restore>,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verdict {
    /// When.
    pub at: String,
    /// It can be restored.
    pub good: bool,
    /// What was found, or what went wrong.
    pub found: String,
}

/// A restore, or a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Restore {
    /// Its number.
    pub id: i64,
    /// `check`, `in-place`, `new`.
    pub target: String,
    /// The name of the new database or volume.
    pub name: Option<String>,
    /// When it was asked for.
    pub created: String,
    /// When it ended.
    pub ended: Option<String>,
    /// Why it came to nothing.
    pub failure: Option<String>,
}

/// A backup that is asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TakeBackup {
    /// Where to: `disk`, or the name of a destination; none: as the schedule says, or the disk.
    pub place: Option<String>,
    /// It is its time by the schedule.
    pub scheduled: bool,
    /// How what uses a volume is held: `pause`, `stop`; none: as the schedule says, or `pause`.
    pub hold: Option<String>,
}

/// The same, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedBackup {
    /// Where to, if it was said.
    pub place: Option<Place>,
    /// How what uses a volume is held, if it was said.
    pub hold: Option<Hold>,
}

/// A restore that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreBackup {
    /// `check`, `in-place`, `new`.
    pub target: String,
    /// The name of the new database, or of the new volume within the app or service.
    #[serde(default)]
    pub name: Option<String>,
}

/// When something is backed up by itself, and what is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupSchedule {
    /// `hourly`, `every 6 hours`, `daily 03:30`, `weekly sun 03:30`.
    pub at: String,
    /// Where to: `disk`, or the name of a destination.
    pub place: String,
    /// How many are kept.
    #[serde(default)]
    pub keep_count: Option<u32>,
    /// For how many days they are kept.
    #[serde(default)]
    pub keep_days: Option<u32>,
    /// How many bytes they may take together.
    #[serde(default)]
    pub keep_bytes: Option<u64>,
    /// Every so many days the newest is restored to see whether it is good.
    #[serde(default)]
    pub check_days: Option<u16>,
    /// How what uses a volume is held: `pause`, `stop`; none: `pause`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
}

/// A storage that speaks S3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupDestination {
    /// Its name.
    pub name: String,
    /// Its address.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What stands before the names of objects.
    pub prefix: String,
    /// The bucket stands in the path.
    pub path_style: bool,
    /// The name of the access key.
    pub key_id: String,
    /// When it was handed in.
    pub created: String,
}

/// A storage that is handed in; something is put there and taken away again first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutDestination {
    /// Its name.
    pub name: String,
    /// `https://` and its host.
    pub endpoint: String,
    /// Its region.
    pub region: String,
    /// The bucket.
    pub bucket: String,
    /// What stands before the names of objects.
    #[serde(default)]
    pub prefix: String,
    /// The bucket stands in the path and not in the name of the host.
    #[serde(default)]
    pub path_style: bool,
    /// The only roots that its certificate may lead to, as PEM.
    #[serde(default)]
    pub ca: Option<String>,
    /// The name of the access key.
    pub key_id: String,
    /// The access key; it is never shown again.
    #[schema(value_type = String)]
    pub secret: Hidden,
}

/// The key that opens backups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BackupKey {
    /// For whom files are sealed.
    pub recipient: String,
    /// `AGE-SECRET-KEY-1…`.
    pub key: String,
}

impl From<&ShownBackup> for Backup {
    fn from(shown: &ShownBackup) -> Self {
        let ShownBackup { backup, restores } = shown;
        let backup::Backup {
            id,
            subject,
            name,
            team: _,
            reason,
            place,
            form: _,
            recipient,
            hold,
            created,
            state,
        } = backup;
        let (mut moved, mut file, mut failure, mut verdict) = (None, None, None, None);
        match state {
            State::Queued => {}
            State::Running { since } => moved = Some(*since),
            State::Failed { at, reason } => (moved, failure) = (Some(*at), Some(reason.clone())),
            State::Done { at, file: stored, verdict: judged } => {
                (moved, file, verdict) = (Some(*at), Some(*stored), judged.clone());
            }
        }
        Self {
            id: id.0,
            kind: match subject {
                Subject::Database(_) => "database".to_owned(),
                Subject::Volume(_) => "volume".to_owned(),
            },
            name: name.clone(),
            reason: reason.word().to_owned(),
            place: place.to_string(),
            file: backup.file(),
            state: state.word().to_owned(),
            created: time(*created),
            moved: moved.map(time),
            plain: file.map(|file| file.plain),
            bytes: file.map(|file| file.bytes),
            items: file.and_then(|file| file.items),
            sha256: file.map(|file| Digest::of_sum(file.sha256).digits().to_owned()),
            recipient: recipient.clone(),
            failure,
            hold: hold.map(|hold| hold.word().to_owned()),
            verdict: verdict.map(|backup::Verdict { at, good, found }| Verdict { at: time(at), good, found }),
            restores: restores.iter().map(Restore::from).collect(),
        }
    }
}

impl From<&backup::Restore> for Restore {
    fn from(restore: &backup::Restore) -> Self {
        let backup::Restore { id, backup: _, target, created, swapped: _, ended } = restore;
        let (word, name) = match target {
            Target::Check => ("check", None),
            Target::InPlace => ("in-place", None),
            Target::New(name) => ("new", Some(name.to_string())),
            Target::NewVolume(name) => ("new", Some(name.to_string())),
        };
        let (ended, failure) = ended.clone().map_or((None, None), |(at, failure)| (Some(time(at)), failure));
        Self { id: id.0, target: word.to_owned(), name, created: time(*created), ended, failure }
    }
}

impl TakeBackup {
    /// What was asked for, or what is wrong with each field.
    pub fn parse(self) -> Result<AskedBackup, FieldErrors> {
        let mut errors = FieldErrors::default();
        let place = self.place.map(|place| errors.take("place", Place::parse(&place)));
        let hold = held(self.hold.as_deref(), &mut errors);
        if errors.0.is_empty() { Ok(AskedBackup { place: place.flatten(), hold }) } else { Err(errors) }
    }
}

impl RestoreBackup {
    /// Into what, of what the backup is of.
    pub fn parse(self, of: &Subject) -> Result<Target, FieldErrors> {
        let mut errors = FieldErrors::default();
        let target = match (self.target.as_str(), self.name) {
            ("check", None) => Some(Target::Check),
            ("in-place", None) => Some(Target::InPlace),
            ("new", Some(name)) => match of {
                Subject::Database(_) => errors.take("name", Slug::parse(&name)).map(Target::New),
                Subject::Volume(_) => errors.take("name", VolumeName::parse(&name)).map(Target::NewVolume),
            },
            ("new", None) => {
                errors.put("name", "write the name of the new database or volume");
                None
            }
            ("check" | "in-place", Some(_)) => {
                errors.put("name", "only a new database or volume has a name: leave it out");
                None
            }
            _ => {
                errors.put("target", "write check, in-place or new");
                None
            }
        };
        target.ok_or(errors)
    }
}

impl BackupSchedule {
    /// The schedule, or what is wrong with each field.
    pub fn parse(self) -> Result<Schedule, FieldErrors> {
        let mut errors = FieldErrors::default();
        let when = errors.take("at", When::parse(&self.at));
        let place = errors.take("place", Place::parse(&self.place));
        for (field, none) in [
            ("keep_count", self.keep_count == Some(0)),
            ("keep_days", self.keep_days == Some(0)),
            ("keep_bytes", self.keep_bytes == Some(0)),
            ("check_days", self.check_days.is_some_and(|days| days == 0 || days > CHECK_DAYS_MAX)),
        ] {
            if none {
                errors.put(field, "write a number from 1 on (check_days: to 366), or leave it out");
            }
        }
        let hold = held(self.hold.as_deref(), &mut errors);
        let retention = Retention {
            count: self.keep_count.and_then(NonZeroU32::new),
            days: self.keep_days.and_then(NonZeroU32::new),
            bytes: self.keep_bytes.and_then(NonZeroU64::new),
        };
        match (when, place) {
            (Some(when), Some(place)) if errors.0.is_empty() => {
                Ok(Schedule { when, place, retention, check_days: self.check_days, hold })
            }
            _ => Err(errors),
        }
    }
}

impl From<&Schedule> for BackupSchedule {
    fn from(schedule: &Schedule) -> Self {
        let Schedule { when, place, retention: Retention { count, days, bytes }, check_days, hold } =
            schedule;
        Self {
            at: when.to_string(),
            place: place.to_string(),
            keep_count: count.map(NonZeroU32::get),
            keep_days: days.map(NonZeroU32::get),
            keep_bytes: bytes.map(NonZeroU64::get),
            check_days: *check_days,
            hold: hold.map(|hold| hold.word().to_owned()),
        }
    }
}

/// How what uses a volume is held, if that is said.
fn held(word: Option<&str>, errors: &mut FieldErrors) -> Option<Hold> {
    let hold = Hold::of_word(word?);
    if hold.is_none() {
        errors.put("hold", "write pause or stop, or leave it out");
    }
    hold
}

impl PutDestination {
    /// The destination, or what is wrong with each field.
    pub fn parse(self) -> Result<NewDestination, FieldErrors> {
        let Self { name, endpoint, region, bucket, prefix, path_style, ca, key_id, secret: Hidden(secret) } =
            self;
        let mut errors = FieldErrors::default();
        let name = errors.take("name", Slug::parse(&name));
        let endpoint = errors.take("endpoint", Endpoint::parse(&endpoint));
        let region = errors.take("region", Region::parse(&region));
        let bucket = errors.take("bucket", BucketName::parse(&bucket));
        let prefix = errors.take("prefix", Prefix::parse(&prefix));
        let plain =
            |text: &str| (1..=KEY_MAX).contains(&text.len()) && text.chars().all(|c| c.is_ascii_graphic());
        for (field, text) in [("key_id", &key_id), ("secret", &secret)] {
            if !plain(text) {
                errors.put(field, "use 1 to 1024 printable characters without blanks");
            }
        }
        if ca.as_ref().is_some_and(|ca| ca.len() > CA_MAX) {
            errors.put("ca", "use at most 64 KiB of PEM");
        }
        match (name, endpoint, region, bucket, prefix) {
            (Some(name), Some(endpoint), Some(region), Some(bucket), Some(prefix)) if errors.0.is_empty() => {
                let location = Location { endpoint, region, bucket, prefix, path_style, ca };
                Ok(NewDestination { name, location, key_id, secret: Secret::from(&*secret) })
            }
            _ => Err(errors),
        }
    }
}

impl From<&StoredDestination> for BackupDestination {
    fn from(stored: &StoredDestination) -> Self {
        let StoredDestination { name, location, key_id, secret: _, created } = stored;
        let Location { endpoint, region, bucket, prefix, path_style, ca: _ } = location;
        Self {
            name: name.to_string(),
            endpoint: endpoint.to_string(),
            region: region.as_str().to_owned(),
            bucket: bucket.as_str().to_owned(),
            prefix: prefix.as_str().to_owned(),
            path_style: *path_style,
            key_id: key_id.clone(),
            created: time(*created),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong<T>(outcome: Result<T, FieldErrors>) -> Vec<String> {
        outcome.map_or_else(|errors| errors.0.keys().map(ToString::to_string).collect(), |_| vec![])
    }

    #[test]
    fn restores() {
        let database = Subject::Database(crate::domain::database::DatabaseId(1));
        let volume = Subject::parse("volume/rivetr-vol-blog-data").unwrap();
        let check = |target: &str, name: Option<&str>, expect: &[&str]| {
            let wish = RestoreBackup { target: target.to_owned(), name: name.map(str::to_owned) };
            assert_eq!(wrong(wish.clone().parse(&database)), expect, "{target} {name:?}");
            if name.is_none() {
                assert_eq!(wrong(wish.parse(&volume)), expect, "{target}");
            }
        };
        let new = |name: &str| RestoreBackup { target: "new".to_owned(), name: Some(name.to_owned()) };
        assert_eq!(new("copy_1").parse(&volume), Ok(Target::NewVolume(VolumeName::parse("copy_1").unwrap())));
        assert_eq!(wrong(new("copy-1").parse(&volume)), ["name"]);
        check("check", None, &[]);
        check("in-place", None, &[]);
        check("new", Some("copy"), &[]);
        check("new", None, &["name"]);
        check("new", Some("A b"), &["name"]);
        check("in-place", Some("copy"), &["name"]);
        check("there", None, &["target"]);
    }

    #[test]
    fn schedules_there_and_back() {
        let shown = BackupSchedule {
            at: "daily 03:30".to_owned(),
            place: "offsite".to_owned(),
            keep_count: Some(3),
            keep_days: None,
            keep_bytes: Some(1 << 40),
            check_days: Some(7),
            hold: Some("stop".to_owned()),
        };
        assert_eq!(BackupSchedule::from(&shown.clone().parse().unwrap()), shown);
        let broken =
            BackupSchedule { at: "soon".to_owned(), keep_days: Some(0), check_days: Some(367), ..shown };
        assert_eq!(wrong(broken.clone().parse()), ["at", "check_days", "keep_days"]);
        let broken = BackupSchedule { hold: Some("kill".to_owned()), ..broken };
        assert_eq!(wrong(broken.parse()), ["at", "check_days", "hold", "keep_days"]);
    }

    #[test]
    fn destinations() {
        let put = PutDestination {
            name: "offsite".to_owned(),
            endpoint: "https://s3.example.org".to_owned(),
            region: "auto".to_owned(),
            bucket: "backups".to_owned(),
            prefix: String::new(),
            path_style: false,
            ca: None,
            key_id: "id".to_owned(),
            secret: Hidden("key".to_owned()),
        };
        assert_eq!(wrong(put.clone().parse()), Vec::<String>::new());
        let broken = PutDestination { endpoint: "s3".to_owned(), key_id: "a b".to_owned(), ..put };
        assert_eq!(wrong(broken.parse()), ["endpoint", "key_id"]);
    }
}
