//! A commit: of the app's own repository, or fetched from another into it, and checked out.

use crate::domain::deployment::Deployment;
use crate::domain::source::{Branch, CommitId, GitSource, Reference};
use crate::domain::webhook::Target;
use crate::engine::context::{Context, Halt};
use crate::engine::repository::{FetchError, Keeping};
use crate::host::git::Remote;

/// The commit that was pushed to rivetr.
pub(super) async fn pushed(
    context: &mut Context,
    deployment: Deployment,
    branch: &Branch,
) -> Result<Deployment, Halt> {
    let nothing = || Halt::Failed(format!("nothing was pushed: git push the branch {branch} first"));
    let commit = deployment.commit.clone().ok_or_else(nothing)?;
    take(context, deployment, commit, None).await
}

/// What another repository has.
pub(super) async fn fetched(
    context: &mut Context,
    deployment: Deployment,
    source: GitSource,
) -> Result<Deployment, Halt> {
    let (commit, remote) = fetch(context, &deployment, &source).await?;
    take(context, deployment, commit, Some(&(source, remote))).await
}

async fn take(
    context: &mut Context,
    mut deployment: Deployment,
    commit: CommitId,
    from: Option<&(GitSource, Remote)>,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    let subject = engine.git().subject(&engine.repo(&deployment.app_slug), &commit).await;
    let subject = subject.map_err(|error| Halt::because("reading the commit", error))?;
    context.say(&deployment, format!("-----> Fetching {} {subject}", commit.short()));
    check_out(context, &deployment, &commit, from).await?;
    deployment.build(commit)?;
    Ok(deployment)
}

/// Fetches the commit to deploy into the app's own repository.
async fn fetch(
    context: &mut Context,
    deployment: &Deployment,
    source: &GitSource,
) -> Result<(CommitId, Remote), Halt> {
    let engine = context.engine.clone();
    let wanted = deployment.commit.clone().map_or_else(|| source.reference.clone(), Reference::Commit);
    let repo = engine.repo(&deployment.app_slug);
    let keeping = Keeping { repo, whose: format!("app/{}", deployment.app_slug), source };
    let _alone = engine.0.repositories.take(Target::App(deployment.app)).await;
    Ok(engine.fetch_commit(&keeping, &wanted, |line| context.say(deployment, line)).await?)
}

/// Writes the commit's files, and those of its submodules where these are asked for.
async fn check_out(
    context: &mut Context,
    deployment: &Deployment,
    commit: &CommitId,
    from: Option<&(GitSource, Remote)>,
) -> Result<(), Halt> {
    let engine = context.engine.clone();
    let repo = engine.repo(&deployment.app_slug);
    let dest = engine.machine().workspace.make_source(deployment);
    let dest = dest.map_err(|error| Halt::because("making room for the checkout", error))?;
    let from = from.map(|(source, remote)| (source, remote));
    let written = engine.check_out(&repo, commit, &dest, from, |line| context.say(deployment, line)).await;
    written.map_err(|error| match error {
        FetchError::Git(error) => Halt::because("checking out", error),
        error @ (FetchError::Remote(_) | FetchError::File { .. } | FetchError::Store(_)) => error.into(),
    })
}

impl From<FetchError> for Halt {
    fn from(error: FetchError) -> Self {
        match error {
            FetchError::Store(error) => error.into(),
            error @ (FetchError::Git(_) | FetchError::Remote(_) | FetchError::File { .. }) => {
                Self::Failed(error.to_string())
            }
        }
    }
}
