//! A service that follows a repository: what the branch has is fetched, checked out, and read where it lies. The revision is
//! a row before any of it begins, and fails with file and line where it cannot be read; what runs is not touched.

use super::super::context::Halt;
use super::super::repository::FetchError;
use super::super::{Engine, EngineError};
use super::checkout::whose;
use super::content::Content;
use super::reading::Handed;
use super::{NewRepository, Submitted, place};
use crate::domain::name::Slug;
use crate::domain::secret::Secret;
use crate::domain::service::{Followed, Revision, RevisionId, Service};
use crate::domain::source::Source;
use crate::domain::webhook::Target;
use crate::host::workspace::LogFile;
use crate::store::{ReadRevision, StoreError};

/// Why a revision did not come to what it is.
pub(super) enum Unread {
    /// For its own fault, in words for people.
    Because(String),
    /// rivetr cannot go on; it is tried again.
    Lost(EngineError),
}

impl From<EngineError> for Unread {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::Conflict { message, .. } | EngineError::Invalid { message, .. } => {
                Self::Because(message)
            }
            error @ (EngineError::NotFound { .. }
            | EngineError::IllegalMove(_)
            | EngineError::Unavailable(_)
            | EngineError::Internal(_)) => Self::Lost(error),
        }
    }
}

impl From<StoreError> for Unread {
    fn from(error: StoreError) -> Self {
        Self::Lost(error.into())
    }
}

impl From<FetchError> for Unread {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Store(error) => error.into(),
            error @ (FetchError::Git(_) | FetchError::Remote(_) | FetchError::File { .. }) => {
                Self::Because(error.to_string())
            }
        }
    }
}

impl From<Halt> for Unread {
    fn from(halt: Halt) -> Self {
        match halt {
            Halt::Failed(why) => Self::Because(why),
            Halt::Stopped(_) => Self::Because("its build was ended".to_owned()),
            Halt::Shutdown => Self::Lost(EngineError::Unavailable("rivetr is stopping".to_owned())),
            Halt::Lost(error) => Self::Lost(error),
        }
    }
}

/// The log of a revision. One that cannot be written does not stop it.
pub(super) struct RevisionLog {
    engine: Engine,
    of: RevisionId,
    file: Option<LogFile>,
}

impl RevisionLog {
    /// Adds lines.
    pub(super) fn say(&mut self, lines: &str) {
        let Some(log) = &mut self.file else { return };
        for line in lines.lines() {
            if let Err(error) = log.line(line) {
                tracing::warn!(%error, "the log of a revision is not written");
            }
        }
        self.engine.0.logs.bump(self.of.into());
    }
}

impl Engine {
    /// Makes the files of a service come from a repository, from its next revision on; none: they are handed in. What runs
    /// is not touched.
    pub async fn set_service_source(
        &self,
        slug: &Slug,
        repository: Option<NewRepository>,
    ) -> Result<Service, EngineError> {
        let service = self.service(slug).await?;
        self.follow(&service, repository).await?;
        self.service(slug).await
    }

    /// Fetches what the repository of a service has, and brings it up.
    pub async fn deploy_service(&self, slug: &Slug, administrator: bool) -> Result<Submitted, EngineError> {
        let service = self.service(slug).await?;
        let revision = self.ask_for_revision(&service, administrator).await?;
        Ok(Submitted { service, revision, warnings: Vec::new() })
    }

    /// What was fetched and built for a revision said so far; none: nothing, or it is forgotten.
    pub async fn revision_log(&self, slug: &Slug, number: u32) -> Result<Option<String>, EngineError> {
        let service = self.service(slug).await?;
        self.revision_numbered(&service, number).await?;
        let log = self.machine().workspace.revision_log(slug, number);
        self.machine().workspace.said(&log).map_err(EngineError::internal)
    }

