//! Checking: the new release is asked, on the very path that traffic will take, until it answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::start::show_last_lines;
use super::{command, log_failure};
use crate::domain::app::App;
use crate::domain::deployment::Deployment;
use crate::engine::context::{Context, Halt};
use crate::engine::{Engine, routes};
use crate::host::systemd::{ActiveState, Change};
use crate::proxy::probe::{Probe, ProbeOutcome};

/// After so many restarts before the first answer it will not come up by itself.
pub(in crate::engine) const RESTARTS_MAX: u32 = 3;

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
    context.say(&deployment, format!("-----> Checking {asked} on port {}{many}", deployment.settings.port));
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
    let probe = probe(engine, app, deployment, replica, deployment.settings.health.timeout);
    let limit = probe.timeout;
    let mut exit = None;
    let outcome = tokio::select! {
        outcome = ask(engine, probe, limit) => outcome,
        () = gave_up(engine, &unit, &mut exit) => Err(CheckFailure::Exited),
    };
    outcome.map_err(|failure| Silent { replica: replica.0, reason: failure.explain(deployment, exit) })
}

/// What is asked of a container, once or for some time.
pub(in crate::engine) fn probe(
    engine: &Engine,
    app: &App,
    deployment: &Deployment,
    replica: (u8, Ipv4Addr),
    timeout: Duration,
) -> Probe {
    let path = deployment.settings.health.path.as_ref().map(|path| path.as_str().to_owned());
    let host = app.hosts.first().map(ToString::to_string);
    Probe { target: routes::target(engine, deployment, replica), path, host, timeout }
}

fn asked_for(deployment: &Deployment) -> String {
    let path = deployment.settings.health.path.as_ref();
    path.map_or_else(|| "a connection".to_owned(), |path| format!("GET {}", path.as_str()))
}

enum CheckFailure {
    Never(String),
    Exited,
    NoProxy(String),
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

/// Returns when systemd shows that the container will not come up; otherwise waits for ever. `exit` is how its
/// process ended last, if it has.
async fn gave_up(engine: &Engine, name: &str, exit: &mut Option<i32>) {
    let systemd = &engine.machine().systemd;
    let mut changes = systemd.changes();
    loop {
        match systemd.unit(name).await {
            Ok(Some(unit)) => {
                let ended = unit.sub_state == "auto-restart" || unit.active_state == ActiveState::Failed;
                if ended {
                    *exit = unit.exec_main_status;
                }
                if unit.active_state == ActiveState::Failed || unit.n_restarts >= RESTARTS_MAX {
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
