//! Services as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Domain, FieldErrors, GitOptions, Hidden, Unit, time};
use crate::domain::build::RepoPath;
use crate::domain::name::Slug;
use crate::domain::secret::Secret;
use crate::domain::service as domain;
use crate::domain::service::{FileName, Files, Followed};
use crate::domain::source::GitAccess;
use crate::engine::{NewRepository, NewService};

/// A service to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateService {
    /// Its name: lower-case letters, digits and dashes.
    pub name: String,
    /// Its project; `default` if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project: Option<String>,
    /// Its files by name, relative to the folder of the compose file: `compose.yaml`, `.env` and others that it names. None of
    /// them with a template.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// The repository that its files come from, in place of files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<ServiceRepository>,
    /// The template that it is made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// What is said about the template's variables.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: BTreeMap<String, String>,
}

/// A repository that the files of a service come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceRepository {
    /// Its address.
    pub url: String,
    /// What of it is followed, and how it is opened.
    #[serde(flatten)]
    pub options: GitOptions,
    /// Where the compose file lies in it; the first of `compose.yaml`, `compose.yml`, `docker-compose.yaml` and
    /// `docker-compose.yml` at its root if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The text of an `.env` whose variables are added to those of the repository's own, and win; as before if not said,
    /// none if it is empty. Kept sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub variables: Option<Hidden>,
}

/// Where the files of a service come from, said whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetServiceSource {
    /// The repository; without it, files are handed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<ServiceRepository>,
}

/// What a service follows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FollowedRepository {
    /// The address of the repository.
    pub url: String,
    /// What of it: `branch main`, `tag v1`, `commit` and its name.
    pub reference: String,
    /// Where the compose file lies in it; null: one of the usual names at its root.
    pub file: Option<String>,
    /// How rivetr is let in: `public`, `token` or `key`.
    pub access: String,
    /// The name of the key, if it is one.
    pub git_key: Option<String>,
    /// Whether submodules are fetched too.
    pub submodules: bool,
    /// Whether large files are fetched too (Git LFS).
    pub lfs: bool,
    /// Whether there are variables besides those of the repository.
    pub has_variables: bool,
}

/// What was fetched and built for a revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RevisionLog {
    /// What it said, line by line; empty: nothing was fetched, or it is forgotten.
    pub text: String,
}

/// The files of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceFiles {
    /// By name, relative to the folder of the compose file.
    pub files: BTreeMap<String, String>,
}

/// A service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Its project.
    pub project: String,
    /// Somebody stopped it.
    pub stopped: bool,
    /// It is on its way out.
    pub deleting: bool,
    /// The number of the revision that runs.
    pub revision: Option<u32>,
    /// Its newest revision, however it went.
    pub latest: Option<Revision>,
    /// The repository that its files come from; null: they are handed in.
    pub repository: Option<FollowedRepository>,
    /// Where people find it.
    pub urls: Vec<String>,
    /// When it was created (RFC 3339).
    pub created: String,
}

/// A revision of a service: its files as somebody handed them in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Revision {
    /// Its number in the service.
    pub number: u32,
    /// `queued`, `fetching`, `pulling`, `building`, `starting`, `live`, `failed` or `superseded`.
    pub state: String,
    /// The revision whose files it brings back.
    pub back_to: Option<u32>,
    /// The commit of the repository that it is; null: its files were handed in, or nothing is fetched yet.
    pub commit: Option<String>,
    /// What is not quite as its files say, with file and line.
    pub warnings: Vec<String>,
    /// Why it failed, or was never live.
    pub failure: Option<String>,
    /// Its containers.
    pub containers: Vec<String>,
    /// When it was asked for (RFC 3339).
    pub created: String,
    /// When it was live or had failed (RFC 3339).
    pub ended: Option<String>,
}

/// A service and its containers as they stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceStatus {
    /// The service.
    pub service: Service,
    /// Its containers.
    pub containers: Vec<ServiceContainer>,
    /// Its domains.
    pub domains: Vec<Domain>,
}

/// A container of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceContainer {
    /// Its name in the compose file.
    pub name: String,
    /// Its image.
    pub image: String,
    /// The units of its replicas, which are the names of their containers too.
    pub unit_names: Vec<String>,
    /// What systemd shows of them.
    pub units: Vec<Unit>,
    /// Ports that it is known to listen on.
    pub ports: Vec<u16>,
    /// The ports of the host that lead to it.
    pub published: Vec<String>,
    /// Whether its health is checked.
    pub checked: bool,
}

/// Files that were taken, and the revision that they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SubmittedRevision {
    /// The service.
    pub service: String,
    /// The revision.
    pub revision: Revision,
    /// What is not quite as the files say, with file and line.
    pub warnings: Vec<String>,
}

/// What is to be looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewService {
    /// Files by name, relative to the folder of the compose file; without them, what the repository that the service follows
    /// has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<BTreeMap<String, String>>,
}

