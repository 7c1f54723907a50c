//! What was fetched and built for a revision of a service, as it comes.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::Event;
use http::HeaderMap;

use super::super::error::PageError;
use super::super::live::{Live, Look, Sent, Viewer};
use super::super::logs::made::{self, After, MadeLog};
use super::super::shell::{Shell, Visit};
use super::super::{Route, Web};
use super::{Head, ShownHead, find};
use crate::auth::gate::Read;
use crate::domain::service::{Revision, Service};
use crate::engine::{Engine, LogOf, ServiceStatus};

/// The routes of this part.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/services/{id}/revisions/{number}/log", download),
        Route::get("/live/services/{id}/revisions/{number}", watch),
    ]
}

/// The log of the newest revision of a service that follows a repository.
pub(super) async fn newest(engine: &Engine, status: &ServiceStatus) -> Result<Option<MadeLog>, PageError> {
    let slug = &status.service.slug;
    let Some(newest) = status.latest().filter(|_| status.service.followed.is_some()) else { return Ok(None) };
    let number = newest.number;
    let said = [
        format!("Log of revision {number}"),
        format!("revision {number} of {slug}"),
        format!("/services/{slug}/revisions/{number}/log"),
    ];
    MadeLog::read(engine, LogOf::Revision(slug, newest), said).await.map(Some)
}

async fn download(
    visit: Visit<Read>,
    State(engine): State<Engine>,
    Path((id, number)): Path<(String, u32)>,
) -> Result<Response, PageError> {
    let service = find(&engine, &visit.person, &id).await?;
    let revision = numbered(&engine, &service, number).await?;
    let log = LogOf::Revision(&service.slug, &revision);
    made::as_file(&engine, log, &format!("{}-{number}", service.slug)).await
}

async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path((id, number)): Path<(String, u32)>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let service = find(&live.engine, &visit.person, &id).await?;
    let revision = numbered(&live.engine, &service, number).await?;
    let of = Viewer { live: live.clone(), shell, person: visit.person.clone(), id };
    let states = live.follow(Watching { of, number, is_over: false });
    let log = LogOf::Revision(&service.slug, &revision);
    let events = made::beside(&live.engine, log, after.place(&headers), states);
    Ok(live.answer(visit.person, events))
}

async fn numbered(engine: &Engine, service: &Service, number: u32) -> Result<Revision, PageError> {
    engine.reader().revision_numbered(service.id, number).await?.ok_or(PageError::NotFound)
}

/// What stands above the tabs as it changes; it is over with the revision.
struct Watching {
    of: Viewer,
    number: u32,
    is_over: bool,
}

impl Look for Watching {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, .. }, shell, person, id } = &self.of;
        let service = find(engine, person, id).await?;
        let status = engine.service_status(&service.slug).await?;
        let own = status.revisions.iter().find(|one| one.number == self.number);
        self.is_over = own.is_none_or(|own| own.state.is_end());
        let head = &Head::of(&status, "source");
        Ok(sent.event("head", &ShownHead { shell, head })?.into_iter().collect())
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}
