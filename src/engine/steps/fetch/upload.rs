//! An archive that was handed in with the wish to deploy: unpacked into this deployment's own directory.

use tokio::task::spawn_blocking;
use tokio_util::sync::CancellationToken;

use crate::domain::deployment::Deployment;
use crate::domain::image::Digest;
use crate::engine::context::{Context, Halt};
use crate::host::archive::{self, Limits};

pub(super) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
    sum: Digest,
) -> Result<Deployment, Halt> {
    context.say(&deployment, format!("-----> Unpacking {}", sum.short()));
    let workspace = &context.engine.machine().workspace;
    let source = workspace.make_source(&deployment);
    let source = source.map_err(|error| Halt::because("making room for the upload", error))?;
    let archive = workspace.upload(&deployment.app_slug, &sum);
    let stop = CancellationToken::new();
    // Who is cancelled does not wait for a thread; the thread ends by itself then.
    let _stop = stop.clone().drop_guard();
    let unpacked = spawn_blocking(move || archive::unpack(&archive, &source, Limits::default(), &stop)).await;
    let unpacked = unpacked.map_err(|error| Halt::because("unpacking the upload", error))?;
    unpacked.map_err(|error| Halt::Failed(error.to_string()))?;
    deployment.build_content(sum)?;
    Ok(deployment)
}
