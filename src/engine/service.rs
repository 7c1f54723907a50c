//! Services: what people ask for. Reading compose files is in `reading.rs`, bringing a revision up in `work.rs`, following a
//! repository in `follow.rs`.

mod build;
mod builds;
mod content;
mod follow;
mod gather;
mod operate;
mod pull;
mod reading;
mod status;
mod units;
mod work;

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use self::content::Content;
use self::reading::{Handed, Prepared};
use super::{Engine, EngineError};
use crate::domain::name::Slug;
use crate::domain::quota::OverQuota;
use crate::domain::secret::Secret;
use crate::domain::service::{
    BYTES_MAX, FILES_MAX, Files, Followed, Revision, RevisionId, Service, unit_prefix,
};
use crate::domain::source::GitToken;
use crate::domain::volume::VolumeOf;
use crate::plan;
use crate::store::{NewRevision, ServiceError};

pub use self::status::{PartStatus, ServiceStatus};

/// A service that is to be created.
#[derive(Debug, Clone)]
pub struct NewService {
    /// Its name.
    pub slug: Slug,
    /// Its project.
    pub project: Slug,
    /// Its files.
    pub files: Files,
    /// The repository that they come from, in place of those.
    pub repository: Option<NewRepository>,
}

/// A repository that a service is to follow, with what is not sealed yet.
#[derive(Debug, Clone)]
pub struct NewRepository {
    /// The repository.
    pub followed: Followed,
    /// The token that opens it.
    pub token: Option<GitToken>,
    /// The text of an `.env` besides the repository's own; none: as before, and empty: none of them.
    pub variables: Option<Secret>,
}

/// What an update would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePreview {
    /// The units as they would be, by the name of the file.
    pub units: BTreeMap<String, String>,
    /// What would be done, in order.
    pub steps: String,
    /// What is not quite as the files say.
    pub warnings: Vec<String>,
}

/// A revision that was asked for.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The service.
    pub service: Service,
    /// The revision.
    pub revision: Revision,
    /// What is not quite as the files say.
    pub warnings: Vec<String>,
}

impl Engine {
    /// Creates a service from its files, or from what its repository has, and brings it up.
    pub async fn create_service(
        &self,
        new: NewService,
        administrator: bool,
    ) -> Result<Submitted, EngineError> {
        let NewService { slug, project, files, repository } = new;
        check_size(&files)?;
        let _alone = self.0.changing.lock().await;
        let of = VolumeOf::Service(slug.clone());
        self.refuse_volumes_of_others(&of, &project, administrator).await?;
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let salt = hex(&salt);
        let service = self.0.writer.create_service(&slug, &project, salt, administrator, self.now()).await?;
        let begun = match repository {
            None => self.submit(&service, Handed::by_hand(files), None, administrator).await,
            Some(repository) => self.begin_following(&service, repository, administrator).await,
        };
        match begun {
            Ok(submitted) => Ok(submitted),
            Err(error) => {
                // Nothing of it has begun.
                self.0.writer.begin_service_deletion(service.id, false).await?;
                self.0.writer.finish_service_deletion(service.id).await?;
                Err(error)
            }
        }
    }

    async fn begin_following(
        &self,
        service: &Service,
        repository: NewRepository,
        administrator: bool,
    ) -> Result<Submitted, EngineError> {
        self.follow(service, Some(repository)).await?;
        let service = self.service(&service.slug).await?;
        let revision = self.ask_for_revision(&service, administrator).await?;
        Ok(Submitted { service, revision, warnings: Vec::new() })
    }

    /// Takes other files for a service, and brings up what they say.
    pub async fn update_service(
        &self,
        slug: &Slug,
        files: Files,
        administrator: bool,
    ) -> Result<Submitted, EngineError> {
        check_size(&files)?;
        let _alone = self.0.changing.lock().await;
        let service = self.service(slug).await?;
        if let Some(followed) = &service.followed {
            let message = format!(
                "the files of {slug} come from {}: change them there, or have them handed in from now on \
                 (rivetr services source {slug} --files)",
                followed.git.url
            );
            return Err(EngineError::Conflict { field: "files", message });
        }
        self.submit(&service, Handed::by_hand(files), None, administrator).await
    }

