//! Plans carried out on a directory and a manager made of maps, in full and with a death after each step.

use proptest::prelude::*;

use super::*;
use crate::domain::name::Slug;
use crate::quadlet::path::Owner;

/// A machine of maps: what the steps do to files and to a manager that reads files only when it reloads.
#[derive(Debug, Clone)]
struct Machine {
    files: UnitFiles,
    units: BTreeMap<String, UnitState>,
    read: UnitFiles,
}

impl Machine {
    fn new(files: UnitFiles, units: BTreeMap<String, UnitState>) -> Self {
        Self { read: files.clone(), files, units }
    }

    fn observe(&self) -> Observed {
        Observed {
            files: self.files.clone(),
            units: self.units.clone(),
            needs_reload: self.read != self.files,
        }
    }

    fn carry_out(&mut self, step: &Step) {
        match step {
            Step::Write { path, text } => {
                let changed = self.files.get(path).is_some_and(|before| !same_but_limits(before, text));
                let under = changed && !path.is_task() && self.observe().runs(&path.unit());
                assert!(!under, "{path} is changed under its running unit");
                self.files.insert(path.clone(), text.clone());
            }
            Step::Reload => self.reload(),
            Step::Start { unit } => {
                let known = self.read.keys().any(|path| path.unit() == *unit);
                assert!(known, "{unit} is started before the manager has read it");
                self.units.insert(unit.clone(), UnitState::Active);
            }
            Step::Stop { unit } => {
                self.units.insert(unit.clone(), UnitState::Inactive);
            }
            Step::Remove { path } => {
                assert!(!self.observe().runs(&path.unit()), "{path} is removed under its running unit");
                self.files.remove(path);
            }
        }
    }

    fn reload(&mut self) {
        self.read = self.files.clone();
        let on_disk: BTreeSet<String> = self.files.keys().map(UnitPath::unit).collect();
        self.units.retain(|unit, state| *state != UnitState::Inactive || on_disk.contains(unit));
        for unit in on_disk {
            self.units.entry(unit).or_insert(UnitState::Inactive);
        }
    }
}

fn owner() -> Owner {
    Owner::App(Slug::parse("blog").unwrap())
}

fn container(number: u32) -> UnitPath {
    UnitPath::quadlet(&owner(), &format!("rivetr-app-blog-{number}.container")).unwrap()
}

fn service(number: u32) -> String {
    format!("rivetr-app-blog-{number}.service")
}

fn target() -> UnitPath {
    UnitPath::systemd("rivetr-app-blog.target").unwrap()
}

/// An app with these releases, of which those in `running` should run.
fn wanted(releases: &[u32], running: &[u32]) -> Wanted {
    let containers = releases.iter().map(|number| (container(*number), format!("release {number}")));
    Wanted {
        files: containers.chain([(target(), "target".to_owned())]).collect(),
        running: running.iter().map(|number| service(*number)).collect(),
    }
}

fn settled(wanted: &Wanted) -> Machine {
    let mut machine = Machine::new(UnitFiles::new(), BTreeMap::new());
    for step in plan(wanted, &machine.observe()).steps {
        machine.carry_out(&step);
    }
    machine.units.insert(target().unit(), UnitState::Active);
    machine
}

#[test]
fn the_first_release() {
    let plan = plan(&wanted(&[1], &[1]), &Observed::default());
    assert_eq!(
        plan.to_string(),
        "write app-blog/rivetr-app-blog-1.container\n\
         write rivetr-app-blog.target\n\
         reload\n\
         start rivetr-app-blog-1.service\n"
    );
}

#[test]
fn a_release_beside_another_leaves_it_and_the_handle_alone() {
    let machine = settled(&wanted(&[1], &[1]));
    let plan = plan(&wanted(&[1, 2], &[1, 2]), &machine.observe());
    assert_eq!(
        plan.to_string(),
        "write app-blog/rivetr-app-blog-2.container\nreload\nstart rivetr-app-blog-2.service\n"
    );
}

