//! Targets that are asked whether they are well, as long as they are routed: one that is not gets no more requests
//! than it must until it is. Asked by this process, so it goes on while the control plane is down.

use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::dial::Dialer;
use super::drain::Gauge;
use super::probe::{once, request};
use super::rules::Protocol;
use super::table::{Table, Target};

/// The shortest pause between two questions, whatever is written.
const SHORTEST: Duration = Duration::from_millis(10);

/// How the targets of a route are asked whether they are well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The path to ask for.
    pub path: String,
    /// The Host to name; without it, the target's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// The first and the last status that count as an answer.
    pub statuses: (u16, u16),
    /// How long one answer may take, in milliseconds.
    pub attempt_ms: u64,
    /// The pause between two questions, in milliseconds.
    pub interval_ms: u64,
    /// How many answers in a row must fail until a target counts as unwell.
    pub failures: u32,
}

/// A target that is asked.
#[derive(Debug, Clone)]
pub(super) struct Checked {
    pub(super) target: Target,
    pub(super) protocol: Protocol,
    pub(super) check: Check,
    pub(super) gauge: Arc<Gauge>,
}

impl Checked {
    fn asks_as(&self, other: &Self) -> bool {
        (&self.target, self.protocol, &self.check) == (&other.target, other.protocol, &other.check)
    }
}

/// Asks the targets of each table that comes, until none comes any more.
pub(super) async fn keep(mut tables: watch::Receiver<Arc<Table>>, dialer: Rc<Dialer>) {
    // A target is asked no more once its set is dropped.
    let mut asked: HashMap<String, (Checked, JoinSet<()>)> = HashMap::new();
    loop {
        let wanted: BTreeMap<String, Checked> = tables.borrow_and_update().checks.clone();
        asked.retain(|key, (known, _)| {
            let stays = wanted.get(key).is_some_and(|wanted| wanted.asks_as(known));
            if !stays {
                known.gauge.set_well(true);
            }
            stays
        });
        for (key, checked) in wanted {
            asked.entry(key).or_insert_with(|| {
                let mut task = JoinSet::new();
                task.spawn_local(look_after(checked.clone(), Rc::clone(&dialer)));
                (checked, task)
            });
        }
        if tables.changed().await.is_err() {
            return;
        }
    }
}

async fn look_after(checked: Checked, dialer: Rc<Dialer>) {
    let Checked { target, protocol, check, gauge } = checked;
    let Check { path, host, statuses, attempt_ms, interval_ms, failures } = check;
    let request = match request(&target, protocol, &path, host.as_deref()) {
        Ok(request) => request,
        Err(error) => {
            tracing::error!(target_key = target.key, %error, "a target is not asked whether it is well");
            return;
        }
    };
    let (attempt, interval) = (Duration::from_millis(attempt_ms), Duration::from_millis(interval_ms));
    let mut failed = 0;
    loop {
        sleep(interval.max(SHORTEST)).await;
        let asked = once(&dialer, &target, protocol, Some(request.clone()), statuses, attempt);
        match asked.await {
            Ok(_) => {
                failed = 0;
                if !gauge.set_well(true) {
                    tracing::info!(target_key = target.key, "a target is well again");
                }
            }
            Err(words) => {
                failed = u32::saturating_add(failed, 1);
                if failed >= failures && gauge.set_well(false) {
                    tracing::warn!(target_key = target.key, "a target is unwell, others come first: {words}");
                }
            }
        }
    }
}
