//! Databases that were deleted: their data is kept for a while, and can be brought back until then.

use std::time::Duration;

use super::super::{Engine, EngineError};
use super::tend::image_tag;
use crate::domain::database::{Database, DatabaseId};
use crate::domain::name::Slug;

/// How long the data of a deleted database is kept.
pub const KEPT: Duration = Duration::from_hours(7 * 24);
/// How often the trash is looked through.
const LOOK_EVERY: Duration = Duration::from_hours(1);

impl Engine {
    /// Puts a database into the trash: it stops, its name is free, and its data is kept for a week.
    pub async fn delete_database(&self, slug: &Slug) -> Result<Database, EngineError> {
        let database = self.database(slug).await?;
        self.0.writer.trash_database(database.id, self.now()).await?;
        self.stir_backups();
        self.halt_database(&database).await?;
        if database.settings.public.is_some() {
            self.publish_routes().await?;
        }
        self.tend(database.id, false).await?;
        tracing::info!(database = %slug, volume = database.volume, "database deleted; its data is kept for a week");
        Ok(database)
    }

    /// A database in the trash.
    pub async fn trashed_database(&self, id: DatabaseId) -> Result<Database, EngineError> {
        let found = self.reader().database_by_id(id).await?.filter(|database| database.deleted.is_some());
        found.ok_or_else(|| EngineError::NotFound { what: "database in the trash", name: id.0.to_string() })
    }

    /// Brings a database back from the trash, as it was.
    pub async fn restore_database(&self, id: DatabaseId) -> Result<Database, EngineError> {
        self.trashed_database(id).await?;
        let database = self.0.writer.restore_database(id).await?;
        self.stir_backups();
        if database.settings.public.is_some() {
            self.publish_routes().await?;
        }
        self.tend_soon(id, true);
        Ok(database)
    }

    /// Removes a database in the trash for good, with its data.
    pub async fn purge_database(&self, id: DatabaseId) -> Result<(), EngineError> {
        let database = self.trashed_database(id).await?;
        let _alone = self.0.tending.take(id).await;
        let podman = &self.machine().podman;
        podman.remove_volume(&database.volume).await.map_err(EngineError::internal)?;
        if self.reader().database(&database.slug).await?.is_none() {
            podman.untag_or_remove(&image_tag(&database)).await.map_err(EngineError::internal)?;
        }
        self.0.writer.forget_database(id).await?;
        tracing::info!(database = %database.slug, volume = database.volume, "removed for good");
        Ok(())
    }

    /// Removes what has been in the trash long enough, until rivetr stops.
    pub(in crate::engine) async fn empty_trash(self) {
        while !self.0.shutdown.is_cancelled() {
            if let Err(error) = self.empty_trash_once().await {
                tracing::warn!(%error, "the trash was not looked through");
            }
            self.pause(LOOK_EVERY).await;
        }
    }

    async fn empty_trash_once(&self) -> Result<(), EngineError> {
        let kept = i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX);
        for database in self.reader().every_database().await? {
            let over = database.deleted.is_some_and(|since| self.now().0.saturating_sub(since.0) >= kept);
            if over {
                self.purge_database(database.id).await?;
            }
        }
        Ok(())
    }
}
