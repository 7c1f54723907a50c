//! Domains of apps come, change and go; the proxy knows it before whoever asked is answered.

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::domain::{Contradiction, Domain, DomainId, Pattern, Site};
use crate::domain::name::Slug;
use crate::store::DomainError;

impl Engine {
    /// Gives an app one more domain.
    pub async fn add_domain(&self, app: &Slug, site: Site) -> Result<Domain, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        self.check_site(&site)?;
        let domain = self.0.writer.add_domain(app.id, site).await?;
        self.publish_routes().await?;
        Ok(domain)
    }

    /// Changes what happens at a domain, by what `change` makes of it. Host and path stay.
    pub async fn change_domain<E: From<EngineError>>(
        &self,
        id: DomainId,
        change: impl FnOnce(&Site) -> Result<Site, E>,
    ) -> Result<Domain, E> {
        // Nobody else changes it between the look and the leap.
        let _alone = self.0.changing.lock().await;
        let before = self.domain(id).await?;
        let site = change(&before.site)?;
        Ok(self.store_site(id, site).await?)
    }

    async fn store_site(&self, id: DomainId, site: Site) -> Result<Domain, EngineError> {
        self.check_site(&site)?;
        let domain = self.0.writer.change_domain(id, site).await?;
        self.publish_routes().await?;
        Ok(domain)
    }

    /// Takes a domain from its app.
    pub async fn remove_domain(&self, id: DomainId) -> Result<Domain, EngineError> {
        let domain = self.0.writer.remove_domain(id).await?;
        self.publish_routes().await?;
        Ok(domain)
    }

    /// A domain, and the app that has it.
    pub async fn domain_and_app(&self, id: DomainId) -> Result<(Domain, App), EngineError> {
        let domain = self.domain(id).await?;
        let app = self.reader().app_by_id(domain.app).await?;
        Ok((domain, app.ok_or(DomainError::NoDomain)?))
    }

    async fn domain(&self, id: DomainId) -> Result<Domain, EngineError> {
        let missing = || EngineError::NotFound { what: "domain", name: id.0.to_string() };
        self.reader().domain(id).await?.ok_or_else(missing)
    }

    /// Whether an app may have this, whatever others have.
    fn check_site(&self, site: &Site) -> Result<(), EngineError> {
        site.check()?;
        let taken = match &site.host {
            Pattern::Exact(host) if self.0.settings.own_host.as_ref() == Some(host) => {
                format!("rivetr itself answers at {host}; choose another host")
            }
            Pattern::Below(base) if self.0.settings.base_domain.as_ref() == Some(base) => {
                format!("rivetr gives every app a name of its own below {base}; choose another host")
            }
            Pattern::Exact(_) | Pattern::Below(_) => return Ok(()),
        };
        Err(EngineError::Conflict { field: "host", message: taken })
    }
}

impl From<Contradiction> for EngineError {
    fn from(Contradiction { field, why }: Contradiction) -> Self {
        Self::Invalid { field, message: why.to_owned() }
    }
}

impl From<DomainError> for EngineError {
    fn from(error: DomainError) -> Self {
        let message = error.to_string();
        match error {
            DomainError::NoApp => Self::NotFound { what: "app", name: String::new() },
            DomainError::NoDomain => Self::NotFound { what: "domain", name: String::new() },
            DomainError::Deleting(_) => Self::Conflict { field: "app", message },
            DomainError::Taken { .. } | DomainError::Overlaps { .. } | DomainError::TooMany => {
                Self::Conflict { field: "host", message }
            }
            DomainError::Automatic(_) | DomainError::RedirectedTo { .. } => {
                Self::Conflict { field: "domain", message }
            }
            DomainError::NoTarget(_) => Self::Invalid { field: "redirect_to", message },
            DomainError::Store(error) => error.into(),
        }
    }
}
