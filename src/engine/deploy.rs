//! The pipeline: one deployment from where it stands to its end. One that brings back an earlier release enters at
//! `Starting`; all others fetch and build first.
//!
//! Each state has one step. A step does its work and names the next state, which the pipeline stores. A step can be
//! run twice: after a crash the pipeline enters at the state that the store holds. Up to `Checking` a deployment
//! can be stopped and what it made is cleaned up; storing `Switching` is the commit, and from there it only goes
//! forward.

use std::time::Duration;

use super::context::{Context, Halt, Stop, StopSignal};
use super::{Engine, EngineError, steps};
use crate::domain::deployment::{Deployment, DeploymentId, State};
use crate::domain::source::Source;
use crate::store::SaveError;

/// How long to wait before a step after the commit is tried again, or a deployment whose store did not answer:
/// the cause may be gone by then.
const RETRY: Duration = Duration::from_secs(2);

/// Brings a deployment to its end, or as far as it comes before rivetr stops.
pub(super) async fn run(engine: Engine, id: DeploymentId, stop: StopSignal) {
    while let Err(error) = Box::pin(drive(&engine, id, stop.clone())).await {
        if matches!(error, EngineError::NotFound { .. }) || engine.0.shutdown.is_cancelled() {
            return;
        }
        tracing::error!(deployment = id.0, %error, "deployment interrupted; it is taken up again");
        engine.pause(RETRY).await;
    }
}

async fn drive(engine: &Engine, id: DeploymentId, mut stop: StopSignal) -> Result<(), EngineError> {
    let mut deployment = engine.deployment(id).await?;
    let mut context = Context::open(engine, &deployment).await?;
    let mut warned = String::new();
    while !deployment.state.is_end() {
        // Its app is on its way out: only what is live already is brought to its end.
        let unwanted = context.app.deleting && !deployment.state.is_past_commit();
        let outcome = tokio::select! {
            biased;
            () = engine.0.shutdown.cancelled() => Err(Halt::Shutdown),
            () = std::future::ready(()), if unwanted => Err(Halt::Stopped(Stop::Cancel)),
            halt = requested(&mut stop, deployment.state) => Err(halt),
            outcome = step(&mut context, deployment.clone()) => outcome,
        };
        let was = deployment.clone();
        let next = match outcome {
            Ok(next) => next,
            Err(Halt::Shutdown) => return Ok(()),
            Err(Halt::Lost(error)) => return Err(error),
            Err(Halt::Failed(reason)) if deployment.state.is_past_commit() => {
                if reason != warned {
                    tracing::warn!(app = %deployment.app_slug, deployment = deployment.number, reason, "step failed");
                    context.say(&deployment, format!("Warning: {reason}. Trying until it works."));
                    warned = reason;
                }
                engine.pause(RETRY).await;
                continue;
            }
            Err(halt) => end(&mut context, deployment, halt).await?,
        };
        if !matches!(next.state, State::Starting | State::Checking) {
            context.is_up();
        }
        deployment = Box::pin(store_at_last(&mut context, &was, next)).await?;
        if was.state == State::Retiring && deployment.state == State::Live {
            engine.watch_over(&deployment);
            engine.tidy(&context.app, &deployment).await;
        } else if deployment.state.is_end() {
            let swept = engine.sweep_deployments(&context.app).await;
            steps::log_failure(&deployment, "old deployments not forgotten", swept);
            let swept = engine.sweep_images(&context.app.slug).await;
            steps::log_failure(&deployment, "its image not removed", swept);
        }
    }
    Ok(())
}

/// Does the work of the state it is in and makes the move to the next one.
async fn step(context: &mut Context, mut deployment: Deployment) -> Result<Deployment, Halt> {
    match deployment.state {
        State::Queued => {
            context.engine.failpoint("enqueued");
            context.refuse_drift().await?;
            if deployment.back_to.is_some() {
                return steps::restore::run(context, deployment).await;
            }
            deployment.fetch()?;
            // What comes now has not been begun by an earlier run.
            context.resumed = false;
            Ok(deployment)
        }
        State::Fetching => steps::fetch::run(context, deployment).await,
        State::Building => steps::build::run(context, deployment).await,
        State::Starting | State::Checking => {
            context.be_steady(&deployment).await;
            if deployment.state == State::Starting {
                steps::start::run(context, deployment).await
            } else {
                steps::check::run(context, deployment).await
            }
        }
        State::Switching => steps::switch::run(context, deployment).await,
        State::Retiring => steps::retire::run(context, deployment).await,
        State::Live | State::Failed | State::Cancelled | State::Superseded => Ok(deployment),
    }
}

