//! How a service stands, and what its containers write.

use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;

use super::super::{Engine, EngineError, RuntimeLine, UnitSummary};
use crate::domain::name::Slug;
use crate::domain::service::{Part, Revision, RevisionId, Service, ServiceId};
use crate::host::journal::Query;
use crate::store::Reader;

/// A service as it stands.
#[derive(Debug, Clone)]
pub struct ServiceStatus {
    /// The service.
    pub service: Service,
    /// The revision that runs.
    pub live: Option<Revision>,
    /// All that are remembered, however they went, the newest first.
    pub revisions: Vec<Revision>,
    /// The containers of the live revision, or of the newest where none is live.
    pub parts: Vec<PartStatus>,
}

/// A container as it stands.
#[derive(Debug, Clone)]
pub struct PartStatus {
    /// The container.
    pub part: Part,
    /// What systemd shows of its replicas.
    pub units: Vec<UnitSummary>,
}

impl ServiceStatus {
    /// Its newest revision, however it went.
    #[must_use]
    pub fn latest(&self) -> Option<&Revision> {
        self.revisions.first()
    }
}

impl Engine {
    /// A service, its revisions and its containers.
    pub async fn service_status(&self, slug: &Slug) -> Result<ServiceStatus, EngineError> {
        let service = self.service(slug).await?;
        let revisions = self.reader().revisions(service.id).await?;
        let live = revisions.iter().find(|one| service.live == Some(one.id)).cloned();
        let shown = live.as_ref().or(revisions.first()).map(|one| one.parts.clone()).unwrap_or_default();
        let mut parts = Vec::new();
        for part in shown {
            let mut units = Vec::new();
            for unit in &part.units {
                let name = format!("{unit}.service");
                let found = self.machine().systemd.unit(&name).await.map_err(EngineError::internal)?;
                units.extend(found.map(|found| self.summary(found)));
            }
            parts.push(PartStatus { part, units });
        }
        Ok(ServiceStatus { service, live, revisions, parts })
    }

    /// What the containers of a service wrote, or those of one name, oldest line first: the last `lines`, or all that come
    /// after the line at the cursor `after`. Following ends when another revision is asked for, whose containers may be
    /// others.
    pub async fn service_log(
        &self,
        slug: &Slug,
        container: Option<&str>,
        lines: Option<usize>,
        follow: bool,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<RuntimeLine, EngineError>> + Send + 'static + use<>, EngineError>
    {
        let service = self.service(slug).await?;
        let stirs = self.0.stirred.subscribe();
        let revisions = self.reader().revisions(service.id).await?;
        let newest = revisions.first().map(|one| one.id);
        let parts = revisions.into_iter().flat_map(|one| one.parts);
        let parts = parts.filter(|part| container.is_none_or(|name| part.name == name));
        let mut containers: Vec<String> = parts.flat_map(|part| part.units).collect();
        containers.sort();
        containers.dedup();
        if containers.is_empty() {
            let name = format!("{slug}/{}", container.unwrap_or_default());
            return Err(EngineError::NotFound { what: "container", name });
        }
        let lines = lines.filter(|_| after.is_none());
        let query = Query { containers, lines, follow, after_cursor: after };
        // A service that was deleted may have had containers of these names.
        let written = self.written_since(&query, service.created)?;
        let shutdown = self.0.shutdown.clone();
        let reader = self.reader().clone();
        let ending = async move {
            tokio::select! {
                () = shutdown.cancelled_owned() => (),
                () = newcomer(stirs, reader, service.id, newest), if follow => (),
            }
        };
        Ok(written.take_until(Box::pin(ending)))
    }
}

/// Returns when another revision of the service is asked for, or may have been.
async fn newcomer(
    mut stirs: watch::Receiver<()>,
    reader: Reader,
    service: ServiceId,
    newest: Option<RevisionId>,
) {
    while stirs.changed().await.is_ok() {
        match reader.newest_revision(service).await {
            Ok(found) if found.as_ref().map(|one| one.id) == newest => {}
            Ok(_) | Err(_) => return,
        }
    }
}
