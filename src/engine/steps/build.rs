//! Building: the image, by one capped transient unit that outlives the daemon.
//!
//! Its output goes straight into the deployment's log. Whoever finds the unit there, picks it up.

mod arguments;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use self::arguments::{Place, arguments};
use super::log_failure;
use crate::domain::build::BuildOptions;
use crate::domain::deployment::{Deployment, ImageId};
use crate::domain::name::EnvKey;
use crate::domain::secret::Secret;
use crate::engine::context::{Context, Halt, Stop};
use crate::engine::{BuildLimits, Engine, log};
use crate::host::systemd::{ActiveState, Ended, Limits, ServiceResult, Transient};

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("building");
    let built = build(context, &deployment).await;
    log_failure(&deployment, "what builds left not removed", engine.sweep_after_builds().await);
    let image = built?;
    engine.failpoint("after-building");
    let addresses = super::addresses(context, &deployment).await?;
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

/// How much of the log is read to see why a build failed, in bytes.
const TAIL: u64 = 8 * 1024;

/// What Podman listens by.
const PODMAN_SOCKET: &str = "podman.socket";

/// Ends the build, if it runs.
pub(super) async fn stop(context: &Context, deployment: &Deployment) {
    let unit = unit_name(deployment);
    let ended = context.engine.kill_build(&unit, deployment.created).await;
    log_failure(deployment, "build unit not forgotten", ended);
    // On a full disk, Podman can remove something only once there is a little room.
    super::retire::clear_workspace(context, deployment);
    let swept = context.engine.sweep_after_builds().await;
    log_failure(deployment, "what builds left not removed", swept);
}

/// The name of the transient unit: `rivetr-build-blog-7.service`.
pub(in crate::engine) fn unit_name(deployment: &Deployment) -> String {
    format!("rivetr-build-{}-{}.service", deployment.app_slug, deployment.number)
}

/// A build is not begun where nobody could start its container. That Podman listens is systemd's doing, and to ask
/// systemd does not start it.
async fn podman_listens(engine: &Engine) -> Result<(), Halt> {
    let socket = engine.machine().systemd.unit(PODMAN_SOCKET).await;
    let socket = socket.map_err(|error| Halt::because("asking systemd for Podman's socket", error))?;
    // Where there is no such unit, somebody else may have Podman listen.
    if socket.is_none_or(|socket| socket.active_state == ActiveState::Active) {
        return Ok(());
    }
    Err(Halt::because("Podman is needed", engine.machine().podman.away("its socket is stopped")))
}

async fn built(context: &Context, deployment: &Deployment) -> Result<Option<ImageId>, Halt> {
    let image = context.engine.machine().podman.image(&deployment.image_tag()).await;
    image.map_err(|error| Halt::because("asking Podman for the image", error))
}

/// The image that a build has made, as it says itself: to ask Podman takes a while where its service sleeps.
fn made(context: &Context, deployment: &Deployment) -> Result<ImageId, Halt> {
    let unsaid =
        |why: &dyn std::fmt::Display| Halt::because("the build did not say which image it made", why);
    let said = context.engine.machine().workspace.image_said(deployment).map_err(|error| unsaid(&error))?;
    ImageId::parse(said.unwrap_or_default().trim()).map_err(|error| unsaid(&error))
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
        podman_listens(&engine).await?;
        if context.resumed
            && let Some(image) = built(context, deployment).await?
        {
            return Ok(image);
        }
        if context.resumed {
            // Its checkout went while it was being ended, and rivetr ended before that was stored.
            if engine.machine().workspace.in_source(deployment, Path::new("")).is_none() {
                return Err(Halt::Stopped(Stop::Cancel));
            }
            // One that was begun before was ended and is forgotten: what it left goes when this one has ended.
            engine.note_killed_build(deployment.created);
        }
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
    let forgotten = match &ended {
        Some(ended) if ended.result == ServiceResult::Success => systemd.forget(&unit).await,
        _ => engine.kill_build(&unit, deployment.created).await,
    };
    log_failure(deployment, "build unit not forgotten", forgotten);
    match &ended {
        Some(ended) if ended.result == ServiceResult::Success => return made(context, deployment),
        Some(_) => {}
        // systemd has forgotten how it ended.
        None => {
            if let Some(image) = built(context, deployment).await? {
                return Ok(image);
            }
        }
    }
    if log::is_too_long(&engine, deployment) {
        return Err(Halt::because("the build was ended", log::too_long(&engine)));
    }
    let bounds = bounds(&engine.0.settings.build, &deployment.settings.build);
    let tail = engine.machine().workspace.tail(&engine.machine().workspace.log(deployment), TAIL);
    let tail = tail.map_err(|error| Halt::because("the build failed, and its log", error))?;
    Err(Halt::Failed(explain(&bounds, ended.as_ref(), &tail)))
}

