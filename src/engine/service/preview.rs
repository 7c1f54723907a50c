//! What a revision would do before there is one: of files that are handed in, or of what the repository has now.

use super::super::{Engine, EngineError};
use super::follow::Unread;
use super::reading::{Handed, Prepared};
use super::{ServicePreview, check_size};
use crate::domain::name::Slug;
use crate::domain::service::{Files, Service};
use crate::domain::webhook::Target;
use crate::plan;
use crate::store::ServiceError;

impl Engine {
    /// What an update with these files would do; without files, what a deployment of the newest commit of the repository
    /// that is followed would. Nothing is changed.
    pub async fn preview_service(
        &self,
        slug: &Slug,
        files: Option<&Files>,
        administrator: bool,
    ) -> Result<ServicePreview, EngineError> {
        let service = self.service(slug).await?;
        let handed = match files {
            Some(files) => Handed::by_hand(files.clone()),
            None => self.look_at_newest(&service).await?,
        };
        check_size(&handed.files)?;
        let number = self.reader().next_revision(service.id).await?;
        let prepared = self.prepare_service(&service, &handed, number, administrator, false).await?;
        let Prepared { rendered, warnings, .. } = prepared;
        let (wanted, observed, known) = self.service_plan(&service, &rendered.files, true).await?;
        let steps = plan::plan_over(&wanted, &observed, &known).to_string();
        let units = rendered.files.into_iter().map(|(path, text)| (path.file().to_owned(), text)).collect();
        Ok(ServicePreview { commit: handed.commit, units, steps, warnings })
    }

    /// The files of what the repository has now, which is fetched beside what revisions are made of.
    async fn look_at_newest(&self, service: &Service) -> Result<Handed, EngineError> {
        let _alone = self.0.repositories.take(Target::Service(service.id)).await;
        // It may be other than before, or on its way out.
        let service = self.there(&service.slug).await?;
        let slug = &service.slug;
        let Some(followed) = &service.followed else {
            return Err(ServiceError::NotFollowing(slug.clone()).into());
        };
        let workspace = &self.machine().workspace;
        let source = workspace.preview_source(slug);
        let looked = async {
            let say = |line: String| tracing::debug!(service = %slug, "{}", line.trim());
            let commit = self.check_out_newest(&service, followed, &source, say).await?;
            self.read_checkout(&service, followed, &source, commit).await
        };
        let looked = looked.await;
        if let Err(error) = workspace.remove_preview(slug) {
            tracing::warn!(service = %slug, %error, "a checkout to look at is not removed");
        }
        looked.map_err(|unread| match unread {
            Unread::Because(message) => EngineError::Invalid { field: "files", message },
            Unread::Lost(error) => error,
        })
    }
}
