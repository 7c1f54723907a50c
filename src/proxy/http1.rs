//! HTTP/1.1, by hand: what every request goes through costs what it must and nothing more.
//!
//! [`serve`] is a client's connection: a head, its answer, and again. The client's side is `front`, the target's
//! `exchange`; `message` reads and writes heads, `coding` finds the end of a body, `outgoing` writes one. Stricter than
//! the standard where it leaves a choice: one framing, lines that end with CR LF, no second reading of any byte.

mod coding;
mod exchange;
mod front;
pub(super) mod head;
pub(super) mod message;
mod outgoing;
mod pipe;
mod stream;

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;

use bytes::BytesMut;
use http::header::{CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Body;

pub(super) use self::exchange::{Exchange, Idle, NoAnswer};
pub(super) use self::front::Front;
pub(super) use self::pipe::{Outlet, Pipe};
pub(super) use self::stream::{Rewound, Stream};
use super::body::{AnswerBody, ClientSource};
use super::forward::{self, Verdict};
use super::upgrade;
use super::worker::Client;
use head::After;
use outgoing::{Coding, Outgoing, Unwritten};

/// Serves one request after the other.
pub(super) async fn serve(client: Rc<Client>, stream: Stream) -> io::Result<()> {
    let front = Front::new(stream, Arc::clone(&client.worker.limits));
    let farewell = client.worker.farewell();
    tokio::pin!(farewell);
    let mut leaving = false;
    loop {
        let next = poll_fn(|cx| {
            if let Poll::Ready(next) = front.poll_head(cx) {
                return Poll::Ready(next);
            }
            leaving = leaving || farewell.as_mut().poll(cx).is_ready();
            // Who has begun to ask is heard.
            if leaving && front.is_quiet() { Poll::Ready(Ok(None)) } else { Poll::Pending }
        });
        let Some(next) = next.await? else {
            return poll_fn(|cx| front.poll_shutdown(cx)).await;
        };
        let verdict = match next.after {
            Ok(After::Body(_)) => Verdict::Keep,
            Ok(After::Chunks | After::Upgrade) => Verdict::Last,
            Err(refusal) => Verdict::Refuse(refusal),
        };
        let (keeps, refused) = (next.keeps(), next.after.is_err());
        let request = next.request;
        let asked = Asked { head: request.method() == Method::HEAD, version: request.version(), keeps };
        let Some(answer) = ask(&client, &front, request, verdict).await else { return Ok(()) };
        match asked.tell(&client, &front, answer).await? {
            Then::Another => {}
            // It was the client's wish, so nothing is under way that it could lose.
            Then::Nothing if !keeps && !refused && front.is_quiet() => {
                return poll_fn(|cx| front.poll_shutdown(cx)).await;
            }
            Then::Nothing => return poll_fn(|cx| front.poll_farewell(cx)).await,
            Then::Tunnel(tunnel) => {
                if let Some((stream, early)) = front.take() {
                    Box::pin(tunnel.run(Rewound { early, stream })).await;
                }
                return Ok(());
            }
        }
    }
}

/// Waits for the answer; none if the client does not.
async fn ask(
    client: &Rc<Client>,
    front: &Front,
    request: Request<()>,
    verdict: Verdict,
) -> Option<Response<AnswerBody>> {
    let body = if front.has_heard_all() { ClientSource::Nothing } else { ClientSource::Http1(front.clone()) };
    let answer = forward::serve(Rc::clone(client), request.map(|()| body), verdict);
    tokio::pin!(answer);
    poll_fn(|cx| match answer.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => front.poll_gone(cx).map(|()| None),
    })
    .await
}

/// What an answer has to know of its request.
#[derive(Clone, Copy)]
struct Asked {
    head: bool,
    version: Version,
    keeps: bool,
}

/// What follows an answer.
enum Then {
    Another,
    Nothing,
    Tunnel(Box<upgrade::Tunnel>),
}

impl Asked {
    /// Writes the answer.
    async fn tell(self, client: &Client, front: &Front, answer: Response<AnswerBody>) -> io::Result<Then> {
        let (mut head, mut body) = answer.into_parts();
        if front.is_plain() {
            body.let_pipe();
        }
        let tunnel = body.take_tunnel();
        let bodiless = self.head
            || tunnel.is_some()
            || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
        if head.status == StatusCode::NO_CONTENT {
            head.headers.remove(CONTENT_LENGTH);
        }
        let coding = match body.size_hint().exact() {
            _ if bodiless => Coding::Length(0),
            Some(length) => {
                head.headers.entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
                Coding::Length(length)
            }
            None if self.version == Version::HTTP_10 => Coding::UntilClose,
            None => {
                head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
                Coding::Chunks
            }
        };
        let says_last = head.headers.get(CONNECTION).is_some_and(|said| said == "close");
        let keeps = self.keeps && !says_last && coding != Coding::UntilClose && front.has_heard_all();
        if tunnel.is_none() {
            match (keeps, self.version) {
                (false, _) => drop(head.headers.insert(CONNECTION, HeaderValue::from_static("close"))),
                (true, Version::HTTP_10) => {
                    head.headers.insert(CONNECTION, HeaderValue::from_static("keep-alive"));
                }
                (true, _) => {}
            }
        }
        if !head.headers.contains_key(DATE) {
            head.headers.insert(DATE, client.worker.recorder.date());
        }
        let mut out = BytesMut::with_capacity(1024);
        message::write_status(&mut out, self.version, head.status);
        for (name, value) in &head.headers {
            message::write_field(&mut out, name, value);
        }
        out.extend_from_slice(b"\r\n");
        let mut outgoing = Outgoing::new(out, coding, &head.headers);
        let written = poll_fn(|cx| {
            let answer = front.poll_answer(cx, &mut outgoing, |cx, scratch| body.poll_piece(cx, scratch));
            if answer.is_pending() && front.poll_gone(cx).is_ready() {
                return Poll::Ready(Err(Unwritten::Stream(io::ErrorKind::ConnectionReset.into())));
            }
            answer
        });
        written.await.map_err(|error| match error {
            Unwritten::Body(error) => io::Error::other(error),
            Unwritten::Stream(error) => error,
        })?;
        Ok(match tunnel {
            Some(tunnel) => Then::Tunnel(tunnel),
            None if keeps => Then::Another,
            None => Then::Nothing,
        })
    }
}
