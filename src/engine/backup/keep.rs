//! What goes on by itself: what was interrupted is brought to its end, what is not wanted any more goes, the newest is
//! tried from time to time, and what is late or failed is told.

use std::time::Duration;

use super::super::{Engine, EngineError};
use crate::domain::backup::{Backup, Kept, Place, Restore, Retention, State, Subject, Target, expired};
use crate::domain::name::Slug;
use crate::domain::time::Timestamp;
use crate::store::StoreError;

/// How often it is looked whether something is to be tried.
const LOOK_EVERY: Duration = Duration::from_mins(10);
/// How long before what failed is tried again to be removed, where a storage was away.
const FAILED_KEPT: Duration = Duration::from_hours(30 * 24);

/// Something about the backups of a database that somebody should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Concern {
    /// The database.
    pub database: Slug,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What an earlier run of rivetr had begun.
pub(in crate::engine) struct Left {
    backups: Vec<Backup>,
    restores: Vec<Restore>,
}

impl Engine {
    /// Looks after backups until rivetr stops.
    pub(in crate::engine) async fn keep_backups(self, left: Left) {
        if let Err(error) = self.recover_backups(left).await {
            tracing::error!(%error, "backups that were interrupted are not brought to their end");
        }
        while !self.0.shutdown.is_cancelled() {
            if let Some(Err(error)) = self.until_shutdown(Box::pin(self.look_at_backups())).await {
                tracing::warn!(%error, "backups are not looked after");
            }
            self.pause(LOOK_EVERY).await;
        }
    }

    /// What is wrong with the backups of databases.
    pub async fn backup_concerns(&self) -> Result<Vec<Concern>, EngineError> {
        let mut found = Vec::new();
        for (subject, schedule, since) in self.reader().schedules().await? {
            let Subject::Database(number) = &subject else { continue };
            let Some(database) = self.reader().database_by_id(*number).await? else { continue };
            if database.deleted.is_some() {
                continue;
            }
            let backups = self.reader().backups_of(&subject).await?;
            let newest =
                backups.iter().find(|backup| !matches!(backup.state, State::Queued | State::Running { .. }));
            let last = self.last_good(&subject, since).await?;
            let message = match newest.map(|backup| (backup.id, &backup.state)) {
                Some((id, State::Failed { reason, .. })) => Some(format!("backup {} failed: {reason}", id.0)),
                Some((id, State::Done { verdict: Some(verdict), .. })) if !verdict.good => {
                    Some(format!("backup {} cannot be restored: {}", id.0, verdict.found))
                }
                Some(_) | None if schedule.is_late(last, self.now()) => Some(format!(
                    "there should have been a backup ({}): look at systemctl list-timers, and at the database",
                    schedule.when
                )),
                Some(_) | None => None,
            };
            found.extend(message.map(|message| Concern { database: database.slug.clone(), message }));
        }
        Ok(found)
    }

    /// What earlier runs of rivetr have left. Asked before anything new begins.
    pub(in crate::engine) async fn left_backups(&self) -> Result<Left, StoreError> {
        if let Err(error) = self.machine().backups.sweep() {
            tracing::warn!(%error, "what interrupted backups left is not removed");
        }
        let backups = self.reader().backups_under_way().await?;
        Ok(Left { backups, restores: self.reader().restores_under_way().await? })
    }

    async fn recover_backups(&self, left: Left) -> Result<(), EngineError> {
        let Left { backups, restores } = left;
        for backup in backups {
            if let Err(error) = self.remove_backup_file(&backup.place, &backup.file()).await {
                tracing::warn!(backup = backup.id.0, %error, "what it left may stay");
            }
            let (reason, now) = ("rivetr ended while it was made".to_owned(), self.now());
            self.0.writer.move_backup(backup.id, move |state| state.fail(reason, now)).await?;
        }
        for restore in restores {
            if let Err(error) = self.recover_restore(&restore).await {
                tracing::error!(restore = restore.id.0, %error, "a restore is not brought to its end");
            }
        }
        Ok(())
    }

    async fn look_at_backups(&self) -> Result<(), EngineError> {
        let before = self.now().0.saturating_sub(i64::try_from(FAILED_KEPT.as_millis()).unwrap_or(i64::MAX));
        self.0.writer.forget_failed_backups(Timestamp(before)).await?;
        for (subject, schedule, _) in self.reader().schedules().await? {
            let backups = self.reader().backups_of(&subject).await?;
            let judged = |backup: &Backup| match &backup.state {
                State::Done { verdict, .. } => verdict.as_ref().map(|verdict| verdict.at),
                State::Queued | State::Running { .. } | State::Failed { .. } => None,
            };
            let last = backups.iter().filter_map(judged).max();
            let untried = |backup: &&Backup| matches!(backup.state, State::Done { verdict: None, .. });
            let newest = backups.iter().find(|backup| matches!(backup.state, State::Done { .. }));
            if let Some(newest) = newest.filter(untried)
                && schedule.wants_check(last, self.now())
            {
                let restore = self.restore_backup(newest.id, Target::Check).await?;
                self.restore_ended(&restore).await?;
            }
        }
        for concern in self.backup_concerns().await? {
            tracing::warn!(database = %concern.database, "{}", concern.message);
        }
        Ok(())
    }

    /// Removes what the schedule of a new backup's subject does not want kept.
    pub(super) async fn keep_what_is_wanted(&self, new: &Backup) {
        if let Err(error) = self.remove_unwanted(&new.subject, &new.place).await {
            tracing::warn!(of = new.name, %error, "backups that are not wanted any more are still there");
        }
    }

    async fn remove_unwanted(&self, subject: &Subject, place: &Place) -> Result<(), EngineError> {
        let Some((schedule, _)) = self.reader().schedule(subject).await? else { return Ok(()) };
        if schedule.place != *place || schedule.retention == Retention::default() {
            return Ok(());
        }
        let backups = self.reader().backups_of(subject).await?;
        let kept = backups.iter().filter(|backup| backup.place == *place).filter_map(|backup| {
            let State::Done { at, file, verdict } = &backup.state else { return None };
            let verified = verdict.as_ref().map(|verdict| verdict.good);
            Some(Kept { id: backup.id, at: *at, bytes: file.bytes, verified })
        });
        let kept: Vec<Kept> = kept.collect();
        for id in expired(&kept, &schedule.retention, self.now()) {
            self.delete_backup(id).await?;
            tracing::info!(backup = id.0, "backup removed: it is not to be kept any longer");
        }
        Ok(())
    }
}
