//! Starting: the units of the new release, beside the old.

use super::{command, log_failure};
use crate::domain::app::Wish;
use crate::domain::deployment::Deployment;
use crate::domain::volume::Tmpfs;
use crate::engine::apply::{ApplyError, Start};
use crate::engine::context::{Context, Halt};
use crate::host::systemd::{InvocationId, JobFailure, StartError};

/// How many of the unit's last log lines are shown when it could not be started.
const LAST_LINES: usize = 20;

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("starting");
    context.say(&deployment, format!("-----> Starting {}", deployment.unit_name()));
    let may = engine.check_host_paths(&deployment.settings.runtime);
    may.map_err(|refusal| Halt::Failed(refusal.message))?;
    context.refuse_drift().await?;
    if let Some(live) = live(context).await? {
        make_way(context, &live, &deployment).await?;
        let carried = engine.carry_dropins(&live, &deployment);
        carried.map_err(|error| Halt::because("the drop-ins of the live release were not carried", error))?;
    }
    command::before(context, &deployment).await?;
    say_what_is_lost(context, &deployment).await;
    match engine.start_release(&context.app, Start::New(deployment.id)).await {
        Ok(()) => {}
        Err(ApplyError::Start(StartError::Failed(failure))) => {
            let names = deployment.replicas().map(|(number, _)| deployment.replica_name(number));
            let failed = names.filter(|name| failure.unit.strip_suffix(".service") == Some(name)).collect();
            let lines = show_last_lines(context, &deployment, failed, failure.invocation.as_ref()).await;
            return Err(Halt::Failed(explain(&failure, &lines)));
        }
        Err(ApplyError::Ungiven(error)) => return Err(Halt::Failed(error.to_string())),
        Err(error) => return Err(Halt::because("the units were not started", error)),
    }
    engine.failpoint("after-starting");
    deployment.check()?;
    Ok(deployment)
}

/// Where the image keeps data and nothing is mounted, the data go with the container.
async fn say_what_is_lost(context: &mut Context, deployment: &Deployment) {
    let Some(image) = &deployment.image else { return };
    let facts = context.engine.machine().podman.image_facts(image.digits()).await;
    let facts = facts.inspect_err(|error| tracing::debug!(%error, "not asked where it keeps data"));
    let runtime = &deployment.settings.runtime;
    let mounts = runtime.mounts.iter().map(|mount| &mount.at);
    let mounted: Vec<_> =
        mounts.chain(runtime.tmpfs.iter().map(Tmpfs::at)).map(ToString::to_string).collect();
    let kept = facts.ok().flatten().map(|facts| facts.volumes).unwrap_or_default();
    for path in kept.iter().filter(|path| !mounted.contains(path)) {
        context.say(
            deployment,
            format!(
                "       Data in {path} goes with each container: its image keeps some there, and no volume is mounted \
                 (rivetr apps set {} --volume data:{path})",
                deployment.app_slug
            ),
        );
    }
}

/// Two containers cannot have one port of the host: the live release stops before the new one starts. Each of the
/// two has one container then.
async fn make_way(context: &mut Context, live: &Deployment, next: &Deployment) -> Result<(), Halt> {
    if !wants_port_of(next, live) {
        return Ok(());
    }
    context
        .say(next, format!("       Both want the same port of the host: {} stops first", live.unit_name()));
    let systemd = &context.engine.machine().systemd;
    let unit = live.replica_service(1);
    let stopped = systemd.stop(&unit).await;
    stopped.map_err(|error| Halt::because("the live release was not stopped", error))?;
    // Where the app answers a stop with a status of its own, its unit has failed, and would be started again.
    let forgotten = systemd.forget(&unit).await;
    forgotten.map_err(|error| Halt::because("the live release was not stopped", error))
}

/// Starts the live release again which a new one had made stop.
pub(super) async fn give_way_back(context: &Context, next: &Deployment, live: &Deployment) {
    let wish = context.engine.reader().app_by_id(next.app).await.map(|app| app.map(|app| app.wish));
    let stopped = matches!(wish, Ok(Some(Wish::Stop)));
    if live.id != next.id && !stopped && wants_port_of(next, live) {
        let started = context.engine.machine().systemd.start(&live.replica_service(1)).await;
        log_failure(live, "not started again", started);
    }
}

fn wants_port_of(next: &Deployment, live: &Deployment) -> bool {
    let wants = |of: &Deployment| of.settings.runtime.publish.clone();
    wants(next).iter().any(|port| wants(live).iter().any(|other| port.collides_with(other)))
}

/// The deployment that serves now.
pub(super) async fn live(context: &Context) -> Result<Option<Deployment>, Halt> {
    match context.app.live {
        Some(id) => Ok(context.engine.reader().deployment(id).await?),
        None => Ok(None),
    }
}

/// Copies what containers last printed into the deployment's log; if it printed nothing, what systemd and
/// Podman say of the run. Gives the lines back.
pub(super) async fn show_last_lines(
    context: &mut Context,
    deployment: &Deployment,
    containers: Vec<String>,
    run: Option<&InvocationId>,
) -> Vec<String> {
    let journal = &context.engine.machine().journal;
    let lines = match journal.last_printed(containers, deployment.created, run, LAST_LINES).await {
        Ok(lines) => lines,
        Err(error) => {
            tracing::warn!(app = %deployment.app_slug, deployment = deployment.number, %error, "journal not read");
            return Vec::new();
        }
    };
    for line in &lines {
        context.say(deployment, format!("       | {line}"));
    }
    lines
}

fn explain(failure: &JobFailure, lines: &[String]) -> String {
    // The statuses are Podman's own, as those of a shell; 126 stands for more than the command.
    let said = lines.iter().rev().find_map(|line| line.strip_prefix("Error: "));
    match failure.service.as_ref().map(|(_, status)| *status) {
        Some(127) => "the command of the image was not found in it: check CMD and ENTRYPOINT".to_owned(),
        Some(126) if said.is_none_or(|said| said.contains("permission denied")) => {
            "the command of the image cannot be executed: check its mode and its interpreter".to_owned()
        }
        Some(125 | 126) => said.map_or_else(|| failure.to_string(), |said| format!("Podman says: {said}")),
        Some(_) | None => failure.to_string(),
    }
}
