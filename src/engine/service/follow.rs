//! A service that follows a repository: what the branch has is fetched, checked out, and read where it lies. The revision is
//! a row before any of it begins, and fails with file and line where it cannot be read; what runs is not touched.

use std::path::Path;

use super::super::context::Halt;
use super::super::repository::{FetchError, Keeping};
use super::super::{Engine, EngineError};
use super::content::Content;
use super::gather::gather;
use super::reading::{Handed, invalid};
use super::{NewRepository, Submitted, place};
use crate::domain::build::RepoPath;
use crate::domain::name::Slug;
use crate::domain::secret::Secret;
use crate::domain::service::{BYTES_MAX, COMPOSE_NAMES, FileName, Followed, Revision, Service};
use crate::domain::source::{CommitId, Reference, Source};
use crate::host::checkout::Checkout;
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
pub(super) struct RevisionLog(Option<LogFile>);

impl RevisionLog {
    /// Adds lines.
    pub(super) fn say(&mut self, lines: &str) {
        let Some(log) = &mut self.0 else { return };
        for line in lines.lines() {
            if let Err(error) = log.line(line) {
                tracing::warn!(%error, "the log of a revision is not written");
            }
        }
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
        self.failpoint("service-fetching");
        let mut log = self.log_of_revision(service, revision.number);
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
    pub(super) fn log_of_revision(&self, service: &Service, number: u32) -> RevisionLog {
        let log = self.machine().workspace.open_revision_log(&service.slug, number);
        if let Err(error) = &log {
            tracing::warn!(service = %service.slug, number, %error, "the log of a revision is not written");
        }
        RevisionLog(log.ok())
    }

    /// The files of the commit that a branch has now.
    async fn take_in(
        &self,
        service: &Service,
        revision: &Revision,
        log: &mut RevisionLog,
    ) -> Result<Handed, Unread> {
        let followed = service.followed.as_ref();
        let followed = followed
            .ok_or_else(|| Unread::Because(format!("{} follows no repository any more", service.slug)))?;
        let keeping = self.keeping(service, followed);
        self.git().init(&keeping.repo).await.map_err(FetchError::Git)?;
        let wanted = &followed.git.reference;
        let (commit, remote) = self.fetch_commit(&keeping, wanted, |line| log.say(&line)).await?;
        let subject = self.git().subject(&keeping.repo, &commit).await.map_err(FetchError::Git)?;
        log.say(&format!("-----> Reading {} {subject}", commit.short()));
        let source = self.machine().workspace.revision_source(&service.slug, revision.number);
        let from = Some((&followed.git, &remote));
        self.check_out(&keeping.repo, &commit, &source, from, |line| log.say(&line)).await?;
        let (file, name) = (followed.file.clone(), service.slug.to_string());
        let variables = self.variables_of(service, followed)?;
        let short = commit.short().to_owned();
        let read = tokio::task::spawn_blocking(move || -> Result<_, Vec<String>> {
            let checkout = Checkout::at(source);
            let origin = origin(&checkout, file.as_ref().map(RepoPath::as_str), &short)?;
            let files = gather(&checkout, &origin, name, &variables)?;
            Ok((origin, files))
        });
        let read = read.await.map_err(EngineError::internal)?;
        let (origin, files) = read.map_err(invalid)?;
        Ok(Handed { files, origin: Some(origin), commit: Some(commit) })
    }

    /// The variables that were handed in besides those of the repository.
    fn variables_of(&self, service: &Service, followed: &Followed) -> Result<String, Unread> {
        let Some(sealed) = &followed.variables else { return Ok(String::new()) };
        let opened = self.vault().open(&Followed::place(service.id), sealed);
        let opened = opened.map_err(|error| {
            Unread::Because(format!("the variables of {} cannot be opened: {error}", service.slug))
        })?;
        Ok(String::from_utf8_lossy(opened.reveal()).into_owned())
    }

    fn keeping<'a>(&self, service: &Service, followed: &'a Followed) -> Keeping<'a> {
        let repo = self.machine().workspace.service_repo(&service.slug);
        Keeping { repo, whose: whose(&service.slug), source: &followed.git }
    }

    /// Checks a commit out for the builds of a revision, fetched once more where it is gone.
    pub(super) async fn check_out_again(
        &self,
        service: &Service,
        number: u32,
        commit: &CommitId,
        log: &mut RevisionLog,
    ) -> Result<(), Unread> {
        let source = self.machine().workspace.revision_source(&service.slug, number);
        let repo = self.machine().workspace.service_repo(&service.slug);
        let known = self.check_out(&repo, commit, &source, None, |line| log.say(&line)).await;
        let Err(error) = known else { return Ok(()) };
        let Some(followed) = &service.followed else { return Err(error.into()) };
        log.say(&format!("       {} is not here any more ({error})", commit.short()));
        let keeping = self.keeping(service, followed);
        self.git().init(&keeping.repo).await.map_err(FetchError::Git)?;
        let wanted = Reference::Commit(commit.clone());
        let (commit, remote) = self.fetch_commit(&keeping, &wanted, |line| log.say(&line)).await?;
        let from = Some((&followed.git, &remote));
        Ok(self.check_out(&repo, &commit, &source, from, |line| log.say(&line)).await?)
    }
}

/// Whose token opens the repository of a service.
fn whose(slug: &Slug) -> String {
    format!("service/{slug}")
}

/// The compose file: the one that is named, or the first of the usual names.
fn origin(checkout: &Checkout, named: Option<&str>, commit: &str) -> Result<FileName, Vec<String>> {
    let parsed = |name: &str| FileName::parse(name).map_err(|error| vec![error.to_string()]);
    if let Some(name) = named {
        return match checkout.text(Path::new(name), BYTES_MAX) {
            Ok(_) => parsed(name),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(vec![format!("there is no {name} in the repository at {commit}: name another file")])
            }
            Err(error) => Err(vec![format!("{name}: it cannot be read: {error}")]),
        };
    }
    for name in COMPOSE_NAMES {
        match checkout.has_file(Path::new(name)) {
            Ok(true) => return parsed(name),
            Ok(false) => {}
            Err(error) => return Err(vec![format!("{name}: it cannot be read: {error}")]),
        }
    }
    let usual = COMPOSE_NAMES.join(", ");
    Err(vec![format!("the repository has none of {usual} at its root at {commit}: name the file")])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_compose_file_is_the_named_one_or_the_first_of_the_usual_names() {
        let folder = tempfile::tempdir().unwrap();
        let checkout = Checkout::at(folder.path().to_owned());
        let found = |named| origin(&checkout, named, "abc").map(|name| name.to_string());
        assert!(found(None).unwrap_err()[0].contains("none of compose.yaml, compose.yml"));
        for name in ["docker-compose.yml", "compose.yml", "stack.yaml"] {
            std::fs::File::create(folder.path().join(name)).unwrap();
        }
        assert_eq!(found(None).unwrap(), "compose.yml");
        assert_eq!(found(Some("stack.yaml")).unwrap(), "stack.yaml");
        assert!(found(Some("deploy/stack.yaml")).unwrap_err()[0].contains("no deploy/stack.yaml"));
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("compose.yaml")).unwrap();
        assert!(found(None).unwrap_err()[0].contains("is a link"));
    }
}
