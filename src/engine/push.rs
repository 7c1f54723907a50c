//! A push to an app's own repository: the objects go in under a name of their own, then a deployment is asked for.
//!
//! The branch itself moves only when the deployment is live, so a push that failed can be tried again as it is.
//! While a deployment runs, `refs/rivetr/deployments/<n>` keeps its commit. How git's client is spoken to is not
//! decided here but in `api::git`.

pub mod pkt;

use std::collections::BTreeSet;
use std::io;
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::{Engine, EngineError};
use crate::domain::app::App;
use crate::domain::deployment::{Deployment, State, Trigger};
use crate::domain::name::Slug;
use crate::domain::source::CommitId;
use crate::host::git::Service;
use pkt::Report;

/// How long a pushing client may send nothing before it is given up.
const SILENCE_MAX: Duration = Duration::from_mins(1);
/// What is still read from a client whose pack git has refused, in bytes, so that it gets to read why.
pub(super) const DRAIN_MAX: u64 = 256 * 1024 * 1024;
/// What is read of git's report and of its complaints, in bytes.
const REPORT_MAX: u64 = 64 * 1024;
/// What one read takes from a pack, in bytes.
const CHUNK: usize = 64 * 1024;

/// What is pushed: a commit for the app's branch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The commit that the branch is to become.
    pub commit: CommitId,
    /// The commits at which the client's history is cut off.
    pub shallow: Vec<CommitId>,
}

/// Why a push came to nothing before there was a deployment.
#[derive(Debug, Error)]
pub enum PushError {
    /// What was pushed cannot be taken.
    #[error("{0}")]
    Refused(String),
    /// The client stopped sending.
    #[error("the client stopped sending: {0}")]
    Client(#[source] io::Error),
    /// Something here failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Engine {
    /// What git's client is to see of an app's repository: its branch and what may be done.
    pub async fn advertise_push(&self, app: &Slug) -> Result<Vec<u8>, EngineError> {
        let repo = self.repo(app);
        if !is_there(&repo).await? {
            self.git().init(&repo).await.map_err(internal)?;
        }
        self.git().advertise(&repo, Service::ReceivePack).await.map_err(internal)
    }

    /// The commit of the app's branch as the last successful push left it.
    pub async fn pushed_head(&self, app: &Slug, branch: &str) -> Result<Option<CommitId>, EngineError> {
        self.git().resolve(&self.repo(app), &format!("refs/heads/{branch}")).await.map_err(internal)
    }

    /// Takes in a pack and asks for the deployment of its commit.
    pub async fn receive_push<R>(&self, app: &Slug, push: &Push, mut pack: R) -> Result<Deployment, PushError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let kept = format!("refs/rivetr/pushes/{}-{}", push.commit, nonce()?);
        self.pushing().insert(kept.clone());
        let outcome = match self.unpack(app, push, &kept, &mut pack).await {
            Ok(()) => self.deploy_pushed(app, push, &kept).await,
            Err(error) => Err(error),
        };
        let gone = self.git().set_ref(&self.repo(app), &kept, None).await;
        self.pushing().remove(&kept);
        match (outcome, gone) {
            (Ok(deployment), Ok(())) => Ok(deployment),
            (Ok(deployment), Err(error)) => {
                tracing::warn!(%app, %error, reference = kept, "the reference of a push could not be removed");
                Ok(deployment)
            }
            (Err(error), _) => Err(error),
        }
    }

    /// What the end of a pushed deployment means for the repository: the live one's commit becomes the branch, and
    /// what kept the commit goes. Can be called again, and must be called for every pushed deployment that ended.
    pub(super) async fn settle_push(&self, deployment: &Deployment) -> Result<(), EngineError> {
        if deployment.trigger != Trigger::Push || !deployment.state.is_end() {
            return Ok(());
        }
        let repo = self.repo(&deployment.app_slug);
        let Some(app) = self.reader().app_by_id(deployment.app).await? else { return Ok(()) };
        if let (State::Live, Some(commit)) = (deployment.state, &deployment.commit)
            && app.live == Some(deployment.id)
            && let Some(branch) = app.source.branch()
        {
            let branch = format!("refs/heads/{branch}");
            self.git().set_ref(&repo, &branch, Some(commit)).await.map_err(internal)?;
        }
        self.git().set_ref(&repo, &kept_by(deployment), None).await.map_err(internal)
    }

