//! Checking: the new release is asked, on the very path that traffic will take, until it answers.

use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;

use super::start::show_last_lines;
use crate::domain::app::{App, HealthAsk, Statuses};
use crate::domain::deployment::Deployment;
use crate::domain::runtime::Words;
use crate::engine::context::{Context, Halt};
use crate::engine::{Engine, routes};
use crate::host::podman::Executed;
use crate::host::systemd::{ActiveState, Change};
use crate::proxy::probe::{Probe, ProbeOutcome};

/// After so many restarts before the first answer it will not come up by itself.
const RESTARTS_MAX: u32 = 3;

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
    let asked = match &deployment.settings.health.ask {
        HealthAsk::Connect => format!("a connection on port {}", deployment.settings.port),
        HealthAsk::Http { path, .. } => format!("GET {} on port {}", path.as_str(), deployment.settings.port),
        HealthAsk::Command(command) => format!("{command} in the container"),
    };
    context.say(&deployment, format!("-----> Checking {asked}"));
    let mut exit = None;
    let outcome = tokio::select! {
        outcome = answers(&context.app, &engine, &deployment) => outcome,
        () = gave_up(&engine, &deployment, &mut exit) => Err(CheckFailure::Exited),
    };
    match outcome {
        Ok(after) => context.say(&deployment, format!("       It answered after {} ms", after.as_millis())),
        Err(failure) => {
            show_last_lines(context, &deployment, None).await;
            return Err(Halt::Failed(failure.explain(&deployment, exit)));
        }
    }
    engine.failpoint("after-checking");
    deployment.switch()?;
    Ok(deployment)
}

enum CheckFailure {
    Never(String),
    Unwell(String),
    Exited,
    NoProxy(String),
}

/// Asks a release, until it answers or its time is over, and says how long that took.
async fn answers(app: &App, engine: &Engine, deployment: &Deployment) -> Result<Duration, CheckFailure> {
    let health = &deployment.settings.health;
    let (path, statuses) = match &health.ask {
        HealthAsk::Command(command) => return run_until_well(engine, deployment, command).await,
        HealthAsk::Connect => (None, Statuses::default()),
        HealthAsk::Http { path, statuses } => (Some(path.as_str().to_owned()), *statuses),
    };
    let target = routes::target(engine, deployment)
        .ok_or_else(|| CheckFailure::Never("the container has no address".to_owned()))?;
    let host = app.hosts.first().map(ToString::to_string);
    let (attempt, timeout) = (health.attempt, health.timeout);
    let probe = Probe { target, path, host, statuses: statuses.bounds(), attempt, timeout };
    ask(engine, probe, timeout).await
}

async fn ask(engine: &Engine, probe: Probe, limit: Duration) -> Result<Duration, CheckFailure> {
    let ask = async {
        loop {
            match engine.machine().proxy.probe(probe.clone()).await {
                // It is being started anew.
                Err(error) if routes::is_down(&error) => engine.pause(ASK_AGAIN).await,
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
    command: &Words,
) -> Result<Duration, CheckFailure> {
    let health = &deployment.settings.health;
    let begun = Instant::now();
    let mut pause = FIRST_PAUSE;
    let mut last = "there was no time to run it".to_owned();
    while let Some(left) = health.timeout.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        let limit = health.attempt.min(left);
        let podman = &engine.machine().podman;
        match podman.execute(&deployment.unit_name(), command.as_slice(), limit).await {
            Ok(Some(Executed { status: 0, .. })) => return Ok(begun.elapsed()),
            Ok(Some(Executed { status, last_line })) => {
                let said = last_line.map_or_else(String::new, |line| format!(": {line}"));
                last = format!("exit status {status}{said}");
            }
            Ok(None) => last = format!("it had not ended within {:.1} s", limit.as_secs_f64()),
            Err(error) => last = error.to_string(),
        }
        engine.pause(pause.min(health.timeout.saturating_sub(begun.elapsed()))).await;
        pause = (pause * 2).min(health.interval);
    }
    Err(CheckFailure::Unwell(last))
}

/// Returns when systemd shows that the container will not come up; otherwise waits for ever. `exit` is how its
/// process ended last, if it has.
async fn gave_up(engine: &Engine, deployment: &Deployment, exit: &mut Option<i32>) {
    let name = deployment.service_name();
    let systemd = &engine.machine().systemd;
    let mut changes = systemd.changes();
    loop {
        match systemd.unit(&name).await {
            Ok(Some(unit)) => {
                // Without a restart policy, what ended well is inactive.
                let over = matches!(unit.active_state, ActiveState::Failed | ActiveState::Inactive);
                let ended = over || unit.sub_state == "auto-restart";
                // By the time it is asked how its process ended, the next one may have begun.
                if let (true, Some(status)) = (ended, unit.exec_main_status) {
                    *exit = Some(status);
                }
                if over || unit.n_restarts >= RESTARTS_MAX {
                    return;
                }
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(unit = name, %error, "state unknown"),
        }
        changed(&mut changes, &name).await;
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
