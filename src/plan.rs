//! From what an owner's units should be and what they are to ordered steps: write, reload, start, stop, remove.
//!
//! Pure, with no choices left for whoever carries it out. Carrying it out and planning again gives no steps; dying
//! in the middle and planning again gives the rest. Files that are not units, such as people's drop-ins, never
//! come in here.

mod step;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::quadlet::UnitFiles;
use crate::quadlet::options::same_but_limits;
use crate::quadlet::path::{Place, UnitPath};

pub use self::step::Step;

/// What one owner should have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Its unit files.
    pub files: UnitFiles,
    /// The services of these that should run.
    pub running: BTreeSet<String>,
}

/// Texts that rivetr itself has written, by file: what still has one of them was not edited, and a unit that runs from it
/// may be stopped for another one.
pub type Known = BTreeMap<UnitPath, BTreeSet<String>>;

/// What one owner has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Its unit files.
    pub files: UnitFiles,
    /// Its units that the manager knows; one that it has not read yet is missing here.
    pub units: BTreeMap<String, UnitState>,
    /// A file has changed since the manager read it (`NeedDaemonReload`), or nobody knows whether it has read it.
    pub needs_reload: bool,
}

/// What a unit does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UnitState {
    /// It runs, or did what it was to do.
    Active,
    /// It starts, or waits to be started again after a failure; or it stops.
    Changing,
    /// It does not run.
    Inactive,
    /// It does not run, and the manager remembers why.
    Failed,
}

/// What to do, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The steps.
    pub steps: Vec<Step>,
    /// Files that differ from what is wanted, in more than limits, while their unit runs. They are left as they are,
    /// for somebody to see: to change them would do nothing until the unit is started again, and then surprise.
    pub drift: Vec<UnitPath>,
}

/// What leads from `observed` to `wanted`: the new first, then the end of the old.
#[must_use]
pub fn plan(wanted: &Wanted, observed: &Observed) -> Plan {
    plan_over(wanted, observed, &Known::new())
}

/// The same where units that run may be replaced, if nobody edited their files: those are stopped, written and started, and
/// what their stop took along is started with them.
#[must_use]
pub fn plan_over(wanted: &Wanted, observed: &Observed, known: &Known) -> Plan {
    let Files { now, after_stop, renewed, torn, drift } = changed_files(wanted, observed, known);
    let removes: Vec<Step> = observed
        .files
        .keys()
        .filter(|path| !wanted.files.contains_key(*path))
        .map(|path| Step::Remove { path: path.clone() })
        .collect();
    let unread = wanted.files.keys().any(|path| !observed.units.contains_key(&path.unit()));
    let reload_first = observed.needs_reload || unread || !now.is_empty();
    let reload_last = !after_stop.is_empty() || !removes.is_empty();

    // A file comes after the stop: whoever dies in between finds a unit that does not run, never one that runs from
    // another file than its own.
    let mut steps: Vec<Step> = renewed.iter().map(|unit| Step::Stop { unit: unit.clone() }).collect();
    steps.extend(now);
    steps.extend(reload_first.then_some(Step::Reload));
    steps.extend(starts(wanted, observed, |unit| torn || renewed.contains(unit)));
    steps.extend(stops(wanted, observed));
    steps.extend(after_stop);
    steps.extend(removes);
    steps.extend(reload_last.then_some(Step::Reload));
    Plan { steps, drift }
}

impl Plan {
    /// Whether everything is as it should be, but for drift.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Wanted files that are missing or other than wanted, by when they can be written.
#[derive(Default)]
struct Files {
    now: Vec<Step>,
    after_stop: Vec<Step>,
    /// Units that are stopped before their file is written and started afterwards.
    renewed: BTreeSet<String>,
    /// One of those may take others along when it stops.
    torn: bool,
    drift: Vec<UnitPath>,
}

fn changed_files(wanted: &Wanted, observed: &Observed, known: &Known) -> Files {
    let mut files = Files::default();
    for (path, text) in &wanted.files {
        let present = observed.files.get(path);
        let unit = path.unit();
        let write = || Step::Write { path: path.clone(), text: text.clone() };
        if present == Some(text) {
            continue;
        }
        // systemd applies the limits of a unit that runs as it reads them: nothing is started anew for those.
        let live = present.is_some_and(|present| same_but_limits(present, text));
        // A run of a task goes on as it began; the next one is as its file says then.
        if present.is_none() || live || path.is_task() || !observed.runs(&unit) {
            files.now.push(write());
        } else if path.is_timer() && wanted.running.contains(&unit) {
            // One that learned of another schedule while it waits would make up for what was never due.
            files.now.push(write());
            files.renewed.insert(unit);
        } else if wanted.stays(path)
            && known.get(path).zip(present).is_some_and(|(known, present)| known.contains(present))
        {
            files.now.push(write());
            files.renewed.insert(unit);
            files.torn = true;
        } else if wanted.stays(path) {
            files.drift.push(path.clone());
        } else {
            files.after_stop.push(write());
        }
    }
    files
}

fn starts(wanted: &Wanted, observed: &Observed, anew: impl Fn(&String) -> bool) -> Vec<Step> {
    let start = |unit: &String| Step::Start { unit: unit.clone() };
    let idle = |unit: &&String| observed.units.get(*unit) != Some(&UnitState::Active) || anew(unit);
    wanted.running.iter().filter(idle).map(start).collect()
}

fn stops(wanted: &Wanted, observed: &Observed) -> Vec<Step> {
    let stay: BTreeSet<String> =
        wanted.files.keys().filter(|path| wanted.stays(path)).map(UnitPath::unit).collect();
    let over = |(unit, state): &(&String, &UnitState)| {
        **state != UnitState::Inactive && !wanted.running.contains(*unit) && !stay.contains(*unit)
    };
    observed.units.iter().filter(over).map(|(unit, _)| Step::Stop { unit: unit.clone() }).collect()
}

impl Wanted {
    /// Whether the unit of a wanted file is not to be stopped. A target is what people hold an app by, and its
    /// stop would stop every release: it ends with its file alone. A task ends by itself.
    fn stays(&self, path: &UnitPath) -> bool {
        path.place() == Place::Systemd || path.is_task() || self.running.contains(&path.unit())
    }
}

impl Observed {
    fn runs(&self, unit: &str) -> bool {
        matches!(self.units.get(unit), Some(UnitState::Active | UnitState::Changing))
    }
}
