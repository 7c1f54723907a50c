//! A repository that the files of a service come from.

use super::super::build::RepoPath;
use super::super::secret::Sealed;
use super::super::source::{GitSource, Source};
use super::ServiceId;

/// The names of a compose file that Docker Compose looks for, in order.
pub const COMPOSE_NAMES: [&str; 4] =
    ["compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml"];

/// A repository that the files of a service come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Followed {
    /// The repository, and what of it counts.
    pub git: GitSource,
    /// Where the compose file lies in it; none: the first of [`COMPOSE_NAMES`] at its root.
    pub file: Option<RepoPath>,
    /// The text of an `.env` whose variables are added to those of the repository's own; sealed.
    pub variables: Option<Sealed>,
}

impl Followed {
    /// What variables of a service are sealed for.
    #[must_use]
    pub fn place(service: ServiceId) -> String {
        format!("service-variables/{}", service.0)
    }

    /// The same as the source of an app would be.
    #[must_use]
    pub fn source(&self) -> Source {
        Source::Git(self.git.clone())
    }
}
