//! A command as a unit of its own, without a file: capped, its output in a file, its end remembered.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use zbus::{OwnedVariant, Variant};

/// How long what comes in the end may take.
const RELEASE_LIMIT: Duration = Duration::from_mins(5);

/// One command to run as a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transient {
    /// The unit's name, ending in `.service`.
    pub name: String,
    /// What `systemctl` shows.
    pub description: String,
    /// The program and its arguments, taken as they are: no `$`, `%` or blank means anything.
    pub argv: Vec<String>,
    /// Where it runs.
    pub dir: PathBuf,
    /// Variables beside the manager's own.
    pub env: BTreeMap<String, String>,
    /// The file that what it prints is appended to.
    pub output_file: PathBuf,
    /// The slice it runs in, if not the usual one.
    pub slice: Option<String>,
    /// How long it may take to end after it was asked to.
    pub stop_timeout: Duration,
    /// What it may use.
    pub limits: Limits,
}

/// Commands that run one after the other as one unit, without a file. It is started once all of them have ended well, and
/// nothing is left of it then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// The unit's name, ending in `.service`.
    pub name: String,
    /// What `systemctl` shows.
    pub description: String,
    /// Programs with their arguments; the first that fails ends it.
    pub commands: Vec<Vec<String>>,
    /// What systemd runs in the end, whatever became of the others and of whoever asked.
    pub finally: Vec<Vec<String>>,
    /// The file that what they print is appended to.
    pub output_file: PathBuf,
    /// How long it may take.
    pub limit: Duration,
    /// How large a file they may write, in bytes; none: as large as there is room.
    pub file_max: Option<u64>,
}

impl Sequence {
    /// As `StartTransientUnit` takes them.
    pub(super) fn properties(&self) -> zbus::Result<Vec<(String, OwnedVariant)>> {
        let Self { name: _, description, commands, finally, output_file, limit, file_max } = self;
        let lines = |commands: &[Vec<String>], flags: &[&str]| {
            let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
            let line =
                |argv: &Vec<String>| (argv.first().cloned().unwrap_or_default(), argv.clone(), flags.clone());
            commands.iter().map(line).collect::<Vec<_>>()
        };
        let output = output_file.to_string_lossy();
        let mut list = vec![
            text("Description", description),
            text("Type", "oneshot"),
            property("ExecStartEx", lines(commands, &["no-env-expand"])),
            property("ExecStopPostEx", lines(finally, &["no-env-expand", "ignore-failure"])),
            text("StandardInput", "null"),
            text("StandardOutputFileToAppend", &output),
            text("StandardErrorFileToAppend", &output),
            text("CollectMode", "inactive-or-failed"),
            property("Delegate", true),
            property("TimeoutStartUSec", microseconds(*limit)),
            // What lets others go on waits for nobody long.
            property("TimeoutStopUSec", microseconds(RELEASE_LIMIT)),
        ];
        list.extend(file_max.map(|bytes| property("LimitFSIZE", bytes)));
        list.into_iter().map(|(key, value)| Ok((key.to_owned(), value.try_into_owned()?))).collect()
    }
}

/// What a unit may use; `None` is no limit of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of one CPU: 150 is one and a half.
    pub cpu_percent: Option<u32>,
    /// Bytes. Above it the kernel kills the whole unit.
    pub memory_max: Option<u64>,
    /// Processes and threads.
    pub tasks_max: Option<u64>,
    /// How long it may run.
    pub runtime_max: Option<Duration>,
    /// Its share of the disks, 1 to 10000; the default of others is 100.
    pub io_weight: Option<u64>,
}

impl Transient {
    /// As `StartTransientUnit` takes them.
    pub(super) fn properties(&self) -> zbus::Result<Vec<(String, OwnedVariant)>> {
        self.variants()
            .into_iter()
            .map(|(key, value)| Ok((key.to_owned(), value.try_into_owned()?)))
            .collect()
    }

    fn variants(&self) -> Vec<Property> {
        let Self { name: _, description, argv, dir, env, output_file, slice, stop_timeout, limits } = self;
        let env: Vec<String> = env.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let program = argv.first().cloned().unwrap_or_default();
        let output = output_file.to_string_lossy().into_owned();
        let mut list = vec![
            text("Description", description),
            // To be started means that the program was found and runs.
            text("Type", "exec"),
            property("ExecStartEx", vec![(program, argv.clone(), vec!["no-env-expand".to_owned()])]),
            text("WorkingDirectory", &dir.to_string_lossy()),
            property("Environment", env),
            text("StandardInput", "null"),
            text("StandardOutputFileToAppend", &output),
            text("StandardErrorFileToAppend", &output),
            // The end stays readable until it is forgotten: a success as active (exited), a failure as failed.
            property("RemainAfterExit", true),
            text("CollectMode", "inactive"),
            text("OOMPolicy", "kill"),
            // Podman may make cgroups below the unit's own, so that what it starts is capped and killed with it.
            property("Delegate", true),
            property("TimeoutStopUSec", microseconds(*stop_timeout)),
        ];
        list.extend(slice.iter().map(|slice| text("Slice", slice)));
        list.extend(limits.variants());
        list
    }
}

impl Limits {
    fn variants(&self) -> Vec<Property> {
        let Self { cpu_percent, memory_max, tasks_max, runtime_max, io_weight } = self;
        // A percent of a CPU is 10 ms of each second.
        let quota = cpu_percent.map(|percent| u64::from(percent) * 10_000);
        let mut list = Vec::new();
        list.extend(quota.map(|quota| property("CPUQuotaPerSecUSec", quota)));
        list.extend(memory_max.map(|bytes| property("MemoryMax", bytes)));
        // Not in the swap instead, where the machine has one.
        list.extend(memory_max.map(|_| property("MemorySwapMax", 0_u64)));
        list.extend(tasks_max.map(|tasks| property("TasksMax", tasks)));
        list.extend(runtime_max.map(|limit| property("RuntimeMaxUSec", microseconds(limit))));
        list.extend(io_weight.map(|weight| property("IOWeight", weight)));
        list
    }
}

type Property = (&'static str, Variant<'static>);

/// Where a slice lies below its manager's cgroup: `a-b.slice` lies in `a.slice`.
pub(super) fn slice_path(slice: &str) -> String {
    let stem = slice.strip_suffix(".slice").unwrap_or(slice);
    let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
    ends.filter_map(|end| stem.get(..end)).flat_map(|part| ["/", part, ".slice"]).collect()
}

fn text(key: &'static str, value: &str) -> Property {
    property(key, value.to_owned())
}

fn property(key: &'static str, value: impl Into<Variant<'static>>) -> Property {
    (key, value.into())
}

fn microseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_lie_in_each_other() {
        for (slice, path) in [
            ("app.slice", "/app.slice"),
            ("rivetr-build.slice", "/rivetr.slice/rivetr-build.slice"),
            ("a-b-c.slice", "/a.slice/a-b.slice/a-b-c.slice"),
            ("rivetr-my\\x2dproject.slice", "/rivetr.slice/rivetr-my\\x2dproject.slice"),
        ] {
            assert_eq!(slice_path(slice), path);
        }
    }
}
