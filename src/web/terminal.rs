//! A terminal in a container of an app or a service: the page, and the WebSocket over which its keys and what they lead to go.
//!
//! Bytes of the terminal are binary messages both ways. Texts are JSON: the browser tells its window's size and how
//! much it has shown, rivetr why it ended.

mod page;

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, Query, Request, State};
use axum::response::Response;
use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, Stream, StreamExt as _};
use http::HeaderMap;
use http::header::{HOST, ORIGIN};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::around::is_encrypted;
use super::error::PageError;
use super::shell::Visit;
use super::{Route, Stopping, Web};
use crate::auth::audit::Deed;
use crate::auth::gate::Manage;
use crate::auth::{Auth, Caller};
use crate::domain::app::App;
use crate::domain::name::Slug;
use crate::engine::{Engine, EngineError, ExecInput, ExecOutput, ExecSession};
use crate::store::Reader;

/// A terminal at which nothing is typed for so long is closed: whoever opened it may have left.
const IDLE_MAX: Duration = Duration::from_mins(30);
/// How soon a terminal closes after its person was signed out, or may no longer use it.
const RECHECK: Duration = Duration::from_secs(5);
/// How often the connection is tried, so that one that has gone is noticed and nobody between takes it for idle.
const PING: Duration = Duration::from_secs(30);
/// How long the browser may take to hear that it is over.
const FAREWELL: Duration = Duration::from_secs(5);
/// The longest message that is taken, in bytes; what is pasted comes in pieces.
const MESSAGE_MAX: usize = 64 * 1024;
/// The longest command, in bytes.
const COMMAND_MAX: usize = 1000;
/// What may be on its way to the browser and not shown yet, in bytes: a command that floods then waits for it.
const AHEAD_MAX: u64 = 512 * 1024;
/// Pieces of output that wait for the connection.
const WAITING: usize = 16;

/// Where a command runs.
enum Place {
    /// In a replica of an app.
    App(Box<App>, u8),
    /// In a container of a service.
    Service(Slug, String),
}

/// What a browser asks for.
#[derive(Debug, Clone, Deserialize)]
struct Wanted {
    command: String,
    /// The number of a replica, or the name of a container.
    #[serde(default)]
    container: String,
    rows: u16,
    columns: u16,
}

/// What a browser tells.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Told {
    /// The size of its window: rows and columns.
    Size(u16, u16),
    /// All bytes that it has shown so far.
    Shown(u64),
}

/// What rivetr tells last.
#[derive(Debug, Serialize)]
struct Ended {
    ended: String,
}

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// The routes of this noun.
pub(super) fn routes() -> Vec<Route<Web>> {
    vec![
        Route::get("/apps/{id}/terminal", page::show),
        Route::get("/apps/{id}/terminal/socket", open),
        Route::get("/services/{id}/terminal", page::show_service),
        Route::get("/services/{id}/terminal/socket", open_service),
    ]
}

/// What a terminal stands on besides its app.
#[derive(Clone)]
pub(super) struct Ground {
    engine: Engine,
    reader: Reader,
    auth: Auth,
    stopping: Stopping,
}

impl axum::extract::FromRef<Web> for Ground {
    fn from_ref(web: &Web) -> Self {
        let Web { engine, reader, auth, stopping } = web.clone();
        Self { engine, reader, auth, stopping }
    }
}

