//! Brings a database to where it should be: image, secrets, units. It can be done at any time and twice, and it is done
//! when rivetr starts, when somebody asks, and when a unit of it has gone.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use super::super::apply::ApplyError;
use super::super::{Engine, EngineError};
use super::owner;
use crate::domain::database::{Database, DatabaseId, Wish};
use crate::domain::deployment::ImageId;
use crate::host::systemd::{ActiveState, JobResult, StartError};
use crate::plan::{UnitState, Wanted};
use crate::quadlet::database::{self, LABEL, secret_name};
use crate::quadlet::path::UnitPath;
use crate::quadlet::{QuadletError, UnitFiles};

/// How many of the last lines that a server printed may say why it does not run.
const LAST_LINES: usize = 8;

/// How often a stop is asked for again that a start took the place of: whoever tends a database asks for one at a time.
const STOP_AGAIN: usize = 3;

/// What stands in lines by which servers complain.
const TELLING: [&str; 7] = ["error", "fatal", "invalid", "denied", "unrecognized", "unknown", "bad "];

/// Every name that a secret of a database may end with.
const SECRETS: [&str; 4] = ["password", "root-password", "client", "config"];

/// Why a database is not where it should be.
enum Problem {
    /// In words for people; it is shown.
    Said(String),
    /// Whoever asked is told; nothing is known about the database.
    Failed(EngineError),
}

/// A database is being renamed for as long as this lives.
pub(super) struct Renaming<'a> {
    engine: &'a Engine,
    id: DatabaseId,
}

impl Drop for Renaming<'_> {
    fn drop(&mut self) {
        let mut all = self.engine.0.renaming.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = all.iter().position(|id| *id == self.id) {
            all.swap_remove(at);
        }
    }
}

impl<E: Into<EngineError>> From<E> for Problem {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl Engine {
    /// Tends a database without anybody waiting for it.
    pub(in crate::engine) fn tend_soon(&self, id: DatabaseId, start: bool) {
        let engine = self.clone();
        self.0.tasks.spawn(async move {
            let tended = engine.until_shutdown(Box::pin(engine.tend(id, start))).await;
            if let Some(Err(error)) = tended {
                tracing::error!(database = id.0, %error, "a database is not where it should be");
            }
        });
    }

    /// Stops a database, and tends it then, without anybody waiting for it.
    pub(in crate::engine) fn restart_soon(&self, database: &Database) {
        let (engine, database) = (self.clone(), database.clone());
        self.0.tasks.spawn(async move {
            let again = async {
                engine.halt_database(&database).await?;
                engine.tend(database.id, true).await
            };
            if let Some(Err(error)) = engine.until_shutdown(Box::pin(again)).await {
                tracing::error!(database = %database.slug, %error, "not started anew");
            }
        });
    }

    /// Brings a database to where it should be. With `start` it also starts what a person has stopped by hand, and
    /// waits until it answers.
    pub(in crate::engine) async fn tend(&self, id: DatabaseId, start: bool) -> Result<(), EngineError> {
        let _alone = self.0.tending.take(id).await;
        self.stir();
        let tended = self.tend_alone(id, start).await;
        self.stir();
        tended
    }

    async fn tend_alone(&self, id: DatabaseId, start: bool) -> Result<(), EngineError> {
        let Some(database) = self.reader().database_by_id(id).await? else { return Ok(()) };
        let problem = match self.bring_about(&database, start).await {
            Ok(()) if start || database.wish == Wish::Stop || self.answers(&database).await? => None,
            // It was only looked at, and what kept it from starting has not gone away.
            Ok(()) => return Ok(()),
            Err(Problem::Said(words)) => {
                tracing::warn!(database = %database.slug, problem = words, "does not do what it should");
                Some(words)
            }
            Err(Problem::Failed(error)) => {
                // Whoever waits for it must not wait for ever.
                let words =
                    "something failed inside rivetr; its log says what. `restart` tries again".to_owned();
                self.0.writer.set_database_problem(id, Some(words)).await?;
                return Err(error);
            }
        };
        Ok(self.0.writer.set_database_problem(id, problem).await?)
    }

    /// Whether the unit of a database has started, which it has once its server answers.
    async fn answers(&self, database: &Database) -> Result<bool, EngineError> {
        let unit = self.machine().systemd.unit(&database.service()).await.map_err(EngineError::internal)?;
        Ok(unit.is_some_and(|unit| unit.active_state == ActiveState::Active))
    }

