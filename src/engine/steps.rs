//! What each state of a deployment does, one file a state, and how it is undone.

pub(super) mod build;
pub(super) mod check;
pub(super) mod command;
pub(super) mod fetch;
pub(super) mod restore;
pub(super) mod retire;
pub(super) mod start;
pub(super) mod switch;

use std::net::Ipv4Addr;

use super::context::{Context, Halt};
use crate::domain::deployment::{Deployment, State};

/// Removes all that a deployment made which will not be live. Goes on over errors and logs each: whatever is
/// left is swept up at the next start.
pub(super) async fn undo(context: &Context, deployment: &Deployment) {
    let engine = &context.engine;
    if deployment.state == State::Fetching {
        fetch::stop(context, deployment).await;
    }
    if deployment.state == State::Building {
        build::stop(context, deployment).await;
    }
    log_failure(
        deployment,
        "commands not removed",
        command::clear_own(engine, &context.app, deployment).await,
    );
    let removed = engine.remove_releases(&context.app, &[deployment.id]).await;
    log_failure(deployment, "units not removed", removed);
    if let (false, Ok(Some(live))) = (deployment.addresses.is_empty(), start::live(context).await) {
        start::give_way_back(context, deployment, &live).await;
        let numbers = deployment.settings.replicas.numbers();
        log_failure(deployment, "drop-ins not removed", engine.drop_carried(deployment, numbers, &live));
    }
    retire::clear_workspace(context, deployment);
}

pub(super) fn log_failure<T, E: std::fmt::Display>(
    deployment: &Deployment,
    what: &str,
    outcome: Result<T, E>,
) {
    if let Err(error) = outcome {
        tracing::warn!(app = %deployment.app_slug, deployment = deployment.number, %error, "{what}");
    }
}

/// Addresses for the containers of a release.
async fn addresses(context: &Context, deployment: &Deployment) -> Result<Vec<Ipv4Addr>, Halt> {
    let writer = &context.engine.0.writer;
    let given =
        writer.allocate_addresses(context.app.project.id, deployment.id, deployment.settings.replicas).await;
    given.map_err(|error| Halt::because("no address for the container", error))
}