async fn open(
    visit: Visit<Manage>,
    State(ground): State<Ground>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, PageError> {
    let app = page::find(&ground.reader, &visit.person, &id).await?;
    let replica = wanted.container.parse().unwrap_or(1);
    begin(visit, &ground, Place::App(Box::new(app), replica), wanted, request)
}

async fn open_service(
    visit: Visit<Manage>,
    State(ground): State<Ground>,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
    request: Request,
) -> Result<Response, PageError> {
    let slug = page::find_service(&ground.engine, &visit.person, &id).await?;
    let place = Place::Service(slug, wanted.container.clone());
    begin(visit, &ground, place, wanted, request)
}

fn begin(
    visit: Visit<Manage>,
    ground: &Ground,
    place: Place,
    wanted: Wanted,
    mut request: Request,
) -> Result<Response, PageError> {
    if !is_of_our_page(request.headers()) {
        return Err(PageError::Foreign);
    }
    let command: Vec<String> = wanted.command.split_whitespace().map(str::to_owned).collect();
    if command.is_empty() || wanted.command.len() > COMMAND_MAX || wanted.command.contains('\0') {
        return Err(PageError::Bad("name the program to run, in at most 1000 characters".to_owned()));
    }
    let upgrade = request.extensions_mut().remove::<OnUpgrade>();
    let answer = create_response(&request.map(|_| ())).ok().zip(upgrade);
    let Some((answer, upgrade)) = answer else {
        return Err(PageError::Bad("a terminal is opened from its page".to_owned()));
    };
    let terminal = Terminal { ground: ground.clone(), place, visit };
    ground.engine.attend(async move {
        match upgrade.await {
            Ok(connection) => terminal.run(command, wanted, TokioIo::new(connection)).await,
            Err(error) => tracing::debug!(%error, "a terminal's connection was not handed over"),
        }
    });
    Ok(answer.map(|()| Body::empty()))
}

/// Whether a page of this very address asks. Browsers say where a WebSocket comes from, always; what says nothing is
/// none, and has `rivetr exec`.
fn is_of_our_page(headers: &HeaderMap) -> bool {
    let word = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = if is_encrypted(headers) { "https" } else { "http" };
    let Some((host, origin)) = word(HOST).zip(word(ORIGIN)) else { return false };
    let site = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    site && origin == format!("{scheme}://{host}")
}

struct Terminal {
    ground: Ground,
    place: Place,
    visit: Visit<Manage>,
}

impl Terminal {
    /// Begins the command, carries it to its end, and says in the audit log that it began and how it ended.
    async fn run(self, command: Vec<String>, wanted: Wanted, connection: TokioIo<Upgraded>) {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_MAX))
            .max_frame_size(Some(MESSAGE_MAX))
            .write_buffer_size(0);
        let mut socket = WebSocketStream::from_raw_socket(connection, Role::Server, Some(config)).await;
        let (start, window) = (Instant::now(), Some((wanted.rows, wanted.columns)));
        let engine = &self.ground.engine;
        let (begun, container) = match &self.place {
            Place::App(app, replica) => (engine.exec(app, *replica, &command, window).await, json!(replica)),
            Place::Service(slug, container) => {
                (engine.exec_in_service(slug, container, &command, window).await, json!(container))
            }
        };
        let ended = match begun {
            Err(error) => why_not(error),
            Ok(session) => {
                let what =
                    json!({ "program": command.first(), "words": command.len(), "container": container });
                self.visit.record(self.deed("terminal.opened").after(what)).await;
                let ended = self.converse(session, &mut socket).await;
                let how =
                    json!({ "container": container, "seconds": start.elapsed().as_secs(), "why": &ended });
                self.visit.record(self.deed("terminal.closed").after(how)).await;
                ended
            }
        };
        let farewell = async {
            if let Ok(text) = serde_json::to_string(&Ended { ended }) {
                socket.send(Message::text(text)).await?;
            }
            socket.close(None).await
        };
        if let Ok(Err(error)) = timeout(FAREWELL, farewell).await {
            tracing::debug!(%error, "who sat at a terminal has gone");
        }
    }

    fn deed(&self, action: &'static str) -> Deed {
        let object = match &self.place {
            Place::App(app, _) => format!("app {}", app.slug),
            Place::Service(slug, _) => format!("service {slug}"),
        };
        Deed::new(action, object)
    }

    /// Carries keys in and what they lead to out, and returns why that ended.
    async fn converse(&self, session: ExecSession, socket: &mut Socket) -> String {
        let (typed, _) = watch::channel(Instant::now());
        let (shown, seen) = watch::channel(0);
        let (mut sink, stream) = socket.split();
        let (outputs, waiting) = mpsc::channel(WAITING);
        let inputs = inputs(stream, &typed, &shown);
        let carried = async {
            match session.carry(inputs, outputs).await {
                Ok(0) => "The command has ended.".to_owned(),
                Ok(status) => format!("The command has ended with status {status}."),
                Err(error) => format!("It ended: {error}."),
            }
        };
        let (mut carried, mut over) = (pin!(carried), pin!(self.over(&typed)));
        let mut written = pin!(write(&mut sink, waiting, seen));
        let mut all_written = false;
        loop {
            tokio::select! {
                ended = &mut carried => {
                    // What it wrote last is still to be seen.
                    if !all_written && timeout(FAREWELL, &mut written).await.is_err() {
                        tracing::debug!("who sat at a terminal does not take what is left");
                    }
                    break ended;
                }
                why = &mut over => break why,
                outcome = &mut written, if !all_written => match outcome {
                    Ok(()) => all_written = true,
                    Err(error) => {
                        tracing::debug!(%error, "who sat at a terminal has gone");
                        break "The browser has left.".to_owned();
                    }
                },
            }
        }
    }

    /// Returns when the terminal has to close, whatever runs in it.
    async fn over(&self, typed: &watch::Sender<Instant>) -> String {
        tokio::select! {
            () = self.ground.stopping.0.cancelled() => "rivetr is stopping.".to_owned(),
            () = self.no_longer_allowed() => {
                "You are no longer signed in, or may not use this terminal any more.".to_owned()
            }
            () = idle(typed) => format!("Nothing was typed for {} minutes.", IDLE_MAX.as_secs() / 60),
        }
    }

    async fn no_longer_allowed(&self) {
        loop {
            sleep(RECHECK).await;
            match self.ground.auth.is_still_good(&Caller::Person(self.visit.person.clone())).await {
                Ok(true) => (),
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(by = %self.visit.person.login, %error, "a terminal closes: its person could not be looked up");
                    return;
                }
            }
        }
    }
}

