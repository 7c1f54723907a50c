//! Fetching: the commit, into this deployment's own directory.

use crate::domain::deployment::Deployment;
use crate::domain::source::Source;
use crate::engine::context::{Context, Halt};

pub(in crate::engine) async fn run(context: &mut Context, mut deployment: Deployment) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("fetching");
    let repo = engine.repo(&deployment.app_slug);
    let git = engine.git();
    let commit = match (deployment.commit.clone(), context.app.source.clone()) {
        (Some(commit), _) => commit,
        (None, Source::Git { url, branch }) => {
            context.say(&deployment, format!("-----> Fetching {branch} of {url}"));
            git.init(&repo).await.map_err(|error| Halt::because("the repository was not made", error))?;
            let fetched = git.fetch(&repo, &url, &branch, |line| context.say(&deployment, line)).await;
            fetched.map_err(|error| Halt::Failed(error.to_string()))?
        }
        (None, Source::Push { branch }) => {
            return Err(Halt::Failed(format!("nothing was pushed: git push the branch {branch} first")));
        }
    };
    let subject = git.subject(&repo, &commit).await.map_err(|error| Halt::because("reading the commit", error))?;
    context.say(&deployment, format!("-----> Fetching {} {subject}", commit.short()));
    let source = engine.machine().workspace.make_source(&deployment);
    let source = source.map_err(|error| Halt::because("making room for the checkout", error))?;
    let exported = git.export(&repo, &commit, &source).await.map_err(|error| Halt::because("checking out", error))?;
    for note in exported.notes {
        context.say(&deployment, format!("       Note: {note}"));
    }
    engine.failpoint("after-fetching");
    deployment.build(commit)?;
    Ok(deployment)
}
