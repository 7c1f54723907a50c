//! `rivetr deploy`: asks for a deployment and follows it to its end.

mod pack;

use std::path::PathBuf;

use clap::Args;

use super::failure::{Exit, Failure};
use super::follow;
use super::session::Session;
use crate::api::client::{Answer, ClientError};
use crate::api::wire;
use crate::domain::name::Slug;
use crate::domain::source::CommitId;

/// Deploy an app and follow it to its end
///
/// Builds and starts a new release even where nothing has changed. A `git push` that brings nothing new does not
/// deploy: git finds everything up to date, and rivetr is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
#[command(after_help = "Example: rivetr deploy blog")]
pub struct Deploy {
    /// The app
    #[arg(value_parser = Slug::parse)]
    name: Slug,
    /// The full name of the commit; without it, the head of the app's branch
    #[arg(long, value_parser = CommitId::parse)]
    commit: Option<CommitId>,
    /// Build every step anew, whatever the cache has
    #[arg(long)]
    no_cache: bool,
    /// A folder, or an archive of one (tar.gz or zip), to deploy an app that comes from uploads
    ///
    /// Of a folder everything is sent but .git.
    #[arg(long, value_name = "DIR|FILE", conflicts_with_all = ["commit", "no_cache"])]
    from: Option<PathBuf>,
    /// Only ask for it, and return
    #[arg(long, short)]
    detach: bool,
}

impl Deploy {
    pub(super) async fn run(self, session: &mut Session) -> Result<(), Failure> {
        let answer = if let Some(from) = self.from {
            let archive = pack::open(&from).await?;
            session.client.upload(&format!("/api/apps/{}/upload", self.name), archive).await?
        } else {
            let commit = self.commit.map(|commit| commit.to_string());
            let request = wire::Deploy { commit, no_cache: self.no_cache };
            session.client.post(&format!("/api/apps/{}/deploy", self.name), &request).await?
        };
        see_through(session, &answer, self.detach).await
    }
}

/// Follows a deployment that was asked for to its end, unless only asking was wanted.
pub(super) async fn see_through(session: &mut Session, answer: &Answer, detach: bool) -> Result<(), Failure> {
    let queued: wire::Deployment = answer.decode()?;
    let name = format!("{} {}", queued.app, queued.number);
    if detach {
        let words = |deployment: wire::Deployment| {
            format!(
                "{name} is queued (deployment {}).\nFollow it:  rivetr logs {} --build {}\n",
                deployment.id, deployment.app, deployment.number
            )
        };
        return session.show(answer, words);
    }
    tokio::select! {
        outcome = follow_to_end(session, &queued) => outcome,
        signal = tokio::signal::ctrl_c() => {
            signal?;
            Err(Failure::new(Exit::Interrupted, format!("{name} goes on without you"))
                .cure(format!("`rivetr logs {} --build {}` follows it again, `rivetr cancel {}` ends it",
                    queued.app, queued.number, queued.id)))
        }
    }
}

async fn follow_to_end(session: &mut Session, queued: &wire::Deployment) -> Result<(), Failure> {
    let end = follow::deployment_log(session, queued.id).await?;
    let deployment: wire::Deployment = serde_json::from_str(&end).map_err(ClientError::NotUnderstood)?;
    if session.json {
        session.line(&end)?;
    }
    if deployment.state != wire::State::Live {
        return Err(not_live(&deployment));
    }
    if session.json {
        Ok(())
    } else {
        session.line(&format!("{} {} is live.", deployment.app, deployment.number))
    }
}

/// A deployment that did not become live, and why.
fn not_live(deployment: &wire::Deployment) -> Failure {
    let name = format!("{} {}", deployment.app, deployment.number);
    match (&deployment.state, &deployment.failure) {
        (_, Some(wire::Failure { during, reason })) => {
            Failure::new(Exit::Failed, format!("{name} failed while {during}: {reason}"))
        }
        (wire::State::Superseded, None) => {
            Failure::new(Exit::Failed, format!("{name} was superseded by a newer deployment"))
                .cure(format!("rivetr deployments {}", deployment.app))
        }
        (state, None) => Failure::new(Exit::Failed, format!("{name} did not become live: it is {state}")),
    }
}
