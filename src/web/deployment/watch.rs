//! A deployment as it goes on: its steps and state, and the lines of its log, in one stream.

use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::response::sse::Event;
use http::HeaderMap;

use super::{Shown, ShownState, find};
use crate::auth::gate::Read;
use crate::engine::LogOf;
use crate::web::app::{self, ShownHead};
use crate::web::error::PageError;
use crate::web::live::{Live, Look, Sent, Viewer};
use crate::web::logs::made::{self, After};
use crate::web::shell::{Shell, Visit};

pub(super) async fn watch(
    visit: Visit<Read>,
    shell: Shell,
    State(live): State<Live>,
    Path(id): Path<String>,
    Query(after): Query<After>,
    headers: HeaderMap,
) -> Result<Response, PageError> {
    let (deployment, _) = find(&live.reader, &visit.person, &id).await?;
    let of = Viewer { live: live.clone(), shell, person: visit.person.clone(), id };
    let states = live.follow(Watching { of, is_over: false });
    let log = LogOf::Deployment(&deployment);
    let events = made::beside(&live.engine, log, after.place(&headers), states);
    Ok(live.answer(visit.person, events))
}

/// Steps and state as they change; it is over with the deployment.
struct Watching {
    of: Viewer,
    is_over: bool,
}

impl Look for Watching {
    async fn look(&mut self, sent: &mut Sent) -> Result<Vec<Event>, PageError> {
        let Viewer { live: Live { engine, reader, .. }, shell, person, id } = &self.of;
        let (deployment, app) = find(reader, person, id).await?;
        let events = reader.events(deployment.id).await?;
        let head = app::head(engine, &app, "deployments").await?;
        let shown = Shown::of(&deployment, &app, &events, head.may_deploy(shell), engine.now());
        self.is_over = shown.is_over;
        let mut found = Vec::new();
        found.extend(sent.event("head", &ShownHead { shell, head: &head })?);
        found.extend(sent.event("state", &ShownState { shell, head: &head, shown: &shown })?);
        Ok(found)
    }

    fn is_over(&self) -> bool {
        self.is_over
    }
}
