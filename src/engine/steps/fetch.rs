//! Fetching: the commit, into this deployment's own directory.

use crate::domain::deployment::Deployment;
use crate::domain::source::{CommitId, Source};
use crate::engine::context::{Context, Halt};
use crate::host::git::GitError;

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("fetching");
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
    engine.failpoint("after-fetching");
    context.resumed = false;
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
