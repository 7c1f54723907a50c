//! Checking: the new release is asked, on the very path that traffic will take, until it answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::start::show_last_lines;
use super::{command, log_failure};
use crate::domain::app::{App, HealthAsk, Statuses};
use crate::domain::deployment::Deployment;
use crate::domain::domain::Behind;
use crate::domain::runtime::Words;
use crate::engine::context::{Context, Halt};
use crate::engine::memory::shortage;
use crate::engine::{Engine, routes};
use crate::host::podman::{Executed, PodmanError};
use crate::host::systemd::{ActiveState, Change};
use crate::proxy::probe::{Probe, ProbeOutcome};
use crate::store::StoreError;

/// After so many restarts before the first answer it will not come up by itself.
pub(in crate::engine) const RESTARTS_MAX: u32 = 3;

/// The pause after the first check in a container that failed; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(250);

/// How long to wait before a proxy that does not run is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How much longer than the probe itself the answer of the proxy may take.
const LINK_MARGIN: Duration = Duration::from_secs(5);

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("checking");
    let cleared = command::clear_own(&engine, &context.app, &deployment).await;
    log_failure(&deployment, "command not forgotten", cleared);
    let asked = asked_for(&deployment);
    let replicas: Vec<_> = deployment.replicas().collect();
    let many = if replicas.len() > 1 { format!(" of {} containers", replicas.len()) } else { String::new() };
    context.say(&deployment, format!("-----> Checking {asked}{many}"));
    let each = replicas.into_iter().map(|replica| answers(&engine, &context.app, &deployment, replica));
    match try_join_all(each).await {
        Ok(times) => {
            let slowest = times.into_iter().max().unwrap_or_default();
            context.say(&deployment, format!("       It answered after {} ms", slowest.as_millis()));
        }
        Err(silent) => {
            let containers = vec![deployment.replica_name(silent.replica)];
            show_last_lines(context, &deployment, containers, None).await;
            return Err(Halt::Failed(silent.reason));
        }
    }
    engine.failpoint("after-checking");
    deployment.switch()?;
    Ok(deployment)
}

/// A container that does not answer.
pub(in crate::engine) struct Silent {
    /// Its number.
    pub replica: u8,
    /// Why, in words.
    pub reason: String,
}

/// Asks one container of a release until it answers; says after which time it did.
pub(in crate::engine) async fn answers(
    engine: &Engine,
    app: &App,
    deployment: &Deployment,
    replica: (u8, Ipv4Addr),
) -> Result<Duration, Silent> {
    let unit = deployment.replica_service(replica.0);
    let health = &deployment.settings.health;
    let answered = async {
        match &health.ask {
            HealthAsk::Command(command) => run_until_well(engine, deployment, replica.0, command).await,
            HealthAsk::Connect | HealthAsk::Http { .. } => {
                match probe(engine, app, deployment, replica, health.timeout).await {
                    Ok(probe) => ask(engine, probe, health.timeout).await,
                    Err(error) => Err(CheckFailure::NoProxy(error.to_string())),
                }
            }
        }
    };
    let mut exit = None;
    let outcome = tokio::select! {
        outcome = answered => outcome,
        () = gave_up(engine, &unit, &mut exit) => Err(CheckFailure::Exited),
    };
    let failure = match outcome {
        Ok(after) => return Ok(after),
        Err(failure) => failure,
    };
    let of_the_app = !matches!(failure, CheckFailure::NoProxy(_));
    let reason = if of_the_app && engine.out_of_memory(deployment, &unit).await.is_some() {
        shortage("the container", deployment)
    } else {
        let reason = failure.explain(deployment, exit);
        let elsewhere = matches!((&failure, exit), (CheckFailure::Never(_), None));
        let hint = if elsewhere { exposed(engine, deployment).await } else { None };
        reason + &hint.unwrap_or_default()
    };
    Err(Silent { replica: replica.0, reason })
}

