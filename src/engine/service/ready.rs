//! Making a revision ready: its repository, its images and what it builds, while what runs is not touched. A newer one that is
//! asked for meanwhile takes its place, as with apps.

use super::super::{Engine, EngineError};
use super::content::Content;
use super::follow::Unread;
use crate::domain::service::{Revision, RevisionState, Service};
use crate::quadlet::path::Owner;

/// What became of making a revision ready.
pub(super) enum Ready {
    /// It is: what it is made of, and how far it has come.
    Whole(Box<Content>, RevisionState),
    /// It cannot be, in words for people.
    Failed(String),
    /// A newer one is to be made ready in its place.
    Overtaken,
}

impl Engine {
    /// Makes a revision ready to be started, as long as there is no newer one. Can be done twice.
    pub(super) async fn make_ready(
        &self,
        service: &Service,
        revision: &Revision,
    ) -> Result<Ready, EngineError> {
        tokio::select! {
            biased;
            overtaken = self.overtaken(revision) => overtaken.map(|()| Ready::Overtaken),
            ready = Box::pin(self.get_ready(service, revision)) => ready,
        }
    }

    async fn get_ready(&self, service: &Service, revision: &Revision) -> Result<Ready, EngineError> {
        let (content, state) = match self.content_of(service, revision).await {
            Ok(read) => read,
            Err(Unread::Because(why)) => return Ok(Ready::Failed(why)),
            Err(Unread::Lost(error)) => return Err(error),
        };
        let mut state = state.pull().map_err(EngineError::internal)?;
        self.0.writer.move_revision(revision.id, state).await?;
        self.stir();
        self.failpoint("service-pulling");
        if let Some(why) = self.pull_images(service, &content.images).await? {
            return Ok(Ready::Failed(why));
        }
        if !content.builds()?.is_empty() {
            state = state.build().map_err(EngineError::internal)?;
            self.0.writer.move_revision(revision.id, state).await?;
            self.stir();
            self.failpoint("service-building");
            if let Some(why) = self.build_for(service, revision, &content).await? {
                return Ok(Ready::Failed(why));
            }
        }
        Ok(Ready::Whole(Box::new(content), state))
    }

    /// What a revision is made of, read now where it was not, and how far it has come.
    async fn content_of(
        &self,
        service: &Service,
        revision: &Revision,
    ) -> Result<(Content, RevisionState), Unread> {
        if revision.content.is_some() {
            return match self.open_revision(revision) {
                Ok(content) => Ok((content, revision.state)),
                Err(error) => Err(Unread::Because(error.to_string())),
            };
        }
        let content = self.read_revision(service, revision).await?;
        Ok((content, RevisionState::Fetching))
    }

    /// Returns when a newer revision waits.
    async fn overtaken(&self, revision: &Revision) -> Result<(), EngineError> {
        let mut stirs = self.0.stirred.subscribe();
        loop {
            stirs.borrow_and_update();
            let newest = self.reader().newest_revision(revision.service).await?;
            if newest.is_some_and(|newest| newest.number > revision.number && !newest.state.is_end()) {
                return Ok(());
            }
            if stirs.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Ends a revision for which there is a newer one, with what goes on for it. Can be done twice.
    pub(super) async fn end_overtaken(
        &self,
        service: &Service,
        revision: &Revision,
    ) -> Result<(), EngineError> {
        let (slug, number) = (&service.slug, revision.number);
        self.end_pull_for(&Owner::Service(slug.clone())).await?;
        self.end_builds_of_service(service).await?;
        self.remove_images_of(service, number).await?;
        if let Err(error) = self.machine().workspace.remove_revision(slug, number) {
            tracing::warn!(service = %slug, %error, "the checkout of a revision is not removed");
        }
        let why = "a newer revision took its place before it was up".to_owned();
        self.say_end(service, revision, &format!("Superseded: {why}"));
        if revision.state.supersede().is_ok() {
            self.0.writer.supersede_revision(revision.id, why, self.now()).await?;
        } else {
            // Something of it was started.
            self.0.writer.fail_revision(revision.id, why, self.now()).await?;
        }
        tracing::info!(service = %slug, revision = number, "superseded");
        self.revision_moved(revision);
        Ok(())
    }

    /// Says in the log of a revision how it ends, before that is stored: who follows the log reads no further then.
    pub(super) fn say_end(&self, service: &Service, revision: &Revision, words: &str) {
        if service.followed.is_some() {
            self.log_of_revision(service, revision).say(&format!("-----> {words}"));
        }
    }

    /// Tells whoever waits for a revision, or follows its log, that it has moved.
    pub(super) fn revision_moved(&self, revision: &Revision) {
        self.0.logs.bump(revision.id.into());
        self.stir();
    }
}
