//! What is backed up and how that goes, at one look; and what somebody should know of it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::super::{Engine, EngineError};
use super::source::Source;
use super::volume::is_aside;
use crate::domain::backup::{Backup, Reason, Schedule, State, Verdict};
use crate::domain::time::Timestamp;
use crate::domain::volume::VolumeId;

/// How long a failure is told of what has no schedule.
const TOLD: Duration = Duration::from_hours(7 * 24);

/// What can be wrong with backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The newest came to nothing.
    Failed,
    /// The newest cannot be restored.
    Broken,
    /// The newest has nothing in it.
    Empty,
    /// There should have been one.
    Late,
}

/// Something about backups that somebody should know.
#[derive(Debug, Clone)]
pub struct Concern {
    /// Of what.
    pub source: Source,
    /// In a word.
    pub trouble: Trouble,
    /// What is wrong, and what to do.
    pub message: String,
}

impl Trouble {
    /// As it is shown.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Broken => "broken",
            Self::Empty => "empty",
            Self::Late => "late",
        }
    }
}

/// Something that is backed up, or was.
#[derive(Debug, Clone)]
pub struct KeptThing {
    /// What it is.
    pub source: Source,
    /// When it is backed up by itself.
    pub schedule: Option<Schedule>,
    /// Its newest backup, however far that has come.
    pub newest: Option<Backup>,
    /// The newest that can be restored as far as is known.
    pub good: Option<Backup>,
    /// What came of the last check, of whichever backup.
    pub checked: Option<Verdict>,
    /// What somebody should know.
    pub concern: Option<(Trouble, String)>,
}

impl Engine {
    /// All that has a schedule or a backup and is still there, by name.
    pub async fn backup_board(&self) -> Result<Vec<KeptThing>, EngineError> {
        let mut subjects = BTreeMap::new();
        for backup in self.reader().backups(None).await? {
            subjects.entry(backup.subject.clone()).or_insert((None, Vec::new())).1.push(backup);
        }
        for (subject, schedule, since) in self.reader().schedules().await? {
            subjects.entry(subject).or_insert((None, Vec::new())).0 = Some((schedule, since));
        }
        let mut board = Vec::new();
        for (subject, (schedule, mut backups)) in subjects {
            let Some(source) = self.source_of(&subject).await? else { continue };
            backups.retain(|backup| backup.team == source.team());
            if schedule.is_some() || !backups.is_empty() {
                board.push(KeptThing::of(source, schedule, backups, self.now()));
            }
        }
        board.sort_by_key(|kept| kept.source.name());
        Ok(board)
    }

    /// All that can be backed up.
    pub async fn backup_sources(&self) -> Result<Vec<Source>, EngineError> {
        let databases = self.reader().databases().await?.into_iter();
        let mut sources: Vec<Source> =
            databases.map(|database| Source::Database(Box::new(database))).collect();
        for there in self.machine().podman.all_volumes().await.map_err(EngineError::internal)? {
            if !is_aside(&there)
                && let Ok(volume) = VolumeId::parse(&there.name)
                && let Some(team) = self.team_of_volume(&volume).await?
            {
                sources.push(Source::Volume(volume, team));
            }
        }
        Ok(sources)
    }

    /// What is wrong with backups.
    pub async fn backup_concerns(&self) -> Result<Vec<Concern>, EngineError> {
        let board = self.backup_board().await?.into_iter();
        let concerns = board.filter_map(|KeptThing { source, concern, .. }| {
            let (trouble, message) = concern?;
            Some(Concern { source, trouble, message })
        });
        Ok(concerns.collect())
    }
}

impl KeptThing {
    /// `backups`: all of it, newest first.
    fn of(
        source: Source,
        schedule: Option<(Schedule, Timestamp)>,
        backups: Vec<Backup>,
        now: Timestamp,
    ) -> Self {
        let good = backups.iter().find(|backup| backup.is_good()).cloned();
        let verdict = |backup: &Backup| match &backup.state {
            State::Done { verdict, .. } => verdict.clone(),
            State::Queued | State::Running { .. } | State::Failed { .. } => None,
        };
        let checked = backups.iter().filter_map(verdict).max_by_key(|verdict| verdict.at);
        let concern = concern(schedule.as_ref(), &backups, now);
        let newest = backups.into_iter().next();
        Self { source, schedule: schedule.map(|(schedule, _)| schedule), newest, good, checked, concern }
    }
}

