//! Backups: taken, kept as long as they are wanted, restored, and tried. What is done has a row before it begins.

mod board;
mod flow;
mod import;
mod keep;
mod mark;
mod place;
mod restore;
mod scratch;
mod source;
mod tally;
mod tools;
mod volume;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use self::flow::Failure;
use super::apply::{ApplyError, Locks};
use super::database::DatabaseStanding;
use super::{Engine, EngineError};
use crate::domain::backup::{
    Backup, BackupId, Form, Hold, Place, Reason, Restore, Schedule, State, Stored, Subject,
};
use crate::domain::database::{Database, DatabaseId};
use crate::domain::secret::Secret;
use crate::domain::volume::VolumeId;
use crate::quadlet::{UnitFiles, backup};
use crate::store::{BackupError, BackupKey, DestinationError, NewBackup};
use crate::vault::age::{Identity, Recipient};
use crate::vault::stream::Packed;

pub use self::board::{Concern, KeptThing, Trouble};
pub(super) use self::import::Ending;
pub use self::place::NewDestination;
pub use crate::domain::backup::Source;

/// How many backups are made or restored at once, of whatever: each reads a disk from end to end.
const AT_ONCE: usize = 2;

/// How long to wait for an end before it is looked whether rivetr stops.
const WAIT: Duration = Duration::from_mins(1);

/// What the engine keeps about backups while it runs.
pub(super) struct Desk {
    turns: Arc<Semaphore>,
    moved: watch::Sender<()>,
    tending: Locks<VolumeId>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            moved: watch::Sender::new(()),
            tending: Locks::default(),
        }
    }
}

/// A backup with what was restored from it.
#[derive(Debug, Clone)]
pub struct ShownBackup {
    /// The backup.
    pub backup: Backup,
    /// What was restored from it, newest first.
    pub restores: Vec<Restore>,
}

impl Engine {
    /// Begins a backup; what is to come of it, and who is held for it, is a row from now on. What is not said is as the
    /// schedule says, or as usual.
    pub async fn take_backup(
        &self,
        of: &Source,
        place: Option<Place>,
        reason: Reason,
        hold: Option<Hold>,
    ) -> Result<Backup, EngineError> {
        if let Source::Database(database) = of
            && tools::dump(database, &self.open_database(database)?).is_none()
        {
            let message = format!(
                "rivetr does not make backups of {} yet: use the tools of its image (rivetr exec)",
                database.kind.title()
            );
            return Err(EngineError::Conflict { field: "database", message });
        }
        let schedule = self.schedule_of(of).await?;
        let hold = of.hold(hold, schedule.as_ref())?;
        let place = place.or(schedule.map(|schedule| schedule.place)).unwrap_or(Place::Disk);
        let new = NewBackup {
            subject: of.subject(),
            name: of.name(),
            team: of.team(),
            reason,
            place,
            form: of.form(),
            recipient: self.newest_identity().await?.recipient().to_string(),
            hold,
        };
        let backup = self.0.writer.queue_backup(new, self.now()).await?;
        let (engine, id) = (self.clone(), backup.id);
        self.0.tasks.spawn(async move {
            let made = engine.until_shutdown(Box::pin(engine.make_backup(id))).await;
            if let Some(Err(error)) = made {
                tracing::error!(backup = id.0, %error, "a backup is not stored as it is");
            }
            engine.stir_backups();
        });
        Ok(backup)
    }

    /// Backs a database up that runs, before something is done with it that cannot be undone; an error if that fails.
    pub(super) async fn backup_before(&self, database: &Database) -> Result<(), EngineError> {
        let opened = self.open_database(database)?;
        let standing = self.database_standings(std::slice::from_ref(database)).await?;
        let runs = standing.first() == Some(&DatabaseStanding::Running);
        if !runs || tools::dump(database, &opened).is_none() {
            tracing::warn!(database = %database.slug, "nothing is backed up before this: it does not run");
            return Ok(());
        }
        let source = Source::Database(Box::new(database.clone()));
        let backup = self.take_backup(&source, Some(Place::Disk), Reason::Before, None).await?;
        loop {
            match self.settled_backup(backup.id, WAIT).await?.backup.state {
                State::Queued | State::Running { .. } => {}
                State::Done { .. } => return Ok(()),
                State::Failed { reason, .. } => {
                    let message = format!(
                        "nothing was changed, for the backup before it failed: {reason}; another image can be set \
                         without a backup (rivetr databases set --without-backup)"
                    );
                    return Err(EngineError::Conflict { field: "database", message });
                }
            }
            if self.0.shutdown.is_cancelled() {
                return Err(EngineError::Unavailable("rivetr is stopping".to_owned()));
            }
        }
    }

    /// One backup.
    pub async fn backup(&self, id: BackupId) -> Result<Backup, EngineError> {
        let found = self.reader().backup(id).await?;
        found.ok_or_else(|| EngineError::NotFound { what: "backup", name: id.0.to_string() })
    }

