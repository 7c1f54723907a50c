//! A commit: of the app's own repository, or fetched from another into it, and checked out.

use crate::domain::deployment::Deployment;
use crate::domain::source::{Branch, CommitId, GitSource, Reference};
use crate::engine::RemoteError;
use crate::engine::context::{Context, Halt};
use crate::host::git::{self, Fetched, GitError, Remote};

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
    let mut remote = engine.remote(&deployment.app_slug, source).await?;
    let wanted = deployment.commit.clone().map_or_else(|| source.reference.clone(), Reference::Commit);
    context.say(deployment, format!("-----> Fetching {wanted} of {}", source.url));
    let repo = engine.repo(&deployment.app_slug);
    let alone = engine.0.repositories.take(deployment.app).await;
    // A fetch that was cancelled was killed, and may have left its locks.
    git::unlock(&repo).map_err(|error| Halt::because("making the repository ready", error))?;
    let progress = |line: &str| context.say(deployment, format!("       {line}"));
    let Fetched { commit, met } = engine.git().fetch(&repo, &remote, &wanted, progress).await?;
    drop(alone);
    for met in &met {
        let shown = format!("       {} is known by {} from now on", met.host, met.key.fingerprint());
        context.say(deployment, shown);
    }
    remote.learn(&met);
    engine.pin(met).await?;
    Ok((commit, remote))
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
    let large_files = from.and_then(|(source, remote)| source.lfs.then_some(remote));
    let exported = engine.git().export(&repo, commit, &dest, large_files).await;
    let exported = exported.map_err(|error| Halt::because("checking out", error))?;
    let with_submodules = from.filter(|(source, _)| source.submodules);
    for note in exported.notes.iter().filter(|note| with_submodules.is_none() || !note.is_submodule()) {
        context.say(deployment, format!("       Note: {note}"));
    }
    if let Some((source, remote)) = with_submodules {
        let progress = |line: &str| context.say(deployment, format!("       {line}"));
        engine.git().fill_submodules(&repo, remote, commit, &dest, source.lfs, progress).await?;
    }
    Ok(())
}

impl From<GitError> for Halt {
    fn from(error: GitError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl From<RemoteError> for Halt {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Store(error) => error.into(),
            error @ (RemoteError::NoKey(_) | RemoteError::Key { .. } | RemoteError::Token(_)) => {
                Self::Failed(error.to_string())
            }
        }
    }
}
