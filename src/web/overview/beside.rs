//! What runs beside the apps of a project: its databases and services.

use super::super::error::PageError;
use super::super::view::Mark;
use super::super::{database, services};
use crate::domain::name::Slug;
use crate::domain::project::Project;
use crate::engine::Engine;

/// A database or a service at a glance.
#[derive(Hash)]
pub(in super::super) struct Beside {
    /// `databases` or `services`: what its page lies below.
    pub noun: &'static str,
    pub slug: Slug,
    pub project: Slug,
    pub mark: Mark,
    pub url: Option<String>,
    /// What it runs.
    pub about: String,
}

impl Beside {
    /// The name of the event that shows it anew.
    pub fn event(&self) -> String {
        format!("{}-{}", self.noun, self.slug)
    }
}

/// Those of the projects that count: services, then databases.
pub(in super::super) async fn read(
    engine: &Engine,
    counts: impl Fn(&Project) -> bool,
) -> Result<Vec<Beside>, PageError> {
    let reader = engine.reader();
    let (mut databases, mut services, newest) =
        tokio::try_join!(reader.databases(), reader.services(), reader.newest_revisions())?;
    databases.retain(|database| counts(&database.project));
    services.retain(|service| counts(&service.project));
    let standings = engine.database_standings(&databases).await?;
    let services = services.into_iter().map(|service| {
        let latest = newest.get(&service.id);
        Beside {
            noun: "services",
            mark: services::mark(&service, latest),
            url: engine.service_urls(&service).into_iter().next(),
            about: match latest.map_or(0, |latest| latest.parts.len()) {
                1 => "Service of one container".to_owned(),
                many => format!("Service of {many} containers"),
            },
            project: service.project.slug,
            slug: service.slug,
        }
    });
    let databases = databases.into_iter().zip(standings).map(|(database, standing)| Beside {
        noun: "databases",
        mark: database::mark(standing),
        url: None,
        about: database::runs(&database),
        project: database.project.slug,
        slug: database.slug,
    });
    Ok(services.chain(databases).collect())
}
