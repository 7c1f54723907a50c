//! Projects come and go, each with a network of its own; and the environments in them.

use super::{Engine, EngineError, StartError};
use crate::domain::name::Slug;
use crate::domain::person::TeamId;
use crate::domain::project::Project;
use crate::quadlet::path::Owner;
use crate::quadlet::project::network_name;

/// The project that is there from the beginning.
const FIRST: &str = "default";
/// The environment that a project has unless it is made with others.
const FIRST_ENVIRONMENT: &str = "production";

impl Engine {
    /// Creates a project with these environments; with `production`, if none is named.
    pub async fn create_project(
        &self,
        team: TeamId,
        slug: Slug,
        mut environments: Vec<Slug>,
    ) -> Result<Project, EngineError> {
        if environments.is_empty() {
            environments.extend(Slug::parse(FIRST_ENVIRONMENT));
        }
        Ok(self.0.writer.create_project(team, slug, environments, self.0.settings.pool).await?)
    }

    /// Deletes a project that has no app, with its network.
    pub async fn delete_project(&self, slug: &Slug) -> Result<(), EngineError> {
        let project = self.0.writer.begin_project_deletion(slug.clone()).await?;
        let engine = self.clone();
        self.through(async move { engine.finish_project_deletion(&project).await }).await
    }

    /// Adds an environment to a project.
    pub async fn create_environment(&self, project: &Slug, environment: Slug) -> Result<(), EngineError> {
        Ok(self.0.writer.create_environment(project.clone(), environment).await?)
    }

    /// Removes an environment that has no app.
    pub async fn delete_environment(&self, project: &Slug, environment: &Slug) -> Result<(), EngineError> {
        Ok(self.0.writer.delete_environment(project.clone(), environment.clone()).await?)
    }

    /// There is a project from the beginning.
    pub(super) async fn make_first_project(&self) -> Result<(), StartError> {
        if let (true, Ok(first), Ok(environment)) =
            (self.reader().projects().await?.is_empty(), Slug::parse(FIRST), Slug::parse(FIRST_ENVIRONMENT))
        {
            self.0
                .writer
                .create_project(TeamId::FIRST, first, vec![environment], self.0.settings.pool)
                .await?;
        }
        Ok(())
    }

    /// Deletions that were broken off are gone through with.
    pub(super) async fn delete_projects_again(&self) -> Result<(), EngineError> {
        for project in self.reader().deleted_projects().await? {
            if let Err(error) = self.finish_project_deletion(&project).await {
                tracing::warn!(project = %project.slug, %error, "project not deleted yet");
            }
        }
        Ok(())
    }

    /// Goes through with a deletion that has begun. Each part can be done twice.
    async fn finish_project_deletion(&self, project: &Project) -> Result<(), EngineError> {
        let owner = Owner::Project(project.slug.clone());
        self.remove_units(&owner).await?;
        self.machine().units.remove_owner(&owner).map_err(EngineError::internal)?;
        let network = network_name(&project.slug);
        self.machine().podman.remove_network(&network).await.map_err(EngineError::internal)?;
        self.0.writer.finish_project_deletion(project.id).await?;
        tracing::info!(project = %project.slug, "project deleted");
        Ok(())
    }
}
