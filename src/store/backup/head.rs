//! How the backups of something stand, by the few rows that tell it: nobody reads all that were ever made for that.

use std::collections::BTreeMap;

use rusqlite::{Connection, Params};

use super::super::error::StoreError;
use super::super::reader::Reader;
use super::super::{database, object, row};
use super::{read, schedule};
use crate::domain::backup::{Backup, Reason, Schedule, Source, State, Subject, Verdict};
use crate::domain::person::TeamId;
use crate::domain::time::Timestamp;
use crate::domain::volume::VolumeOf;

/// Of what backups are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupsOf {
    /// Of all that has a schedule or a backup.
    All,
    /// Of one thing.
    One(Subject),
    /// Of every volume of an app or a service.
    Volumes(VolumeOf),
}

/// How the backups stand of something that is still there. Those that another team made of what was called so do not
/// count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupHead {
    /// Of what.
    pub source: Source,
    /// When it is backed up by itself, and since when that holds.
    pub schedule: Option<(Schedule, Timestamp)>,
    /// The newest, however far that has come.
    pub newest: Option<Backup>,
    /// The newest that was made here and has ended: what somebody handed in says nothing of that.
    pub ended: Option<Backup>,
    /// The newest that can be restored as far as is known.
    pub good: Option<Backup>,
}

impl Reader {
    /// How the backups of something stand.
    pub async fn backup_heads(&self, of: BackupsOf) -> Result<Vec<BackupHead>, StoreError> {
        self.read(move |tx| {
            let mut heads = Vec::new();
            for subject in subjects(tx, of)? {
                heads.extend(head(tx, subject)?);
            }
            Ok(heads)
        })
        .await
    }

    /// What came of the last check of something, of whichever backup of that team.
    pub async fn last_verdicts(&self) -> Result<BTreeMap<(Subject, TeamId), Verdict>, StoreError> {
        let select = "SELECT subject, team, max(judged) AS judged, good, found FROM backup \
                      WHERE judged IS NOT NULL GROUP BY subject, team";
        self.read(move |tx| {
            let found = row::all(tx, select, [], |row| {
                let subject = row::parsed(row, "subject", row::word(Subject::parse))?;
                let (good, found) = (row::number(row, "good")?, row::number(row, "found")?);
                let verdict = Verdict { at: row::time(row, "judged")?, good, found };
                Ok(((subject, TeamId(row::number(row, "team")?)), verdict))
            })?;
            Ok(found.into_iter().collect())
        })
        .await
    }

    /// When the newest backup that is there was made.
    pub async fn last_backup(&self) -> Result<Option<Timestamp>, StoreError> {
        let select = "SELECT max(created) AS last FROM backup WHERE state = 'done'";
        Ok(self.read(|tx| row::first(tx, select, [], |row| row::maybe_time(row, "last"))).await?.flatten())
    }
}

fn subjects(connection: &Connection, of: BackupsOf) -> Result<Vec<Subject>, StoreError> {
    // What is shown of them has nothing beyond `~`.
    let begin_with = |prefix: &str| {
        let sql = "SELECT subject FROM backup_schedule WHERE subject >= ?1 AND subject < ?1 || '~' \
                   UNION SELECT subject FROM backup WHERE subject >= ?1 AND subject < ?1 || '~'";
        row::all(connection, sql, [prefix], |row| row::parsed(row, "subject", row::word(Subject::parse)))
    };
    match of {
        BackupsOf::All => begin_with(""),
        BackupsOf::One(subject) => Ok(vec![subject]),
        BackupsOf::Volumes(of) => {
            let found = begin_with(&Subject::prefix_of(&of))?;
            let own = |subject: &Subject| matches!(subject, Subject::Volume(volume) if *volume.of() == of);
            Ok(found.into_iter().filter(own).collect())
        }
    }
}

