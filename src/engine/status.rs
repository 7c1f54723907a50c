//! How things stand: what the store wants and what systemd shows, side by side.

use futures_util::{Stream, StreamExt as _};

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::domain::name::Slug;
use crate::domain::time::Timestamp;
use crate::host::journal::{OutputStream, Query};

/// An app as it stands.
#[derive(Debug, Clone)]
pub struct AppStatus {
    /// The app.
    pub app: App,
    /// The deployment that serves.
    pub live: Option<Deployment>,
    /// What systemd shows of it; none: it does not know the unit.
    pub unit: Option<UnitSummary>,
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
}

/// One line that an app wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeLine {
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
    /// An app, its live deployment and its unit.
    pub async fn app_status(&self, app: &Slug) -> Result<AppStatus, EngineError> {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let Some(id) = app.live else { return Ok(AppStatus { app, live: None, unit: None }) };
        let live = self.deployment(id).await?;
        let name = live.service_name();
        let unit = self.machine().systemd.unit(&name).await.map_err(EngineError::internal)?;
        let unit = unit.map(|unit| UnitSummary {
            name,
            active_state: unit.active_state.as_str(),
            sub_state: unit.sub_state,
            restarts: unit.n_restarts,
            since: unit.since,
        });
        Ok(AppStatus { app, live: Some(live), unit })
    }

    /// What an app wrote, over all its releases that are not forgotten, oldest line first.
    pub async fn runtime_log(
        &self,
        app: &Slug,
        lines: Option<usize>,
        follow: bool,
    ) -> Result<impl Stream<Item = Result<RuntimeLine, EngineError>> + Send + 'static + use<>, EngineError>
    {
        let app = self.reader().app(app).await?.ok_or_else(|| EngineError::no_app(app))?;
        let recent = self.reader().deployments(Some(app.id), None, RELEASES_MAX).await?;
        let containers = recent.iter().map(Deployment::unit_name).collect();
        let query = Query { containers, lines, follow, after_cursor: None };
        let stream = self.machine().journal.read(&query).map_err(EngineError::internal)?;
        let ending = self.0.shutdown.clone();
        // An app that was deleted may have had containers of these names.
        let own = stream.filter(move |line| {
            std::future::ready(line.as_ref().map_or(true, |line| line.at >= app.created))
        });
        let lines = own.map(|line| {
            let line = line.map_err(EngineError::internal)?;
            Ok(RuntimeLine {
                at: line.at,
                unit: line.container,
                stderr: line.stream == OutputStream::Stderr,
                text: line.text,
            })
        });
        Ok(lines.take_until(ending.cancelled_owned()))
    }
}

/// How many of the newest releases are searched for lines: journalctl takes one match a container.
const RELEASES_MAX: u32 = 100;