    /// Removes what kept commits of an app's pushes, but for those that are being taken in and those of deployments
    /// that go on.
    pub(super) async fn sweep_pushes(&self, app: &App) -> Result<(), EngineError> {
        let repo = self.repo(&app.slug);
        if !is_there(&repo).await? {
            return Ok(());
        }
        // Listed first: the deployment that a reference belongs to is stored before the reference is made.
        let mut kept = self.git().refs(&repo, "refs/rivetr/pushes").await.map_err(internal)?;
        kept.extend(self.git().refs(&repo, "refs/rivetr/deployments").await.map_err(internal)?);
        let unfinished = self.unfinished_of(app).await?;
        let going_on: Vec<_> = unfinished.iter().map(kept_by).collect();
        for (name, commit) in kept {
            // A push that was cut off before its deployment had a reference of its own.
            let is_asked_for = unfinished.iter().any(|one| one.commit.as_ref() == Some(&commit));
            if !going_on.contains(&name) && !is_asked_for && !self.pushing().contains(&name) {
                self.git().set_ref(&repo, &name, None).await.map_err(internal)?;
            }
        }
        Ok(())
    }

    /// The references that hold commits while they are being taken in.
    fn pushing(&self) -> MutexGuard<'_, BTreeSet<String>> {
        // The set is whole after any panic: each change of it is one call.
        self.0.pushing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deploy_pushed(&self, app: &Slug, push: &Push, kept: &str) -> Result<Deployment, PushError> {
        let repo = self.repo(app);
        let peeled = self.git().resolve(&repo, kept).await.map_err(internal)?;
        if peeled.as_ref() != Some(&push.commit) {
            let why = "what was pushed is not a commit; for a tag, push what it names: git push rivetr 'v1^{commit}:main'";
            return Err(PushError::Refused(why.to_owned()));
        }
        let deployment = self.deploy(app, Trigger::Push, Some(push.commit.clone())).await?;
        self.git().set_ref(&repo, &kept_by(&deployment), Some(&push.commit)).await.map_err(internal)?;
        // Where it has ended in the meantime, nobody else removes the reference.
        self.settle_push(&self.deployment(deployment.id).await?).await?;
        Ok(deployment)
    }

    async fn unpack<R>(&self, app: &Slug, push: &Push, kept: &str, pack: &mut R) -> Result<(), PushError>
    where
        R: AsyncRead + Unpin + Send,
    {
        let repo = self.repo(app);
        let mut git = self.git().receive_pack(&repo).map_err(internal)?;
        let (Some(stdin), Some(stdout), Some(stderr)) =
            (git.stdin.take(), git.stdout.take(), git.stderr.take())
        else {
            return Err(internal(io::Error::other("git was started without pipes")).into());
        };
        let opening = opening(push, kept);
        let mut report = Vec::new();
        let mut complaints = Vec::new();
        let (fed, said, complained) = tokio::join!(
            feed(stdin, &opening, pack),
            read_within(stdout, &mut report),
            read_within(stderr, &mut complaints),
        );
        fed?;
        said.and(complained).map_err(internal)?;
        let ended = git.wait().await;
        let complaints = readable(&complaints, &repo.to_string_lossy(), app);
        match Report::parse(&report) {
            Ok(Report::Ok) => Ok(()),
            Ok(Report::Refused(why)) if why.contains("shallow") => {
                let cure = "this clone does not have the whole history, and parts of it are missing here: \
                            run git fetch --unshallow, then push again";
                Err(PushError::Refused(cure.to_owned()))
            }
            Ok(Report::Refused(_)) if complaints.iter().any(|line| line.contains("maximum allowed size")) => {
                let why = "the push is larger than is taken here: leave out what need not be deployed, \
                           or raise max_size_mb in the section git of rivetr.toml";
                Err(PushError::Refused(why.to_owned()))
            }
            Ok(Report::Refused(why)) => Err(PushError::Refused(join(why, &complaints))),
            Err(error) => {
                tracing::warn!(%app, %error, ?ended, ?complaints, "git receive-pack gave no report");
                Err(PushError::Refused(join(error.to_string(), &complaints)))
            }
        }
    }
}

