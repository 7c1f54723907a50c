//! Instructions that are kept with the app: written out as the one file of an otherwise empty directory.

use sha2::{Digest as _, Sha256};

use crate::domain::deployment::Deployment;
use crate::domain::image::Digest;
use crate::domain::instructions::Instructions;
use crate::engine::context::{Context, Halt};

/// The name under which the build looks for it.
const NAME: &str = "Containerfile";

pub(super) fn run(
    context: &mut Context,
    mut deployment: Deployment,
    instructions: &Instructions,
) -> Result<Deployment, Halt> {
    let text = instructions.as_str();
    let sum = Digest::of_sum(Sha256::digest(text).into());
    context.say(
        &deployment,
        format!("-----> Taking the Containerfile of {} ({})", context.app.slug, sum.short()),
    );
    let workspace = &context.engine.machine().workspace;
    let unwritten = |error| Halt::because("writing the Containerfile", error);
    workspace.make_source(&deployment).map_err(unwritten)?;
    workspace.write_source(&deployment, NAME, text).map_err(unwritten)?;
    deployment.build_content(sum)?;
    Ok(deployment)
}
