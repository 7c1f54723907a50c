//! Restores. What is restored is filled and counted beside what is there; then the two change places in one step of the
//! store, and the old data go to the trash, from where they can be had for a week.

use super::super::{Engine, EngineError};
use super::flow::Failure;
use super::scratch::scratch_name;
use super::tools;
use crate::domain::backup::{Backup, BackupId, Form, Restore, State, Subject, Target, Verdict};
use crate::domain::database::{Database, Settings};
use crate::domain::name::Slug;
use crate::engine::database::WantedDatabase;

impl Engine {
    /// Begins a restore or a check; what is to come of it is a row from now on.
    pub async fn restore_backup(&self, id: BackupId, target: Target) -> Result<Restore, EngineError> {
        let backup = self.backup(id).await?;
        match &backup.subject {
            Subject::Database(_) => self.check_database_target(&backup, &target).await?,
            Subject::Volume(volume) => self.check_volume_target(&backup, volume, &target).await?,
        }
        let other = self.reader().restores_under_way().await?;
        if other.iter().any(|restore| restore.backup == id && restore.target == target) {
            let message = format!("backup {} is being restored already: wait for it", id.0);
            return Err(EngineError::Conflict { field: "backup", message });
        }
        let restore = self.0.writer.begin_restore(id, target, self.now()).await?;
        self.stir_backups();
        let (engine, begun) = (self.clone(), restore.clone());
        self.0.tasks.spawn(async move {
            engine.until_shutdown(Box::pin(engine.carry_out_restore(begun))).await;
        });
        Ok(restore)
    }

    /// Refuses what a backup of a database cannot become.
    async fn check_database_target(&self, backup: &Backup, target: &Target) -> Result<(), EngineError> {
        let database = self.database_of(backup).await?;
        let refuse = |message| Err(EngineError::Conflict { field: "target", message });
        if database.deleted.is_some() && *target == Target::InPlace {
            return refuse(format!(
                "the database {} was deleted: restore into a new one, or bring it back from the trash first",
                backup.name
            ));
        }
        match target {
            Target::New(name) if self.reader().database(name).await?.is_some() => {
                refuse(format!("there is a database {name} already: choose another name"))
            }
            Target::NewVolume(_) => refuse("what a database holds cannot become a volume".to_owned()),
            Target::New(_) | Target::Check | Target::InPlace => Ok(()),
        }
    }

    /// Waits until a restore has ended; why, if it came to nothing.
    pub async fn restore_ended(&self, restore: &Restore) -> Result<Option<String>, EngineError> {
        let mut moved = self.0.backups.moved.subscribe();
        loop {
            let all = self.reader().restores_of(restore.backup).await?;
            match all.into_iter().find(|one| one.id == restore.id) {
                Some(Restore { ended: Some((_, failure)), .. }) => return Ok(failure),
                Some(_) => {}
                None => return Ok(Some("the backup was deleted meanwhile".to_owned())),
            }
            if self.until_shutdown(moved.changed()).await.is_none_or(|changed| changed.is_err()) {
                return Err(EngineError::Unavailable("rivetr is stopping".to_owned()));
            }
        }
    }

    /// The database that a backup is of, in the trash or not.
    pub(super) async fn database_of(&self, backup: &Backup) -> Result<Database, EngineError> {
        let found = match &backup.subject {
            Subject::Database(number) => self.reader().database_by_id(*number).await?,
            Subject::Volume(_) => None,
        };
        let message = format!(
            "the database {} is gone for good: create one of the same kind, download the backup and import it there",
            backup.name
        );
        found.ok_or(EngineError::Conflict { field: "backup", message })
    }

