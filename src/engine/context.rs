//! What a step of a deployment works with, and the ways in which it can come to a halt.

use std::fmt;

use tokio::sync::{OwnedMutexGuard, watch};

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, IllegalMove};
use crate::domain::volume::VolumeOf;
use crate::host::workspace::LogFile;
use crate::quadlet::path::Owner;

/// What a step works with.
pub(super) struct Context {
    /// The engine.
    pub engine: Engine,
    /// The app that is deployed.
    pub app: App,
    /// The deployment was taken up where an earlier run of rivetr left it: the step it is in may be half done.
    pub resumed: bool,
    log: Option<LogFile>,
    steady: Option<OwnedMutexGuard<()>>,
}

/// Somebody wants a deployment to end before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// A person cancelled it.
    Cancel,
    /// A newer deployment takes its place.
    Supersede,
}

/// The receiving end of a wish to stop.
pub(super) type StopSignal = watch::Receiver<Option<Stop>>;

/// Why a step did not lead to the next one.
#[derive(Debug)]
pub(super) enum Halt {
    /// It failed, for a reason that a person can read.
    Failed(String),
    /// Somebody wanted it to end.
    Stopped(Stop),
    /// rivetr is stopping; it goes on at the next start.
    Shutdown,
    /// The store does not answer; it goes on at the next start.
    Lost(EngineError),
}

impl Halt {
    /// A failure: what could not be done, and the cause.
    pub fn because(what: impl fmt::Display, cause: impl fmt::Display) -> Self {
        Self::Failed(format!("{what}: {cause}"))
    }
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        Self::Lost(error)
    }
}

impl From<crate::store::StoreError> for Halt {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Lost(error.into())
    }
}

impl From<IllegalMove> for Halt {
    fn from(error: IllegalMove) -> Self {
        Self::Lost(error.into())
    }
}

impl Context {
    /// Opens the deployment's log and reads its app.
    pub async fn open(engine: &Engine, deployment: &Deployment) -> Result<Self, EngineError> {
        let log = engine.machine().workspace.open_log(deployment);
        if let Err(error) = &log {
            tracing::warn!(app = %deployment.app_slug, deployment = deployment.number, %error, "log not written");
        }
        let app = engine.reader().app_by_id(deployment.app).await?;
        let app = app.ok_or_else(|| EngineError::no_app(&deployment.app_slug))?;
        Ok(Self { engine: engine.clone(), app, resumed: true, log: log.ok(), steady: None })
    }

    /// Halts where a unit of the app was changed by hand and nobody has decided yet what is to become of that.
    pub async fn refuse_drift(&self) -> Result<(), Halt> {
        let app = &self.app;
        let owners = [
            Owner::App(app.slug.clone()),
            Owner::Jobs(app.slug.clone()),
            Owner::Project(app.project.slug.clone()),
        ];
        match self.engine.refuse_drift(&owners).await {
            Err(EngineError::Conflict { message, .. }) => Err(Halt::Failed(message)),
            other => Ok(other?),
        }
    }

    /// From now on nobody holds the containers of the app still for a copy of a volume, which would let no check of them end
    /// well.
    pub async fn be_steady(&mut self, deployment: &Deployment) {
        if self.steady.is_some() {
            return;
        }
        let (engine, of) = (self.engine.clone(), VolumeOf::App(self.app.slug.clone()));
        let mut steady = std::pin::pin!(engine.steady(&of));
        let guard = tokio::select! {
            biased;
            guard = &mut steady => guard,
            () = std::future::ready(()) => {
                self.say(deployment, "       Waiting: its containers are held for the copy of a volume, or scaled");
                steady.await
            }
        };
        self.steady = Some(guard);
    }

    /// It has come up: its containers may be held again.
    pub fn is_up(&mut self) {
        self.steady = None;
    }

    /// Writes a line for the person who watches. A log that cannot be written does not stop a deployment.
    pub fn say(&mut self, deployment: &Deployment, line: impl fmt::Display) {
        let Some(log) = &mut self.log else { return };
        for line in line.to_string().lines() {
            if let Err(error) = log.line(line) {
                tracing::warn!(app = %deployment.app_slug, deployment = deployment.number, %error, "log not written");
            }
        }
        self.engine.0.logs.bump(deployment.id);
    }
}