async fn is_there(repo: &Path) -> Result<bool, EngineError> {
    tokio::fs::try_exists(repo.join("HEAD")).await.map_err(internal)
}

fn kept_by(deployment: &Deployment) -> String {
    format!("refs/rivetr/deployments/{}", deployment.number)
}

/// What git is told before the pack: one new reference, whatever the client called it.
fn opening(push: &Push, kept: &str) -> Vec<u8> {
    let shallow = push.shallow.iter().map(|commit| format!("shallow {commit}\n"));
    let zeros = "0".repeat(push.commit.as_str().len());
    let commit = &push.commit;
    let command = format!("{zeros} {commit} {kept}\0 report-status quiet object-format=sha1 agent=rivetr\n");
    let lines = shallow.chain([command]).flat_map(|line| pkt::frame(line.as_bytes()));
    lines.chain(pkt::FLUSH.iter().copied()).collect()
}

/// Hands the pack to git as it comes in. When git stops reading, some more is taken from the client and dropped:
/// it reads the answer only after it has sent its pack.
async fn feed<W, R>(mut stdin: W, opening: &[u8], pack: &mut R) -> Result<(), PushError>
where
    W: AsyncWrite + Unpin,
    R: AsyncRead + Unpin,
{
    let mut git_reads = stdin.write_all(opening).await.is_ok();
    let mut chunk = vec![0; CHUNK];
    let mut dropped = 0;
    loop {
        let read = timeout(SILENCE_MAX, pack.read(&mut chunk)).await;
        let length = read
            .map_err(|_| PushError::Client(io::ErrorKind::TimedOut.into()))?
            .map_err(PushError::Client)?;
        let bytes = chunk.get(..length).unwrap_or_default();
        if bytes.is_empty() || dropped > DRAIN_MAX {
            break;
        }
        if git_reads {
            git_reads = stdin.write_all(bytes).await.is_ok();
        } else {
            dropped += bytes.len() as u64;
        }
    }
    if git_reads && let Err(error) = stdin.shutdown().await {
        tracing::debug!(%error, "git closed its input before the end of the pack");
    }
    Ok(())
}

/// Reads to the end, so that git never waits for us, and keeps the first part.
async fn read_within<R: AsyncRead + Unpin>(mut from: R, into: &mut Vec<u8>) -> io::Result<()> {
    (&mut from).take(REPORT_MAX).read_to_end(into).await?;
    tokio::io::copy(&mut from, &mut tokio::io::sink()).await.map(drop)
}

/// git's complaints for the person who pushed: no path of this machine, no noise.
fn readable(complaints: &[u8], repo: &str, app: &Slug) -> Vec<String> {
    let text = String::from_utf8_lossy(complaints).replace(repo, app.as_str());
    let worth = |line: &&str| line.starts_with("fatal: ") || line.starts_with("error: ");
    text.lines().filter(worth).take(10).map(ToOwned::to_owned).collect()
}

fn join(first: String, rest: &[String]) -> String {
    std::iter::once(first).chain(rest.iter().cloned()).collect::<Vec<_>>().join("\n")
}

fn nonce() -> Result<String, EngineError> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(internal)?;
    Ok(format!("{:016x}", u64::from_be_bytes(random)))
}

fn internal(error: impl std::error::Error + Send + Sync + 'static) -> EngineError {
    EngineError::Internal(Box::new(error))
}
