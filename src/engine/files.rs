//! Files that are mounted into an app's container: sealed where they come in; a deployment gets them.

use super::{Engine, EngineError};
use crate::domain::app::AppId;
use crate::domain::mount::{FileContent, MountPath, MountedFile};
use crate::store::SetFileError;

impl Engine {
    /// Sets a file, or takes the place of the one at its path.
    pub async fn set_file(
        &self,
        app: AppId,
        path: MountPath,
        content: FileContent,
    ) -> Result<(), EngineError> {
        let _sealing = self.0.sealing.read().await;
        let content = self.vault().seal(&MountedFile::place(&path), content.secret())?;
        self.0.writer.set_file(app, MountedFile { path, content }).await.map_err(|error| match error {
            SetFileError::NoApp => EngineError::NotFound { what: "app", name: app.0.to_string() },
            SetFileError::TooLong => {
                EngineError::Invalid { field: "content_base64", message: error.to_string() }
            }
            SetFileError::Store(error) => error.into(),
        })
    }

    /// Removes a file.
    pub async fn unset_file(&self, app: AppId, path: &MountPath) -> Result<(), EngineError> {
        if self.0.writer.unset_file(app, path).await? {
            return Ok(());
        }
        Err(EngineError::NotFound { what: "file", name: path.to_string() })
    }
}