/// Waits for a wish to stop that the state can still grant.
async fn requested(stop: &mut StopSignal, state: State) -> Halt {
    let grants = |wish: &Option<Stop>| match wish {
        Some(Stop::Cancel) => !state.is_past_commit(),
        Some(Stop::Supersede) => state <= State::Building,
        None => false,
    };
    match stop.wait_for(grants).await.map(|wish| *wish) {
        Ok(Some(wish)) => Halt::Stopped(wish),
        // The queue dropped its end: rivetr is going down.
        Ok(None) | Err(_) => Halt::Shutdown,
    }
}

/// Removes what the deployment made and moves it to its end. What served before still serves.
async fn end(context: &mut Context, deployment: Deployment, halt: Halt) -> Result<Deployment, EngineError> {
    let now = context.engine.now();
    let mut moved = deployment.clone();
    let words = match halt {
        Halt::Stopped(Stop::Cancel) => {
            moved.cancel(now)?;
            "Cancelled.".to_owned()
        }
        Halt::Stopped(Stop::Supersede) => {
            moved.supersede(now)?;
            "Superseded by a newer deployment.".to_owned()
        }
        Halt::Failed(reason) => {
            let words = format!("Failed while {}: {reason}", deployment.state);
            moved.fail(reason, now)?;
            words
        }
        Halt::Shutdown | Halt::Lost(_) => return Ok(deployment),
    };
    steps::undo(context, &deployment).await;
    context.say(&moved, format!("-----> {words}"));
    if context.app.live.is_some() {
        context.say(&moved, "       What was live before still serves.");
    }
    Ok(moved)
}

/// Stores a move; one to an end, or past the commit, as soon as it can be stored. To do those again would be worse:
/// what they need may be gone by now, and the reason why it ended forgotten. All other steps are done again: what they
/// saw may not be true any more, and somebody may wish to stop.
async fn store_at_last(
    context: &mut Context,
    was: &Deployment,
    next: Deployment,
) -> Result<Deployment, EngineError> {
    let at_last = next.state.is_end() || was.state.is_past_commit();
    let mut warned = false;
    loop {
        match store(context, next.clone()).await {
            Err(EngineError::Unavailable(reason)) if at_last && !context.engine.0.shutdown.is_cancelled() => {
                if !std::mem::replace(&mut warned, true) {
                    tracing::warn!(app = %next.app_slug, deployment = next.number, reason, "not stored yet");
                    context.say(&next, format!("Warning: {reason}. Trying until it works."));
                }
                context.engine.pause(RETRY).await;
                if next.state.is_end() && !was.state.is_past_commit() {
                    // What fills the disk may be what it made, and could not be removed for want of room.
                    steps::undo(context, was).await;
                }
            }
            other => return other,
        }
    }
}

/// Stores a move. Where the store holds another state by now, that one counts.
async fn store(context: &Context, next: Deployment) -> Result<Deployment, EngineError> {
    let engine = &context.engine;
    // Before the end is stored: who waits for it may push again at once.
    if next.state.is_end() {
        steps::log_failure(&next, "the push was not settled", engine.settle_push(&next).await);
    }
    match engine.0.writer.save(&next, engine.now()).await {
        Ok(()) => {
            engine.announce(&next);
            // Once more, for a reference that was made after the first time and before the end was stored.
            steps::log_failure(&next, "the push was not settled", engine.settle_push(&next).await);
            if next.state.is_end() && matches!(context.app.source, Source::Git(_)) {
                engine.0.tasks.spawn({
                    let (engine, app) = (engine.clone(), context.app.clone());
                    async move { engine.tidy_repo(app).await }
                });
            }
            if next.state.is_end() && next.digest.is_some() {
                let swept = engine.sweep_uploads(&next.app_slug).await;
                steps::log_failure(&next, "uploads not removed", swept);
            }
            Ok(next)
        }
        Err(SaveError::Stale(_)) => {
            let stored = engine.deployment(next.id).await?;
            if stored.state.is_end() && !stored.state.is_past_commit() {
                // Cancelled in the moment in which its turn came: what was made meanwhile goes.
                steps::undo(context, &next).await;
            }
            Ok(stored)
        }
        // Also where its app is being deleted by now: it is looked at anew, and this deployment ends.
        Err(error) => Err(error.into()),
    }
}
