//! What goes on by itself: what was interrupted is brought to its end, what is not wanted any more goes, the newest is
//! tried from time to time, and what is late or failed is told.

use std::time::Duration;

use super::super::{Engine, EngineError};
use crate::domain::backup::{Backup, Kept, Restore, Retention, State, Target, expired};
use crate::domain::time::Timestamp;
use crate::store::{BackupsOf, StoreError};

/// How often it is looked whether something is to be tried.
const LOOK_EVERY: Duration = Duration::from_mins(10);
/// How long before what failed is tried again to be removed, where a storage was away.
const FAILED_KEPT: Duration = Duration::from_hours(30 * 24);

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
        if let Err(error) = self.tend_all_volume_backups().await {
            tracing::error!(%error, "the timers of backups of volumes are not looked after");
        }
        while !self.0.shutdown.is_cancelled() {
            if let Some(Err(error)) = self.until_shutdown(Box::pin(self.look_at_backups())).await {
                tracing::warn!(%error, "backups are not looked after");
            }
            self.pause(LOOK_EVERY).await;
        }
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
            if let Err(error) = self.let_go_on(&backup).await {
                tracing::error!(backup = backup.id.0, %error, "what it held still may stand still");
            }
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
        for concern in self.backup_concerns(BackupsOf::All).await? {
            tracing::warn!(of = concern.source.name(), "{}", concern.message);
        }
        // With time a backup becomes late.
        self.stir_backups();
        self.empty_aside().await
    }

    /// Removes what the schedule of a new backup's subject does not want kept.
    pub(super) async fn keep_what_is_wanted(&self, new: &Backup) {
        if let Err(error) = self.remove_unwanted(new).await {
            tracing::warn!(of = new.name, %error, "backups that are not wanted any more are still there");
        }
    }

    async fn remove_unwanted(&self, new: &Backup) -> Result<(), EngineError> {
        let Backup { subject, place, team, .. } = new;
        let Some((schedule, _)) = self.reader().schedule(subject).await? else { return Ok(()) };
        if schedule.place != *place || schedule.retention == Retention::default() {
            return Ok(());
        }
        let backups = self.reader().backups_of(subject).await?;
        let own = backups.iter().filter(|backup| backup.place == *place && backup.team == *team);
        let kept = own.filter_map(|backup| {
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