/// Why a terminal did not open, to who asked for it.
fn why_not(error: EngineError) -> String {
    match error {
        EngineError::Conflict { message, .. }
        | EngineError::Invalid { message, .. }
        | EngineError::Unavailable(message) => message,
        error @ (EngineError::NotFound { .. } | EngineError::IllegalMove(_) | EngineError::Internal(_)) => {
            tracing::error!(%error, "a terminal was not opened");
            "Something failed inside rivetr; its log says what: journalctl -u rivetr".to_owned()
        }
    }
}

async fn idle(typed: &watch::Sender<Instant>) {
    loop {
        let end = *typed.borrow() + IDLE_MAX;
        if Instant::now() >= end {
            return;
        }
        sleep_until(end).await;
    }
}

/// What the browser sends, for the command; the stream ends when the browser leaves or cannot be understood.
fn inputs<'a>(
    socket: SplitStream<&'a mut Socket>,
    typed: &'a watch::Sender<Instant>,
    shown: &'a watch::Sender<u64>,
) -> impl Stream<Item = std::io::Result<ExecInput>> + 'a {
    let messages = socket.take_while(|message| std::future::ready(message.is_ok()));
    let heard = messages.scan((), move |(), message| {
        std::future::ready(match message.map(hear) {
            Ok(Ok(heard)) => Some(heard),
            Ok(Err(())) | Err(_) => None,
        })
    });
    heard.filter_map(move |heard| {
        std::future::ready(match heard {
            Heard::Keys(bytes) => {
                typed.send_replace(Instant::now());
                Some(Ok(ExecInput::Bytes(bytes)))
            }
            Heard::Told(Told::Size(rows, columns)) => Some(Ok(ExecInput::Window((rows, columns)))),
            Heard::Told(Told::Shown(bytes)) => {
                shown.send_replace(bytes);
                None
            }
            Heard::Nothing => None,
        })
    })
}