    /// Brings back the files of an earlier revision.
    pub async fn roll_service_back(
        &self,
        slug: &Slug,
        number: u32,
        administrator: bool,
    ) -> Result<Submitted, EngineError> {
        let _alone = self.0.changing.lock().await;
        let service = self.service(slug).await?;
        let revision = self.revision_numbered(&service, number).await?;
        let handed = self.open_revision(&revision)?.handed(&revision)?;
        self.submit(&service, handed, Some(number), administrator).await
    }

    /// What an update with these files would do; nothing is changed.
    pub async fn preview_service(
        &self,
        slug: &Slug,
        files: &Files,
        administrator: bool,
    ) -> Result<ServicePreview, EngineError> {
        check_size(files)?;
        let service = self.service(slug).await?;
        let number = self.reader().next_revision(service.id).await?;
        let handed = Handed::by_hand(files.clone());
        let prepared = self.prepare_service(&service, &handed, number, administrator, false).await?;
        let Prepared { rendered, warnings, .. } = prepared;
        let (wanted, observed, known) = self.service_plan(&service, &rendered.files, true).await?;
        let steps = plan::plan_over(&wanted, &observed, &known).to_string();
        let units = rendered.files.into_iter().map(|(path, text)| (path.file().to_owned(), text)).collect();
        Ok(ServicePreview { units, steps, warnings })
    }

    /// The files of a revision.
    pub async fn service_files(&self, slug: &Slug, number: Option<u32>) -> Result<Files, EngineError> {
        let service = self.service(slug).await?;
        let revision = match (number, service.live) {
            (Some(number), _) => self.revision_numbered(&service, number).await?,
            (None, Some(live)) => self.revision(live).await?,
            (None, None) => {
                let revisions = self.reader().revisions(service.id).await?;
                match revisions.into_iter().find(|one| one.content.is_some()) {
                    Some(newest) => newest,
                    None => return Ok(Files::new()),
                }
            }
        };
        Ok(self.open_revision(&revision)?.handed(&revision)?.files)
    }

    /// Where people find a service: one address for each domain at which it answers.
    #[must_use]
    pub fn service_urls(&self, service: &Service) -> Vec<String> {
        service.domains.iter().filter_map(|domain| self.url_of_site(&domain.site)).collect()
    }

    pub(super) async fn service(&self, slug: &Slug) -> Result<Service, EngineError> {
        let found = self.reader().service(slug).await?;
        found.ok_or_else(|| EngineError::NotFound { what: "service", name: slug.to_string() })
    }

    async fn revision(&self, id: RevisionId) -> Result<Revision, EngineError> {
        let found = self.reader().revision(id).await?;
        found.ok_or_else(|| EngineError::NotFound { what: "revision", name: id.0.to_string() })
    }

    async fn revision_numbered(&self, service: &Service, number: u32) -> Result<Revision, EngineError> {
        let found = self.reader().revisions(service.id).await?.into_iter().find(|one| one.number == number);
        found.ok_or_else(|| EngineError::NotFound { what: "revision", name: number.to_string() })
    }