#[test]
fn the_old_release_goes_after_the_new_has_come() {
    let machine = settled(&wanted(&[1], &[1]));
    let plan = plan(&wanted(&[2], &[2]), &machine.observe());
    assert_eq!(
        plan.to_string(),
        "write app-blog/rivetr-app-blog-2.container\n\
         reload\n\
         start rivetr-app-blog-2.service\n\
         stop rivetr-app-blog-1.service\n\
         remove app-blog/rivetr-app-blog-1.container\n\
         reload\n"
    );
}

#[test]
fn nothing_is_left_of_a_deleted_app() {
    let machine = settled(&wanted(&[1], &[1]));
    let plan = plan(&Wanted::default(), &machine.observe());
    assert_eq!(
        plan.to_string(),
        "stop rivetr-app-blog-1.service\n\
         stop rivetr-app-blog.target\n\
         remove app-blog/rivetr-app-blog-1.container\n\
         remove rivetr-app-blog.target\n\
         reload\n"
    );
}

#[test]
fn a_file_changed_under_its_running_unit_is_reported_and_left() {
    let mut machine = settled(&wanted(&[1], &[1]));
    machine.files.insert(container(1), "changed by hand".to_owned());
    machine.reload();
    let drifted = plan(&wanted(&[1], &[1]), &machine.observe());
    assert_eq!((drifted.is_empty(), &drifted.drift), (true, &vec![container(1)]));
    assert_eq!(
        drifted.to_string(),
        "leave app-blog/rivetr-app-blog-1.container: it was changed, and its unit runs\n"
    );

    machine.units.insert(service(1), UnitState::Failed);
    let repaired = plan(&wanted(&[1], &[1]), &machine.observe());
    assert_eq!(
        repaired.to_string(),
        "write app-blog/rivetr-app-blog-1.container\nreload\nstart rivetr-app-blog-1.service\n"
    );
}

#[test]
fn limits_change_under_a_running_unit_and_nothing_else_does() {
    let machine = settled(&wanted(&[1], &[1]));
    let mut wish = wanted(&[1], &[1]);
    wish.files.insert(container(1), "release 1\nMemoryMax=1".to_owned());
    let limited = plan(&wish, &machine.observe());
    assert_eq!(limited.to_string(), "write app-blog/rivetr-app-blog-1.container\nreload\n");
    wish.files.insert(container(1), "release one\nMemoryMax=1".to_owned());
    assert_eq!(plan(&wish, &machine.observe()).drift, [container(1)]);
}

#[test]
fn a_unit_without_a_file_is_stopped() {
    let mut machine = settled(&wanted(&[1], &[1]));
    machine.units.insert(service(9), UnitState::Active);
    let plan = plan(&wanted(&[1], &[1]), &machine.observe());
    assert_eq!(plan.to_string(), "stop rivetr-app-blog-9.service\n");
}

#[test]
fn files_that_the_manager_has_not_read_are_read_first() {
    let wanted = wanted(&[1], &[1]);
    let unread = Observed { files: wanted.files.clone(), units: BTreeMap::new(), needs_reload: false };
    assert_eq!(plan(&wanted, &unread).to_string(), "reload\nstart rivetr-app-blog-1.service\n");
}

/// A job with its timer, as two files.
fn a_job(schedule: &str, image: &str) -> Wanted {
    let jobs = Owner::Jobs(Slug::parse("blog").unwrap());
    let timer = UnitPath::systemd("rivetr-job-blog_tidy.timer").unwrap();
    let container = UnitPath::quadlet(&jobs, "rivetr-job-blog_tidy.container").unwrap();
    Wanted {
        running: BTreeSet::from([timer.unit()]),
        files: UnitFiles::from([(timer, schedule.to_owned()), (container, image.to_owned())]),
    }
}

