//! Watches a release for a while after it went live, and brings the one before back when it does badly.
//!
//! The window begins with the moment that is stored as the deployment's end, so a restart of rivetr within it goes
//! on with what is left. Releases that came back themselves are not watched: from bad to bad and back has no end.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::try_join_all;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::memory::shortage;
use super::rollback::Back;
use super::steps::check::{RESTARTS_MAX, silence};
use super::steps::log_failure;
use super::{Engine, EngineError};
use crate::domain::app::{App, Settings, Wish};
use crate::domain::deployment::{Deployment, State};
use crate::host::systemd::{ActiveState, UnitStatus};

/// How long to wait before a release that does badly is looked at again while something newer is under way.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// The least time between two questions, and for an answer.
const SHORTEST: Duration = Duration::from_secs(1);

impl Engine {
    /// Watches a release that has just gone live, or did before rivetr was started, until its window is over.
    pub(super) fn watch_over(&self, deployment: &Deployment) {
        let Some(left) = self.left_to_watch(deployment) else { return };
        let (engine, deployment) = (self.clone(), deployment.clone());
        self.0.tasks.spawn(async move {
            let until = Instant::now() + left;
            let watched = async {
                tokio::select! {
                    () = sleep_until(until) => {}
                    outcome = engine.watch(&deployment) => if let Err(error) = outcome {
                        tracing::error!(app = %deployment.app_slug, deployment = deployment.number, %error, "not watched any more");
                    },
                }
            };
            engine.until_shutdown(watched).await;
        });
    }

    fn left_to_watch(&self, deployment: &Deployment) -> Option<Duration> {
        let window = deployment.settings.rollback_window?;
        let since = deployment.ended.filter(|_| deployment.state == State::Live)?;
        let passed = Duration::from_millis(self.now().millis_since(since));
        window.checked_sub(passed).filter(|left| deployment.back_to.is_none() && !left.is_zero())
    }

    async fn watch(&self, deployment: &Deployment) -> Result<(), EngineError> {
        let words = loop {
            let Some(reason) = self.does_badly(deployment).await? else { return Ok(()) };
            let name = format!("{} {}", deployment.app_slug, deployment.number);
            tracing::warn!(app = %deployment.app_slug, deployment = deployment.number, reason, "a new release does badly");
            match self.roll_back_from(deployment, format!("{name} did badly: {reason}")).await? {
                Back::To(origin) => break format!("Going back to release {origin} by itself: {reason}"),
                Back::Nothing(why) => break format!("This release does badly, and {why}: {reason}"),
                // What is newer may fail.
                Back::Busy => self.pause(LOOK_AGAIN).await,
            }
        };
        let log = self.machine().workspace.open_log(deployment);
        log_failure(
            deployment,
            "log not written",
            log.and_then(|mut log| log.line(&format!("-----> {words}"))),
        );
        Ok(())
    }

