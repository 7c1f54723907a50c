//! Fetching: what is to be deployed, into this deployment's own directory; one file for each source.

mod git;
mod image;
mod inline;
mod upload;

use crate::domain::deployment::Deployment;
use crate::domain::source::Source;
use crate::engine::context::{Context, Halt};

pub(in crate::engine) async fn run(
    context: &mut Context,
    deployment: Deployment,
) -> Result<Deployment, Halt> {
    context.engine.failpoint("fetching");
    let fetched = match (deployment.digest.clone(), context.app.source.clone()) {
        // Only an upload is known by its digest before it is fetched.
        (Some(sum), _) => upload::run(context, deployment, sum).await?,
        (None, Source::Image { image }) => image::run(context, deployment, &image).await?,
        (None, Source::Inline { instructions }) => inline::run(context, deployment, &instructions)?,
        (None, Source::Upload) => {
            let words = format!("nothing was uploaded: rivetr deploy {} --from DIR", context.app.slug);
            return Err(Halt::Failed(words));
        }
        (None, Source::Git(source)) => git::fetched(context, deployment, source).await?,
        (None, Source::Push { branch }) => git::pushed(context, deployment, &branch).await?,
    };
    context.engine.failpoint("after-fetching");
    context.resumed = false;
    Ok(fetched)
}

/// Ends the pull of an image, if one runs.
pub(super) async fn stop(context: &Context, deployment: &Deployment) {
    if let (Source::Image { .. }, None) = (&context.app.source, &deployment.commit) {
        image::stop(context, deployment).await;
    }
}