/// None: it is gone, or in the trash, or was never backed up.
fn head(connection: &Connection, subject: Subject) -> Result<Option<BackupHead>, StoreError> {
    let name = subject.to_string();
    let source = match subject {
        Subject::Database(number) => {
            let found = database::by_id(connection, number)?.filter(|database| database.deleted.is_none());
            found.map(|database| Source::Database(Box::new(database)))
        }
        Subject::Volume(volume) => {
            object::of_volume(connection, volume.of())?.map(|team| Source::Volume(volume, team))
        }
    };
    let Some(source) = source else { return Ok(None) };
    let schedule = schedule::of(connection, &name)?;
    let first = |rest: &str| newest(connection, rest, (&name, source.team().0));
    let newest = first("")?;
    let has_ended = |backup: &Backup| {
        let over = matches!(backup.state, State::Done { .. } | State::Failed { .. });
        over && backup.reason != Reason::Imported
    };
    let ended = match &newest {
        Some(newest) if !has_ended(newest) => {
            first("AND state IN ('done', 'failed') AND reason <> 'imported'")?
        }
        other => other.clone(),
    };
    let good = match &newest {
        Some(newest) if !newest.is_good() => first("AND state = 'done' AND good IS NOT 0")?,
        other => other.clone(),
    };
    if schedule.is_none() && newest.is_none() {
        return Ok(None);
    }
    Ok(Some(BackupHead { source, schedule, newest, ended, good }))
}

