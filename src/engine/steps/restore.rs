//! Restoring: an earlier image needs no fetch and no build, so what brings it back starts at once.

use crate::domain::deployment::Deployment;
use crate::engine::context::{Context, Halt};

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    let origin = deployment.origin();
    let why = deployment.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    context.say(&deployment, format!("-----> Bringing back release {origin}{why}"));
    let there = engine.has_image(&deployment).await;
    if !there.map_err(|error| Halt::because("asking Podman for the image", error))? {
        let reason = format!("the image of release {origin} is gone; deploy its commit again");
        return Err(Halt::Failed(reason));
    }
    let addresses = super::addresses(context, &deployment).await?;
    deployment.restore(addresses)?;
    Ok(deployment)
}
