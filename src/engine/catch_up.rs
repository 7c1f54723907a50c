//! After a time offline: what was pushed while nobody took the deliveries is found by asking for the branches.
//!
//! Only apps and services with a webhook are asked for, each once. A commit that was deployed before, or that a delivery
//! told of, is no news: a rollback stays, and so does what was skipped.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};

use super::hooks::Hooked;
use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::Trigger;
use crate::domain::service::Service;
use crate::domain::source::CommitId;
use crate::domain::webhook::Target;
use crate::store::Wish;

/// How many servers are asked at once: this is not urgent, and must not be in the way of what is.
const AT_ONCE: usize = 2;

impl Engine {
    /// Asks for the heads of all watched branches, and deploys those that are news.
    pub(super) async fn catch_up(self) {
        let watching = match self.watching().await {
            Ok(watching) => watching,
            Err(error) => return tracing::error!(%error, "the watched branches could not be looked up"),
        };
        let count = watching.len();
        let asked = stream::iter(watching).for_each_concurrent(AT_ONCE, |hooked| {
            let engine = self.clone();
            async move {
                let caught_up = match &hooked {
                    Hooked::App(app) => engine.catch_up_with(app).await,
                    Hooked::Service(service) => engine.catch_up_with_service(service).await,
                };
                if let Err(error) = caught_up {
                    let whose = hooked.named();
                    tracing::warn!(whose, %error, "not known whether its branch has moved");
                }
            }
        });
        if self.until_shutdown(asked).await.is_some() && count > 0 {
            tracing::info!(count, "watched branches compared");
        }
    }

    /// Those who would have been told of a push.
    async fn watching(&self) -> Result<Vec<Hooked>, EngineError> {
        let webhooks = self.reader().webhooks(None).await?;
        let targets: BTreeSet<Target> = webhooks.iter().map(|webhook| webhook.target).collect();
        let mut watching = Vec::new();
        for target in targets {
            let found = self.hooked(target).await?;
            watching.extend(found.filter(|hooked| match hooked {
                Hooked::App(app) => !app.deleting,
                Hooked::Service(service) => !service.deleting,
            }));
        }
        Ok(watching)
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
        if let Some(head) = self.news(Target::App(app.id), self.head(app).await?).await? {
            tracing::info!(app = %app.slug, commit = %head.short(), "its code moved while rivetr did not run");
            self.enqueue(app, Wish::of(Trigger::Webhook)).await?;
        }
        Ok(())
    }

    async fn catch_up_with_service(&self, service: &Service) -> Result<(), EngineError> {
        let Some(followed) = &service.followed else { return Ok(()) };
        let last = self.reader().newest_revision(service.id).await?;
        if last.is_some_and(|last| !last.state.is_end() && last.commit.is_none()) {
            return Ok(()); // it fetches the head anyway
        }
        let head = self.head_of(&format!("service/{}", service.slug), &followed.git).await?;
        if let Some(head) = self.news(Target::Service(service.id), head).await? {
            tracing::info!(service = %service.slug, commit = %head.short(), "its code moved while rivetr did not run");
            self.ask_for_revision(service, false).await?;
        }
        Ok(())
    }

    /// The head of a branch, where it was not known.
    async fn news(&self, target: Target, head: Option<CommitId>) -> Result<Option<CommitId>, EngineError> {
        let Some(head) = head else { return Ok(None) };
        let known = self.reader().knows_commit(target, &head).await?;
        Ok((!known).then_some(head))
    }
}
