//! Retiring: requests in flight to the old release end, then it is stopped and removed.

use super::log_failure;
use crate::domain::deployment::Deployment;
use crate::engine::context::{Context, Halt};

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("retiring");
    let releases = engine.reader().releases(deployment.app).await?;
    let old: Vec<&Deployment> = releases.iter().filter(|release| release.id != deployment.id).collect();
    for release in &old {
        context.say(&deployment, format!("-----> Retiring {}", release.unit_name()));
        let left = engine.drain(release).await;
        if left.is_none_or(|left| left > 0) {
            let requests = left.map_or_else(|| "requests".to_owned(), |left| format!("{left} requests"));
            context.say(&deployment, format!("       Warning: {requests} may have been cut off"));
        }
        log_failure(release, "drop-ins not removed", engine.drop_carried(release, &deployment));
    }
    let without: Vec<_> = old.iter().map(|release| release.id).collect();
    let removed = engine.remove_releases(&context.app, &without).await;
    removed.map_err(|error| Halt::because("the old release was not removed", error))?;
    log_failure(&deployment, "old images not removed", engine.sweep_images(&context.app).await);
    engine.failpoint("after-retiring");
    deployment.finish(engine.now())?;
    let urls = engine.urls(&context.app).join(" ");
    let urls = if urls.is_empty() { "no host leads to it".to_owned() } else { urls };
    context.say(&deployment, format!("-----> Live: {urls}"));
    Ok(deployment)
}

/// Removes the deployment's checkout.
pub(super) fn clear_workspace(context: &Context, deployment: &Deployment) {
    let removed = context.engine.machine().workspace.remove_source(deployment);
    log_failure(deployment, "checkout not removed", removed);
}
