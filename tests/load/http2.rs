//! HTTP/2 with TLS: several requests at once on a connection that is kept until the server says goodbye.

use bytes::Bytes;
use futures_util::future::join_all;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};
use tokio_rustls::TlsConnector;

use crate::seen::Seen;
use crate::{PATIENCE, Pace, Task, tls};

/// Requests that are sent at once.
pub const STREAMS: u32 = 4;

/// How often a request is given to a connection: one that hears goodbye at that moment does not send it, and it is given
/// to the next, as browsers do it.
const TRIES: u32 = 4;

type Sender = SendRequest<Empty<Bytes>>;

/// Asks until it is over.
pub fn run(task: &Task) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime can be made").block_on(ask_on(task))
}

async fn ask_on(task: &Task) -> Seen {
    let (mut seen, mut pace) = (Seen::default(), Pace::new(task));
    let mut client = Client { connector: tls::connector(b"h2"), running: JoinSet::new() };
    let mut kept = None;
    while !task.is_over() {
        let due = pace.next();
        sleep_until(due.into()).await;
        let mut left = STREAMS;
        for _ in 0..TRIES {
            let ready = timeout(PATIENCE, client.ready(task, kept.take())).await;
            let sender = match ready.unwrap_or_else(|_over| Err("no connection in time".to_owned())) {
                Ok(sender) => sender,
                Err(why) => {
                    seen.add("http2", due, Err(why));
                    continue;
                }
            };
            for answer in join_all((0..left).map(|_| get(task, sender.clone()))).await.into_iter().flatten() {
                seen.add("http2", due, answer);
                left -= 1;
            }
            if left == 0 {
                kept = Some(sender);
                break;
            }
        }
        for _ in 0..left {
            seen.add("http2", due, Err(format!("not sent over {TRIES} connections")));
        }
    }
    seen
}

struct Client {
    connector: TlsConnector,
    /// The connections, which run as long as they are used.
    running: JoinSet<hyper::Result<()>>,
}

impl Client {
    /// A connection that takes requests: the last one, unless the server has said goodbye on it.
    async fn ready(&mut self, task: &Task, kept: Option<Sender>) -> Result<Sender, String> {
        if let Some(mut sender) = kept
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let stream = tls::connect(&self.connector, &task.host, &task.address).await?;
        let shaken = handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(|error| format!("connect: {error}"))?;
        self.running.spawn(connection);
        sender.ready().await.map_err(|error| format!("connect: {error}"))?;
        Ok(sender)
    }
}

/// What is answered; none: it was not sent.
async fn get(task: &Task, mut sender: Sender) -> Option<Result<(), String>> {
    let request = Request::get(format!("https://{}/", task.host)).body(Empty::new());
    let request = request.expect("HOST is a name");
    let whole = async {
        let answer = match sender.try_send_request(request).await {
            Ok(answer) => answer,
            Err(unsent) if unsent.message().is_some() => return None,
            Err(error) => return Some(Err(format!("answer: {}", chain(error.error())))),
        };
        let status = answer.status();
        if let Err(error) = answer.into_body().collect().await {
            return Some(Err(format!("body: {}", chain(&error))));
        }
        Some(if status == 200 { Ok(()) } else { Err(format!("status {status}")) })
    };
    timeout(PATIENCE, whole).await.unwrap_or_else(|_over| Some(Err("no answer in time".to_owned())))
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
