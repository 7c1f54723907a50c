//! Commands of a deployment: each runs once in the new image, as a unit of its own that outlives the daemon.
//!
//! A command that has ended stays known to systemd until its deployment has moved on, so that a restarted rivetr
//! does not run it again. When the whole machine goes down meanwhile, it may run twice.

use std::collections::BTreeSet;

use tokio_util::sync::CancellationToken;

use crate::domain::app::{App, Commands};
use crate::domain::deployment::Deployment;
use crate::domain::runtime::Words;
use crate::engine::apply::ApplyError;
use crate::engine::context::{Context, Halt};
use crate::engine::memory::shortage;
use crate::engine::{Engine, log};
use crate::host::systemd::{ServiceResult, StartError};
use crate::plan::{UnitState, Wanted};
use crate::quadlet;
use crate::quadlet::app::{Once, Release};
use crate::quadlet::path::{Owner, UnitPath};

/// The command before the switch.
pub(super) async fn before(context: &mut Context, deployment: &Deployment) -> Result<(), Halt> {
    let Some(command) = own(deployment).and_then(|commands| commands.before_switch.clone()) else {
        return Ok(());
    };
    context.engine.failpoint("before-command");
    run(context, deployment, "before", &command).await?;
    context.engine.failpoint("after-command");
    Ok(())
}

/// The command after the switch. Its failure is told and changes nothing.
pub(super) async fn after(context: &mut Context, deployment: &Deployment) -> Result<(), Halt> {
    let Some(command) = own(deployment).and_then(|commands| commands.after_switch.clone()) else {
        return Ok(());
    };
    match run(context, deployment, "after", &command).await {
        Err(Halt::Failed(reason)) => {
            context.say(deployment, format!("       Warning: {reason}"));
            Ok(())
        }
        other => other,
    }
}

/// Ends and forgets the commands of this deployment, if it has any.
pub(in crate::engine) async fn clear_own(
    engine: &Engine,
    app: &App,
    deployment: &Deployment,
) -> Result<(), ApplyError> {
    let any = |commands: &Commands| commands.before_switch.is_some() || commands.after_switch.is_some();
    if own(deployment).is_some_and(any) {
        clear(engine, app).await?;
        engine.0.writer.free_command_address(deployment.id).await?;
    }
    Ok(())
}

/// Ends and forgets every command of an app.
pub(in crate::engine) async fn clear(engine: &Engine, app: &App) -> Result<(), ApplyError> {
    let owner = Owner::Commands(app.slug.clone());
    let observed = engine.observe(&owner).await?;
    engine.carry_out(&Wanted::default(), &observed, &owner, &BTreeSet::new()).await
}

/// What a deployment runs; nothing where it brings back what ran already.
fn own(deployment: &Deployment) -> Option<&Commands> {
    deployment.back_to.is_none().then_some(&deployment.settings.commands)
}

async fn run(
    context: &mut Context,
    deployment: &Deployment,
    when: &str,
    command: &Words,
) -> Result<(), Halt> {
    let engine = context.engine.clone();
    let halted = |error: ApplyError| Halt::because("the command could not be run", error);
    // Its network and its volumes are there from here on.
    engine.converge(&context.app).await.map_err(halted)?;
    let wanted = describe(context, deployment, when, command).await?;
    let owner = Owner::Commands(context.app.slug.clone());
    let observed = engine.observe(&owner).await.map_err(halted)?;
    let known = wanted.running.iter().find_map(|unit| observed.units.get(unit));
    match known {
        // It was done before rivetr was started anew.
        Some(UnitState::Active) => return Ok(()),
        Some(UnitState::Failed) => {
            return Err(Halt::Failed(format!(
                "the command {when} the switch failed; its lines above say why"
            )));
        }
        Some(UnitState::Changing | UnitState::Inactive) | None => {}
    }
    context.say(deployment, format!("-----> Running {when} the switch: {command}"));
    let over = CancellationToken::new();
    let _watch = over.clone().drop_guard();
    let unit = wanted.running.first().cloned().unwrap_or_default();
    engine.0.tasks.spawn(log::watch_deployment(engine.clone(), deployment, unit, over));
    match engine.carry_out(&wanted, &observed, &owner, &wanted.running).await {
        Err(ApplyError::Start(StartError::Failed(_)))
            if log::is_too_long(&engine, &engine.machine().workspace.log(deployment)) =>
        {
            Err(Halt::because(format!("the command {when} the switch was ended"), log::too_long(&engine)))
        }
        Err(ApplyError::Start(StartError::Failed(failure))) => {
            let starved = engine.out_of_memory(deployment, &failure.unit).await.is_some();
            Err(Halt::Failed(if starved {
                shortage(&format!("the command {when} the switch"), deployment)
            } else {
                explain(deployment, when, failure.service.as_ref())
            }))
        }
        other => other.map_err(halted),
    }
}

async fn describe(
    context: &Context,
    deployment: &Deployment,
    when: &str,
    command: &Words,
) -> Result<Wanted, Halt> {
    let Context { engine, app, .. } = context;
    let failed = |error: &dyn std::fmt::Display| Halt::because("the command could not be run", error);
    let image = deployment.image.as_ref().ok_or_else(|| Halt::Failed("the image is not known".to_owned()))?;
    let address = engine.0.writer.command_address(app.project.id, deployment.id).await;
    let address = address.map_err(|error| failed(&error))?;
    let features = engine.podman_features().await.map_err(|error| failed(&error))?;
    let given = engine.given(deployment).map_err(|error| Halt::Failed(error.to_string()))?;
    let release = Release {
        project: &app.project,
        deployment,
        image,
        addresses: &[],
        enabled: false,
        features,
        variables: &given.variables,
        files: &given.files,
    };
    let once = Once {
        name: &format!("rivetr-run-{}-{}-{when}", deployment.app_slug, deployment.number),
        command,
        address,
        timeout: deployment.settings.commands.timeout,
        log: &engine.machine().workspace.log(deployment),
    };
    let files = quadlet::app::once(&release, &once).map_err(|error| failed(&error))?;
    engine.make_secrets(deployment, &given).await.map_err(|error| failed(&error))?;
    let running = files.keys().map(UnitPath::unit).collect();
    Ok(Wanted { files, running })
}

fn explain(deployment: &Deployment, when: &str, service: Option<&(ServiceResult, i32)>) -> String {
    let name = format!("the command {when} the switch");
    match service {
        Some((ServiceResult::Timeout, _)) => {
            let seconds = deployment.settings.commands.timeout.as_secs();
            format!("{name} took longer than {seconds} s. Give the app a longer command timeout")
        }
        Some((ServiceResult::ExitCode, 126 | 127)) => {
            format!("{name} is not in the image, or cannot be executed; its lines above say more")
        }
        Some((ServiceResult::ExitCode, status)) => {
            format!("{name} failed with exit status {status}; its lines above say why")
        }
        Some((other, _)) => format!("{name} did not end well: {other}"),
        None => format!("{name} could not be started; `journalctl` of its unit says more"),
    }
}