    async fn bring_about(&self, database: &Database, start: bool) -> Result<(), Problem> {
        if database.deleted.is_some() {
            return Ok(self.clear_database(database).await?);
        }
        let image = match &database.image {
            Some(image) if database.wish == Wish::Stop || self.image_is_here(image).await? => image.clone(),
            None if database.wish == Wish::Stop => return Ok(()),
            Some(_) | None => match self.pull_or_say(database).await? {
                Some(image) => image,
                // Whoever stopped it, gave it another image or renames it tends it next.
                None => return Ok(()),
            },
        };
        self.converge_database(database, &image, start).await
    }

    /// The image of a database, pulled under its reference and kept under a name of its own.
    pub(super) async fn pull_image_of(&self, database: &Database) -> Result<ImageId, String> {
        let found = self.pull_for(&owner(database), &database.settings.image).await?;
        let podman = &self.machine().podman;
        // By a name of ours nobody who cleans up takes it away.
        let tagged = podman.tag(&found.id, &image_tag(database)).await;
        tagged.map_err(|error| error.to_string())?;
        Ok(found.id)
    }

    /// The image of a database, pulled; none: it is not wanted any more.
    async fn pull_or_say(&self, database: &Database) -> Result<Option<ImageId>, Problem> {
        let image = tokio::select! {
            pulled = self.pull_image_of(database) => pulled.map_err(Problem::Said)?,
            needless = self.needs_no_more(database) => {
                needless?;
                self.end_pull_for(&owner(database)).await?;
                return Ok(None);
            }
        };
        self.0.writer.set_database_image(database.id, image.clone()).await?;
        self.stir();
        Ok(Some(image))
    }

    /// From now on nobody pulls the image of a database under its name, which another one takes the place of.
    pub(super) fn begin_renaming(&self, id: DatabaseId) -> Renaming<'_> {
        self.0.renaming.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        self.stir();
        Renaming { engine: self, id }
    }

