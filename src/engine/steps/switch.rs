//! Switching: the store already says that the new release is live; the proxy is told, and acknowledges.

use crate::domain::deployment::Deployment;
use crate::engine::context::{Context, Halt};

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("switching");
    context.say(&deployment, "-----> Switching");
    engine.publish_routes().await.map_err(|error| Halt::because("the proxy was not switched", error))?;
    engine.failpoint("after-switching");
    deployment.retire()?;
    Ok(deployment)
}
