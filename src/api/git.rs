//! git's smart HTTP, for pushes alone: an app is deployed by `git push`, and the deployment's log is the answer.
//!
//! The commands are read here and rewritten by the engine, so that git never moves the branch itself: it moves when
//! the deployment is live, and git's client is told so only then. There is no hook and no shell.

mod answer;
mod rules;

use std::io;
use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, TryStreamExt};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::error::ApiError;
use super::input::Params;
use super::{Streams, app};
use crate::auth::audit::Deed;
use crate::auth::gate::{Authorized, Deploy};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, State as Stands};
use crate::engine::push::pkt::{self, PktError, Request};
use crate::engine::push::{Push, PushError};
use crate::engine::{Engine, EngineError, LogOf};
use crate::store::Reader;
use answer::Answer;

/// How long a client may take to say what it pushes.
const COMMANDS_TIME: Duration = Duration::from_secs(30);
/// What is read of a refused push, in bytes: git's client reads the answer only after it has sent its pack.
const REFUSED_MAX: u64 = 1024 * 1024 * 1024;

/// Which of git's services is asked for.
#[derive(Debug, Deserialize)]
pub(super) struct Service {
    service: Option<String>,
}

pub(super) async fn advertise(
    _: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    Path(repo): Path<String>,
    Params(Service { service }): Params<Service>,
) -> Result<Response, ApiError> {
    if service.as_deref() != Some("git-receive-pack") {
        let message =
            "rivetr takes pushes and gives nothing back: fetch and clone from where the code is kept";
        return Err(ApiError::new(StatusCode::FORBIDDEN, "push_only", message));
    }
    let app = pushable(&reader, &repo).await?;
    let references = engine.advertise_push(&app.slug).await?;
    let body = [&pkt::frame(b"# service=git-receive-pack\n"), pkt::FLUSH, &references].concat();
    Ok(([(CONTENT_TYPE, "application/x-git-receive-pack-advertisement")], body).into_response())
}

pub(super) async fn receive(
    by: Authorized<Deploy>,
    State(engine): State<Engine>,
    State(reader): State<Reader>,
    State(Streams { stopping, tasks, .. }): State<Streams>,
    Path(repo): Path<String>,
    (headers, body): (HeaderMap, Body),
) -> Result<Response, ApiError> {
    refuse_other_forms(&headers)?;
    let app = pushable(&reader, &repo).await?;
    let mut pack = StreamReader::new(body.into_data_stream().map_err(io::Error::other));
    let request = timeout(COMMANDS_TIME, read_request(&mut pack)).await;
    let request = request.map_err(|_| bad("the push did not say what it pushes within 30 seconds"))??;
    let kind = [(CONTENT_TYPE, "application/x-git-receive-pack-result")];
    if request.commands.is_empty() {
        // git asks in this way whether it is let in, before it sends a large pack.
        return Ok((kind, Body::empty()).into_response());
    }
    by.record(Deed::new("app.pushed", app::of_app(&app))).await;
    let (answer, body) = Answer::new(&request);
    tasks.spawn(converse(engine, app, request, pack, answer, stopping));
    Ok((kind, body).into_response())
}

/// Takes the push in, follows its deployment and reports. Goes on when the client is gone.
async fn converse<R>(
    engine: Engine,
    app: App,
    request: Request,
    mut pack: R,
    mut answer: Answer,
    stopping: CancellationToken,
) where
    R: AsyncRead + Unpin + Send,
{
    let references: Vec<_> = request.commands.iter().map(|command| command.name.clone()).collect();
    let push = match judged(&engine, &app, &request).await {
        Ok(push) => push,
        Err((short, long)) => {
            if request.commands.iter().any(|command| command.new.is_some()) {
                drain(&mut pack).await;
            }
            answer.say(&long).await;
            return answer.end(&references, Some(&short)).await;
        }
    };
    let outcome = tokio::select! {
        outcome = deploy(&engine, &app, &push, pack, &mut answer) => outcome,
        () = stopping.cancelled() => {
            let words = format!("rivetr is stopping; what was begun goes on after its start: rivetr deployments {}", app.slug);
            answer.say(&words).await;
            Err("rivetr is stopping; push again".to_owned())
        }
    };
    answer.end(&references, outcome.err().as_deref()).await;
}

async fn judged(engine: &Engine, app: &App, request: &Request) -> Result<Push, (String, String)> {
    let refused = |refusal: rules::Refusal| (refusal.short, refusal.long);
    let branch = rules::may_be_pushed_to(app).map_err(refused)?;
    let head = engine.pushed_head(&app.slug, branch.as_str()).await.map_err(|error| {
        let words = told(app, error);
        (words.clone(), words)
    })?;
    rules::judge(app, request, head.as_ref()).map_err(refused)
}