    fn is_being_renamed(&self, id: DatabaseId) -> bool {
        self.0.renaming.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    /// Returns once a database is to run no more, or another image, or under another name.
    async fn needs_no_more(&self, before: &Database) -> Result<(), EngineError> {
        let mut stirs = self.0.stirred.subscribe();
        let wants = |now: &Database| {
            now.wish == Wish::Run && now.deleted.is_none() && now.settings.image == before.settings.image
        };
        loop {
            let wanted = self.reader().database_by_id(before.id).await?.as_ref().is_some_and(wants);
            if !wanted || self.is_being_renamed(before.id) {
                return Ok(());
            }
            if stirs.changed().await.is_err() {
                return Ok(());
            }
        }
    }

    /// Makes the units of a database what they should be.
    async fn converge_database(
        &self,
        database: &Database,
        image: &ImageId,
        start: bool,
    ) -> Result<(), Problem> {
        let runs = database.wish == Wish::Run;
        let files = self.database_files(database, image).await?;
        self.apply_project_network(&database.project).await?;
        let owner = owner(database);
        let observed = self.observe(&owner).await?;
        let service = database.service();
        let state = observed.units.get(&service);
        // A container that runs has taken its copies; it gets no others before it is made anew.
        if state != Some(&UnitState::Active) {
            self.make_database_secrets(database).await?;
        }
        let mut running = BTreeSet::from([database::volume_unit(database)]);
        let by_hand = state == Some(&UnitState::Inactive);
        if runs && (start || !by_hand) {
            running.insert(service.clone());
        }
        running.extend(files.keys().filter(|path| path.is_timer()).map(UnitPath::unit));
        let must = if start && runs { BTreeSet::from([service.clone()]) } else { BTreeSet::new() };
        let wanted = Wanted { files, running };
        match self.carry_out(&wanted, &observed, &owner, &must).await {
            // Somebody stopped it meanwhile, who also says what is to be next.
            Err(ApplyError::Start(StartError::Failed(failure))) if failure.result == JobResult::Canceled => {
                Ok(())
            }
            Err(ApplyError::Start(StartError::Failed(failure))) => {
                let said = self.last_words(database).await;
                let said =
                    said.map_or_else(|| failure.to_string(), |said| format!("the server says: {said}"));
                Err(Problem::Said(format!("{} does not start; {said}", database.kind.title())))
            }
            Err(error) => Err(Problem::Failed(error.into())),
            Ok(()) => {
                let enforced = self.machine().systemd.enforce_limits(&service).await;
                enforced.map_err(EngineError::internal)?;
                Ok(())
            }
        }
    }

    /// The units of a database that runs this image.
    pub(in crate::engine) async fn database_files(
        &self,
        database: &Database,
        image: &ImageId,
    ) -> Result<UnitFiles, ApplyError> {
        let Some(address) = database.address else { return Ok(UnitFiles::new()) };
        let features = self.podman_features().await?;
        let mut files = database::units(database, image, address, database.wish == Wish::Run, features)?;
        files.extend(self.backup_units(database).await?);
        Ok(files)
    }

    async fn make_database_secrets(&self, database: &Database) -> Result<(), EngineError> {
        let opened = self.open_database(database)?;
        let labels = serde_json::json!({ LABEL: database.slug.as_str() });
        for file in database::files(database.kind, &database.settings, &opened) {
            let name = secret_name(&database.slug, file.name);
            let made = self.machine().podman.put_secret(&name, &labels, &file.content).await;
            made.map_err(EngineError::internal)?;
        }
        Ok(())
    }

    /// What the server last printed that tells most.
    async fn last_words(&self, database: &Database) -> Option<String> {
        let (containers, journal) = (vec![database.unit_name()], &self.machine().journal);
        let mut own = match journal.last_printed(containers, database.created, None, LAST_LINES).await {
            Ok(lines) => lines,
            Err(error) => {
                tracing::warn!(%error, "journal not read");
                return None;
            }
        };
        own.retain(|text| !text.trim().is_empty());
        let telling = |text: &&String| {
            let lower = text.to_lowercase();
            TELLING.iter().any(|word| lower.contains(word))
        };
        // What was wrong often stands above what came of it.
        let mut told: Vec<&str> = own.iter().rev().filter(telling).take(2).map(String::as_str).collect();
        told.reverse();
        if told.is_empty() { own.last().cloned() } else { Some(told.join("; ")) }
    }

    /// Stops the container of a database, whatever is under way.
    pub(in crate::engine) async fn halt_database(&self, database: &Database) -> Result<(), EngineError> {
        let (service, systemd) = (database.service(), &self.machine().systemd);
        let mut stopped = systemd.stop(&service).await;
        for _ in 0..STOP_AGAIN {
            match &stopped {
                // A start that was about to be asked for came between.
                Err(StartError::Failed(failure)) if failure.result == JobResult::Canceled => {
                    stopped = systemd.stop(&service).await;
                }
                Ok(()) | Err(_) => break,
            }
        }
        stopped.map_err(EngineError::internal)?;
        systemd.reset_failed(&service).await.map_err(EngineError::internal)
    }

    /// Removes units and secrets of a name that a database had, and hands its drop-ins on.
    pub(super) async fn move_database_units(
        &self,
        before: &Database,
        after: &Database,
    ) -> Result<(), EngineError> {
        let container = |database: &Database| {
            let file = format!("{}.container", database.unit_name());
            UnitPath::quadlet(&owner(database), &file)
                .map_err(|error| EngineError::internal(QuadletError::from(error)))
        };
        let carried = self.machine().units.carry_dropins(&container(before)?, &container(after)?);
        carried.map_err(EngineError::internal)?;
        self.clear_name(before).await
    }

    /// Removes what a database in the trash has but for its data.
    async fn clear_database(&self, database: &Database) -> Result<(), EngineError> {
        // Another one may have the name by now.
        let taken = self.reader().database(&database.slug).await?.is_some();
        if !taken {
            self.clear_name(database).await?;
        }
        Ok(self.0.writer.free_database_address(database.id).await?)
    }

    async fn clear_name(&self, database: &Database) -> Result<(), EngineError> {
        let owner = owner(database);
        self.remove_units(&owner).await?;
        self.machine().units.remove_owner(&owner).map_err(EngineError::internal)?;
        for file in SECRETS {
            let removed = self.machine().podman.remove_secret(&secret_name(&database.slug, file)).await;
            removed.map_err(EngineError::internal)?;
        }
        Ok(())
    }

    /// Fetches the image anew and runs it; where it does not start, the one before comes back.
    pub(super) async fn renew_image(&self, database: &Database) -> Result<(), EngineError> {
        let refused = |message| EngineError::Conflict { field: "image", message };
        let image = self.pull_image_of(database).await.map_err(refused)?;
        if database.image.as_ref() == Some(&image) {
            return Ok(());
        }
        self.backup_before(database).await?;
        self.halt_database(database).await?;
        self.0.writer.set_database_image(database.id, image).await?;
        self.tend(database.id, true).await?;
        let after = self.reader().database_by_id(database.id).await?;
        let (Some(problem), Some(before)) = (after.and_then(|after| after.problem), &database.image) else {
            return Ok(());
        };
        self.halt_database(database).await?;
        self.0.writer.set_database_image(database.id, before.clone()).await?;
        self.tend(database.id, true).await?;
        Err(refused(format!("the newer image was taken back: {problem}")))
    }
}

/// The name by which the image of a database is kept.
pub(super) fn image_tag(database: &Database) -> String {
    format!("localhost/rivetr-db/{}:current", database.slug)
}
