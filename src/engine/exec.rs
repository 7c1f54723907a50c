//! Commands in a container, that of an app's live release or their own, for as long as somebody listens.

use std::io;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use thiserror::Error;
use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_util::codec::FramedRead;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::domain::one_off::OneOff;
use crate::host::podman::{Piece, Pieces, PodmanError, Running};

/// How long a session may be silent in both directions.
const IDLE_MAX: Duration = Duration::from_hours(1);

/// Rows and columns of a terminal.
pub type Window = (u16, u16);

/// What a person sends to a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// For its standard input; empty: that ends.
    Bytes(Bytes),
    /// Its terminal has this size now.
    Window(Window),
}

/// What a command writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// It was written to standard error.
    pub stderr: bool,
    /// What was written.
    pub bytes: Bytes,
}

/// A command that runs. It is ended when this is dropped.
pub struct Session {
    running: Running,
    terminal: bool,
    ending: Ending,
}

/// Why a session ended before its command did.
#[derive(Debug, Error)]
pub enum SessionError {
    /// Nobody listens any more.
    #[error("nobody listens any more")]
    Left,
    /// Nothing moved.
    #[error("nothing was sent or written for {} minutes", IDLE_MAX.as_secs() / 60)]
    Idle,
    /// The connection to the command broke.
    #[error("the connection to the container broke: {0}")]
    Broken(#[from] io::Error),
    /// Podman does not answer.
    #[error(transparent)]
    Podman(#[from] PodmanError),
}

impl Engine {
    /// Runs a command in a container of an app's live release; the first replica's is there always.
    pub async fn exec(
        &self,
        app: &App,
        replica: u8,
        command: &[String],
        terminal: Option<Window>,
    ) -> Result<Session, EngineError> {
        let live = self.live_release(app).await?;
        if live.replicas().all(|(there, _)| there != replica) {
            return Err(not_there(format!("{} has no container {replica}", app.slug)));
        }
        let begun =
            self.begin(&live.replica_name(replica), command, terminal, Ending::of(self.clone(), None)).await;
        begun.map_err(|error| {
            if !matches!(error, PodmanError::Refused { status: 404, .. }) {
                return not_begun(error);
            }
            let unit = live.replica_service(replica);
            not_there(format!("the container of {} does not run: systemctl status {unit}", app.slug))
        })
    }

    /// Looks after a session until it has ended; a stop of rivetr waits for that.
    pub fn attend(&self, session: impl Future<Output = ()> + Send + 'static) {
        self.0.tasks.spawn(session);
    }

    /// The release that serves.
    pub(super) async fn live_release(&self, app: &App) -> Result<Deployment, EngineError> {
        match app.live {
            Some(id) => self.deployment(id).await,
            None => Err(not_there(format!("{} is not live yet: deploy it first", app.slug))),
        }
    }

    /// Runs a command in a container; what is to end with it ends also if it does not begin.
    pub(super) async fn begin(
        &self,
        container: &str,
        command: &[String],
        terminal: Option<Window>,
        mut ending: Ending,
    ) -> Result<Session, PodmanError> {
        let running = self.machine().podman.exec(container, command, terminal).await?;
        ending.command = Some(running.id.clone());
        Ok(Session { running, terminal: terminal.is_some(), ending })
    }
}

/// Why a command did not begin, to who asked for it.
pub(super) fn not_begun(error: PodmanError) -> EngineError {
    if let PodmanError::Refused { said, .. } = error {
        // Podman's words say what is wrong with the command or the container's state.
        return EngineError::Invalid { field: "command", message: said };
    }
    EngineError::internal(error)
}

impl Session {
    /// Carries bytes until the command has ended, and returns its status. When it breaks off, the command is ended.
    pub async fn carry(
        self,
        from: impl Stream<Item = io::Result<Input>>,
        to: mpsc::Sender<Output>,
    ) -> Result<i32, SessionError> {
        let Self { running: Running { id, connection }, terminal, mut ending } = self;
        let engine = ending.engine.clone();
        let (reads, writes) = tokio::io::split(connection);
        let (moved, _) = watch::channel(Instant::now());
        {
            let inward = pin!(send(&engine, &id, from, writes, &moved));
            let outward = pin!(receive(FramedRead::new(reads, Pieces { terminal }), to, &moved));
            tokio::select! {
                left = inward => return Err(left),
                ended = outward => ended?,
                () = idle(&moved) => return Err(SessionError::Idle),
            }
        }
        let standing = engine.machine().podman.exec_standing(&id).await?;
        if !standing.running {
            ending.command = None;
        }
        Ok(standing.exit_code)
    }
}

/// Takes what a person sends to the command; returns when nobody sends any more.
async fn send(
    engine: &Engine,
    id: &str,
    from: impl Stream<Item = io::Result<Input>>,
    mut to: impl AsyncWrite + Unpin,
    moved: &watch::Sender<Instant>,
) -> SessionError {
    let mut from = pin!(from);
    while let Some(Ok(input)) = from.next().await {
        moved.send_replace(Instant::now());
        let sent = match input {
            Input::Bytes(bytes) if bytes.is_empty() => to.shutdown().await,
            Input::Bytes(bytes) => match to.write_all(&bytes).await {
                Ok(()) => to.flush().await,
                Err(error) => Err(error),
            },
            Input::Window((rows, columns)) => {
                if let Err(error) = engine.machine().podman.resize_exec(id, rows, columns).await {
                    tracing::debug!(%error, "a terminal keeps its size");
                }
                Ok(())
            }
        };
        // A command may have ended, or closed its input, before it was sent all.
        if let Err(error) = sent {
            tracing::debug!(%error, "a command takes no more input");
        }
    }
    SessionError::Left
}

/// Takes what the command writes to whoever listens, until it has ended.
async fn receive<R>(
    mut from: FramedRead<R, Pieces>,
    to: mpsc::Sender<Output>,
    moved: &watch::Sender<Instant>,
) -> Result<(), SessionError>
where
    R: tokio::io::AsyncRead + Unpin,
{
    while let Some(piece) = from.next().await {
        moved.send_replace(Instant::now());
        let Piece { stderr, bytes } = piece?;
        to.send(Output { stderr, bytes }).await.map_err(|_| SessionError::Left)?;
    }
    Ok(())
}

async fn idle(moved: &watch::Sender<Instant>) {
    loop {
        let end = *moved.borrow() + IDLE_MAX;
        if Instant::now() >= end {
            return;
        }
        tokio::time::sleep_until(end).await;
    }
}

/// Ends what is left of a session when it is dropped: the command, unless it has ended, and its own container.
pub(super) struct Ending {
    engine: Engine,
    command: Option<String>,
    container: Option<OneOff>,
}

impl Ending {
    /// Nothing but the container so far, if the command has one of its own.
    pub fn of(engine: Engine, container: Option<OneOff>) -> Self {
        Self { engine, command: None, container }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let (command, container) = (self.command.take(), self.container.take());
        if command.is_none() && container.is_none() {
            return;
        }
        let engine = self.engine.clone();
        self.engine.0.tasks.spawn(async move {
            if let Some(id) = command
                && let Err(error) = engine.machine().podman.end_exec(&id).await
            {
                tracing::warn!(%error, "a command that nobody listens to was not ended");
            }
            if let Some(container) = container {
                engine.end_one_off(container).await;
            }
        });
    }
}

fn not_there(message: String) -> EngineError {
    EngineError::Conflict { field: "app", message }
}
