//! Checking: the new release is asked, on the very path that traffic will take, until it answers.

use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use super::start::show_last_lines;
use crate::domain::deployment::Deployment;
use crate::engine::context::{Context, Halt};
use crate::engine::routes;
use crate::host::systemd::{ActiveState, Change, UnitStatus};
use crate::proxy::probe::{Probe, ProbeOutcome};

/// After so many restarts before the first answer it will not come up by itself.
const RESTARTS_MAX: u32 = 3;

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
    let host = engine.reader().hosts(deployment.app).await?.first().map(|host| host.name.to_string());
    let probe = Probe { target, path, host, timeout: health.timeout };
    let outcome = tokio::select! {
        outcome = ask(&engine, probe, health.timeout) => outcome,
        status = gave_up(&engine, &deployment) => Err(CheckFailure::Exited(status)),
    };
    match outcome {
        Ok(after) => context.say(&deployment, format!("       It answered after {} ms", after.as_millis())),
        Err(failure) => {
            let unit = engine.machine().systemd.unit(&deployment.service_name()).await;
            let unit = unit.ok().flatten();
            let invocation = unit.as_ref().and_then(|unit| unit.invocation_id.as_ref());
            show_last_lines(context, &deployment, invocation).await;
            return Err(Halt::Failed(failure.after_a_look(unit).explain(&deployment)));
        }
    }
    engine.failpoint("after-checking");
    deployment.switch()?;
    Ok(deployment)
}

enum CheckFailure {
    Never(String),
    Exited(UnitStatus),
    NoProxy(String),
}

async fn ask(
    engine: &crate::engine::Engine,
    probe: Probe,
    limit: Duration,
) -> Result<Duration, CheckFailure> {
    let asked = tokio::time::timeout(limit + LINK_MARGIN, engine.machine().proxy.probe(probe)).await;
    match asked {
        Ok(Ok(ProbeOutcome::Answered { after, .. })) => Ok(after),
        Ok(Ok(ProbeOutcome::Never { last })) => Err(CheckFailure::Never(last)),
        Ok(Err(error)) => Err(CheckFailure::NoProxy(error.to_string())),
        Err(_) => Err(CheckFailure::NoProxy("it did not report in time".to_owned())),
    }
}

/// Returns when systemd shows that the container will not come up; otherwise waits for ever.
async fn gave_up(engine: &crate::engine::Engine, deployment: &Deployment) -> UnitStatus {
    let name = deployment.service_name();
    let systemd = &engine.machine().systemd;
    let mut changes = systemd.changes();
    loop {
        match systemd.unit(&name).await {
            Ok(Some(unit)) if unit.active_state == ActiveState::Failed || unit.n_restarts >= RESTARTS_MAX => {
                return unit;
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(unit = name, %error, "state unknown"),
        }
        loop {
            match changes.recv().await {
                Ok(Change::Unit(change)) if change.unit != name => {}
                Ok(Change::Unit(_) | Change::Missed) | Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl CheckFailure {
    /// What never answered because it has exited, again and again, did not just not answer.
    fn after_a_look(self, unit: Option<UnitStatus>) -> Self {
        match (self, unit) {
            (Self::Never(_), Some(unit)) if unit.n_restarts > 0 || unit.active_state == ActiveState::Failed => {
                Self::Exited(unit)
            }
            (failure, _) => failure,
        }
    }

    fn explain(&self, deployment: &Deployment) -> String {
        match self {
            Self::Never(last) => format!(
                "it did not answer on port {} within {} s ({last}). Does the app listen on 0.0.0.0 and on the port in PORT?",
                deployment.settings.port,
                deployment.settings.health.timeout.as_secs()
            ),
            Self::Exited(unit) => {
                let status = unit.exec_main_status.unwrap_or_default();
                format!(
                    "the container exits before it answers (exit status {status}); its last lines above say why"
                )
            }
            Self::NoProxy(error) => {
                format!("the proxy could not ask it: {error}. Try systemctl status rivetr-proxy.service")
            }
        }
    }
}
