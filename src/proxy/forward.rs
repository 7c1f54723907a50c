//! One request: who is it for, may it pass, and its way to the target and back.

use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{ACCEPT, CONNECTION, CONTENT_LENGTH, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri, Version};
use hyper::body::Body;
use tokio::time::sleep;

use super::authority::{Known, request_line};
use super::body::{AnswerBody, ClientBody, ClientSource, TargetBody, TargetSource, Upload};
use super::deadline::Deadline;
use super::dial::DialError;
use super::drain::InFlight;
use super::fields::{Introduction, Origin, is_websocket, to_client, to_target};
use super::limits::{CONNECT_PAUSES, FRESH_ENOUGH};
use super::multiplexed;
use super::pool::Lease;
use super::record::{Record, X_REQUEST_ID};
use super::refusal::Refusal;
use super::rules::Protocol;
use super::rules::policy::{Asked, Gate, Marks, Visit};
use super::sender::{SendError, Unsent};
use super::table::{Backend, Entry};
use super::upgrade::Tunnel;
use super::worker::{Client, Worker};

type Answer = Response<AnswerBody>;

/// What is known of a request from its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Another request may follow.
    Keep,
    /// It is well-formed, and the last of its connection.
    Last,
    /// It must be refused, and the connection closed.
    Refuse(Refusal),
}

/// Answers one request, whatever it is.
pub(super) async fn serve(client: Rc<Client>, request: Request<ClientSource>, verdict: Verdict) -> Answer {
    let multiplexed = request.version() == Version::HTTP_2;
    let busy = multiplexed.then(|| client.activity.enter());
    let number = client.count();
    let origin = client.worker.trust.origin(client.origin, request.headers());
    let record = Record::begin(&client, &origin, &request);
    let accept = request.headers().get(ACCEPT).cloned();
    let head_alone = request.method() == Method::HEAD;
    let mut marks = Marks::default();
    let outcome = match verdict {
        Verdict::Refuse(refusal) => Err(refusal),
        Verdict::Keep | Verdict::Last => answer(&client, &origin, &mut marks, request, &record).await,
    };
    let mut answer = outcome.unwrap_or_else(|refusal| {
        record.refused(refusal);
        let id = record.id();
        tracing::debug!(request = id, client = %origin.client, %refusal, "a request was refused");
        let html =
            accept.is_some_and(|accept| accept.to_str().is_ok_and(|accept| accept.contains("text/html")));
        refusal.page(id, html, marks.notice.as_deref()).map(AnswerBody::page)
    });
    if let Some(length) = answer.body_mut().page_length(head_alone) {
        answer.headers_mut().entry(CONTENT_LENGTH).or_insert_with(|| HeaderValue::from(length));
    }
    marks.put(answer.headers_mut());
    record.answered(answer.status());
    answer.headers_mut().insert(X_REQUEST_ID, record.name());
    let last = verdict != Verdict::Keep || client.is_worn(number, record.begun());
    if multiplexed {
        // What ends there is said once for the whole connection.
        answer.headers_mut().remove(CONNECTION);
        answer.body_mut().watch(client.watch());
        if last {
            client.worn.notify_one();
        }
    } else if last && answer.status() != StatusCode::SWITCHING_PROTOCOLS {
        answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(busy) = busy {
        answer.body_mut().hold(busy);
    }
    answer.body_mut().note(record);
    answer
}

async fn answer(
    client: &Rc<Client>,
    origin: &Origin,
    marks: &mut Marks,
    mut request: Request<ClientSource>,
    record: &Rc<Record>,
) -> Result<Answer, Refusal> {
    request_line(request.method(), request.uri(), client.origin.scheme)?;
    if request.version() == Version::HTTP_2 {
        multiplexed::judge(&mut request)?;
    }
    let known = Known::of(&request, origin, &client.known)?;
    if let Some(proof) = client.worker.challenge(request.method(), request.uri().path()) {
        return Ok(proof.map(AnswerBody::page));
    }
    let host = known.authority.host.as_ref();
    let host = host.filter(|host| client.may_ask(host)).ok_or_else(|| client.not_here())?;
    let uri = request.uri().clone();
    let entry = client
        .worker
        .find(host.as_str(), uri.path())
        .map_err(|refusal| if refusal == Refusal::UnknownHost { client.not_here() } else { refusal })?;
    record.belongs_to(&entry.tally);
    let https_port = client.worker.https_port;
    let asked = Asked { origin, host: host.as_str(), authority: &known.authority.text, https_port };
    let visit = match entry.gate(&mut request, asked, marks).await? {
        Gate::Open(visit) => visit,
        Gate::Moved(moved) => return Ok(moved.map(AnswerBody::page)),
    };
    let websocket = request.method() == Method::GET
        && entry.protocol == Protocol::Http1
        && request.version() == Version::HTTP_11
        && request.body().is_over()
        && is_websocket(request.headers());
    let (mut head, body) = request.into_parts();
    to_target(&mut head.headers, websocket)?;
    head.headers.insert(X_REQUEST_ID, record.name());
    visit.to_target(&mut head.headers);
    head.uri = entry.inside(origin_form(head.uri))?;
    head.version = Version::HTTP_11;
    let limits = &client.worker.limits;
    let limit = entry.body_limit.unwrap_or(limits.body_bytes);
    let (body, upload) = ClientBody::new(body, limit, Arc::clone(limits), record.begun())?;
    record.uploads(&upload);
    drop(entry);
    let errand = Errand {
        worker: &client.worker,
        record,
        host: host.as_str(),
        path: uri.path(),
        introduction: &known.introduction,
        visit: &visit,
        upload,
        websocket,
    };
    let (response, reached) = errand.exchange(Request::from_parts(head, body)).await?;
    errand.hand_over(client, response, reached)
}

/// Path and query alone: what a server expects, also if the client sent an absolute address.
fn origin_form(uri: Uri) -> Uri {
    // An address without a path, as before a fragment, would be written as no bytes at all.
    let path = uri.into_parts().path_and_query.filter(|path| path.as_str() != "/");
    path.map_or_else(|| Uri::from_static("/"), Uri::from)
}

/// A connection to a target, and the request counted there.
struct Reached {
    backend: Arc<Backend>,
    in_flight: InFlight,
    lease: Lease,
    pooled: bool,
    /// How many other targets there are.
    others: usize,
}

/// One request on its way.
struct Errand<'a> {
    worker: &'a Rc<Worker>,
    record: &'a Rc<Record>,
    host: &'a str,
    path: &'a str,
    introduction: &'a Introduction,
    visit: &'a Visit,
    upload: Rc<Upload>,
    websocket: bool,
}

