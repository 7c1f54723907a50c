//! What is backed up and how that goes, at one look; and what somebody should know of it.

use std::time::Duration;

use tokio::sync::watch;

use super::super::{Engine, EngineError};
use super::volume::is_aside;
use crate::domain::backup::{Backup, Schedule, Source, State, Verdict};
use crate::domain::time::Timestamp;
use crate::domain::volume::VolumeId;
use crate::store::{BackupHead, BackupsOf};

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
    /// What came of the last check, of whichever backup.
    pub checked: Option<Verdict>,
    /// What somebody should know.
    pub concern: Option<(Trouble, String)>,
}

impl Engine {
    /// All that has a schedule or a backup and is still there, by name.
    pub async fn backup_board(&self) -> Result<Vec<KeptThing>, EngineError> {
        let heads = self.reader().backup_heads(BackupsOf::All).await?;
        let mut verdicts = self.reader().last_verdicts().await?;
        let now = self.now();
        let kept = |head: BackupHead| {
            let checked = verdicts.remove(&(head.source.subject(), head.source.team()));
            KeptThing::of(head, checked, now)
        };
        let mut board: Vec<KeptThing> = heads.into_iter().map(kept).collect();
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

    /// What is wrong with backups, by the name of what they are of.
    pub async fn backup_concerns(&self, of: BackupsOf) -> Result<Vec<Concern>, EngineError> {
        let heads = self.reader().backup_heads(of).await?.into_iter();
        let now = self.now();
        let concerned = heads.filter_map(|head| {
            let (trouble, message) = concern(&head, now)?;
            Some(Concern { source: head.source, trouble, message })
        });
        let mut concerns: Vec<Concern> = concerned.collect();
        concerns.sort_by_key(|concern| concern.source.name());
        Ok(concerns)
    }

    /// Hears of it when something may have become of what is wrong with backups: one has ended, was tried or removed,
    /// what is backed up is other than before, or it was looked whether one is late.
    #[must_use]
    pub fn backups_stir(&self) -> watch::Receiver<()> {
        self.0.backups.moved.subscribe()
    }

    /// Tells whoever waits for a backup, or shows how backups stand.
    pub(in crate::engine) fn stir_backups(&self) {
        self.0.backups.moved.send_replace(());
        self.stir();
    }
}

impl KeptThing {
    fn of(head: BackupHead, checked: Option<Verdict>, now: Timestamp) -> Self {
        let concern = concern(&head, now);
        let BackupHead { source, schedule, newest, .. } = head;
        Self { source, schedule: schedule.map(|(schedule, _)| schedule), newest, checked, concern }
    }
}

/// What is wrong with the backups of one thing.
fn concern(head: &BackupHead, now: Timestamp) -> Option<(Trouble, String)> {
    let BackupHead { source: _, schedule, newest: _, ended, good } = head;
    let ended = ended.as_ref().filter(|ended| {
        let told = u64::try_from(TOLD.as_millis()).unwrap_or(u64::MAX);
        schedule.is_some() || now.millis_since(ended.created) < told
    });
    if let Some(ended) = ended {
        let number = ended.id.0;
        match &ended.state {
            State::Failed { reason, .. } => {
                return Some((Trouble::Failed, format!("backup {number} failed: {reason}")));
            }
            State::Done { verdict: Some(verdict), .. } if !verdict.good => {
                let message = format!("backup {number} cannot be restored: {}", verdict.found);
                return Some((Trouble::Broken, message));
            }
            State::Done { .. } if ended.is_empty() => {
                let what = super::tools::items(ended.form);
                let message = format!("backup {number} is empty: there were no {what} to back up");
                return Some((Trouble::Empty, message));
            }
            State::Done { .. } | State::Queued | State::Running { .. } => {}
        }
    }
    let (schedule, since) = schedule.as_ref()?;
    // Since when there should have been one: the last good one, or the beginning of the schedule.
    let last = good.as_ref().map_or(*since, |good| good.created.max(*since));
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
    use crate::domain::backup::{BackupId, Form, Place, Reason, Stored, Subject};
    use crate::domain::person::TeamId;

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
        // The newest that has ended, and the newest that is good.
        let check = |schedule: Option<(Schedule, Timestamp)>, backups: [Option<Backup>; 2], expect: &str| {
            let [ended, good] = backups;
            let volume = VolumeId::parse("rivetr-vol-blog-data").unwrap();
            let source = Source::Volume(volume, TeamId::FIRST);
            let found = concern(&BackupHead { source, schedule, newest: None, ended, good }, NOW);
            let found = found.map(|(_, message)| message).unwrap_or_default();
            assert_eq!(found.is_empty(), expect.is_empty(), "{found:?}, not {expect:?}");
            assert!(found.contains(expect), "{found:?}, not {expect:?}");
        };
        let one = |one: Backup| [Some(one.clone()), Some(one).filter(Backup::is_good)];
        check(daily(DAY), [None, None], "");
        check(daily(2 * DAY), [None, None], "there should have been a backup (daily 03:00)");
        check(daily(9 * DAY), one(backup(1, DAY, done(3, None))), "");
        check(daily(9 * DAY), one(backup(1, 3 * DAY, done(3, Some(true)))), "should have been");
        let before = Some(backup(1, DAY, done(3, None)));
        check(daily(9 * DAY), [Some(backup(2, 0, failed())), before], "backup 2 failed: no room");
        check(daily(9 * DAY), one(backup(2, 0, done(3, Some(false)))), "cannot be restored: nothing");
        check(daily(9 * DAY), one(backup(2, 0, done(0, None))), "backup 2 is empty: there were no files");
        check(None, one(backup(2, DAY, failed())), "failed");
        check(None, one(backup(2, 8 * DAY, failed())), "");
        check(None, one(backup(2, 8 * DAY, done(3, None))), "");
    }
}
