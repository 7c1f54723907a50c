//! A command in an app's container, or in one of its own, over the API: once it runs, the connection is the
//! session's own.

use std::io;

use axum::body::Body;
use axum::extract::{FromRequest, Path, Request, State};
use axum::response::{IntoResponse, Response};
use bytes::BytesMut;
use futures_util::StreamExt;
use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, StatusCode};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_util::codec::{Encoder, FramedRead};

use super::error::ApiError;
use super::input::Input as Json;
use super::wire::frame::{Frame, Frames, PROTOCOL};
use super::wire::{self, FieldErrors};
use super::{Streams, app, events, service};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Manage};
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::engine::{Engine, ExecInput, ExecOutput, ExecSession};

/// The longest command, in bytes of all its words: what `execve` takes is more.
const COMMAND_MAX: usize = 100_000;
/// Pieces of output that wait for a slow client.
const WAITING: usize = 16;

/// In the container of the live release.
pub(super) async fn open(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(streams): State<Streams>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    begin(by, engine, streams, Place::Live(app), request).await
}

/// In a container of a service.
pub(super) async fn in_service(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(streams): State<Streams>,
    Path((id, container)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    begin(by, engine, streams, Place::Service(service::slug(&id)?, container), request).await
}

/// In a container of its own.
pub(super) async fn run(
    by: Authorized<Manage>,
    State(engine): State<Engine>,
    State(streams): State<Streams>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let app = app::find(engine.reader(), &id).await?;
    begin(by, engine, streams, Place::Own(app), request).await
}

/// The container that a command runs in.
#[derive(Debug, Clone)]
enum Place {
    /// That of an app's live release.
    Live(App),
    /// Its own, made like that of the app.
    Own(App),
    /// One of a service, by its name in the compose file.
    Service(Slug, String),
}

async fn begin(
    by: Authorized<Manage>,
    engine: Engine,
    Streams { auth, stopping, tasks }: Streams,
    place: Place,
    mut request: Request,
) -> Result<Response, ApiError> {
    let upgrade = request.extensions_mut().remove::<OnUpgrade>().filter(|_| asks(request.headers()));
    let upgrade = upgrade.ok_or_else(|| {
        let message = format!("ask for this with Connection: Upgrade and Upgrade: {PROTOCOL}");
        ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", message)
    })?;
    let Json(wire::Exec { command, terminal }) = Json::from_request(request, &()).await?;
    check(&command)?;
    let (program, words) = (command.first(), command.len());
    // A command without a terminal is no more than a command.
    let (opened, closed) = match terminal {
        Some(_) => ("terminal.opened", "terminal.closed"),
        None => ("command.run", "command.ended"),
    };
    let deed = |action| {
        let (object, container) = match &place {
            Place::Live(app) | Place::Own(app) => (app::of_app(app), None),
            Place::Service(slug, container) => (service::named(slug), Some(container)),
        };
        let own = matches!(place, Place::Own(_));
        let what = json!({ "program": program, "words": words, "own_container": own, "container": container,
            "terminal": terminal.is_some() });
        Deed::new(action, object).after(what)
    };
    by.record(deed(opened)).await;
    let closed = deed(closed);
    let caller = by.caller.clone();
    let terminal = terminal.map(|window| (window.rows, window.columns));
    let session = match &place {
        Place::Live(app) => engine.exec(app, 1, &command, terminal).await?,
        Place::Own(app) => engine.run(app, &command, terminal).await?,
        Place::Service(slug, container) => {
            engine.exec_in_service(slug, container, &command, terminal).await?
        }
    };
    tasks.spawn(async move {
        let over = async {
            tokio::select! {
                () = stopping.cancelled() => "rivetr is stopping",
                () = events::no_longer_good(auth, caller) => "your token is worth nothing any more",
            }
        };
        match upgrade.await {
            Ok(connection) => converse(session, TokioIo::new(connection), over).await,
            Err(error) => tracing::debug!(%error, "a session's connection was not handed over"),
        }
        by.record(closed).await;
    });
    let fields = [(CONNECTION, "Upgrade"), (UPGRADE, PROTOCOL)];
    Ok((StatusCode::SWITCHING_PROTOCOLS, fields, Body::empty()).into_response())
}

/// Carries a session until its command has ended, the client has left or it is `over`.
async fn converse(
    session: ExecSession,
    connection: TokioIo<hyper::upgrade::Upgraded>,
    over: impl Future<Output = &'static str>,
) {
    let (reads, mut writes) = tokio::io::split(connection);
    let inputs = FramedRead::new(reads, Frames).map(|frame| input(frame?));
    let (outputs, waiting) = mpsc::channel::<ExecOutput>(WAITING);
    let carry = async {
        tokio::select! {
            ended = session.carry(inputs, outputs) => match ended {
                Ok(status) => Frame::Exit(status),
                Err(error) => Frame::Broken(error.to_string()),
            },
            why = over => Frame::Broken(why.to_owned()),
        }
    };
    // Who cannot be written to does not listen: the session then sees its channel closed.
    let write = async {
        let mut waiting = waiting;
        while let Some(ExecOutput { stderr, bytes }) = waiting.recv().await {
            let frame = if stderr { Frame::Error(bytes) } else { Frame::Output(bytes) };
            send(&mut writes, frame).await?;
        }
        Ok::<_, io::Error>(())
    };
    let outcome = match tokio::join!(carry, write) {
        (last, Ok(())) => match send(&mut writes, last).await {
            Ok(()) => writes.shutdown().await,
            Err(error) => Err(error),
        },
        (_, Err(error)) => Err(error),
    };
    if let Err(error) = outcome {
        tracing::debug!(%error, "who listened to a command has gone");
    }
}

async fn send(to: &mut (impl AsyncWrite + Unpin), frame: Frame) -> io::Result<()> {
    let mut bytes = BytesMut::new();
    Frames.encode(frame, &mut bytes)?;
    to.write_all(&bytes).await?;
    to.flush().await
}

fn input(frame: Frame) -> io::Result<ExecInput> {
    match frame {
        Frame::Input(bytes) => Ok(ExecInput::Bytes(bytes)),
        Frame::Window(window) => Ok(ExecInput::Window((window.rows, window.columns))),
        Frame::Output(_) | Frame::Error(_) | Frame::Exit(_) | Frame::Broken(_) => {
            Err(io::Error::new(io::ErrorKind::InvalidData, "only input and window sizes are taken"))
        }
    }
}

fn asks(headers: &HeaderMap) -> bool {
    headers.get(UPGRADE).is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(PROTOCOL.as_bytes()))
}

fn check(command: &[String]) -> Result<(), FieldErrors> {
    let length: usize = command.iter().map(|word| word.len() + 1).sum();
    if command.first().is_none_or(String::is_empty) {
        return Err(FieldErrors::one("command", "name the program to run, such as sh"));
    }
    if length > COMMAND_MAX || command.iter().any(|word| word.contains('\0')) {
        return Err(FieldErrors::one("command", "use at most 100,000 bytes, none of them NUL"));
    }
    Ok(())
}