    async fn carry_out_restore(&self, restore: Restore) {
        let done = async {
            let _turn = self.0.backups.turns.acquire().await?;
            let backup = self.backup(restore.backup).await?;
            tracing::info!(backup = backup.id.0, target = ?restore.target, "restore begun");
            self.failpoint("restore-begun");
            match &backup.subject {
                Subject::Volume(volume) => self.restore_volume(&backup, &restore, volume).await,
                Subject::Database(_) => {
                    let database = self.database_of(&backup).await?;
                    match &restore.target {
                        Target::Check => self.check(&backup, &restore, &database).await,
                        Target::InPlace => self.restore_in_place(&backup, &restore, &database).await,
                        Target::New(name) => self.restore_into_new(&backup, name, &database).await,
                        Target::NewVolume(_) => Err(Failure("this is no volume".to_owned())),
                    }
                }
            }
        };
        let failure: Result<(), Failure> = done.await;
        if let Err(Failure(reason)) = &failure {
            tracing::error!(backup = restore.backup.0, target = ?restore.target, reason, "restore failed");
        }
        self.end_restore(&restore, failure.err().map(|Failure(reason)| reason)).await;
    }

    pub(super) async fn end_restore(&self, restore: &Restore, failure: Option<String>) {
        if let Err(error) = self.0.writer.end_restore(restore.id, failure, self.now()).await {
            tracing::error!(%error, restore = restore.id.0, "the end of a restore is not stored");
        }
        self.stir_backups();
    }

    async fn restore_into_new(
        &self,
        backup: &Backup,
        name: &Slug,
        database: &Database,
    ) -> Result<(), Failure> {
        let has_names = database.kind.has_names();
        let wanted = WantedDatabase {
            slug: name.clone(),
            project: database.project.slug.clone(),
            kind: database.kind,
            settings: Settings { public: None, ..database.settings.clone() },
            user: has_names.then(|| database.credentials.user.clone()),
            database: has_names.then(|| database.credentials.database.clone()),
        };
        let made = self.create_database(wanted).await?;
        let filled = async {
            let made = self.up(&made).await?;
            let items = self.fill(&made, backup).await?;
            compare(backup, items)
        };
        let filled = filled.await;
        if filled.is_err() {
            self.remove_scratch(&made).await?;
        }
        filled.map(drop)
    }

    async fn check(&self, backup: &Backup, restore: &Restore, like: &Database) -> Result<(), Failure> {
        let name = scratch_name(&backup.name, restore)?;
        let tried = async {
            let scratch = self.make_scratch(like, name.clone()).await?;
            let items = self.fill(&scratch, backup).await?;
            compare(backup, items)
        };
        let tried = tried.await;
        if let Some(scratch) = self.reader().database(&name).await? {
            self.remove_scratch(&scratch).await?;
        }
        self.store_verdict(backup, tried).await
    }

    /// Stores what came of a check.
    pub(super) async fn store_verdict(
        &self,
        backup: &Backup,
        tried: Result<String, Failure>,
    ) -> Result<(), Failure> {
        let (good, found) = match &tried {
            Ok(found) => (true, found.clone()),
            Err(Failure(reason)) => (false, reason.clone()),
        };
        let verdict = Verdict { at: self.now(), good, found };
        self.0.writer.move_backup(backup.id, move |state| state.judge(verdict)).await?;
        tried.map(drop)
    }

    async fn restore_in_place(
        &self,
        backup: &Backup,
        restore: &Restore,
        database: &Database,
    ) -> Result<(), Failure> {
        let name = scratch_name(&backup.name, restore)?;
        let filled = async {
            let scratch = self.make_scratch(database, name.clone()).await?;
            let items = self.fill(&scratch, backup).await?;
            compare(backup, items)?;
            self.change_places(restore, database, &scratch).await
        };
        if let Err(failure) = filled.await {
            if let Some(scratch) = self.reader().database(&name).await? {
                self.remove_scratch(&scratch).await?;
            }
            return Err(failure);
        }
        Ok(())
    }