/// What to try where the image names another port than the one that was asked.
async fn exposed(engine: &Engine, deployment: &Deployment) -> Option<String> {
    let (image, port) = (deployment.image.as_ref()?, deployment.settings.port.get());
    let facts = engine.machine().podman.image_facts(image.digits()).await;
    let facts = facts.inspect_err(|error| tracing::debug!(%error, "not asked for its ports")).ok()??;
    let first = facts.exposed.first().filter(|_| !facts.exposed.contains(&port))?;
    let app = &deployment.app_slug;
    Some(format!(
        " EXPOSE of its image names port {first}: if that is the one, rivetr apps set {app} --port {first}"
    ))
}

/// Asks one container that serves once; why it does not answer, if it does not. Who cannot ask says nothing.
pub(in crate::engine) async fn silence(
    engine: &Engine,
    app: &App,
    deployment: &Deployment,
    replica: (u8, Ipv4Addr),
    limit: Duration,
) -> Option<String> {
    let unasked = |error: &dyn std::error::Error| {
        tracing::debug!(unit = deployment.replica_name(replica.0), %error, "not asked");
    };
    if let HealthAsk::Command(command) = &deployment.settings.health.ask {
        let ran = run_once(engine, deployment, replica.0, command, limit).await;
        return ran.inspect_err(|error| unasked(error)).ok()?.err();
    }
    let probe = probe(engine, app, deployment, replica, limit).await;
    let probe = probe.inspect_err(|error| unasked(error)).ok()?;
    match engine.machine().proxy.probe(probe).await {
        Ok(ProbeOutcome::Never { last }) => Some(last),
        Ok(ProbeOutcome::Answered { .. }) => None,
        Err(error) => {
            unasked(&error);
            None
        }
    }
}

/// What the proxy asks of a container.
async fn probe(
    engine: &Engine,
    app: &App,
    deployment: &Deployment,
    replica: (u8, Ipv4Addr),
    timeout: Duration,
) -> Result<Probe, StoreError> {
    let health = &deployment.settings.health;
    let (path, statuses) = match &health.ask {
        HealthAsk::Http { path, statuses } => (Some(path.as_str().to_owned()), *statuses),
        HealthAsk::Connect | HealthAsk::Command(_) => (None, Statuses::default()),
    };
    let host = app.hosts().next().map(ToString::to_string);
    let target = routes::target(engine, deployment, replica);
    // An app that is being deleted has none.
    let protocol = engine.reader().traffic(Behind::App(app.id)).await?.unwrap_or_default().protocol;
    let (protocol, statuses, attempt) =
        (routes::spoken(protocol), statuses.bounds(), health.attempt.min(timeout));
    Ok(Probe { target, protocol, path, host, statuses, attempt, timeout })
}

fn asked_for(deployment: &Deployment) -> String {
    let port = deployment.settings.port;
    match &deployment.settings.health.ask {
        HealthAsk::Connect => format!("a connection on port {port}"),
        HealthAsk::Http { path, .. } => format!("GET {} on port {port}", path.as_str()),
        HealthAsk::Command(command) => format!("{command} in the container"),
    }
}

enum CheckFailure {
    Never(String),
    Unwell(String),
    Exited,
    NoProxy(String),
}

async fn ask(engine: &Engine, probe: Probe, limit: Duration) -> Result<Duration, CheckFailure> {
    let ask = async {
        loop {
            match engine.machine().proxy.probe(probe.clone()).await {
                // It is being started anew.
                Err(error) if error.is_gone() => engine.pause(ASK_AGAIN).await,
                other => return other,
            }
        }
    };
    match tokio::time::timeout(limit + LINK_MARGIN, ask).await {
        Ok(Ok(ProbeOutcome::Answered { after, .. })) => Ok(after),
        Ok(Ok(ProbeOutcome::Never { last })) => Err(CheckFailure::Never(last)),
        Ok(Err(error)) => Err(CheckFailure::NoProxy(error.to_string())),
        Err(_) => Err(CheckFailure::NoProxy("it did not report in time".to_owned())),
    }
}

