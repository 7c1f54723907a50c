//! `rivetr exec`: a command in an app's container, with this terminal or with plain input and output.

use std::io::{Read as _, Write as _};

use bytes::{Bytes, BytesMut};
use clap::Args;
use futures_util::StreamExt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::codec::{Encoder, FramedRead};

use super::failure::{Exit, Failure};
use super::session::Session;
use super::terminal::{RawTerminal, window};
use crate::api::wire;
use crate::api::wire::frame::{Frame, Frames, PROTOCOL};
use crate::domain::name::Slug;

/// What one read takes from standard input, in bytes.
const CHUNK: usize = 32 * 1024;
/// Pieces of input that wait to be sent.
const WAITING: usize = 4;

/// Run a command in an app's container
///
/// At a terminal the command gets one too. Ends as the command does; when this ends before, the command is ended.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr exec blog -- sh")]
pub struct Exec {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The program and its arguments, after --
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Exec {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        converse(session, &format!("/api/apps/{}/exec", self.name), self.command).await
    }
}

/// Has a command run and is its terminal, or its input and output, until it has ended; ends as it does.
pub(super) async fn converse(session: &mut Session, path: &str, command: Vec<String>) -> Result<(), Failure> {
    let at_terminal = RawTerminal::is_there();
    let terminal = if at_terminal { Some(window()?) } else { None };
    let request = wire::Exec { command, terminal };
    let connection = session.client.upgrade(path, PROTOCOL, &request).await?;
    let raw = if at_terminal { Some(RawTerminal::enter()?) } else { None };
    let (reads, writes) = tokio::io::split(connection);
    let resized = signal(SignalKind::window_change())?;
    let outcome = tokio::select! {
        outcome = receive(session, reads) => outcome,
        outcome = send(writes, resized, at_terminal) => outcome,
    };
    drop(raw);
    match outcome? {
        0 => Ok(()),
        // As a shell counts what does not fit.
        status => Err(Failure::new(Exit::Program(u8::try_from(status).unwrap_or(u8::MAX)), "")),
    }
}

/// Prints what the command writes until it has ended, and returns its status.
async fn receive(session: &mut Session, from: impl AsyncRead + Unpin) -> Result<i32, Failure> {
    let mut frames = FramedRead::new(from, Frames);
    let broken = |why: &str| Failure::new(Exit::Failed, format!("the session broke off: {why}"));
    while let Some(frame) = frames.next().await {
        match frame.map_err(|error| broken(&error.to_string()))? {
            Frame::Output(bytes) => session.bytes(&bytes)?,
            Frame::Error(bytes) => std::io::stderr().write_all(&bytes)?,
            Frame::Exit(status) => return Ok(status),
            Frame::Broken(why) => return Err(broken(&why)),
            Frame::Input(_) | Frame::Window(_) => {}
        }
    }
    Err(broken("rivetr went away"))
}

/// Sends what is typed and the size of the terminal; never returns, for the end comes from the other side.
async fn send(
    mut to: impl AsyncWrite + Unpin,
    mut resized: Signal,
    at_terminal: bool,
) -> Result<i32, Failure> {
    let mut typed = typed();
    let mut bytes = BytesMut::new();
    loop {
        let frame = tokio::select! {
            Some(input) = typed.recv() => Frame::Input(input),
            Some(()) = resized.recv(), if at_terminal => Frame::Window(window()?),
            else => return std::future::pending().await,
        };
        Frames.encode(frame, &mut bytes)?;
        if to.write_all_buf(&mut bytes).await.is_err() || to.flush().await.is_err() {
            // Why it broke is for who receives to say.
            return std::future::pending().await;
        }
    }
}

/// What comes on standard input, last an empty piece. Read by a thread of its own: it may wait for a key for ever,
/// and the end of the process must not wait for it.
fn typed() -> mpsc::Receiver<Bytes> {
    let (tell, typed) = mpsc::channel(WAITING);
    std::thread::spawn(move || {
        let mut chunk = vec![0; CHUNK];
        loop {
            // What cannot be read has ended.
            let read = std::io::stdin().read(&mut chunk).unwrap_or(0);
            let piece = Bytes::copy_from_slice(chunk.get(..read).unwrap_or_default());
            if tell.blocking_send(piece).is_err() || read == 0 {
                return;
            }
        }
    });
    typed
}