impl Errand<'_> {
    /// Makes the target's answer the client's.
    fn hand_over(
        self,
        client: &Client,
        response: Response<TargetSource>,
        reached: Reached,
    ) -> Result<Answer, Refusal> {
        let Reached { backend, in_flight, lease, .. } = reached;
        let (mut head, source) = response.into_parts();
        let switches = head.status == StatusCode::SWITCHING_PROTOCOLS;
        if switches && !(self.websocket && is_websocket(&head.headers)) {
            return Err(Refusal::BadAnswer);
        }
        to_client(&mut head.headers).map_err(|_| Refusal::BadAnswer)?;
        self.visit.to_client(&mut head.headers, &backend);
        head.version = Version::HTTP_11;
        if switches {
            let TargetSource::Http1(exchange) = source else { return Err(Refusal::BadAnswer) };
            head.headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
            head.headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
            let tunnel = Tunnel::new(client, exchange.into_tunnel(), backend, in_flight, self.record);
            return Ok(Response::from_parts(head, AnswerBody::tunnel(tunnel)));
        }
        // Who answers before it has read everything hangs up next, and may not have said so.
        let reusable = !self.websocket && self.upload.whole();
        let body = TargetBody {
            source,
            upload: self.upload,
            lease: reusable.then_some(lease),
            in_flight: Some(in_flight),
            idle: self.worker.limits.answer_idle,
            deadline: Deadline::default(),
        };
        Ok(Response::from_parts(head, AnswerBody::target(body)))
    }

    /// Sends the request and waits for the head of the answer. Sent twice only where that cannot be noticed.
    async fn exchange(
        &self,
        mut request: Request<ClientBody>,
    ) -> Result<(Response<TargetSource>, Reached), Refusal> {
        let harmless = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let repeatable = harmless && request.body().is_end_stream();
        let mut pool = !self.websocket;
        let mut broken = 0;
        loop {
            let mut reached = self.reach(pool, repeatable).await?;
            let again = reached.pooled || broken < reached.others;
            request = match self.send(&mut reached, request).await? {
                Ok(response) => return Ok((response, reached)),
                Err(Unsent { request: Some(unsent), begun: false, .. }) if reached.pooled => *unsent,
                Err(Unsent { request: Some(bodiless), .. }) if again && repeatable => *bodiless,
                Err(Unsent { error, .. }) => return Err(self.failed(&reached, &error)),
            };
            if !reached.pooled {
                // It broke off on a new connection: another target may do better.
                reached.backend.gauge.rest();
                broken += 1;
            }
            // The connection was stale, and so may be the others.
            self.worker.pool.forget(&reached.backend.target);
            pool = false;
            self.record.tries_again();
        }
    }

    /// Finds a target and a connection to it: the next one at once where one refuses, and all of them again, a few
    /// times, while all do.
    async fn reach(&self, pool: bool, repeatable: bool) -> Result<Reached, Refusal> {
        let patience = if repeatable { self.worker.limits.pool_idle } else { FRESH_ENOUGH };
        let mut pauses = CONNECT_PAUSES.iter();
        let mut tried = Vec::new();
        loop {
            let entry = self.worker.find(self.host, self.path)?;
            let Some(backend) = self.pick(&entry, &mut tried) else { return Err(Refusal::Stopped) };
            self.record.goes_to(&backend);
            let (others, protocol) = (entry.count().saturating_sub(1), entry.protocol);
            let in_flight = backend.gauge.enter();
            if let Some(lease) = pool.then(|| self.worker.pool.take(&backend, protocol, patience)).flatten() {
                return Ok(Reached { backend, in_flight, lease, pooled: true, others });
            }
            // Seldom needed, so no request has to have room for it.
            let error = match Box::pin(self.worker.connect(&backend.target, protocol)).await {
                Ok(sender) => {
                    let lease = self.worker.pool.lease(sender, &backend);
                    return Ok(Reached { backend, in_flight, lease, pooled: false, others });
                }
                Err(error) => error,
            };
            if backend.gauge.refused() && others > 0 {
                self.worker.look_after(Arc::clone(&backend));
            }
            tried.push(backend.target.key.clone());
            if entry.pick(0, &tried).is_some() {
                self.record.tries_again();
                continue;
            }
            let late = matches!(error, DialError::TimedOut(..));
            let Some(pause) = pauses.next().filter(|_| !late) else {
                tracing::warn!(target_key = backend.target.key, %error, "a target cannot be reached");
                return Err(if late { Refusal::TooLate } else { Refusal::Unreachable });
            };
            drop(in_flight);
            sleep(*pause).await;
            self.record.tries_again();
        }
    }

    /// Whom the visitor stays with, or else whose turn it is; from the beginning where all were tried, or others have
    /// taken their place.
    fn pick(&self, entry: &Entry, tried: &mut Vec<String>) -> Option<Arc<Backend>> {
        if let Some(known) = self.visit.visitor().and_then(|visitor| entry.known(visitor, tried)) {
            return Some(Arc::clone(known));
        }
        let turn = self.worker.turn();
        if let Some(next) = entry.pick(turn, tried) {
            return Some(Arc::clone(next));
        }
        tried.clear();
        entry.pick(turn, tried).map(Arc::clone)
    }

    /// The outer error is final; the inner one may be worth another connection.
    async fn send(
        &self,
        reached: &mut Reached,
        request: Request<ClientBody>,
    ) -> Result<Result<Response<TargetSource>, Unsent>, Refusal> {
        let begun = reached.lease.since;
        let mut sending = reached.lease.send(request, self.introduction);
        let limit = self.visit.answer(&self.worker.limits);
        // An upload may take long; the wait for the answer begins when it last moved.
        let sent = poll_fn(|cx| sending.poll(cx, || self.upload.moved().max(begun) + limit)).await;
        match sent {
            None => {
                tracing::warn!(target_key = reached.backend.target.key, "a target did not answer in time");
                Err(self.upload.refusal().unwrap_or(Refusal::TooLate))
            }
            Some(Err(unsent)) => match self.upload.refusal() {
                Some(refusal) => Err(refusal),
                None => Ok(Err(unsent)),
            },
            Some(Ok(response)) => Ok(Ok(response)),
        }
    }

    fn failed(&self, reached: &Reached, error: &SendError) -> Refusal {
        tracing::warn!(target_key = reached.backend.target.key, %error, "a target answered badly");
        self.upload.refusal().unwrap_or(Refusal::BadAnswer)
    }
}