    /// Returns with the reason when the release does badly; with none when it is not for us to judge any more.
    async fn does_badly(&self, deployment: &Deployment) -> Result<Option<String>, EngineError> {
        let id = deployment.id;
        let pace = Pace::of(&deployment.settings);
        let mut turn = interval(pace.every);
        turn.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut restarts, mut failures) = (BTreeMap::new(), 0);
        loop {
            turn.tick().await;
            // Its containers may be more or fewer by now.
            let release = self.deployment(id).await?;
            let app = self.reader().app_by_id(release.app).await?;
            let Some(app) = app.filter(|app| app.live == Some(id) && app.wish == Wish::Run) else {
                return Ok(None);
            };
            // Not those that have just been started and do not serve yet.
            let serving = self.reader().serving(id).await?;
            let mut units = self.units_of(&release).await?;
            units.retain(|unit| (1..=serving).any(|number| release.replica_service(number) == unit.unit));
            if let Some(unit) = verdict(&units, &mut restarts) {
                return Ok(Some(self.why_it_ends(&release, unit).await));
            }
            // What stands still for the copy of a volume cannot answer, and goes on.
            let held = || self.0.archiving.try_lock().is_err();
            let held_before = held();
            let by_hand = units.iter().any(|unit| unit.active_state == ActiveState::Inactive);
            match self.silence(&app, &release, serving, pace.answer).await {
                Some(reason) if !by_hand && !held_before && !held() => {
                    failures += 1;
                    if failures >= pace.failures {
                        return Ok(Some(reason));
                    }
                }
                Some(_) | None => failures = 0,
            }
        }
    }

    async fn why_it_ends(&self, release: &Deployment, unit: &UnitStatus) -> String {
        let again = format!("{} ends again and again", unit.unit);
        match (self.out_of_memory(release, &unit.unit).await, unit.exec_main_status) {
            (Some(_), _) => format!("{again}; {}", shortage("it", release)),
            (None, Some(status)) => format!("{again} (exit status {status})"),
            (None, None) => again,
        }
    }

    /// What systemd shows of the containers of a release, as far as it knows them.
    pub(super) async fn units_of(&self, release: &Deployment) -> Result<Vec<UnitStatus>, EngineError> {
        let systemd = &self.machine().systemd;
        let names: Vec<_> = release.replicas().map(|(number, _)| release.replica_service(number)).collect();
        let asked = names.iter().map(|name| systemd.unit(name));
        let units = try_join_all(asked).await.map_err(EngineError::internal)?;
        Ok(units.into_iter().flatten().collect())
    }

    /// Asks each container that serves once; says what the one met that does not answer.
    async fn silence(&self, app: &App, release: &Deployment, serving: u8, limit: Duration) -> Option<String> {
        for replica in release.replicas().filter(|(number, _)| *number <= serving) {
            let name = release.replica_name(replica.0);
            if let Some(last) = silence(self, app, release, replica, limit).await {
                return Some(format!("{name} does not answer any more: {last}"));
            }
        }
        None
    }
}

/// How a release is asked: as its health check says, but often enough for a verdict within its window.
struct Pace {
    every: Duration,
    answer: Duration,
    /// So many in a row.
    failures: u32,
}

impl Pace {
    fn of(settings: &Settings) -> Self {
        let health = &settings.health;
        let share = settings.rollback_window.unwrap_or_default() / (health.retries + 1);
        let share = share.max(SHORTEST);
        Self {
            every: health.interval.min(share),
            answer: health.attempt.min(share),
            failures: health.retries,
        }
    }
}

/// The first of these units that does badly, if one does. `restarts` is what each had when it was first looked at.
fn verdict<'u>(units: &'u [UnitStatus], restarts: &mut BTreeMap<String, u32>) -> Option<&'u UnitStatus> {
    units.iter().find(|unit| {
        let before = *restarts.entry(unit.unit.clone()).or_insert(unit.n_restarts);
        let again = unit.n_restarts.saturating_sub(before) >= RESTARTS_MAX;
        again || unit.active_state == ActiveState::Failed
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::systemd::LoadState;

    fn unit(active_state: ActiveState, n_restarts: u32) -> UnitStatus {
        UnitStatus {
            unit: "rivetr-app-blog-7.service".to_owned(),
            load_state: LoadState::Loaded,
            load_problem: None,
            active_state,
            sub_state: String::new(),
            since: None,
            job_pending: false,
            result: None,
            exec_main_status: Some(3),
            invocation_id: None,
            n_restarts,
            need_reload: false,
            control_group: None,
        }
    }

    #[test]
    fn what_ends_again_and_again_does_badly_and_what_was_restarted_once_does_not() {
        let mut restarts = BTreeMap::new();
        for count in [2, 2, 3, 4] {
            assert_eq!(verdict(&[unit(ActiveState::Active, count)], &mut restarts), None);
        }
        assert!(verdict(&[unit(ActiveState::Activating, 5)], &mut restarts).is_some());
        assert!(verdict(&[unit(ActiveState::Failed, 0)], &mut BTreeMap::new()).is_some());
        assert_eq!(verdict(&[unit(ActiveState::Inactive, 0)], &mut BTreeMap::new()), None);
    }
}