/// What an update or a deployment would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServicePreview {
    /// The commit whose files these are; null: they were handed in.
    pub commit: Option<String>,
    /// The units as they would be, by the name of the file.
    pub units: BTreeMap<String, String>,
    /// What would be done, in order, one step a line.
    pub steps: String,
    /// What is not quite as the files say, with file and line.
    pub warnings: Vec<String>,
}

impl CreateService {
    /// The service that is asked for, or what is wrong with each field. The files of one that is made of a template are for
    /// the caller to add.
    pub fn parse(self) -> Result<NewService, FieldErrors> {
        let Self { name, project, files, repository, template, variables } = self;
        let mut errors = FieldErrors::default();
        if template.is_some() && !files.is_empty() {
            errors.put("files", "a service is made either of files or of a template");
        }
        if repository.is_some() && (template.is_some() || !files.is_empty()) {
            errors.put("repository", "a service is made of one of files, a template and a repository");
        }
        if template.is_none() && !variables.is_empty() {
            errors.put("variables", "only a template has variables: write those of a compose file into .env");
        }
        let slug = errors.take("name", Slug::parse(&name));
        let project =
            errors.take("project", Slug::parse(project.as_deref().unwrap_or(super::DEFAULT_PROJECT)));
        let files = parse_files(files, &mut errors);
        let repository = repository.and_then(|repository| repository.parse_into(&mut errors));
        match (slug, project) {
            (Some(slug), Some(project)) if errors.0.is_empty() => {
                Ok(NewService { slug, project, files, repository })
            }
            _ => Err(errors),
        }
    }
}

impl ServiceRepository {
    /// The repository with what goes with it, with the errors added to those of other fields.
    fn parse_into(self, errors: &mut FieldErrors) -> Option<NewRepository> {
        let Self { url, options, file, variables } = self;
        let file = file.filter(|file| !file.is_empty()).map(|file| RepoPath::parse(&file)).transpose();
        let file = errors.take("file", file);
        let (git, token) = options.parse_into(&url, errors)?;
        let variables = variables.map(|text| Secret::from(text.0.as_str()));
        Some(NewRepository { followed: Followed { git, file: file?, variables: None }, token, variables })
    }
}

impl SetServiceSource {
    /// What is to be followed, or what is wrong with each field.
    pub fn parse(self) -> Result<Option<NewRepository>, FieldErrors> {
        let mut errors = FieldErrors::default();
        let parsed = self.repository.map(|repository| repository.parse_into(&mut errors));
        match parsed {
            None => Ok(None),
            Some(Some(followed)) if errors.0.is_empty() => Ok(Some(followed)),
            Some(_) => Err(errors),
        }
    }
}

impl From<&Followed> for FollowedRepository {
    fn from(Followed { git, file, variables }: &Followed) -> Self {
        let (access, git_key) = match &git.access {
            GitAccess::Public => ("public", None),
            GitAccess::Token { .. } => ("token", None),
            GitAccess::Key(name) => ("key", Some(name.to_string())),
        };
        Self {
            url: git.url.to_string(),
            reference: git.reference.to_string(),
            file: file.as_ref().map(ToString::to_string),
            access: access.to_owned(),
            git_key,
            submodules: git.submodules,
            lfs: git.lfs,
            has_variables: variables.is_some(),
        }
    }
}

impl PreviewService {
    /// The files that are there, or what is wrong with each.
    pub fn parse(self) -> Result<Option<Files>, FieldErrors> {
        self.files.map(|files| ServiceFiles { files }.parse()).transpose()
    }
}

impl ServiceFiles {
    /// The files, or what is wrong with each.
    pub fn parse(self) -> Result<Files, FieldErrors> {
        let mut errors = FieldErrors::default();
        let files = parse_files(self.files, &mut errors);
        if errors.0.is_empty() { Ok(files) } else { Err(errors) }
    }

    /// The files as they are shown.
    #[must_use]
    pub fn of(files: &Files) -> Self {
        Self { files: files.iter().map(|(name, text)| (name.to_string(), text.clone())).collect() }
    }
}

impl From<&domain::Revision> for Revision {
    fn from(revision: &domain::Revision) -> Self {
        Self {
            number: revision.number,
            state: revision.state.as_str().to_owned(),
            back_to: revision.back_to,
            commit: revision.commit.as_ref().map(ToString::to_string),
            warnings: revision.warnings.clone(),
            failure: revision.failure.clone(),
            containers: revision.parts.iter().map(|part| part.name.clone()).collect(),
            created: time(revision.created),
            ended: revision.ended.map(time),
        }
    }
}

fn parse_files(files: BTreeMap<String, String>, errors: &mut FieldErrors) -> Files {
    let parsed = files.into_iter().filter_map(|(name, text)| {
        let parsed = errors.take(&format!("files.{name}"), FileName::parse(&name))?;
        Some((parsed, text))
    });
    parsed.collect()
}
