//! Archives that are handed in to be deployed: kept by what they hold until their deployment has ended.

use std::io;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, Trigger};
use crate::domain::image::Digest;
use crate::domain::name::Slug;
use crate::domain::source::Source;
use crate::host::archive::Kind;
use crate::host::workspace::Incoming;
use crate::store::Wish;

/// How long a client may send nothing before it is given up.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// What one read takes, in bytes.
const CHUNK: usize = 64 * 1024;

impl Engine {
    /// Takes in an archive and asks for its deployment.
    pub async fn deploy_upload<R>(&self, app: &App, body: R) -> Result<Deployment, EngineError>
    where
        R: AsyncRead + Unpin + Send,
    {
        if app.source != Source::Upload {
            let message = format!(
                "{0} does not come from uploads; to change that: rivetr apps source {0} --upload",
                app.slug
            );
            return Err(EngineError::Conflict { field: "app", message });
        }
        self.refuse_when_full(app.id).await?;
        let incoming = self.machine().workspace.begin_upload(&app.slug).map_err(EngineError::internal)?;
        let content = self.receive(&incoming, body).await?;
        // Nobody sweeps up between the file and the row that needs it.
        let _alone = self.0.uploading.lock().await;
        incoming
            .keep(&self.machine().workspace.upload(&app.slug, &content))
            .map_err(EngineError::internal)?;
        self.enqueue(app, Wish { content: Some(content), ..Wish::of(Trigger::Request) }).await
    }

    /// Removes the uploads of an app that no deployment waits for.
    pub(super) async fn sweep_uploads(&self, app: &Slug) -> Result<(), EngineError> {
        let _alone = self.0.uploading.lock().await;
        let workspace = &self.machine().workspace;
        let kept = workspace.uploads(app).map_err(EngineError::internal)?;
        if kept.is_empty() {
            return Ok(());
        }
        let unfinished = self.reader().unfinished().await?;
        let waits = |content: &Digest| {
            unfinished.iter().any(|one| one.app_slug == *app && one.digest.as_ref() == Some(content))
        };
        for content in kept.iter().filter(|content| !waits(content)) {
            workspace.remove_upload(app, content).map_err(EngineError::internal)?;
        }
        Ok(())
    }

    async fn receive<R>(&self, incoming: &Incoming, mut body: R) -> Result<Digest, EngineError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let limit = self.0.settings.push_limit;
        let mut file = tokio::fs::File::from_std(incoming.file().map_err(EngineError::internal)?);
        let (mut sum, mut length, mut begin) = (Sha256::new(), 0, Vec::new());
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = timeout(SILENCE_MAX, body.read(&mut chunk)).await;
            let read = read.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            let read = read.map_err(|error| invalid(format!("the upload broke off: {error}")))?;
            let part = chunk.get(..read).unwrap_or_default();
            if part.is_empty() {
                break;
            }
            length += part.len() as u64;
            if length > limit {
                let mib = limit / (1024 * 1024);
                return Err(invalid(format!(
                    "the upload is larger than {mib} MiB: raise max_size_mb under [git]"
                )));
            }
            begin.extend(part.iter().take(Kind::MAGIC.saturating_sub(begin.len())));
            if begin.len() == Kind::MAGIC && Kind::of(&begin).is_none() {
                return Err(invalid("the upload is neither tar.gz nor zip".to_owned()));
            }
            sum.update(part);
            file.write_all(part).await.map_err(EngineError::internal)?;
        }
        if begin.len() < Kind::MAGIC {
            return Err(invalid("the upload is empty: send a tar.gz or a zip".to_owned()));
        }
        file.sync_all().await.map_err(EngineError::internal)?;
        Ok(Digest::of_sum(sum.finalize().into()))
    }
}

fn invalid(message: String) -> EngineError {
    EngineError::Invalid { field: "body", message }
}
