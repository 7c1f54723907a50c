//! Building: the image, by one capped transient unit that outlives the daemon.
//!
//! Its output goes straight into the deployment's log. Whoever finds the unit there, picks it up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::log_failure;
use crate::build;
use crate::domain::deployment::{Deployment, ImageId};
use crate::engine::context::{Context, Halt};
use crate::engine::log;
use crate::host::systemd::{Ended, Limits, ServiceResult, Transient};

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("building");
    let before = if context.resumed { built(context, &deployment).await? } else { None };
    let image = match before {
        Some(image) => image,
        None => build(context, &deployment).await?,
    };
    engine.failpoint("after-building");
    let replicas = deployment.settings.replicas;
    let addresses = engine.0.writer.allocate_addresses(context.app.project.id, deployment.id, replicas).await;
    let addresses = addresses.map_err(|error| Halt::because("no address for the container", error))?;
    super::retire::clear_workspace(context, &deployment);
    deployment.start(image, addresses)?;
    Ok(deployment)
}

/// Where builds run: below `rivetr.slice`, beside the projects. No project has this slice: slugs have no `_`.
const SLICE: &str = "rivetr-_build.slice";

/// How long a build may take to end once it was asked to: a cancelled deployment ends within 2 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Processes and threads of one build; a fork bomb ends here, a parallel compiler does not.
const TASKS_MAX: u64 = 4096;

/// A build yields the disk to what serves; the weight of others is 100.
const IO_WEIGHT: u64 = 20;

/// Ends the build, if it runs.
pub(super) async fn stop(context: &Context, deployment: &Deployment) {
    let unit = unit_name(deployment);
    let systemd = &context.engine.machine().systemd;
    log_failure(deployment, "build unit not forgotten", systemd.forget(&unit).await);
    context.engine.sweep_builds(deployment.created).await;
}

/// The name of the transient unit: `rivetr-build-blog-7.service`.
pub(in crate::engine) fn unit_name(deployment: &Deployment) -> String {
    format!("rivetr-build-{}-{}.service", deployment.app_slug, deployment.number)
}

async fn built(context: &Context, deployment: &Deployment) -> Result<Option<ImageId>, Halt> {
    let image = context.engine.machine().podman.image(&deployment.image_tag()).await;
    image.map_err(|error| Halt::because("asking Podman for the image", error))
}

async fn build(context: &mut Context, deployment: &Deployment) -> Result<ImageId, Halt> {
    let engine = context.engine.clone();
    let turn = engine.0.builds.clone().acquire_owned().await;
    let _turn = turn.map_err(|error| Halt::because("waiting for other builds", error))?;
    let systemd = &engine.machine().systemd;
    let unit = unit_name(deployment);
    let known =
        systemd.unit(&unit).await.map_err(|error| Halt::because("asking systemd for the build", error))?;
    if known.is_none() {
        let transient = describe(context, deployment).await?;
        context.say(deployment, format!("-----> Building {}", deployment.image_tag()));
        let started = systemd.start_transient(&transient).await;
        started.map_err(|error| Halt::because("starting the build", error))?;
    }
    let ended = {
        let over = CancellationToken::new();
        let _watch = over.clone().drop_guard();
        engine.0.tasks.spawn(log::watch_file(engine.clone(), deployment.clone(), unit.clone(), over));
        systemd.ended(&unit).await.map_err(|error| Halt::because("waiting for the build", error))?
    };
    log_failure(deployment, "build unit not forgotten", systemd.forget(&unit).await);
    match built(context, deployment).await? {
        Some(image) if ended.as_ref().is_none_or(|ended| ended.result == ServiceResult::Success) => Ok(image),
        Some(_) | None if log::is_too_long(&engine, deployment) => {
            Err(Halt::because("the build was ended", log::too_long(&engine)))
        }
        Some(_) | None => Err(Halt::Failed(explain(&engine.0.settings.build, ended.as_ref()))),
    }
}

async fn describe(context: &Context, deployment: &Deployment) -> Result<Transient, Halt> {
    let engine = &context.engine;
    let commit =
        deployment.commit.as_ref().ok_or_else(|| Halt::Failed("the commit is not known".to_owned()))?;
    let listing = engine.git().listing(&engine.repo(&deployment.app_slug), commit).await;
    let listing = listing.map_err(|error| Halt::because("listing the repository", error))?;
    let names: Vec<&str> = listing.iter().map(String::as_str).collect();
    let build::Recipe::Containerfile { path } =
        build::recipe(&names).map_err(|error| Halt::Failed(error.to_string()))?;
    let source = engine.machine().workspace.source(deployment);
    let limits = &engine.0.settings.build;
    let unit = unit_name(deployment);
    let cgroup = engine.machine().systemd.cgroup(SLICE, &unit).await;
    let cgroup = cgroup.map_err(|error| Halt::because("asking systemd for its cgroup", error))?;
    Ok(Transient {
        name: unit,
        description: format!("Build of {}", deployment.image_tag()),
        argv: arguments(deployment, &source, &path, &cgroup),
        dir: source,
        env: BTreeMap::new(),
        output_file: engine.machine().workspace.log(deployment),
        slice: Some(SLICE.to_owned()),
        stop_timeout: STOP_TIMEOUT,
        limits: Limits {
            cpu_percent: Some(limits.cpu_percent),
            memory_max: Some(limits.memory),
            tasks_max: Some(TASKS_MAX),
            runtime_max: Some(limits.timeout),
            io_weight: Some(IO_WEIGHT),
        },
    })
}

/// Left to itself, Podman runs each step in a scope beside the build's unit: neither capped nor stopped with it.
fn arguments(
    deployment: &Deployment,
    source: &std::path::Path,
    containerfile: &str,
    cgroup: &str,
) -> Vec<String> {
    let source: PathBuf = source.to_owned();
    let text = |path: PathBuf| path.display().to_string();
    vec![
        "podman".to_owned(),
        "--cgroup-manager=cgroupfs".to_owned(),
        "build".to_owned(),
        // Not the unit's own cgroup: Podman empties the one it is given.
        format!("--cgroup-parent={cgroup}/steps"),
        format!("--tag={}", deployment.image_tag()),
        format!("--label=io.rivetr.app={}", deployment.app_slug),
        format!("--label=io.rivetr.deployment={}", deployment.number),
        format!("--file={}", text(source.join(containerfile))),
        "--".to_owned(),
        text(source),
    ]
}

fn explain(limits: &crate::engine::BuildLimits, ended: Option<&Ended>) -> String {
    let Some(ended) = ended else {
        return "systemd has forgotten how the build ended; deploy again".to_owned();
    };
    let mib = limits.memory / (1024 * 1024);
    let seconds = limits.timeout.as_secs();
    match &ended.result {
        ServiceResult::OomKill => format!(
            "the build ran out of memory: it may use {mib} MiB. Raise memory_mb under [build], or build with less"
        ),
        ServiceResult::Timeout => {
            format!("the build took longer than {seconds} s. Raise timeout_s under [build]")
        }
        ServiceResult::Success => "the build ended well but left no image".to_owned(),
        ServiceResult::ExitCode => {
            format!("the build ended with exit status {}; its last lines above say why", ended.exit_status)
        }
        other @ (ServiceResult::Signal
        | ServiceResult::CoreDump
        | ServiceResult::Watchdog
        | ServiceResult::StartLimit
        | ServiceResult::Resources
        | ServiceResult::Protocol
        | ServiceResult::Other(_)) => format!("the build did not end well: {other}"),
    }
}