/// What is wrong with the backups of one thing, which come newest first.
fn concern(
    schedule: Option<&(Schedule, Timestamp)>,
    backups: &[Backup],
    now: Timestamp,
) -> Option<(Trouble, String)> {
    // What somebody handed in says nothing of what is made here.
    let made = |backup: &&Backup| {
        let over = !matches!(backup.state, State::Queued | State::Running { .. });
        over && backup.reason != Reason::Imported
    };
    let newest = backups.iter().find(made).filter(|newest| {
        let told = u64::try_from(TOLD.as_millis()).unwrap_or(u64::MAX);
        schedule.is_some() || now.millis_since(newest.created) < told
    });
    if let Some(newest) = newest {
        let number = newest.id.0;
        match &newest.state {
            State::Failed { reason, .. } => {
                return Some((Trouble::Failed, format!("backup {number} failed: {reason}")));
            }
            State::Done { verdict: Some(verdict), .. } if !verdict.good => {
                let message = format!("backup {number} cannot be restored: {}", verdict.found);
                return Some((Trouble::Broken, message));
            }
            State::Done { .. } if newest.is_empty() => {
                let what = super::tools::items(newest.form);
                let message = format!("backup {number} is empty: there were no {what} to back up");
                return Some((Trouble::Empty, message));
            }
            State::Done { .. } | State::Queued | State::Running { .. } => {}
        }
    }
    let (schedule, since) = schedule?;
    // Since when there should have been one: the last good one, or the beginning of the schedule.
    let good = backups.iter().filter(|backup| backup.is_good()).map(|backup| backup.created).max();
    let last = good.map_or(*since, |last| last.max(*since));
    schedule.is_late(last, now).then(|| {
        let message = format!(
            "there should have been a backup ({}): look at systemctl list-timers, and at what is backed up",
            schedule.when
        );
        (Trouble::Late, message)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::backup::{BackupId, Form, Place, Stored, Subject};
    use crate::domain::person::TeamId;
    use crate::domain::volume::VolumeId;

    const NOW: Timestamp = Timestamp(1_700_000_000_000);
    const DAY: i64 = 24 * 60 * 60 * 1000;

    fn backup(id: i64, ago: i64, state: State) -> Backup {
        Backup {
            id: BackupId(id),
            subject: Subject::Volume(VolumeId::parse("rivetr-vol-blog-data").unwrap()),
            name: "rivetr-vol-blog-data".to_owned(),
            team: TeamId::FIRST,
            reason: Reason::Scheduled,
            place: Place::Disk,
            form: Form::Tar,
            recipient: "age1x".to_owned(),
            hold: None,
            created: Timestamp(NOW.0 - ago),
            state,
        }
    }

    fn done(items: u64, good: Option<bool>) -> State {
        let verdict = good.map(|good| Verdict { at: NOW, good, found: "nothing".to_owned() });
        State::Done {
            at: NOW,
            file: Stored { plain: 1, bytes: 2, items: Some(items), sha256: [0; 32] },
            verdict,
        }
    }

    #[test]
    fn what_failed_is_broken_empty_or_late_is_said() {
        let failed = || State::Failed { at: NOW, reason: "no room".to_owned() };
        let daily = |since: i64| Some((Schedule::usual(), Timestamp(NOW.0 - since)));
        let check = |schedule: Option<(Schedule, Timestamp)>, backups: &[Backup], expect: Option<&str>| {
            let found = concern(schedule.as_ref(), backups, NOW).map(|(_, message)| message);
            assert_eq!(found.is_some(), expect.is_some(), "{found:?}, not {expect:?}");
            assert!(found.unwrap_or_default().contains(expect.unwrap_or_default()));
        };
        check(daily(DAY), &[], None);
        check(daily(2 * DAY), &[], Some("there should have been a backup (daily 03:00)"));
        check(daily(9 * DAY), &[backup(1, DAY, done(3, None))], None);
        check(daily(9 * DAY), &[backup(1, 3 * DAY, done(3, Some(true)))], Some("should have been"));
        check(
            daily(9 * DAY),
            &[backup(2, 0, failed()), backup(1, DAY, done(3, None))],
            Some("backup 2 failed: no room"),
        );
        check(daily(9 * DAY), &[backup(2, 0, done(3, Some(false)))], Some("cannot be restored: nothing"));
        check(daily(9 * DAY), &[backup(2, 0, done(0, None))], Some("backup 2 is empty: there were no files"));
        // One that is on its way hides nothing, and one that was handed in says nothing.
        check(daily(9 * DAY), &[backup(3, 0, State::Queued), backup(2, 0, failed())], Some("failed"));
        let imported = Backup { reason: Reason::Imported, ..backup(3, 0, failed()) };
        check(daily(9 * DAY), &[imported, backup(2, 0, done(3, None))], None);
        check(None, &[backup(2, DAY, failed())], Some("failed"));
        check(None, &[backup(2, 8 * DAY, failed())], None);
        check(None, &[backup(2, 8 * DAY, done(3, None))], None);
    }
}
