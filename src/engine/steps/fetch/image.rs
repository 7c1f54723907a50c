//! An image from a registry: pulled as builds are built, in a unit that outlives the daemon, and given the name that a
//! build would have given it. There is nothing to build then.

use super::super::log_failure;
use crate::domain::deployment::Deployment;
use crate::domain::image::ImageRef;
use crate::engine::context::{Context, Halt};
use crate::engine::log;
use crate::engine::pull::Pull;
use crate::engine::steps::build::unit_name;
use crate::host::podman::Pulled;

pub(super) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
    image: &ImageRef,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    let name = image.to_string();
    let podman = &engine.machine().podman;
    let unknown = |error| Halt::because("asking Podman for the image", error);
    // Nobody else gives or takes this name meanwhile.
    let _alone = engine.0.pulling.take(name.clone()).await;
    let ours = !context.resumed && podman.pulled(&name).await.map_err(unknown)?.is_none();
    pull(context, &deployment, image).await?;
    let found = podman.pulled(&name).await.map_err(unknown)?;
    let Pulled { id, digest } = found
        .ok_or_else(|| Halt::Failed(format!("the pull ended well but left no {image}; deploy again")))?;
    let tagged = podman.tag(&id, &deployment.image_tag()).await;
    tagged.map_err(|error| Halt::because("naming the image", error))?;
    // Podman does not take off a name with a digest.
    if ours && image.digest().is_none() {
        log_failure(&deployment, "name of the image not removed", podman.untag_or_remove(&name).await);
    }
    let sum = image.digest().cloned().unwrap_or(digest);
    context.say(&deployment, format!("       {sum}"));
    super::super::retire::clear_workspace(context, &deployment);
    let addresses = super::super::addresses(context, &deployment).await?;
    deployment.adopt(id, sum, addresses)?;
    Ok(deployment)
}

/// Ends the pull, if it runs.
pub(super) async fn stop(context: &Context, deployment: &Deployment) {
    let forgotten = context.engine.machine().systemd.forget(&unit_name(deployment)).await;
    log_failure(deployment, "pull unit not forgotten", forgotten);
}

async fn pull(context: &mut Context, deployment: &Deployment, image: &ImageRef) -> Result<(), Halt> {
    let engine = context.engine.clone();
    let workspace = &engine.machine().workspace;
    let unit = unit_name(deployment);
    // What an earlier run of rivetr began goes on in its own folder.
    let known = engine.machine().systemd.unit(&unit).await;
    let known = known.map_err(|error| Halt::because("asking systemd for the pull", error))?;
    let dir = if known.is_some() {
        workspace.source(deployment)
    } else {
        let made = workspace.make_source(deployment);
        made.map_err(|error| Halt::because("making room for the pull", error))?
    };
    let pull = Pull {
        image,
        dir,
        folder: workspace.folder(deployment),
        log: workspace.log(deployment),
        unit: unit.clone(),
    };
    let watch = |over| {
        let watched = log::watch_deployment(engine.clone(), deployment, unit.clone(), over);
        engine.0.tasks.spawn(watched);
    };
    engine.pull(&pull, |line| context.say(deployment, line), watch).await.map_err(Halt::Failed)
}