/// From pack to live release; otherwise why not, in a line for beside the branch.
async fn deploy<R>(
    engine: &Engine,
    app: &App,
    push: &Push,
    pack: R,
    answer: &mut Answer,
) -> Result<(), String>
where
    R: AsyncRead + Unpin + Send,
{
    let deployment = match engine.receive_push(&app.slug, push, pack).await {
        Ok(deployment) => deployment,
        Err(PushError::Refused(why)) => {
            answer.say(&why).await;
            return Err(why);
        }
        Err(PushError::Client(error)) => {
            tracing::info!(app = %app.slug, %error, "a push broke off");
            return Err("the pack broke off".to_owned());
        }
        Err(PushError::Engine(error)) => return Err(told(app, error)),
    };
    let commit = push.commit.short();
    answer.say(&format!("deployment {} of {}, commit {commit}", deployment.number, app.slug)).await;
    follow(engine, &deployment, answer).await;
    let ended = engine.ended(deployment.id).await.map_err(|error| told(app, error))?;
    outcome(&ended)
}

async fn follow(engine: &Engine, deployment: &Deployment, answer: &mut Answer) {
    let mut log = pin!(engine.log(LogOf::Deployment(deployment), 0));
    while answer.is_read() {
        match log.next().await {
            Some(Ok(entry)) => answer.say(&entry.text).await,
            Some(Err(error)) => {
                tracing::warn!(app = %deployment.app_slug, %error, "the log of a deployment broke off");
                answer.say("the log cannot be shown any further; the deployment goes on").await;
                return;
            }
            None => return,
        }
    }
}

fn outcome(ended: &Deployment) -> Result<(), String> {
    let number = ended.number;
    match (ended.state, &ended.failure) {
        (Stands::Live, _) => Ok(()),
        (Stands::Failed, Some(failure)) => {
            let reason = failure.reason.lines().next().unwrap_or_default();
            Err(format!("deployment {number} failed while {}: {reason}", failure.during))
        }
        (Stands::Superseded, _) => Err(format!("a newer deployment took the place of deployment {number}")),
        (state, _) => Err(format!("deployment {number} is {state}")),
    }
}

async fn pushable(reader: &Reader, repo: &str) -> Result<App, ApiError> {
    let app = app::find(reader, repo.strip_suffix(".git").unwrap_or(repo)).await?;
    let refused = |refusal: rules::Refusal| ApiError::new(StatusCode::CONFLICT, "conflict", refusal.long);
    rules::may_be_pushed_to(&app).map_err(refused)?;
    Ok(app)
}

fn refuse_other_forms(headers: &HeaderMap) -> Result<(), ApiError> {
    let is = |name, value: &str| headers.get(name).is_some_and(|field| field == value);
    if !is(CONTENT_TYPE, "application/x-git-receive-pack-request") {
        let message = "this address is for git push alone";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    // git compresses what it asks for when it fetches, never what it pushes: a pack is compressed already.
    if headers.contains_key(CONTENT_ENCODING) && !is(CONTENT_ENCODING, "identity") {
        let message = "a push must not be compressed once more";
        return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message));
    }
    Ok(())
}

/// Reads up to the pack: what is to be changed, and what the client can do.
async fn read_request<R: AsyncRead + Unpin>(from: &mut R) -> Result<Request, ApiError> {
    let broken = |error: io::Error| bad(format!("the push broke off: {error}"));
    let mut request = Request::default();
    loop {
        let mut digits = [0; 4];
        from.read_exact(&mut digits).await.map_err(broken)?;
        let Some(length) = pkt::length(&digits)? else { return Ok(request) };
        let mut data = vec![0; length];
        from.read_exact(&mut data).await.map_err(broken)?;
        request.take(&data)?;
    }
}

async fn drain<R: AsyncRead + Unpin>(pack: &mut R) {
    let mut rest = pack.take(REFUSED_MAX);
    if let Err(error) = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await {
        tracing::debug!(%error, "a refused push broke off");
    }
}

/// What the person who pushes is told of a failure here: what they can act on, or that the log has it.
fn told(app: &App, error: EngineError) -> String {
    match error {
        EngineError::Internal(cause) => {
            tracing::error!(app = %app.slug, %cause, "a push failed");
            "something failed inside rivetr; its log says what".to_owned()
        }
        error @ (EngineError::NotFound { .. }
        | EngineError::Conflict { .. }
        | EngineError::Invalid { .. }
        | EngineError::IllegalMove(_)
        | EngineError::Unavailable(_)) => error.to_string(),
    }
}

fn bad(message: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::BAD_REQUEST, "bad_request", message)
}

impl From<PktError> for ApiError {
    fn from(error: PktError) -> Self {
        bad(error.to_string())
    }
}
