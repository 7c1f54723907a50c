//! After a time offline: what was pushed while nobody took the deliveries is found by asking for the branches.
//!
//! Only apps with a webhook are asked for, each once. A commit that was deployed before, or that a delivery told of,
//! is no news: a rollback stays, and so does what was skipped.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::Trigger;
use crate::store::Wish;

/// How many servers are asked at once: this is not urgent, and must not be in the way of what is.
const AT_ONCE: usize = 2;

impl Engine {
    /// Asks for the heads of all watched branches, and deploys those that are news.
    pub(super) async fn catch_up(self) {
        let apps = match self.watching().await {
            Ok(apps) => apps,
            Err(error) => return tracing::error!(%error, "the watched branches could not be looked up"),
        };
        let count = apps.len();
        let asked = stream::iter(apps).for_each_concurrent(AT_ONCE, |app| {
            let engine = self.clone();
            async move {
                if let Err(error) = engine.catch_up_with(&app).await {
                    tracing::warn!(app = %app.slug, %error, "not known whether its branch has moved");
                }
            }
        });
        if self.until_shutdown(asked).await.is_some() && count > 0 {
            tracing::info!(apps = count, "watched branches compared");
        }
    }

    /// The apps that would have been told of a push.
    async fn watching(&self) -> Result<Vec<App>, EngineError> {
        let webhooks = self.reader().webhooks(None).await?;
        let with: BTreeSet<_> = webhooks.iter().map(|webhook| webhook.app).collect();
        let mut apps = self.reader().apps().await?;
        apps.retain(|app| with.contains(&app.id) && !app.deleting);
        Ok(apps)
    }

    async fn catch_up_with(&self, app: &App) -> Result<(), EngineError> {
        let Some(last) = self.reader().deployments(Some(app.id), None, 1).await?.pop() else {
            // Its first deployment is for a person to ask for, or for a push.
            return Ok(());
        };
        if !last.state.is_end() && last.commit.is_none() {
            // It fetches the head anyway.
            return Ok(());
        }
        let Some(head) = self.head(app).await? else { return Ok(()) };
        if self.reader().knows_commit(app.id, &head).await? {
            return Ok(());
        }
        tracing::info!(app = %app.slug, commit = %head.short(), "its code moved while rivetr did not run");
        self.enqueue(app, Wish::of(Trigger::Webhook)).await?;
        Ok(())
    }
}