#[test]
fn a_task_is_neither_started_nor_stopped_and_its_next_run_is_as_its_file_says() {
    let check = |state, expect: &str| {
        let mut machine = settled(&a_job("daily", "one"));
        machine.units.insert(target().unit(), UnitState::Inactive);
        machine.units.insert("rivetr-job-blog_tidy.service".to_owned(), state);
        assert_eq!(plan(&a_job("daily", "one"), &machine.observe()).to_string(), "nothing to do\n");
        let other = plan(&a_job("daily", "two"), &machine.observe());
        assert_eq!(other.to_string(), "write job-blog/rivetr-job-blog_tidy.container\nreload\n");
        assert_eq!(plan(&Wanted::default(), &machine.observe()).to_string(), expect);
    };
    let rest = "stop rivetr-job-blog_tidy.timer\n\
        remove job-blog/rivetr-job-blog_tidy.container\n\
        remove rivetr-job-blog_tidy.timer\n\
        reload\n";
    let stopped = format!("stop rivetr-job-blog_tidy.service\n{rest}");
    for state in [UnitState::Active, UnitState::Changing, UnitState::Failed] {
        check(state, &stopped);
    }
    check(UnitState::Inactive, rest);
}

#[test]
fn a_timer_with_another_schedule_is_started_anew() {
    let mut machine = settled(&a_job("daily", "one"));
    machine.units.insert(target().unit(), UnitState::Inactive);
    let wish = a_job("weekly", "one");
    let changed = plan(&wish, &machine.observe());
    assert_eq!(
        changed.to_string(),
        "stop rivetr-job-blog_tidy.timer\nwrite rivetr-job-blog_tidy.timer\nreload\n\
         start rivetr-job-blog_tidy.timer\n"
    );
    for done in 0..=changed.steps.len() {
        let mut machine = machine.clone();
        changed.steps.iter().take(done).for_each(|step| machine.carry_out(step));
        for step in plan(&wish, &machine.observe()).steps {
            machine.carry_out(&step);
        }
        assert!(plan(&wish, &machine.observe()).is_empty(), "{done}");
    }
    let paused = Wanted { running: BTreeSet::new(), ..wish };
    let Wanted { mut files, .. } = paused;
    files.retain(|path, _| !path.is_timer());
    let paused = plan(&Wanted { files, running: BTreeSet::new() }, &machine.observe());
    assert_eq!(
        paused.to_string(),
        "stop rivetr-job-blog_tidy.timer\nremove rivetr-job-blog_tidy.timer\nreload\n"
    );
}

#[test]
fn a_plan_of_nothing_says_so() {
    let wanted = wanted(&[1], &[1]);
    assert_eq!(plan(&wanted, &settled(&wanted).observe()).to_string(), "nothing to do\n");
}

fn a_state() -> impl Strategy<Value = UnitState> {
    prop::sample::select(vec![UnitState::Active, UnitState::Changing, UnitState::Inactive, UnitState::Failed])
}

fn a_wish() -> impl Strategy<Value = Wanted> {
    let releases = prop::collection::btree_map(0..6_u32, any::<bool>(), 0..5);
    (releases, any::<bool>()).prop_map(|(releases, handle)| {
        let numbers: Vec<u32> = releases.keys().copied().collect();
        let running: Vec<u32> =
            releases.iter().filter(|(_, runs)| **runs).map(|(number, _)| *number).collect();
        let mut wish = wanted(&numbers, &running);
        if !handle {
            wish.files.remove(&target());
        }
        wish
    })
}

/// Any files, known or not, changed or not, and units in any state, with or without a file.
fn a_machine() -> impl Strategy<Value = Machine> {
    let files = prop::collection::btree_map(0..6_u32, prop::option::of("[a-z]{3}"), 0..6);
    let units = prop::collection::btree_map(0..8_u32, a_state(), 0..8);
    let handle = prop::option::of(a_state());
    (files, units, handle).prop_map(|(files, units, handle)| {
        let text = |number: u32, changed: Option<String>| changed.unwrap_or(format!("release {number}"));
        let mut files: UnitFiles =
            files.into_iter().map(|(number, changed)| (container(number), text(number, changed))).collect();
        let mut units: BTreeMap<String, UnitState> =
            units.into_iter().map(|(number, state)| (service(number), state)).collect();
        if let Some(state) = handle {
            files.insert(target(), "target".to_owned());
            units.insert(target().unit(), state);
        }
        let mut machine = Machine::new(files, units);
        machine.reload();
        machine
    })
}