/// Runs the app's own check in the container until it ends well or time is over.
async fn run_until_well(
    engine: &Engine,
    deployment: &Deployment,
    replica: u8,
    command: &Words,
) -> Result<Duration, CheckFailure> {
    let health = &deployment.settings.health;
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut last = "there was no time to run it".to_owned();
    while let Some(left) = health.timeout.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        match run_once(engine, deployment, replica, command, health.attempt.min(left)).await {
            Ok(Ok(())) => return Ok(begun.elapsed()),
            Ok(Err(words)) => last = words,
            Err(error) => last = error.to_string(),
        }
        engine.pause(pause.min(health.timeout.saturating_sub(begun.elapsed()))).await;
        pause = (pause * 2).min(health.interval);
    }
    Err(CheckFailure::Unwell(last))
}

/// Runs it once; within, why it did not end well.
async fn run_once(
    engine: &Engine,
    deployment: &Deployment,
    replica: u8,
    command: &Words,
    limit: Duration,
) -> Result<Result<(), String>, PodmanError> {
    let podman = &engine.machine().podman;
    let ran = podman.execute(&deployment.replica_name(replica), command.as_slice(), limit).await?;
    Ok(match ran {
        Some(Executed { status: 0, .. }) => Ok(()),
        Some(Executed { status, last_line }) => {
            let said = last_line.map_or_else(String::new, |line| format!(": {line}"));
            Err(format!("exit status {status}{said}"))
        }
        None => Err(format!("it had not ended within {:.1} s", limit.as_secs_f64())),
    })
}

/// Returns when systemd shows that the container will not come up; otherwise waits for ever. `exit` is how its
/// process ended last, if it has.
async fn gave_up(engine: &Engine, name: &str, exit: &mut Option<i32>) {
    let systemd = &engine.machine().systemd;
    let mut changes = systemd.changes();
    let mut first = None;
    loop {
        match systemd.unit(name).await {
            Ok(Some(unit)) => {
                // Without a restart policy, what ended well is inactive.
                let over = matches!(unit.active_state, ActiveState::Failed | ActiveState::Inactive);
                let ended = over || unit.sub_state == "auto-restart";
                // By the time it is asked how its process ended, the next one may have begun.
                if let (true, Some(status)) = (ended, unit.exec_main_status) {
                    *exit = Some(status);
                }
                // One that has run for months may have been restarted now and then.
                let before = *first.get_or_insert(unit.n_restarts);
                if over || unit.n_restarts.saturating_sub(before) >= RESTARTS_MAX {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(unit = name, %error, "state unknown"),
        }
        changed(&mut changes, name).await;
    }
}

/// Waits until the unit has changed, or may have.
async fn changed(changes: &mut Receiver<Change>, unit: &str) {
    loop {
        match changes.recv().await {
            Ok(Change::Unit(change)) if change.unit != unit => {}
            Ok(Change::Unit(_) | Change::Missed) | Err(RecvError::Lagged(_)) => return,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl CheckFailure {
    fn explain(&self, deployment: &Deployment, exit: Option<i32>) -> String {
        match (self, exit) {
            // What exits, again and again, did not just not answer.
            (Self::Never(_) | Self::Unwell(_) | Self::Exited, Some(status)) => format!(
                "the container exits before it answers (exit status {status}); its last lines above say why"
            ),
            (Self::Exited, None) => "the container does not stay up; its last lines above say why".to_owned(),
            (Self::Never(last), None) => format!(
                "it did not answer on port {} within {} s ({last}). Does the app listen on 0.0.0.0 and on the port in PORT?",
                deployment.settings.port,
                deployment.settings.health.timeout.as_secs()
            ),
            (Self::Unwell(last), None) => format!(
                "its check in the container did not end well within {} s ({last})",
                deployment.settings.health.timeout.as_secs()
            ),
            (Self::NoProxy(error), _) => {
                format!("the proxy could not ask it: {error}. Try systemctl status rivetr-proxy.service")
            }
        }
    }
}