    /// A backup with what was restored from it, once nothing of it is under way or `limit` is over.
    pub async fn settled_backup(&self, id: BackupId, limit: Duration) -> Result<ShownBackup, EngineError> {
        let until = tokio::time::Instant::now() + limit;
        let mut moved = self.0.backups.moved.subscribe();
        loop {
            let backup = self.backup(id).await?;
            let restores = self.reader().restores_of(id).await?;
            let made = matches!(backup.state, State::Done { .. } | State::Failed { .. });
            let shown = ShownBackup { backup, restores };
            if made && shown.restores.iter().all(|restore| restore.ended.is_some()) {
                return Ok(shown);
            }
            match self.until_shutdown(tokio::time::timeout_at(until, moved.changed())).await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(_)) | Err(_)) | None => return Ok(shown),
            }
        }
    }

    /// The backups of something, newest first, each with what was restored from it. Those that another team made of what was
    /// called so are not its own.
    pub async fn backups_of(&self, of: &Source) -> Result<Vec<ShownBackup>, EngineError> {
        let mut shown = Vec::new();
        let all = self.reader().backups_of(&of.subject()).await?;
        for backup in all.into_iter().filter(|backup| backup.team == of.team()) {
            let restores = self.reader().restores_of(backup.id).await?;
            shown.push(ShownBackup { backup, restores });
        }
        Ok(shown)
    }

    /// Removes a backup with its file.
    pub async fn delete_backup(&self, id: BackupId) -> Result<Backup, EngineError> {
        let backup = self.backup(id).await?;
        if let State::Queued | State::Running { .. } = backup.state {
            let message = format!("backup {} is being made: wait for it", id.0);
            return Err(EngineError::Conflict { field: "backup", message });
        }
        if self.reader().restores_under_way().await?.iter().any(|restore| restore.backup == id) {
            let message = format!("backup {} is being restored: wait for it", id.0);
            return Err(EngineError::Conflict { field: "backup", message });
        }
        self.remove_backup_file(&backup.place, &backup.file()).await?;
        self.0.writer.remove_backup(id).await?;
        self.stir_backups();
        Ok(backup)
    }

    /// Gives something a schedule, or takes it away.
    pub async fn set_schedule(&self, of: &Source, schedule: Option<Schedule>) -> Result<(), EngineError> {
        let subject = of.subject();
        match schedule {
            Some(schedule) => {
                of.hold(schedule.hold, None)?;
                self.0.writer.put_schedule(subject, schedule, self.now()).await?;
            }
            None => self.0.writer.remove_schedule(&subject).await.map(drop)?,
        }
        self.stir_backups();
        match of {
            Source::Database(database) => self.tend(database.id, false).await,
            Source::Volume(volume, _) => Ok(self.tend_volume_backups(volume).await?),
        }
    }

    /// The timer of a database's backups and what it starts; nothing, if it has no schedule.
    pub(super) async fn backup_units(&self, database: &Database) -> Result<UnitFiles, ApplyError> {
        self.units_of_backups(backup::Of::Database(&database.slug), &Subject::Database(database.id)).await
    }

    /// The schedule of something, if it has one.
    pub async fn schedule_of(&self, of: &Source) -> Result<Option<Schedule>, EngineError> {
        Ok(self.reader().schedule(&of.subject()).await?.map(|(schedule, _)| schedule))
    }

    /// The key that opens backups: `AGE-SECRET-KEY-1…`, for whom it may be shown to.
    pub async fn backup_key(&self) -> Result<(Recipient, Secret), EngineError> {
        let identity = self.newest_identity().await?;
        Ok((identity.recipient(), identity.reveal()))
    }

    async fn make_backup(&self, id: BackupId) -> Result<(), EngineError> {
        let _turn = self.0.backups.turns.acquire().await.map_err(EngineError::internal)?;
        let now = self.now();
        let backup = self.0.writer.move_backup(id, move |state| state.begin(now)).await?;
        self.stir_backups();
        tracing::info!(backup = id.0, of = backup.name, "backup begun");
        self.failpoint("backup-begun");
        let made = match &backup.subject {
            Subject::Database(number) => self.dump(&backup, *number).await,
            Subject::Volume(volume) => self.copy_volume(&backup, volume).await,
        };
        let now = self.now();
        match made {
            Ok((packed, items)) => {
                let Packed { plain, stored, sha256 } = packed;
                let file = Stored { plain, bytes: stored, items, sha256 };
                self.0.writer.move_backup(id, move |state| state.finish(file, now)).await?;
                tracing::info!(backup = id.0, of = backup.name, bytes = stored, "backup made");
                self.keep_what_is_wanted(&backup).await;
            }
            Err(Failure(reason)) => {
                tracing::error!(backup = id.0, of = backup.name, reason, "backup failed");
                self.0.writer.move_backup(id, move |state| state.fail(reason, now)).await?;
            }
        }
        Ok(())
    }

    async fn dump(&self, backup: &Backup, number: DatabaseId) -> Result<(Packed, Option<u64>), Failure> {
        let database = self.reader().database_by_id(number).await?;
        let database = database.filter(|database| database.deleted.is_none());
        let database = database.ok_or_else(|| Failure("the database was deleted meanwhile".to_owned()))?;
        self.refuse_what_does_not_run(&database).await?;
        let opened = self.open_database(&database)?;
        let tool =
            tools::dump(&database, &opened).ok_or_else(|| Failure("it cannot be written out".to_owned()))?;
        let items = self.count_items(&database).await?;
        let identity = self.identity(&backup.recipient).await?;
        let container = database.unit_name();
        let packed =
            self.write_file(backup, identity.recipient(), |to| self.pour(&container, &tool, to)).await?;
        if packed.plain == 0 {
            self.remove_backup_file(&backup.place, &backup.file()).await?;
            return Err(Failure("the tool wrote nothing, so there is nothing to keep".to_owned()));
        }
        Ok((packed, Some(items)))
    }

    /// What writes a database out runs in its container.
    async fn refuse_what_does_not_run(&self, database: &Database) -> Result<(), Failure> {
        let standing = self.database_standings(std::slice::from_ref(database)).await?;
        match standing.first() {
            Some(
                is @ (DatabaseStanding::Stopped
                | DatabaseStanding::Down
                | DatabaseStanding::Failed
                | DatabaseStanding::Pulling),
            ) => Err(Failure(format!(
                "the database is {}: it is backed up only while it runs, so start it and take one then",
                is.as_str()
            ))),
            Some(DatabaseStanding::Running | DatabaseStanding::Starting | DatabaseStanding::Unknown)
            | None => Ok(()),
        }
    }

    /// How many tables or keys a database has.
    async fn count_items(&self, database: &Database) -> Result<u64, Failure> {
        let opened = self.open_database(database)?;
        let tool = tools::count(database, &opened).ok_or_else(|| Failure("nothing counts it".to_owned()))?;
        let mut text = Vec::new();
        self.pour(&database.unit_name(), &tool, &mut text).await?;
        let text = String::from_utf8_lossy(&text);
        let counted = tools::counted(Form::of(database.kind), &text);
        counted.ok_or_else(|| Failure(format!("what the server counts is not understood: {}", text.trim())))
    }

    pub(super) async fn newest_identity(&self) -> Result<Identity, EngineError> {
        if let Some(key) = self.reader().backup_keys().await?.into_iter().next() {
            return self.open_key(&key);
        }
        let identity = Identity::generate().map_err(|error| {
            EngineError::Unavailable(format!("the system gives no random bytes: {error}"))
        })?;
        self.keep_key(&identity).await?;
        // Another one may have been made at the same time, and then that holds.
        let newest = self.reader().backup_keys().await?.into_iter().next();
        newest.map_or(Ok(identity), |key| self.open_key(&key))
    }

    async fn keep_key(&self, identity: &Identity) -> Result<(), EngineError> {
        let _sealing = self.0.sealing.read().await;
        let recipient = identity.recipient().to_string();
        let secret = self.vault().seal(&BackupKey::place(&recipient), &identity.reveal())?;
        Ok(self.0.writer.add_backup_key(BackupKey { recipient, secret, created: self.now() }).await?)
    }

    /// The key that opens what was sealed for this recipient.
    async fn identity(&self, recipient: &str) -> Result<Identity, EngineError> {
        let keys = self.reader().backup_keys().await?;
        let key = keys.iter().find(|key| key.recipient == recipient);
        let message = || {
            let message = format!("the key of {recipient} is not here, so the backup cannot be opened");
            EngineError::Conflict { field: "backup", message }
        };
        self.open_key(key.ok_or_else(message)?)
    }

    fn open_key(&self, key: &BackupKey) -> Result<Identity, EngineError> {
        let unreadable = |why: &dyn std::fmt::Display| {
            EngineError::Unavailable(format!("the key of backups cannot be read: {why}"))
        };
        let secret = self.vault().open(&BackupKey::place(&key.recipient), &key.secret);
        let secret = secret.map_err(|error| unreadable(&error))?;
        let text = std::str::from_utf8(secret.reveal()).ok();
        text.and_then(Identity::parse).ok_or_else(|| unreadable(&"it is none"))
    }
}

impl From<BackupError> for EngineError {
    fn from(error: BackupError) -> Self {
        let message = error.to_string();
        match error {
            BackupError::UnderWay(_) | BackupError::Illegal { .. } => {
                Self::Conflict { field: "backup", message }
            }
            BackupError::NoPlace(_) => Self::Invalid { field: "place", message },
            BackupError::NoBackup(id) => Self::NotFound { what: "backup", name: id.0.to_string() },
            BackupError::Store(error) => error.into(),
        }
    }
}

impl From<DestinationError> for EngineError {
    fn from(error: DestinationError) -> Self {
        let message = error.to_string();
        match error {
            DestinationError::None(name) => Self::NotFound { what: "destination", name: name.to_string() },
            DestinationError::Used { .. } => Self::Conflict { field: "destination", message },
            DestinationError::Store(error) => error.into(),
        }
    }
}
