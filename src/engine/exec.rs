//! Commands in the container of an app's live release, for as long as somebody listens.

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

/// A command that runs.
pub struct Session {
    engine: Engine,
    running: Running,
    terminal: bool,
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
    /// Runs a command in the container of an app's live release.
    pub async fn exec(
        &self,
        app: &App,
        command: &[String],
        terminal: Option<Window>,
    ) -> Result<Session, EngineError> {
        let live = match app.live {
            Some(id) => self.deployment(id).await?,
            None => return Err(not_there(format!("{} is not live yet: deploy it first", app.slug))),
        };
        match self.machine().podman.exec(&live.unit_name(), command, terminal).await {
            Ok(running) => Ok(Session { engine: self.clone(), running, terminal: terminal.is_some() }),
            Err(PodmanError::Refused { status: 404, .. }) => Err(not_there(format!(
                "the container of {} does not run: systemctl status {}",
                app.slug,
                live.replica_service(1)
            ))),
            // Podman's words say what is wrong with the command or the container's state.
            Err(PodmanError::Refused { said, .. }) => {
                Err(EngineError::Invalid { field: "command", message: said })
            }
            Err(error) => Err(EngineError::internal(error)),
        }
    }
}

impl Session {
    /// Carries bytes until the command has ended, and returns its status. When it breaks off, the command is ended.
    pub async fn carry(
        self,
        from: impl Stream<Item = io::Result<Input>>,
        to: mpsc::Sender<Output>,
    ) -> Result<i32, SessionError> {
        let Self { engine, running: Running { id, connection }, terminal } = self;
        let ending = Ending { engine: engine.clone(), id: Some(id.clone()) };
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
            ending.forget();
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

/// Ends the command when the session ends in any other way than with it, also when it is dropped.
struct Ending {
    engine: Engine,
    id: Option<String>,
}

impl Ending {
    fn forget(mut self) {
        self.id = None;
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let engine = self.engine.clone();
        self.engine.0.tasks.spawn(async move {
            if let Err(error) = engine.machine().podman.end_exec(&id).await {
                tracing::warn!(%error, "a command that nobody listens to was not ended");
            }
        });
    }
}

fn not_there(message: String) -> EngineError {
    EngineError::Conflict { field: "app", message }
}