    /// Gives a database the data of the scratch one. If it does not come up with them, all is as it was.
    async fn change_places(
        &self,
        restore: &Restore,
        database: &Database,
        scratch: &Database,
    ) -> Result<(), Failure> {
        let current = self.database(&database.slug).await?;
        let (old, new) = (self.open_database(&current)?, self.open_database(scratch)?);
        if old.password != new.password || old.root_password != new.root_password {
            let message = "the password of the database was changed meanwhile: restore once more";
            return Err(Failure(message.to_owned()));
        }
        self.halt_database(scratch).await?;
        self.swap(restore, true, &current, scratch).await?;
        self.failpoint("restore-swapped");
        // It names the volume that the other one has now, so its units go before that one starts.
        self.tend(scratch.id, false).await?;
        let Err(failure) = self.up(&current).await else { return Ok(()) };
        let (current, scratch) = (self.by_id(&current).await?, self.by_id(scratch).await?);
        self.swap(restore, false, &current, &scratch).await?;
        self.up(&current).await?;
        self.purge_database(scratch.id).await?;
        Err(failure)
    }

    async fn by_id(&self, database: &Database) -> Result<Database, EngineError> {
        let found = self.reader().database_by_id(database.id).await?;
        found.ok_or_else(|| EngineError::NotFound { what: "database", name: database.slug.to_string() })
    }

    async fn swap(
        &self,
        restore: &Restore,
        swapped: bool,
        one: &Database,
        other: &Database,
    ) -> Result<(), EngineError> {
        let _alone = self.0.tending.take(one.id).await;
        self.halt_database(one).await?;
        self.halt_database(other).await?;
        let _sealing = self.0.sealing.read().await;
        let (first, second) = (self.resealed(one, &other.volume)?, self.resealed(other, &one.volume)?);
        Ok(self.0.writer.swap_data(restore.id, swapped, first, second, self.now()).await?)
    }

    /// Brings to an end what an earlier run of rivetr has left: either it had come to its new data, or nothing of it is
    /// left.
    pub(super) async fn recover_restore(&self, restore: &Restore) -> Result<(), EngineError> {
        let backup = self.backup(restore.backup).await?;
        let swapped = match &backup.subject {
            Subject::Volume(volume) => self.recover_volume(restore, volume).await?,
            Subject::Database(_) => {
                self.recover_database_restore(restore, &backup).await?;
                restore.swapped
            }
        };
        let failure = (!swapped)
            .then(|| "rivetr ended meanwhile; nothing was changed, so it can be asked for again".to_owned());
        self.end_restore(restore, failure).await;
        Ok(())
    }

    async fn recover_database_restore(&self, restore: &Restore, backup: &Backup) -> Result<(), EngineError> {
        let scratch = match &restore.target {
            Target::New(name) => name.clone(),
            Target::Check | Target::InPlace | Target::NewVolume(_) => scratch_name(&backup.name, restore)?,
        };
        if restore.swapped {
            let all = self.reader().every_database().await?;
            let is_it = |database: &&Database| database.deleted.is_some() && database.slug == scratch;
            if let Some(scratch) = all.iter().rfind(is_it) {
                self.tend(scratch.id, false).await?;
            }
            let database = self.database_of(backup).await?;
            self.up(&database).await?;
        } else if let Some(scratch) = self.reader().database(&scratch).await? {
            self.remove_scratch(&scratch).await?;
        }
        Ok(())
    }
}

/// What was counted, in words; an error if that cannot be all. The files of an archive are those that were counted.
pub(super) fn compare(backup: &Backup, items: u64) -> Result<String, Failure> {
    let word = tools::items(backup.form);
    let State::Done { file, .. } = &backup.state else {
        return Err(Failure("it is not there".to_owned()));
    };
    match file.items {
        Some(before) if before > 0 && items == 0 => {
            Err(Failure(format!("it has none of the {before} {word} that there were")))
        }
        Some(before) if before != items && backup.form == Form::Tar => {
            Err(Failure(format!("it has {items} {word}, and {before} were put into it")))
        }
        Some(before) if before != items => Ok(format!("{items} {word}; {before} when it was begun")),
        Some(_) | None => Ok(format!("{items} {word}")),
    }
}
