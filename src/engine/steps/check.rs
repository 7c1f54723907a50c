//! Checking: the new release is asked, on the very path that traffic will take, until it answers.

use std::time::Duration;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::start::show_last_lines;
use crate::domain::deployment::Deployment;
use crate::engine::context::{Context, Halt};
use crate::engine::{Engine, routes};
use crate::host::systemd::{ActiveState, Change};
use crate::proxy::probe::{Probe, ProbeOutcome};

/// After so many restarts before the first answer it will not come up by itself.
const RESTARTS_MAX: u32 = 3;

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
    let target = routes::target(&engine, &deployment)
        .ok_or_else(|| Halt::Failed("the container has no address".to_owned()))?;
    let health = deployment.settings.health.clone();
    let path = health.path.as_ref().map(|path| path.as_str().to_owned());
    let asked = path.clone().map_or_else(|| "a connection".to_owned(), |path| format!("GET {path}"));
    context.say(&deployment, format!("-----> Checking {asked} on port {}", deployment.settings.port));
    let host = context.app.hosts.first().map(ToString::to_string);
    let probe = Probe { target, path, host, timeout: health.timeout };
    let mut exit = None;
    let outcome = tokio::select! {
        outcome = ask(&engine, probe, health.timeout) => outcome,
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
    Exited,
    NoProxy(String),
}

async fn ask(
    engine: &crate::engine::Engine,
    probe: Probe,
    limit: Duration,
) -> Result<Duration, CheckFailure> {
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

/// Returns when systemd shows that the container will not come up; otherwise waits for ever. `exit` is how its
/// process ended last, if it has.
async fn gave_up(engine: &Engine, deployment: &Deployment, exit: &mut Option<i32>) {
    let name = deployment.service_name();
    let systemd = &engine.machine().systemd;
    let mut changes = systemd.changes();
    loop {
        match systemd.unit(&name).await {
            Ok(Some(unit)) => {
                let ended = unit.sub_state == "auto-restart" || unit.active_state == ActiveState::Failed;
                // By the time it is asked how its process ended, the next one may have begun.
                if let (true, Some(status)) = (ended, unit.exec_main_status) {
                    *exit = Some(status);
                }
                if unit.active_state == ActiveState::Failed || unit.n_restarts >= RESTARTS_MAX {
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
            (Self::Never(_) | Self::Exited, Some(status)) => format!(
                "the container exits before it answers (exit status {status}); its last lines above say why"
            ),
            (Self::Exited, None) => "the container does not stay up; its last lines above say why".to_owned(),
            (Self::Never(last), None) => format!(
                "it did not answer on port {} within {} s ({last}). Does the app listen on 0.0.0.0 and on the port in PORT?",
                deployment.settings.port,
                deployment.settings.health.timeout.as_secs()
            ),
            (Self::NoProxy(error), _) => {
                format!("the proxy could not ask it: {error}. Try systemctl status rivetr-proxy.service")
            }
        }
    }
}
