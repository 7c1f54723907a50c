//! Retiring: requests in flight to the old release end, then it is stopped and removed.

use super::{command, log_failure};
use crate::domain::deployment::{Deployment, State, steps};
use crate::domain::drift::Change;
use crate::domain::time::Timestamp;
use crate::engine::context::{Context, Halt};
use crate::quadlet::path::Owner;

pub(in crate::engine) async fn run(
    context: &mut Context,
    mut deployment: Deployment,
) -> Result<Deployment, Halt> {
    let engine = context.engine.clone();
    engine.failpoint("retiring");
    let releases = engine.reader().releases(deployment.app).await?;
    let old: Vec<&Deployment> = releases.iter().filter(|release| release.id != deployment.id).collect();
    // From here on they run in the new release; the old one's secrets go with it.
    engine.tend_jobs(&context.app).await;
    for release in &old {
        context.say(&deployment, format!("-----> Retiring {}", release.unit_name()));
        let left = engine.drain(release).await;
        if left.is_none_or(|left| left > 0) {
            let requests = left.map_or_else(|| "requests".to_owned(), |left| format!("{left} requests"));
            context.say(&deployment, format!("       Warning: {requests} may have been cut off"));
        }
        let numbers = release.settings.replicas.numbers();
        log_failure(release, "drop-ins not removed", engine.drop_carried(release, numbers, &deployment));
    }
    for drifted in engine.drift_of(&Owner::App(context.app.slug.clone()), true).await? {
        let goes = |release: &&Deployment| {
            release.replicas().any(|(number, _)| release.replica_service(number) == drifted.unit)
        };
        if drifted.change == Change::Edited && old.iter().any(goes) {
            let folder = engine.machine().layout.edited_units();
            let line =
                format!("       {} was edited by hand; it is kept in {}", drifted.file, folder.display());
            context.say(&deployment, line);
        }
    }
    let without: Vec<_> = old.iter().map(|release| release.id).collect();
    let removed = engine.remove_releases(&context.app, &without).await;
    removed.map_err(|error| Halt::because("the old release was not removed", error))?;
    command::after(context, &deployment).await?;
    engine.failpoint("after-retiring");
    deployment.finish(engine.now())?;
    let events = engine.reader().events(deployment.id).await?;
    context.say(&deployment, format!("       Took {}", times(&events)));
    let urls = engine.urls(&context.app).join(" ");
    let urls = if urls.is_empty() { "no host leads to it".to_owned() } else { urls };
    context.say(&deployment, format!("-----> Live: {urls}"));
    Ok(deployment)
}

/// How long each step took: `fetching 0.3 s, building 12.0 s`.
fn times(events: &[(State, Timestamp)]) -> String {
    let took = |(state, _, took): (State, Timestamp, Option<u64>)| {
        let tenths = took? / 100;
        Some(format!("{state} {}.{} s", tenths / 10, tenths % 10))
    };
    steps(events).filter_map(took).collect::<Vec<_>>().join(", ")
}

/// Removes the deployment's checkout.
pub(super) fn clear_workspace(context: &Context, deployment: &Deployment) {
    let removed = context.engine.machine().workspace.remove_source(deployment);
    log_failure(deployment, "checkout not removed", removed);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_between_the_states() {
        let at = |state, millis| (state, Timestamp(millis));
        let events = [at(State::Queued, 0), at(State::Building, 120), at(State::Retiring, 12_190)];
        assert_eq!(times(&events), "queued 0.1 s, building 12.0 s");
    }
}