/// A message as it was understood.
#[derive(Debug)]
enum Heard {
    Keys(Bytes),
    Told(Told),
    Nothing,
}

fn hear(message: Message) -> Result<Heard, ()> {
    match message {
        // Without a byte it would be the end of all input.
        Message::Binary(bytes) if bytes.is_empty() => Ok(Heard::Nothing),
        Message::Binary(bytes) => Ok(Heard::Keys(bytes)),
        Message::Text(text) => serde_json::from_str(&text).map(Heard::Told).map_err(|_| ()),
        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(Heard::Nothing),
        Message::Close(_) => Err(()),
    }
}

/// Sends what the command writes, no further ahead of the browser than it can show.
async fn write(
    sink: &mut SplitSink<&mut Socket, Message>,
    mut from: mpsc::Receiver<ExecOutput>,
    mut seen: watch::Receiver<u64>,
) -> Result<(), SocketError> {
    let mut sent: u64 = 0;
    let mut ping = interval(PING);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let ahead = sent;
        let next = async {
            // The sender lives as long as the session: an end of it is seen below.
            if seen.wait_for(|seen| ahead.saturating_sub(*seen) < AHEAD_MAX).await.is_err() {
                std::future::pending::<()>().await;
            }
            from.recv().await
        };
        let next = pin!(next);
        let message = tokio::select! {
            _ = ping.tick() => Message::Ping(Bytes::new()),
            output = next => match output {
                Some(ExecOutput { stderr: _, bytes }) => {
                    sent = sent.saturating_add(bytes.len() as u64);
                    Message::Binary(bytes)
                }
                None => return Ok(()),
            },
        };
        sink.send(message).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_page_of_this_address_opens_a_terminal() {
        let check = |fields: &[(&'static str, &str)], opens| {
            let named = fields
                .iter()
                .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
            assert_eq!(is_of_our_page(&named.collect()), opens, "{fields:?}");
        };
        let host = ("host", "rivetr.example:8080");
        check(&[host, ("origin", "http://rivetr.example:8080")], true);
        check(&[host, ("origin", "http://rivetr.example:8080"), ("sec-fetch-site", "same-origin")], true);
        check(&[host, ("origin", "https://rivetr.example:8080"), ("x-forwarded-proto", "https")], true);
        check(&[host], false);
        check(&[("origin", "http://rivetr.example:8080")], false);
        check(&[host, ("origin", "null")], false);
        check(&[host, ("origin", "http://rivetr.example")], false);
        check(&[host, ("origin", "http://evil.example")], false);
        check(&[host, ("origin", "https://rivetr.example:8080")], false);
        check(&[host, ("origin", "http://rivetr.example:8080"), ("sec-fetch-site", "same-site")], false);
    }

    #[test]
    fn what_browsers_send() {
        let check = |message: Message, heard: &str| {
            assert_eq!(format!("{:?}", hear(message)), heard);
        };
        check(Message::binary(&b"ls\r"[..]), "Ok(Keys(b\"ls\\r\"))");
        check(Message::binary(Bytes::new()), "Ok(Nothing)");
        check(Message::text(r#"{"size":[24,80]}"#), "Ok(Told(Size(24, 80)))");
        check(Message::text(r#"{"shown":70000}"#), "Ok(Told(Shown(70000)))");
        check(Message::Ping(Bytes::new()), "Ok(Nothing)");
        for bad in ["", "{}", r#"{"size":[-1,80]}"#, r#"{"size":[24]}"#, r#"{"exit":0}"#] {
            check(Message::text(bad), "Err(())");
        }
        check(Message::Close(None), "Err(())");
    }

    #[tokio::test(start_paused = true)]
    async fn idle_is_who_types_nothing() {
        let (typed, _) = watch::channel(Instant::now());
        let began = Instant::now();
        let type_once = async {
            sleep(Duration::from_mins(20)).await;
            typed.send_replace(Instant::now());
        };
        tokio::join!(idle(&typed), type_once);
        assert_eq!(began.elapsed(), Duration::from_mins(50));
    }
}
