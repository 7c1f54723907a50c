//! What a repository has that a service follows, checked out: for a revision, whose images are built of it, and for a look
//! at what one would be.

use std::path::Path;

use super::super::repository::{FetchError, Keeping};
use super::super::{Engine, EngineError};
use super::follow::{RevisionLog, Unread};
use super::gather::gather;
use super::reading::{Handed, invalid};
use crate::domain::build::RepoPath;
use crate::domain::name::Slug;
use crate::domain::service::{BYTES_MAX, COMPOSE_NAMES, FileName, Followed, Service};
use crate::domain::source::{CommitId, Reference};
use crate::domain::webhook::Target;
use crate::host::checkout::Checkout;

impl Engine {
    /// Checks out what the repository of a service has now. `say` is told what happens, a line at a time. Nobody else may
    /// be at work in the repository.
    pub(super) async fn check_out_newest(
        &self,
        service: &Service,
        followed: &Followed,
        dest: &Path,
        mut say: impl FnMut(String) + Send,
    ) -> Result<CommitId, FetchError> {
        let keeping = self.keeping(service, followed);
        self.git().init(&keeping.repo).await?;
        let (commit, remote) = self.fetch_commit(&keeping, &followed.git.reference, &mut say).await?;
        let subject = self.git().subject(&keeping.repo, &commit).await?;
        say(format!("-----> Reading {} {subject}", commit.short()));
        self.check_out(&keeping.repo, &commit, dest, Some((&followed.git, &remote)), &mut say).await?;
        Ok(commit)
    }

    /// Checks a commit out once more for the builds of a revision, fetched again where it is gone.
    pub(super) async fn check_out_again(
        &self,
        service: &Service,
        number: u32,
        commit: &CommitId,
        log: &mut RevisionLog,
    ) -> Result<(), Unread> {
        let workspace = &self.machine().workspace;
        let (repo, dest) =
            (workspace.service_repo(&service.slug), workspace.revision_incoming(&service.slug, number));
        let _alone = self.0.repositories.take(Target::Service(service.id)).await;
        let known = self.check_out_known(service, &repo, commit, &dest, log).await;
        match (known, &service.followed) {
            (Ok(()), _) => {}
            (Err(FetchError::Git(error)), Some(followed)) => {
                log.say(&format!("       {} is not here any more ({error})", commit.short()));
                let keeping = self.keeping(service, followed);
                self.git().init(&keeping.repo).await.map_err(FetchError::Git)?;
                let wanted = Reference::Commit(commit.clone());
                let (commit, remote) = self.fetch_commit(&keeping, &wanted, |line| log.say(&line)).await?;
                let from = Some((&followed.git, &remote));
                self.check_out(&repo, &commit, &dest, from, |line| log.say(&line)).await?;
            }
            (Err(error), _) => return Err(error.into()),
        }
        Ok(workspace.keep_incoming(&service.slug, number).map_err(EngineError::internal)?)
    }

    /// The same of a commit that is here. What is not in the repository itself comes from elsewhere again.
    async fn check_out_known(
        &self,
        service: &Service,
        repo: &Path,
        commit: &CommitId,
        dest: &Path,
        log: &mut RevisionLog,
    ) -> Result<(), FetchError> {
        let more = service.followed.as_ref().filter(|one| one.git.submodules || one.git.lfs);
        let remote = match more {
            Some(followed) => Some(self.remote(&whose(&service.slug), &followed.git).await?),
            None => None,
        };
        let from = more.map(|followed| &followed.git).zip(remote.as_ref());
        self.check_out(repo, commit, dest, from, |line| log.say(&line)).await
    }

    /// The files of a checkout that a compose file of it is made of.
    pub(super) async fn read_checkout(
        &self,
        service: &Service,
        followed: &Followed,
        source: &Path,
        commit: CommitId,
    ) -> Result<Handed, Unread> {
        let (file, name) = (followed.file.clone(), service.slug.to_string());
        let variables = self.variables_of(service, followed)?;
        let (checkout, short) = (Checkout::at(source.to_owned()), commit.short().to_owned());
        let read = tokio::task::spawn_blocking(move || -> Result<_, Vec<String>> {
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
}

/// Whose token opens the repository of a service.
pub(super) fn whose(slug: &Slug) -> String {
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
