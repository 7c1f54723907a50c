//! Building: the image of a deployment, with what enters it besides its files. How it is built is in `engine/build.rs`.

use super::log_failure;
use crate::domain::deployment::{Deployment, ImageId};
use crate::domain::name::EnvKey;
use crate::domain::secret::Secret;
use crate::engine::build::Build;
use crate::engine::context::{Context, Halt};
use crate::engine::{Engine, log};

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

async fn build(context: &mut Context, deployment: &Deployment) -> Result<ImageId, Halt> {
    let engine = context.engine.clone();
    let (workspace, unit) = (&engine.machine().workspace, unit_name(deployment));
    let build = Build {
        tag: deployment.image_tag(),
        labels: vec![
            format!("io.rivetr.app={}", deployment.app_slug),
            format!("io.rivetr.deployment={}", deployment.number),
        ],
        options: &deployment.settings.build,
        source: workspace.source(deployment),
        folder: workspace.folder(deployment),
        image_file: workspace.image_file(deployment),
        log: workspace.log(deployment),
        unit: unit.clone(),
        created: deployment.created,
        resumed: context.resumed,
    };
    let watch = |over| {
        let watched = log::watch_deployment(engine.clone(), deployment, unit.clone(), over);
        engine.0.tasks.spawn(watched);
    };
    let say = |line: String| context.say(deployment, line);
    engine.build_image(&build, || inputs(&engine, deployment), say, watch).await
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
