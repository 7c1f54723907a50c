//! How things stand: what the store wants and what systemd shows, side by side.

use futures_util::{Stream, StreamExt as _, stream};
use tokio::sync::broadcast;

use super::usage::MEASURED;
use super::{Engine, EngineError, Usage};
use crate::domain::app::{App, AppId, Replicas};
use crate::domain::deployment::{Deployment, DeploymentId, State};
use crate::domain::name::Slug;
use crate::domain::time::Timestamp;
use crate::host::journal::{OutputStream, Query};
use crate::host::systemd::UnitStatus;
use crate::store::Reader;

/// An app as it stands.
#[derive(Debug, Clone)]
pub struct AppStatus {
    /// The app.
    pub app: App,
    /// The deployment that serves.
    pub live: Option<Deployment>,
    /// Its newest deployment, however it went.
    pub latest: Option<Deployment>,
    /// What systemd shows of its containers; those whose units it does not know are not here.
    pub units: Vec<UnitSummary>,
}

/// What systemd shows of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitSummary {
    /// Its name.
    pub name: String,
    /// `active`, `activating`, `failed` …
    pub active_state: &'static str,
    /// `running`, `auto-restart` …
    pub sub_state: String,
    /// How often systemd has restarted it.
    pub restarts: u32,
    /// Since when it has been up, or down.
    pub since: Option<Timestamp>,
    /// When the kernel last killed something in it for want of memory.
    pub out_of_memory: Option<Timestamp>,
    /// What it uses, and may use.
    pub usage: Usage,
}

/// One line that an app wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeLine {
    /// Its place in the journal, for those who want to go on after it.
    pub cursor: String,
    /// When.
    pub at: Timestamp,
    /// The container that wrote it.
    pub unit: String,
    /// Whether it came from its standard error.
    pub stderr: bool,
    /// The line, without its end.
    pub text: String,
}

impl Engine {
    /// An app, its live and its newest deployment, and its unit.
    pub async fn app_status(&self, app: &Slug) -> Result<AppStatus, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let latest = self.reader().deployments(Some(app.id), None, 1).await?.pop();
        let Some(id) = app.live else { return Ok(AppStatus { app, live: None, latest, units: Vec::new() }) };
        let live = self.deployment(id).await?;
        let found = self.units_of(&live).await?;
        let units = stream::iter(found).map(async |unit| {
            let out_of_memory = self.ran_out_of_memory(&live, &unit).await;
            UnitSummary { out_of_memory, ..self.summary(unit) }
        });
        let units = units.buffered(AT_ONCE).collect().await;
        Ok(AppStatus { app, units, live: Some(live), latest })
    }

    /// The same, with what is used of the processors: where nobody looked before, that takes a moment.
    pub async fn measured_status(&self, app: &Slug) -> Result<AppStatus, EngineError> {
        let status = self.app_status(app).await?;
        let known = |unit: &UnitSummary| unit.usage.cpu.is_some() || unit.active_state != "active";
        if status.units.iter().all(known) {
            return Ok(status);
        }
        tokio::time::sleep(MEASURED).await;
        self.app_status(app).await
    }

    /// A unit, and what it uses.
    pub(super) fn summary(&self, unit: UnitStatus) -> UnitSummary {
        UnitSummary {
            usage: self.usage_of(&unit),
            name: unit.unit,
            active_state: unit.active_state.as_str(),
            sub_state: unit.sub_state,
            restarts: unit.n_restarts,
            since: unit.since,
            out_of_memory: None,
        }
    }

    /// What an app wrote, over all its releases that are not forgotten, oldest line first: the last `lines`, or
    /// all that come after the line at the cursor `after`.
    ///
    /// A follower's stream ends when another deployment of the app is asked for: who asks again after the last line
    /// that was seen gets the lines of that one too.
    pub async fn runtime_log(
        &self,
        app: &Slug,
        lines: Option<usize>,
        follow: bool,
        after: Option<String>,
    ) -> Result<impl Stream<Item = Result<RuntimeLine, EngineError>> + Send + 'static + use<>, EngineError>
    {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let moves = self.0.moved.subscribe();
        let recent = self.reader().deployments(Some(app.id), None, RELEASES_MAX).await?;
        let most = recent.iter().map(|one| one.settings.replicas).chain([app.settings.replicas]).max();
        let numbers = most.unwrap_or(Replicas::ONE).numbers();
        let containers =
            recent.iter().flat_map(|one| numbers.clone().map(|number| one.replica_name(number))).collect();
        let lines = lines.filter(|_| after.is_none());
        let query = Query { containers, lines, follow, after_cursor: after };
        // An app that was deleted may have had containers of these names.
        let lines = self.written_since(&query, app.created)?;
        let shutdown = self.0.shutdown.clone();
        let (reader, id) = (self.reader().clone(), app.id);
        let ending = async move {
            tokio::select! {
                () = shutdown.cancelled_owned() => (),
                () = newcomer(moves, reader, id), if follow => (),
            }
        };
        Ok(lines.take_until(Box::pin(ending)))
    }

    /// What containers wrote, but nothing from before.
    pub(super) fn written_since(
        &self,
        query: &Query,
        since: Timestamp,
    ) -> Result<impl Stream<Item = Result<RuntimeLine, EngineError>> + Send + 'static + use<>, EngineError>
    {
        let stream = self.machine().journal.read(query).map_err(EngineError::internal)?;
        let own = stream
            .filter(move |line| std::future::ready(line.as_ref().map_or(true, |line| line.at >= since)));
        Ok(own.map(|line| {
            let line = line.map_err(EngineError::internal)?;
            Ok(RuntimeLine {
                cursor: line.cursor,
                at: line.at,
                unit: line.container,
                stderr: line.stream == OutputStream::Stderr,
                text: line.text,
            })
        }))
    }
}

/// Returns when another deployment of the app is asked for, or may have been.
async fn newcomer(mut moves: broadcast::Receiver<(DeploymentId, State)>, reader: Reader, app: AppId) {
    loop {
        match moves.recv().await {
            Ok((id, State::Queued)) => match reader.deployment(id).await {
                Ok(found) if found.as_ref().is_none_or(|found| found.app != app) => {}
                Ok(_) | Err(_) => return,
            },
            Ok(_) => {}
            Err(_missed_some) => return,
        }
    }
}

/// How many of the newest releases are searched for lines: journalctl takes one match a container.
const RELEASES_MAX: u32 = 100;

/// How many containers are looked at at once.
const AT_ONCE: usize = 4;
