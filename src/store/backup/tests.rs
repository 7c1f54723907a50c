//! Backups in a real store.

use super::super::NewDatabase;
use super::super::testing::{Fixture, NOW, slug};
use super::*;
use crate::domain::backup::{Restore, Retention, Schedule, Target};
use crate::domain::database::{Credentials, DatabaseId, DatabaseKind, DatabaseWord, Settings};
use crate::domain::runtime::Limits;
use crate::domain::s3::{BucketName, Endpoint, Location, Prefix, Region};
use crate::domain::secret::Sealed;
use crate::domain::volume::{VolumeId, VolumeName};

const LATER: Timestamp = Timestamp(NOW.0 + 1000);

fn new(number: i64, place: Place) -> NewBackup {
    NewBackup {
        subject: Subject::Database(DatabaseId(number)),
        name: "orders".to_owned(),
        team: TeamId::FIRST,
        reason: Reason::Asked,
        place,
        form: Form::Postgres,
        recipient: "age1x".to_owned(),
        hold: None,
    }
}

fn stored() -> Stored {
    Stored { plain: 1 << 40, bytes: 7, items: Some(3), sha256: [9; 32] }
}

fn destination(name: &str) -> StoredDestination {
    let location = Location {
        endpoint: Endpoint::parse("https://s3.example.org").unwrap(),
        region: Region::parse("auto").unwrap(),
        bucket: BucketName::parse("backups").unwrap(),
        prefix: Prefix::parse("a/b").unwrap(),
        path_style: true,
        ca: Some("PEM".to_owned()),
    };
    let secret = Sealed(vec![1, 2]);
    StoredDestination { name: slug(name), location, key_id: "id".to_owned(), secret, created: NOW }
}

