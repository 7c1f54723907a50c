//! The units of a database as they would be with other settings. Nothing is written, and no secret stands in them.

use super::super::preview::{Texts, texts};
use super::super::{Engine, EngineError};
use super::version::refuse_unreadable;
use crate::domain::database::{Database, Settings};
use crate::domain::deployment::ImageId;

impl Engine {
    /// The units of a database as they are, and as they would be with these settings; refused where these would be.
    /// What another image is, is not known before it was pulled: the units show the one that is there.
    pub async fn preview_database(
        &self,
        database: &Database,
        settings: &Settings,
    ) -> Result<(Texts, Texts), EngineError> {
        self.check_public(Some(database), settings).await?;
        refuse_unreadable(database, &settings.image)?;
        let image = match &database.image {
            Some(image) => image.clone(),
            None => ImageId::parse(&"0".repeat(64)).map_err(EngineError::internal)?,
        };
        let wanted = Database { settings: settings.clone(), ..database.clone() };
        let before = texts(self.database_files(database, &image).await?);
        Ok((before, texts(self.database_files(&wanted, &image).await?)))
    }
}