fn newest(connection: &Connection, rest: &str, of: impl Params) -> Result<Option<Backup>, StoreError> {
    let sql =
        format!("SELECT * FROM backup WHERE subject = ?1 AND team = ?2 {rest} ORDER BY id DESC LIMIT 1");
    row::first(connection, &sql, of, read)
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Fixture, NOW, slug};
    use super::super::{NewBackup, Stored};
    use super::*;
    use crate::domain::backup::{BackupId, Form, Place};
    use crate::domain::volume::VolumeId;

    const LATER: Timestamp = Timestamp(NOW.0 + 1000);

    fn volume(name: &str) -> VolumeId {
        VolumeId::parse(name).unwrap()
    }

    async fn made(store: &Fixture, of: &str, reason: Reason, end: Result<(), &str>) -> BackupId {
        let new = NewBackup {
            subject: Subject::Volume(volume(of)),
            name: of.to_owned(),
            team: TeamId::FIRST,
            reason,
            place: Place::Disk,
            form: Form::Tar,
            recipient: "age1x".to_owned(),
            hold: None,
        };
        let id = store.writer.queue_backup(new, NOW).await.unwrap().id;
        let file = Stored { plain: 1, bytes: 2, items: Some(3), sha256: [9; 32] };
        let end = end.map_err(str::to_owned);
        let moved = store.writer.move_backup(id, move |state| match end {
            Ok(()) => state.begin(NOW)?.finish(file, NOW),
            Err(reason) => state.fail(reason, NOW),
        });
        moved.await.unwrap();
        id
    }

    async fn judge(store: &Fixture, id: BackupId, good: bool, at: Timestamp) {
        let verdict = Verdict { at, good, found: "3 files".to_owned() };
        store.writer.move_backup(id, move |state| state.judge(verdict)).await.unwrap();
    }

    /// Makes a row one that nobody can read.
    fn spoil(store: &Fixture, id: BackupId) {
        let connection = rusqlite::Connection::open(store.path()).unwrap();
        connection.execute("UPDATE backup SET form = 'spoilt' WHERE id = ?1", [id.0]).unwrap();
    }

    type Numbers = (String, Option<i64>, Option<i64>, Option<i64>);

    async fn heads(store: &Fixture, of: BackupsOf) -> Vec<Numbers> {
        let number = |backup: Option<Backup>| backup.map(|backup| backup.id.0);
        let heads = store.reader.backup_heads(of).await.unwrap().into_iter();
        let numbers = |BackupHead { source, newest, ended, good, .. }: BackupHead| {
            (source.name(), number(newest), number(ended), number(good))
        };
        heads.map(numbers).collect()
    }

    #[tokio::test]
    async fn the_rows_that_tell_are_read_and_no_others() {
        let store = Fixture::new();
        store.app("blog").await;
        store.app("blog-old").await;
        let (data, old) = ("rivetr-vol-blog-data", "rivetr-vol-blog-old-data");
        let one = BackupsOf::One(Subject::Volume(volume(data)));
        let of_blog = BackupsOf::Volumes(VolumeOf::App(slug("blog")));
        assert_eq!(heads(&store, one.clone()).await, [], "it was never backed up");
        for spoilt in [
            made(&store, data, Reason::Scheduled, Ok(())).await,
            made(&store, data, Reason::Scheduled, Err("no room")).await,
        ] {
            spoil(&store, spoilt);
        }
        made(&store, data, Reason::Scheduled, Ok(())).await;
        let expect = |newest, ended, good| (data.to_owned(), Some(newest), Some(ended), Some(good));
        assert_eq!(heads(&store, BackupsOf::All).await, [expect(3, 3, 3)]);
        made(&store, data, Reason::Scheduled, Err("no room")).await;
        made(&store, data, Reason::Imported, Ok(())).await;
        assert_eq!(heads(&store, one.clone()).await, [expect(5, 4, 5)]);
        let broken = made(&store, data, Reason::Scheduled, Ok(())).await;
        judge(&store, broken, false, NOW).await;
        assert_eq!(heads(&store, of_blog.clone()).await, [expect(6, 6, 5)]);
        // What others have is not looked at.
        let of_old = made(&store, old, Reason::Asked, Ok(())).await;
        spoil(&store, of_old);
        assert_eq!(heads(&store, of_blog).await, [expect(6, 6, 5)]);
        assert_eq!(heads(&store, one).await, [expect(6, 6, 5)]);
        assert!(store.reader.backup_heads(BackupsOf::All).await.is_err());
        assert_eq!(store.reader.last_backup().await.unwrap(), Some(NOW));
    }

    #[tokio::test]
    async fn what_has_gone_or_is_of_another_team_tells_nothing() {
        let store = Fixture::new();
        let name = "rivetr-vol-blog-data";
        made(&store, name, Reason::Asked, Ok(())).await;
        assert_eq!(heads(&store, BackupsOf::All).await, [], "there is no such app");
        store.app("blog").await;
        let expect = (name.to_owned(), Some(1), Some(1), Some(1));
        assert_eq!(heads(&store, BackupsOf::All).await, [expect]);
        let connection = rusqlite::Connection::open(store.path()).unwrap();
        connection.execute("UPDATE backup SET team = 7", []).unwrap();
        assert_eq!(heads(&store, BackupsOf::All).await, []);
        // Its schedule is its own.
        store.writer.put_schedule(Subject::Volume(volume(name)), Schedule::usual(), NOW).await.unwrap();
        assert_eq!(heads(&store, BackupsOf::All).await, [(name.to_owned(), None, None, None)]);
    }

    #[tokio::test]
    async fn the_last_check_is_told_of_whichever_backup() {
        let store = Fixture::new();
        let name = "rivetr-vol-blog-data";
        let (first, second) = (
            made(&store, name, Reason::Asked, Ok(())).await,
            made(&store, name, Reason::Asked, Ok(())).await,
        );
        assert!(store.reader.last_verdicts().await.unwrap().is_empty());
        judge(&store, second, true, NOW).await;
        judge(&store, first, false, LATER).await;
        let verdict = Verdict { at: LATER, good: false, found: "3 files".to_owned() };
        let expect = [((Subject::Volume(volume(name)), TeamId::FIRST), verdict)];
        assert_eq!(store.reader.last_verdicts().await.unwrap(), expect.into_iter().collect());
    }
}