#[tokio::test]
async fn a_backup_from_its_beginning_to_its_end() {
    let store = Fixture::new();
    let backup = store.writer.queue_backup(new(1, Place::Disk), NOW).await.unwrap();
    let second = store.writer.queue_backup(new(1, Place::Disk), NOW).await.unwrap_err();
    assert_eq!(second.to_string(), "a backup of orders is being made already: wait for it");
    store.writer.queue_backup(new(2, Place::Disk), NOW).await.unwrap();
    assert_eq!(store.reader.backups_under_way().await.unwrap().len(), 2);
    let early = store.writer.begin_restore(backup.id, Target::InPlace, NOW).await.unwrap_err();
    assert_eq!(early.to_string(), "backup 1 is queued, so this cannot be done with it");

    store.writer.move_backup(backup.id, |state| state.begin(NOW)).await.unwrap();
    let done = store.writer.move_backup(backup.id, |state| state.finish(stored(), LATER)).await.unwrap();
    assert_eq!(store.reader.backup(backup.id).await.unwrap(), Some(done.clone()));
    let again = store.writer.move_backup(backup.id, |state| state.begin(NOW)).await.unwrap_err();
    assert!(matches!(again, BackupError::Illegal { state: "done", .. }), "{again}");
    let verdict = Verdict { at: LATER, good: false, found: "no tables".to_owned() };
    let judged = store.writer.move_backup(backup.id, |state| state.judge(verdict)).await.unwrap();
    assert_eq!(store.reader.backups_of(&backup.subject).await.unwrap(), [judged]);

    let restore = store.writer.begin_restore(backup.id, Target::New(slug("copy")), NOW).await.unwrap();
    assert_eq!(store.reader.restores_under_way().await.unwrap(), std::slice::from_ref(&restore));
    for failure in [Some("first".to_owned()), None] {
        store.writer.end_restore(restore.id, failure, LATER).await.unwrap();
    }
    let ended = Restore { ended: Some((LATER, Some("first".to_owned()))), ..restore };
    assert_eq!(store.reader.restores_of(backup.id).await.unwrap(), [ended]);
    assert_eq!(store.reader.restores_under_way().await.unwrap(), []);
    assert!(store.writer.remove_backup(backup.id).await.unwrap());
    assert!(!store.writer.remove_backup(backup.id).await.unwrap());
    assert_eq!(store.reader.backups(Some(TeamId(7))).await.unwrap(), []);
    assert_eq!(store.reader.backups(Some(TeamId::FIRST)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn old_failures_are_forgotten_but_for_the_last() {
    let store = Fixture::new();
    for _ in 0..2 {
        let backup = store.writer.queue_backup(new(1, Place::Disk), NOW).await.unwrap();
        store.writer.move_backup(backup.id, |state| state.fail("disk full".to_owned(), NOW)).await.unwrap();
    }
    assert_eq!(store.writer.forget_failed_backups(NOW).await.unwrap(), 0);
    assert_eq!(store.writer.forget_failed_backups(LATER).await.unwrap(), 1);
    let left = store.reader.backups(None).await.unwrap();
    assert_eq!(left[0].state, State::Failed { at: NOW, reason: "disk full".to_owned() });
}

#[tokio::test]
async fn a_destination_stays_while_it_is_needed() {
    let store = Fixture::new();
    let there = Place::Storage(slug("offsite"));
    let unknown = store.writer.queue_backup(new(1, there.clone()), NOW).await.unwrap_err();
    assert!(matches!(unknown, BackupError::NoPlace(_)), "{unknown}");
    let schedule = Schedule { place: there.clone(), ..Schedule::usual() };
    let unknown =
        store.writer.put_schedule(Subject::Database(DatabaseId(1)), schedule.clone(), NOW).await.unwrap_err();
    assert!(matches!(unknown, BackupError::NoPlace(_)), "{unknown}");
    for _ in 0..2 {
        store.writer.put_destination(destination("offsite")).await.unwrap();
    }
    assert_eq!(store.reader.destinations().await.unwrap(), [destination("offsite")]);
    let backup = store.writer.queue_backup(new(1, there), NOW).await.unwrap();
    store.writer.put_schedule(Subject::Database(DatabaseId(1)), schedule.clone(), NOW).await.unwrap();
    let used = store.writer.remove_destination(slug("offsite")).await.unwrap_err();
    assert!(used.to_string().starts_with("1 backups lie at offsite and 1 schedules"), "{used}");
    let found = store.reader.schedules().await.unwrap();
    assert_eq!(found, [(Subject::Database(DatabaseId(1)), schedule, NOW)]);
    assert!(store.writer.remove_schedule(&Subject::Database(DatabaseId(1))).await.unwrap());
    store.writer.remove_backup(backup.id).await.unwrap();
    store.writer.remove_destination(slug("offsite")).await.unwrap();
    let gone = store.writer.remove_destination(slug("offsite")).await.unwrap_err();
    assert!(matches!(gone, DestinationError::None(_)), "{gone}");
}

#[tokio::test]
async fn schedules_and_keys_are_kept_as_they_are() {
    let store = Fixture::new();
    let retention = Retention {
        count: std::num::NonZeroU32::new(3),
        days: std::num::NonZeroU32::new(30),
        bytes: std::num::NonZeroU64::new(1 << 40),
    };
    let subject = Subject::Volume(VolumeId::parse("rivetr-vol-blog-data").unwrap());
    let other = Schedule { retention, check_days: None, hold: Some(Hold::Stop), ..Schedule::usual() };
    for schedule in [Schedule::usual(), other] {
        store.writer.put_schedule(subject.clone(), schedule.clone(), NOW).await.unwrap();
        assert_eq!(store.reader.schedule(&subject).await.unwrap(), Some((schedule, NOW)));
    }
    let held = NewBackup {
        subject: subject.clone(),
        hold: Some(Hold::Stop),
        form: Form::Tar,
        ..new(1, Place::Disk)
    };
    let backup = store.writer.queue_backup(held, NOW).await.unwrap();
    assert_eq!(store.reader.backups_of(&subject).await.unwrap(), std::slice::from_ref(&backup));
    store.writer.move_backup(backup.id, |state| state.begin(NOW)?.finish(stored(), NOW)).await.unwrap();
    let beside = Target::NewVolume(VolumeName::parse("copy_1").unwrap());
    let restore = store.writer.begin_restore(backup.id, beside, NOW).await.unwrap();
    store.writer.set_swapped(restore.id, true).await.unwrap();
    let under_way = store.reader.restores_under_way().await.unwrap();
    assert_eq!(under_way, [Restore { swapped: true, ..restore }]);
    let key = |recipient: &str, secret| BackupKey {
        recipient: recipient.to_owned(),
        secret: Sealed(vec![secret]),
        created: NOW,
    };
    for one in [key("age1a", 1), key("age1b", 2), key("age1a", 3)] {
        store.writer.add_backup_key(one).await.unwrap();
    }
    assert_eq!(store.reader.backup_keys().await.unwrap(), [key("age1b", 2), key("age1a", 1)]);
}

#[tokio::test]
async fn two_databases_change_places_in_one_step() {
    let store = Fixture::new();
    store.project("default").await;
    let mut made = Vec::new();
    for name in ["orders", "orders-restore-1"] {
        let credentials = Credentials {
            user: DatabaseWord::parse("u").unwrap(),
            database: DatabaseWord::parse("d").unwrap(),
            password: Sealed(name.as_bytes().to_vec()),
            root_password: Sealed(vec![0]),
        };
        let settings = Settings {
            image: DatabaseKind::Postgres.image("17").unwrap(),
            config: None,
            limits: Limits::default(),
            public: None,
        };
        let (slug, project, kind) = (slug(name), slug("default"), DatabaseKind::Postgres);
        let new = NewDatabase {
            slug,
            project,
            kind,
            settings,
            credentials,
            volume: format!("v-{name}"),
            scratch: true,
        };
        made.push(store.writer.create_database(new, NOW).await.unwrap());
    }
    let backup = store.writer.queue_backup(new(made[0].id.0, Place::Disk), NOW).await.unwrap();
    store.writer.move_backup(backup.id, |state| state.begin(NOW)?.finish(stored(), NOW)).await.unwrap();
    let restore = store.writer.begin_restore(backup.id, Target::InPlace, NOW).await.unwrap();
    let data = |of: usize, volume: usize| DataOf {
        database: made[of].id,
        volume: made[volume].volume.clone(),
        password: Sealed(vec![1]),
        root_password: Sealed(vec![2]),
    };
    store.writer.swap_data(restore.id, true, data(0, 1), data(1, 0), LATER).await.unwrap();
    for (of, volume) in [(0, 1), (1, 0)] {
        let now = store.reader.database_by_id(made[of].id).await.unwrap().unwrap();
        assert_eq!((&now.volume, &now.credentials.password), (&made[volume].volume, &Sealed(vec![1])));
        assert_eq!(now.deleted.is_some(), of == 1);
    }
    let trashed = store.reader.trashed_databases().await.unwrap();
    assert_eq!(trashed.iter().map(|gone| gone.id).collect::<Vec<_>>(), [made[1].id], "it has the old data");
    assert!(store.reader.restores_under_way().await.unwrap()[0].swapped);
    // All or nothing.
    let taken = DataOf { volume: made[1].volume.clone(), ..data(1, 0) };
    assert!(store.writer.swap_data(restore.id, false, data(0, 1), taken, LATER).await.is_err());
    assert!(store.reader.restores_under_way().await.unwrap()[0].swapped);
}