    /// Checks files and stores them as a revision, which is then brought up.
    async fn submit(
        &self,
        service: &Service,
        handed: Handed,
        back_to: Option<u32>,
        administrator: bool,
    ) -> Result<Submitted, EngineError> {
        if service.deleting {
            let message = format!("the service {} is being deleted", service.slug);
            return Err(EngineError::Conflict { field: "service", message });
        }
        let number = self.reader().next_revision(service.id).await?;
        let prepared = self.prepare_service(service, &handed, number, administrator, true).await?;
        let (parts, warnings) = (prepared.rendered.parts.clone(), prepared.warnings.clone());
        let content = Content::new(&handed, prepared);
        let _sealing = self.0.sealing.read().await;
        let sealed = self.vault().seal(&place(service, number), &Secret::new(content.to_bytes()?));
        let content = sealed.map_err(|error| EngineError::Unavailable(error.to_string()))?;
        let (commit, told) = (handed.commit, warnings.clone());
        let new =
            NewRevision { service: service.id, number, back_to, parts, content, commit, warnings: told };
        let revision = self.0.writer.add_revision(new, self.now()).await?;
        self.stir();
        self.work_on(service.id);
        Ok(Submitted { service: service.clone(), revision, warnings })
    }

    /// The revision that is live, with the values of its secrets by the names that Podman has for them.
    pub(super) async fn live_secrets(
        &self,
        service: &Service,
    ) -> Result<Option<(Revision, BTreeMap<String, Secret>)>, EngineError> {
        let Some(live) = service.live else { return Ok(None) };
        let revision = self.revision(live).await?;
        let secrets = self.open_revision(&revision)?.secrets;
        let secrets = secrets.into_iter().map(|(name, value)| (name, Secret::from(value.as_str())));
        Ok(Some((revision, secrets.collect())))
    }

    fn open_revision(&self, revision: &Revision) -> Result<Content, EngineError> {
        let place = format!("revision/{}/{}", revision.service.0, revision.number);
        let Some(content) = &revision.content else {
            let message = format!("revision {} was never read, and has no files", revision.number);
            return Err(EngineError::Conflict { field: "revision", message });
        };
        let opened = self.vault().open(&place, content);
        let opened = opened.map_err(|error| EngineError::Invalid {
            field: "revision",
            message: format!("revision {} cannot be opened: {error}", revision.number),
        })?;
        Content::of_bytes(opened.reveal())
    }
}

/// What the content of a revision is sealed for.
fn place(service: &Service, number: u32) -> String {
    format!("revision/{}/{number}", service.id.0)
}

/// A name for a secret of a service: the same for the same, and it tells nothing.
fn secret_name(service: &Service, value: &str) -> String {
    let mut hash = Sha256::new();
    for part in [service.salt.as_bytes(), b"/", value.as_bytes()] {
        hash.update(part);
    }
    let sum = hash.finalize();
    format!("{}secret-{}", unit_prefix(&service.slug), hex(sum.get(..16).unwrap_or_default()))
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

fn check_size(files: &Files) -> Result<(), EngineError> {
    let refuse = |message: String| Err(EngineError::Invalid { field: "files", message });
    let bytes: usize = files.values().map(String::len).sum();
    if files.len() > FILES_MAX {
        return refuse(format!("these are {} files, and {FILES_MAX} is the limit", files.len()));
    }
    if bytes > BYTES_MAX {
        return refuse(format!(
            "the files have {bytes} bytes, and {BYTES_MAX} is the limit: put data into volumes"
        ));
    }
    Ok(())
}

impl From<ServiceError> for EngineError {
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        match error {
            ServiceError::SlugTaken(_) | ServiceError::OthersBefore(_) => {
                Self::Conflict { field: "name", message }
            }
            ServiceError::NoProject(_) => Self::Invalid { field: "project", message },
            ServiceError::NoKey(_) => Self::Invalid { field: "git_key", message },
            ServiceError::NoService => Self::NotFound { what: "service", name: String::new() },
            ServiceError::Deleting(_) | ServiceError::NotFollowing(_) => {
                Self::Conflict { field: "service", message }
            }
            ServiceError::UnitTaken { .. } => Self::Conflict { field: "files", message },
            ServiceError::OverQuota(OverQuota { field: "name", .. }) => {
                Self::Invalid { field: "name", message }
            }
            ServiceError::OverQuota(_) => Self::Invalid { field: "files", message },
            ServiceError::Allocate(_) => Self::Conflict { field: "project", message },
            ServiceError::Store(error) => error.into(),
        }
    }
}