/// What a build may use: what its app says, and never more than the instance allows.
fn bounds(instance: &BuildLimits, app: &BuildOptions) -> BuildLimits {
    BuildLimits {
        memory: app.memory.map_or(instance.memory, |memory| memory.bytes().min(instance.memory)),
        cpu_percent: app.cpus.map_or(instance.cpu_percent, |cpus| cpus.percent().min(instance.cpu_percent)),
        timeout: app.timeout.map_or(instance.timeout, |timeout| timeout.min(instance.timeout)),
        concurrency: instance.concurrency,
    }
}

async fn describe(context: &Context, deployment: &Deployment) -> Result<Transient, Halt> {
    let engine = &context.engine;
    let place = Place::find(&engine.machine().workspace, deployment)?;
    let unit = unit_name(deployment);
    let cgroup = engine.machine().systemd.cgroup(SLICE, &unit).await;
    let cgroup = cgroup.map_err(|error| Halt::because("asking systemd for its cgroup", error))?;
    let bounds = bounds(&engine.0.settings.build, &deployment.settings.build);
    let inputs = inputs(engine, deployment)?;
    // Its images may lie at any registry.
    let image_file = engine.machine().workspace.image_file(deployment);
    let argv = arguments(deployment, &place, &cgroup, &image_file, &inputs);
    let argv =
        engine.with_sign_ins(&engine.machine().workspace.folder(deployment), None, "build", argv).await;
    let argv = argv.map_err(|error| Halt::because("signing in at registries", error))?;
    Ok(Transient {
        name: unit,
        description: format!("Build of {}", deployment.image_tag()),
        argv,
        dir: place.context,
        env: BTreeMap::new(),
        output_file: engine.machine().workspace.log(deployment),
        slice: Some(SLICE.to_owned()),
        stop_timeout: STOP_TIMEOUT,
        limits: Limits {
            cpu_percent: Some(bounds.cpu_percent),
            memory_max: Some(bounds.memory),
            tasks_max: Some(TASKS_MAX),
            runtime_max: Some(bounds.timeout),
            io_weight: Some(IO_WEIGHT),
        },
    })
}

/// What enters the build besides its files: variables of the build, the secret ones in files that only it is shown.
/// They lie in the deployment's own directory, which goes with the checkout.
fn inputs(engine: &Engine, deployment: &Deployment) -> Result<Vec<String>, Halt> {
    let variables = engine.build_variables(deployment).map_err(|error| Halt::Failed(error.to_string()))?;
    let option = |(key, value, secret): (EnvKey, Secret, bool)| {
        if !secret {
            let value = String::from_utf8_lossy(value.reveal()).into_owned();
            return Ok(format!("--build-arg={}={value}", key.as_str()));
        }
        let file = engine.machine().workspace.write_private(deployment, key.as_str(), value.reveal());
        let file = file.map_err(|error| Halt::because("writing a secret for the build", error))?;
        Ok(format!("--secret=id={},src={}", key.as_str(), file.display()))
    };
    variables.into_iter().map(option).collect()
}

fn explain(limits: &BuildLimits, ended: Option<&Ended>, said: &str) -> String {
    let Some(ended) = ended else {
        return "systemd has forgotten how the build ended; deploy again".to_owned();
    };
    let mib = limits.memory / (1024 * 1024);
    let seconds = limits.timeout.as_secs();
    match &ended.result {
        ServiceResult::OomKill => format!(
            "the build ran out of memory: it may use {mib} MiB. Raise the app's build memory or memory_mb under [build], or build with less"
        ),
        ServiceResult::Timeout => {
            format!(
                "the build took longer than {seconds} s. Raise the app's build time or timeout_s under [build]"
            )
        }
        ServiceResult::Success => "the build ended well but left no image".to_owned(),
        ServiceResult::ExitCode if said.to_lowercase().contains("no space left on device") => {
            "the disk was full: free some space (podman image prune removes images that nobody uses), then deploy \
             again"
                .to_owned()
        }
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
