//! The repositories that services follow.

use rusqlite::Row;

use super::super::app::missing_key;
use super::super::error::StoreError;
use super::super::writer::Writer;
use super::super::{row, source};
use super::ServiceError;
use crate::domain::build::RepoPath;
use crate::domain::secret::Sealed;
use crate::domain::service::{Followed, ServiceId};
use crate::domain::source::Source;

impl Writer {
    /// Makes the files of a service come from a repository, from its next revision on; none: they are handed in.
    pub async fn set_service_source(
        &self,
        service: ServiceId,
        followed: Option<Followed>,
    ) -> Result<(), ServiceError> {
        self.write(move |tx| {
            let Some(followed) = followed else {
                let none =
                    "UPDATE service SET source = NULL, compose_file = NULL, variables = NULL WHERE id = ?1";
                tx.execute(none, [service.0]).map_err(StoreError::from)?;
                tx.execute("DELETE FROM webhook WHERE service = ?1", [service.0])
                    .map_err(StoreError::from)?;
                return Ok(());
            };
            let team = "SELECT team FROM project JOIN service ON service.project = project.id \
                        WHERE service.id = ?1";
            let source = followed.source();
            if let Some(missing) = missing_key(tx, &source, team, &[&service.0])? {
                return Err(ServiceError::NoKey(missing));
            }
            let json = source::to_json(&source)?;
            let file = followed.file.as_ref().map(RepoPath::as_str);
            let variables = followed.variables.as_ref().map(|sealed| sealed.0.as_slice());
            let set = "UPDATE service SET source = ?2, compose_file = ?3, variables = ?4 WHERE id = ?1";
            let set = tx.execute(set, (service.0, json, file, variables)).map_err(StoreError::from)?;
            if set == 0 { Err(ServiceError::NoService) } else { Ok(()) }
        })
        .await
    }
}

/// The repository that a row names.
pub(super) fn of(row: &Row<'_>) -> Result<Option<Followed>, StoreError> {
    let malformed = || StoreError::Malformed("source");
    let Some(json) = row::number::<Option<String>>(row, "source")? else { return Ok(None) };
    let Source::Git(git) = source::from_json(&json)? else { return Err(malformed()) };
    let file = row::maybe_parsed(row, "compose_file", RepoPath::parse)?;
    let variables = row::number::<Option<Vec<u8>>>(row, "variables")?.map(Sealed);
    Ok(Some(Followed { git, file, variables }))
}

#[cfg(test)]
mod tests {
    use super::super::super::testing::{Fixture, NOW, commit, slug};
    use super::*;
    use crate::domain::key::PrivateKey;
    use crate::domain::name::Slug;
    use crate::domain::person::TeamId;
    use crate::domain::service::RevisionState;
    use crate::domain::source::{Branch, GitAccess, GitSource, GitUrl, Reference};
    use crate::domain::webhook::Target;
    use crate::store::ReadRevision;

    fn followed(url: &str, access: GitAccess) -> Followed {
        let branch = Reference::Branch(Branch::parse("main").unwrap());
        let git = GitSource { access, ..GitSource::new(GitUrl::parse(url).unwrap(), branch) };
        let file = Some(RepoPath::parse("deploy/compose.yaml").unwrap());
        Followed { git, file, variables: Some(Sealed(vec![7])) }
    }

    #[tokio::test]
    async fn a_service_follows_a_repository_until_it_does_not() {
        let store = Fixture::new();
        let shop = store.service("shop").await;
        assert_eq!(shop.followed, None);
        let refused = store.writer.ask_revision(shop.id, true, NOW).await;
        assert!(matches!(refused, Err(ServiceError::NotFollowing(_))), "{refused:?}");

        let public = followed("https://git.example.org/shop.git", GitAccess::Public);
        store.writer.set_service_source(shop.id, Some(public.clone())).await.unwrap();
        let found = async || store.reader.service_by_id(shop.id).await.unwrap().unwrap().followed;
        assert_eq!(found().await, Some(public.clone()));

        let key: Slug = slug("deploy");
        let keyed = followed("ssh://git@git.example.org/shop.git", GitAccess::Key(key.clone()));
        let refused = store.writer.set_service_source(shop.id, Some(keyed.clone())).await;
        assert!(matches!(refused, Err(ServiceError::NoKey(_))), "{refused:?}");
        let public_half = PrivateKey::from_seed(&[7; 32]).unwrap().public;
        let made = crate::domain::key::Key {
            name: key.clone(),
            team: TeamId::FIRST,
            public: public_half,
            created: NOW,
        };
        store.writer.create_key(made, Sealed(vec![1])).await.unwrap();
        store.writer.set_service_source(shop.id, Some(keyed)).await.unwrap();
        let used = store.writer.delete_key(key.clone()).await.unwrap_err().to_string();
        assert!(used.contains("is used by shop"), "{used}");
        store.writer.set_service_source(shop.id, None).await.unwrap();
        assert_eq!(found().await, None);
        store.writer.delete_key(key).await.unwrap();
    }

    #[tokio::test]
    async fn a_revision_is_a_row_before_it_is_read() {
        let store = Fixture::new();
        let shop = store.service("shop").await;
        let public = followed("https://git.example.org/shop.git", GitAccess::Public);
        store.writer.set_service_source(shop.id, Some(public)).await.unwrap();
        let first = store.writer.ask_revision(shop.id, true, NOW).await.unwrap();
        assert_eq!((first.number, first.content.clone(), first.administrator), (1, None, true));
        let second = store.writer.ask_revision(shop.id, false, NOW).await.unwrap();
        let before = store.reader.revision(first.id).await.unwrap().unwrap();
        assert_eq!(before.state, RevisionState::Superseded, "it had not begun");

        assert!(!store.reader.knows_commit(Target::Service(shop.id), &commit()).await.unwrap());
        let read = ReadRevision {
            commit: commit(),
            parts: Vec::new(),
            warnings: vec!["compose.yaml:3: it is left out".to_owned()],
            content: Sealed(vec![9]),
        };
        store.writer.fill_revision(shop.id, second.id, read.clone()).await.unwrap();
        let filled = store.reader.revision(second.id).await.unwrap().unwrap();
        assert_eq!((filled.commit, filled.content), (Some(commit()), Some(Sealed(vec![9]))));
        assert_eq!(filled.warnings, read.warnings);
        let third = store.writer.ask_revision(shop.id, false, NOW).await.unwrap();
        let newest = store.reader.newest_revision(shop.id).await.unwrap();
        assert_eq!(newest.map(|one| one.id), Some(third.id));
        let newest = store.reader.newest_read_revision(shop.id).await.unwrap();
        assert_eq!(newest.map(|one| one.id), Some(second.id));
        let numbered = async |number| store.reader.revision_numbered(shop.id, number).await.unwrap();
        assert_eq!(numbered(2).await.map(|one| one.id), Some(second.id));
        assert_eq!(numbered(4).await, None);
        store.writer.supersede_revision(third.id, "a newer one".to_owned(), NOW).await.unwrap();
        let third = numbered(3).await.unwrap();
        assert_eq!((third.state, third.has_lived()), (RevisionState::Superseded, false));
        assert!(store.reader.knows_commit(Target::Service(shop.id), &commit()).await.unwrap());
    }
}