proptest! {
    #[test]
    fn planning_again_changes_nothing(wish in a_wish(), mut machine in a_machine()) {
        let first = plan(&wish, &machine.observe());
        for step in &first.steps {
            machine.carry_out(step);
        }
        let again = plan(&wish, &machine.observe());
        prop_assert!(again.is_empty(), "{again}");
        prop_assert_eq!(&again.drift, &first.drift);

        let paths: BTreeSet<&UnitPath> = machine.files.keys().collect();
        prop_assert_eq!(paths, wish.files.keys().collect::<BTreeSet<_>>());
        for (path, text) in &wish.files {
            prop_assert!(machine.files.get(path) == Some(text) || first.drift.contains(path));
        }
        for (unit, state) in &machine.units {
            let handle = *unit == target().unit() && wish.files.contains_key(&target());
            let expected = if wish.running.contains(unit) { UnitState::Active } else { UnitState::Inactive };
            prop_assert!(handle || *state == expected, "{} is {:?}", unit, state);
        }
    }

    #[test]
    fn nothing_stops_before_the_new_is_up(wish in a_wish(), machine in a_machine()) {
        let steps = plan(&wish, &machine.observe()).steps;
        let first_end = steps.iter().position(|step| matches!(step, Step::Stop { .. } | Step::Remove { .. }));
        let (_, end) = steps.split_at(first_end.unwrap_or(steps.len()));
        prop_assert!(!end.iter().any(|step| matches!(step, Step::Start { .. })), "{:?}", steps);
    }

    #[test]
    fn what_is_wanted_and_runs_is_never_touched(wish in a_wish(), machine in a_machine()) {
        for step in plan(&wish, &machine.observe()).steps {
            let unit = match &step {
                Step::Reload => continue,
                Step::Write { path, .. } | Step::Remove { path } => path.unit(),
                Step::Start { unit } | Step::Stop { unit } => unit.clone(),
            };
            let serves = machine.files.keys().any(|path| path.unit() == unit)
                && wish.running.contains(&unit)
                && machine.units.get(&unit) == Some(&UnitState::Active);
            prop_assert!(!serves, "{}", step);
        }
    }

    #[test]
    fn a_death_after_any_step_is_made_good(wish in a_wish(), machine in a_machine(), done in 0..12_usize) {
        let mut machine = machine;
        for step in plan(&wish, &machine.observe()).steps.iter().take(done) {
            machine.carry_out(step);
        }
        for step in plan(&wish, &machine.observe()).steps {
            machine.carry_out(&step);
        }
        let again = plan(&wish, &machine.observe());
        prop_assert!(again.is_empty(), "{again}");
    }
}

/// A unit whose file is as rivetr wrote it is replaced; one that somebody edited is not.
#[test]
fn what_rivetr_wrote_is_replaced_and_what_somebody_edited_is_left() {
    let mut machine = settled(&wanted(&[1, 2, 3], &[1, 2, 3]));
    let known = |numbers: &[u32]| -> Known {
        let texts =
            numbers.iter().map(|number| (container(*number), BTreeSet::from([format!("release {number}")])));
        texts.collect()
    };
    let mut wish = wanted(&[1, 2, 3], &[1, 2, 3]);
    wish.files.insert(container(2), "another".to_owned());
    wish.files.insert(container(3), "another".to_owned());
    machine.files.insert(container(3), "edited".to_owned());
    let replaced = plan_over(&wish, &machine.observe(), &known(&[1, 2, 3]));
    assert_eq!(replaced.drift, [container(3)]);
    assert!(
        replaced.to_string().starts_with(
            "stop rivetr-app-blog-2.service\nwrite app-blog/rivetr-app-blog-2.container\nreload\nstart rivetr-app-blog-1.service\n"
        ),
        "{replaced}"
    );
    for step in &replaced.steps {
        machine.carry_out(step);
    }
    assert!(plan_over(&wish, &machine.observe(), &known(&[1, 2, 3])).is_empty());
    assert_eq!(
        plan(&wish, &settled(&wanted(&[1, 2, 3], &[1, 2, 3])).observe()).drift,
        [container(2), container(3)]
    );
}
