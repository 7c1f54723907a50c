//! Fetching: what is to be deployed, into this deployment's own directory; one file for each source but Git.

mod image;
mod inline;
mod upload;

use crate::domain::deployment::Deployment;
use crate::domain::source::{CommitId, Source};
use crate::engine::context::{Context, Halt};
use crate::host::git::GitError;

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
        (None, Source::Push { .. } | Source::Git { .. }) => check_out(context, deployment).await?,
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

/// What lies at the root of what is to be built.
pub(super) async fn listing(context: &Context, deployment: &Deployment) -> Result<Vec<String>, Halt> {
    let engine = &context.engine;
    let Some(commit) = &deployment.commit else {
        let listing = engine.machine().workspace.listing(deployment);
        return listing.map_err(|error| Halt::because("listing what was handed in", error));
    };
    let listing = engine.git().listing(&engine.repo(&deployment.app_slug), commit).await;
    listing.map_err(|error| Halt::because("listing the repository", error))
}

/// The command of a build with every sign-in that its images may need.
pub(super) async fn with_sign_ins(
    context: &Context,
    deployment: &Deployment,
    argv: Vec<String>,
) -> Result<Vec<String>, Halt> {
    let argv = context.engine.with_sign_ins(deployment, None, "build", argv).await;
    argv.map_err(|error| Halt::because("signing in at registries", error))
}

async fn check_out(context: &mut Context, mut deployment: Deployment) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    let repo = engine.repo(&deployment.app_slug);
    let git = engine.git();
    let commit = fetch(context, &deployment).await?;
    let subject =
        git.subject(&repo, &commit).await.map_err(|error| Halt::because("reading the commit", error))?;
    context.say(&deployment, format!("-----> Fetching {} {subject}", commit.short()));
    let source = engine.machine().workspace.make_source(&deployment);
    let source = source.map_err(|error| Halt::because("making room for the checkout", error))?;
    let exported =
        git.export(&repo, &commit, &source).await.map_err(|error| Halt::because("checking out", error))?;
    for note in exported.notes {
        context.say(&deployment, format!("       Note: {note}"));
    }
    deployment.build(commit)?;
    Ok(deployment)
}

/// The commit to deploy, in the app's own repository.
async fn fetch(context: &mut Context, deployment: &Deployment) -> Result<CommitId, Halt> {
    let engine = context.engine.clone();
    let repo = engine.repo(&deployment.app_slug);
    let git = engine.git();
    let (url, branch) = match (context.app.source.clone(), deployment.commit.clone()) {
        (Source::Git { url, branch }, _) => (url, branch),
        (Source::Push { .. }, Some(commit)) => return Ok(commit),
        (Source::Image { .. } | Source::Upload | Source::Inline { .. }, _) => {
            return Err(Halt::Failed("the source was changed meanwhile; deploy again".to_owned()));
        }
        (Source::Push { branch }, None) => {
            return Err(Halt::Failed(format!("nothing was pushed: git push the branch {branch} first")));
        }
    };
    let failed = |error: GitError| Halt::Failed(error.to_string());
    if let Some(commit) = deployment.commit.clone() {
        context.say(deployment, format!("-----> Fetching {} of {url}", commit.short()));
        git.fetch_commit(&repo, &url, &commit, |line| context.say(deployment, line)).await.map_err(failed)?;
        return Ok(commit);
    }
    context.say(deployment, format!("-----> Fetching {branch} of {url}"));
    git.fetch(&repo, &url, &branch, |line| context.say(deployment, line)).await.map_err(failed)
}
