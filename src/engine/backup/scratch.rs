//! A database that is made for a restore alone: like another one, with the same passwords and empty, on a volume of its
//! own. It is an ordinary database in all else, so that there is no second way to start one.

use super::super::{Engine, EngineError};
use super::flow::Failure;
use super::tools::{self, Load};
use crate::domain::backup::{Backup, Form, Restore};
use crate::domain::database::{Credentials, Database, Settings};
use crate::domain::name::Slug;
use crate::domain::secret::Sealed;
use crate::store::{DataOf, NewDatabase};

/// How much of the name it is made for stands in its own: a restore's number follows.
const NAME_MAX: usize = 22;

/// The name of the scratch database of a restore.
pub(super) fn scratch_name(of: &str, restore: &Restore) -> Result<Slug, EngineError> {
    let of: String = of.chars().take(NAME_MAX).collect();
    let name = format!("{}-restore-{}", of.trim_end_matches('-'), restore.id.0);
    Slug::parse(&name).map_err(EngineError::internal)
}

impl Engine {
    /// Makes an empty database like this one and waits until it answers.
    pub(super) async fn make_scratch(&self, like: &Database, name: Slug) -> Result<Database, Failure> {
        let volume = format!("rivetr-db-{name}_scratch");
        let new = {
            let _sealing = self.0.sealing.read().await;
            let DataOf { password, root_password, .. } = self.resealed(like, &volume)?;
            NewDatabase {
                slug: name,
                project: like.project.slug.clone(),
                kind: like.kind,
                settings: Settings { public: None, ..like.settings.clone() },
                credentials: Credentials { password, root_password, ..like.credentials.clone() },
                volume,
                scratch: true,
            }
        };
        let scratch = self.0.writer.create_database(new, self.now()).await?;
        if let Some(image) = &like.image {
            self.0.writer.set_database_image(scratch.id, image.clone()).await?;
        }
        self.up(&scratch).await
    }

    /// Starts a database and waits until it answers.
    pub(super) async fn up(&self, database: &Database) -> Result<Database, Failure> {
        self.tend(database.id, true).await?;
        let after = self.reader().database_by_id(database.id).await?;
        let after = after.ok_or_else(|| Failure("the database is gone".to_owned()))?;
        match after.problem.clone() {
            Some(problem) => Err(Failure(problem)),
            None => Ok(after),
        }
    }

    /// Fills a new, empty database from a backup and counts what it has then.
    pub(super) async fn fill(&self, database: &Database, backup: &Backup) -> Result<u64, Failure> {
        if Form::of(database.kind) != backup.form {
            return Err(Failure(format!("backup {} is of another kind of database", backup.id.0)));
        }
        let opened = self.open_database(database)?;
        let load =
            tools::load(database, &opened).ok_or_else(|| Failure("it cannot be read in".to_owned()))?;
        let identity = self.identity(&backup.recipient).await?;
        let container = database.unit_name();
        let (Load::Read(tool) | Load::File(tool)) = &load;
        self.read_file(backup, identity, |from| self.drink(&container, tool, from)).await?;
        self.failpoint("restore-filled");
        if let Load::File(_) = load {
            // It reads its file when it starts.
            self.halt_database(database).await?;
            self.up(database).await?;
        }
        self.count_items(database).await
    }

    /// Removes a database that was made for a restore, with its data.
    pub(super) async fn remove_scratch(&self, scratch: &Database) -> Result<(), EngineError> {
        if scratch.deleted.is_none() {
            self.delete_database(&scratch.slug).await?;
        }
        self.purge_database(scratch.id).await
    }

    /// A database's passwords, sealed for a volume.
    pub(super) fn resealed(&self, of: &Database, volume: &str) -> Result<DataOf, EngineError> {
        let opened = self.open_database(of)?;
        let place = Credentials::place(volume);
        let seal = |secret| self.vault().seal(&place, secret);
        let (password, root_password): (Sealed, Sealed) =
            (seal(&opened.password)?, seal(&opened.root_password)?);
        Ok(DataOf { database: of.id, volume: volume.to_owned(), password, root_password })
    }
}
