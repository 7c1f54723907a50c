//! Domains of apps and services come, change and go; the proxy knows it before whoever asked is answered.

use std::fmt;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::domain::{Behind, Contradiction, Domain, DomainId, Inlet, Pattern, Site};
use crate::domain::name::{HostName, Slug};
use crate::domain::project::Project;
use crate::domain::service::Service;
use crate::store::DomainError;

/// A domain that a service is to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewServiceDomain {
    /// Which requests it is about, and what happens to them.
    pub site: Site,
    /// The container that answers.
    pub inlet: Option<Inlet>,
}

/// The app or service that has a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainHolder {
    /// An app.
    App(Box<App>),
    /// A service.
    Service(Box<Service>),
}

impl DomainHolder {
    /// Its domains.
    #[must_use]
    pub fn domains(&self) -> &[Domain] {
        match self {
            Self::App(app) => &app.domains,
            Self::Service(service) => &service.domains,
        }
    }

    /// It, as what stands behind its domains.
    #[must_use]
    pub fn behind(&self) -> Behind {
        match self {
            Self::App(app) => Behind::App(app.id),
            Self::Service(service) => Behind::Service(service.id),
        }
    }

    /// The project that it is in.
    #[must_use]
    pub fn project(&self) -> &Project {
        match self {
            Self::App(app) => &app.project,
            Self::Service(service) => &service.project,
        }
    }
}

/// What it is, in the words of the audit: `app blog`.
impl fmt::Display for DomainHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::App(app) => write!(f, "app {}", app.slug),
            Self::Service(service) => write!(f, "service {}", service.slug),
        }
    }
}

impl Engine {
    /// Gives an app one more domain.
    pub async fn add_domain(&self, app: &Slug, site: Site) -> Result<Domain, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        self.check_site(&site)?;
        let domain = self.0.writer.add_domain(app.id, site).await?;
        self.publish_routes().await?;
        Ok(domain)
    }

    /// Gives a service one more domain, which leads to a container of it. One that redirects goes, where no container is
    /// named, with the domain that it redirects to.
    pub async fn add_service_domain(
        &self,
        slug: &Slug,
        NewServiceDomain { site, inlet }: NewServiceDomain,
    ) -> Result<Domain, EngineError> {
        let service = self.service(slug).await?;
        self.check_site(&site)?;
        let there =
            |to: &HostName| service.domains.iter().find(|domain| domain.site.whole_host() == Some(to));
        let there = site.redirect_to.as_ref().and_then(there).and_then(|domain| domain.inlet.clone());
        let Some(inlet) = inlet.or(there) else {
            let message = "say which container answers, and at which port".to_owned();
            return Err(EngineError::Invalid { field: "container", message });
        };
        self.check_inlet(&service, &inlet).await?;
        let domain = self.0.writer.add_service_domain(service.id, inlet, site).await?;
        self.publish_routes().await?;
        Ok(domain)
    }

    /// Whether requests can enter a service there.
    async fn check_inlet(&self, service: &Service, inlet: &Inlet) -> Result<(), EngineError> {
        let (slug, name) = (&service.slug, &inlet.container);
        let newest = self.reader().newest_read_revision(service.id).await?;
        let parts = newest.map(|newest| newest.parts).unwrap_or_default();
        let message = match parts.iter().find(|part| part.name == *name) {
            None => {
                let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
                format!("{slug} has no container {name}; it has {}", names.join(", "))
            }
            Some(part) if part.addresses.is_empty() => {
                format!("nothing leads to {name}: its own networks are internal")
            }
            Some(_) => return Ok(()),
        };
        Err(EngineError::Invalid { field: "container", message })
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

    /// Takes a domain from what has it.
    pub async fn remove_domain(&self, id: DomainId) -> Result<Domain, EngineError> {
        let domain = self.0.writer.remove_domain(id).await?;
        self.publish_routes().await?;
        Ok(domain)
    }

    /// A domain, and the app or service that has it.
    pub async fn domain_and_holder(&self, id: DomainId) -> Result<(Domain, DomainHolder), EngineError> {
        let domain = self.domain(id).await?;
        let reader = self.reader();
        let holder = match domain.behind {
            Behind::App(id) => reader.app_by_id(id).await?.map(Box::new).map(DomainHolder::App),
            Behind::Service(id) => reader.service_by_id(id).await?.map(Box::new).map(DomainHolder::Service),
        };
        Ok((domain, holder.ok_or(DomainError::NoDomain)?))
    }

    async fn domain(&self, id: DomainId) -> Result<Domain, EngineError> {
        let missing = || EngineError::NotFound { what: "domain", name: id.0.to_string() };
        self.reader().domain(id).await?.ok_or_else(missing)
    }

    /// Whether somebody may have this, whatever others have.
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
            DomainError::NoHolder(what) => Self::NotFound { what, name: String::new() },
            DomainError::NoDomain => Self::NotFound { what: "domain", name: String::new() },
            DomainError::Deleting(what, _) => Self::Conflict { field: what, message },
            DomainError::Taken { .. } | DomainError::Overlaps { .. } | DomainError::TooMany => {
                Self::Conflict { field: "host", message }
            }
            DomainError::Automatic(_) | DomainError::RedirectedTo { .. } => {
                Self::Conflict { field: "domain", message }
            }
            DomainError::NoTarget(..) => Self::Invalid { field: "redirect_to", message },
            DomainError::Store(error) => error.into(),
        }
    }
}