    /// Stores what a service follows.
    pub(super) async fn follow(
        &self,
        service: &Service,
        repository: Option<NewRepository>,
    ) -> Result<(), EngineError> {
        let _sealing = self.0.sealing.read().await;
        let Some(NewRepository { followed, token, variables }) = repository else {
            return Ok(self.0.writer.set_service_source(service.id, None).await?);
        };
        let source = self.sealed_source(&whose(&service.slug), followed.source(), token)?;
        let git = match source {
            Source::Git(git) => git,
            Source::Push { .. } | Source::Image { .. } | Source::Upload | Source::Inline { .. } => {
                followed.git
            }
        };
        let variables = match variables {
            None => service.followed.as_ref().and_then(|before| before.variables.clone()),
            Some(text) if text.reveal().is_empty() => None,
            Some(text) => {
                let sealed = self.vault().seal(&Followed::place(service.id), &text);
                Some(sealed.map_err(|error| EngineError::Unavailable(error.to_string()))?)
            }
        };
        let followed = Followed { git, file: followed.file, variables };
        Ok(self.0.writer.set_service_source(service.id, Some(followed)).await?)
    }

    /// Asks for a revision of what the repository of a service has by then.
    pub(in super::super) async fn ask_for_revision(
        &self,
        service: &Service,
        administrator: bool,
    ) -> Result<Revision, EngineError> {
        let revision = self.0.writer.ask_revision(service.id, administrator, self.now()).await?;
        self.stir();
        self.work_on(service.id);
        Ok(revision)
    }

    /// Fetches and reads a revision, and stores what it is made of.
    pub(super) async fn read_revision(
        &self,
        service: &Service,
        revision: &Revision,
    ) -> Result<Content, Unread> {
        let state = revision.state.fetch().map_err(EngineError::internal)?;
        self.0.writer.move_revision(revision.id, state).await?;
        self.stir();
        self.failpoint("service-fetching");
        let mut log = self.log_of_revision(service, revision);
        let handed = self.take_in(service, revision, &mut log).await?;
        let commit = handed.commit.clone();
        let commit = commit.ok_or_else(|| Unread::Because("the repository has no commit".to_owned()))?;
        super::check_size(&handed.files)?;
        // Names of units are taken by one at a time.
        let _alone = self.0.changing.lock().await;
        let prepared =
            self.prepare_service(service, &handed, revision.number, revision.administrator, true).await?;
        for warning in &prepared.warnings {
            log.say(&format!("       Note: {warning}"));
        }
        let (parts, warnings) = (prepared.rendered.parts.clone(), prepared.warnings.clone());
        let content = Content::new(&handed, prepared);
        let _sealing = self.0.sealing.read().await;
        let sealed = self.vault().seal(&place(service, revision.number), &Secret::new(content.to_bytes()?));
        let sealed = sealed.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let read = ReadRevision { commit, parts, warnings, content: sealed };
        self.0.writer.fill_revision(service.id, revision.id, read).await.map_err(EngineError::from)?;
        Ok(content)
    }

    /// Opens the log of a revision.
    pub(super) fn log_of_revision(&self, service: &Service, revision: &Revision) -> RevisionLog {
        let number = revision.number;
        let log = self.machine().workspace.open_revision_log(&service.slug, number);
        if let Err(error) = &log {
            tracing::warn!(service = %service.slug, number, %error, "the log of a revision is not written");
        }
        RevisionLog { engine: self.clone(), of: revision.id, file: log.ok() }
    }

    /// The files of the commit that is followed now.
    async fn take_in(
        &self,
        service: &Service,
        revision: &Revision,
        log: &mut RevisionLog,
    ) -> Result<Handed, Unread> {
        let followed = service.followed.as_ref();
        let followed = followed
            .ok_or_else(|| Unread::Because(format!("{} follows no repository any more", service.slug)))?;
        let (workspace, slug, number) = (&self.machine().workspace, &service.slug, revision.number);
        let incoming = workspace.revision_incoming(slug, number);
        let alone = self.0.repositories.take(Target::Service(service.id)).await;
        let commit = self.check_out_newest(service, followed, &incoming, |line| log.say(&line)).await?;
        drop(alone);
        workspace.keep_incoming(slug, number).map_err(EngineError::internal)?;
        self.read_checkout(service, followed, &workspace.revision_source(slug, number), commit).await
    }
}
