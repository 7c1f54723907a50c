//! The options of an app as lines of its container: what is the default leaves none.

use std::num::NonZeroU16;

use super::unit::{Section, SectionWriter, Unit, UnitTextError, ValueProblem};
use super::volume;
use crate::domain::name::Slug;
use crate::domain::runtime::{Labels, Limits, Memory, Restart, Runtime};
use crate::domain::volume::{Mount, MountSource, Tmpfs};

/// What root in a container may not do, unless it is given by name. What entry points need to prepare files and to
/// change to another user stays: CHOWN, `DAC_OVERRIDE`, FOWNER, KILL, `NET_BIND_SERVICE`, SETGID, SETUID. Dropped by
/// name, for to add one by name also hands it to images that run as an ordinary user.
const DROPPED: [&str; 7] = ["AUDIT_WRITE", "FSETID", "MKNOD", "NET_RAW", "SETFCAP", "SETPCAP", "SYS_CHROOT"];

/// How much longer systemd waits than Podman, which ends the container with SIGKILL when its time is over.
const STOP_MARGIN_S: u64 = 20;

/// The keys of [`Limits`], in the section of the service.
const LIMIT_KEYS: [&str; 3] = ["MemoryMax", "MemorySwapMax", "CPUQuota"];

/// What Quadlet is told.
pub(super) fn container(
    section: SectionWriter<'_>,
    app: &Slug,
    port: NonZeroU16,
    runtime: &Runtime,
) -> Result<(), UnitTextError> {
    let section = security(section, runtime)?;
    let section = network(section, runtime)?;
    let section = labels(section, app, port, runtime)?;
    let section = process(section, runtime)?;
    storage(section, app, runtime).map(drop)
}

/// The part that databases share with apps: what root in the container may do, and its shared memory.
pub(super) fn security_and_memory(
    section: SectionWriter<'_>,
    runtime: &Runtime,
) -> Result<(), UnitTextError> {
    let section = security(section, runtime)?;
    maybe(section, "ShmSize", runtime.shm_size.map(Memory::bytes)).map(drop)
}

/// What systemd is told.
pub(super) fn service(section: SectionWriter<'_>, runtime: &Runtime) -> Result<(), UnitTextError> {
    let Limits { memory, cpus } = runtime.limits;
    let entries = [
        memory.map(|memory| ("MemoryMax", memory.bytes().to_string())),
        // Over its limit it is killed; it does not go on in the swap that the machine may have, and slow down all.
        memory.map(|_| ("MemorySwapMax", "0".to_owned())),
        cpus.map(|cpus| ("CPUQuota", format!("{}%", cpus.percent()))),
        (runtime.restart != Restart::Always).then(|| ("Restart", runtime.restart.as_str().to_owned())),
        // Killed without being asked to stop, for want of memory say, is a failure; a stop is never undone by this.
        (runtime.restart == Restart::OnFailure).then(|| ("RestartForceExitStatus", "137 143".to_owned())),
        (runtime.grace != Runtime::DEFAULT_GRACE)
            .then(|| ("TimeoutStopSec", (runtime.grace.as_secs() + STOP_MARGIN_S).to_string())),
    ];
    let mut entries = entries.into_iter().flatten();
    entries.try_fold(section, |section, (key, value)| section.raw(key, &value)).map(drop)
}

/// Whether a unit can carry all of this. Asked when it is set, long before a release.
pub fn check(app: &Slug, port: NonZeroU16, runtime: &Runtime) -> Result<(), UnitTextError> {
    let mut unit = Unit::default();
    container(unit.section(Section::Container), app, port, runtime)?;
    service(unit.section(Section::Service), runtime)
}

/// Whether two texts of a unit are the same but for its limits, which change while it runs.
#[must_use]
pub fn same_but_limits(one: &str, other: &str) -> bool {
    let is_limit =
        |line: &&str| LIMIT_KEYS.iter().any(|key| line.split_once('=').is_some_and(|(k, _)| k == *key));
    one.lines().filter(|line| !is_limit(line)).eq(other.lines().filter(|line| !is_limit(line)))
}

fn security<'a>(section: SectionWriter<'a>, runtime: &Runtime) -> Result<SectionWriter<'a>, UnitTextError> {
    let given = |name: &&str| runtime.capabilities.iter().any(|given| given.as_str() == *name);
    let dropped: Vec<&str> = DROPPED.into_iter().filter(|name| !given(name)).collect();
    let mut section =
        if dropped.is_empty() { section } else { section.raw("DropCapability", &dropped.join(" "))? };
    for capability in &runtime.capabilities {
        section = section.raw("AddCapability", capability.as_str())?;
    }
    if runtime.read_only {
        section = section.raw("ReadOnly", "true")?;
    }
    if let Some(user) = &runtime.user {
        section = section.scalar("User", user.user())?;
        section = maybe(section, "Group", user.group())?;
    }
    Ok(section)
}

fn network<'a>(section: SectionWriter<'a>, runtime: &Runtime) -> Result<SectionWriter<'a>, UnitTextError> {
    let section = each(section, "PublishPort", &runtime.publish)?;
    let section = each(section, "NetworkAlias", &runtime.aliases)?;
    each(section, "AddHost", &runtime.extra_hosts)
}

/// What was written out stands where a preset says something else.
fn labels<'a>(
    section: SectionWriter<'a>,
    app: &Slug,
    port: NonZeroU16,
    runtime: &Runtime,
) -> Result<SectionWriter<'a>, UnitTextError> {
    let written = |name: &str| {
        runtime.labels.iter().any(|labels| matches!(labels, Labels::One(label) if label.name() == name))
    };
    let is_one = |labels: &Labels| matches!(labels, Labels::One(_));
    let all = runtime.labels.iter().flat_map(|labels| {
        let stands = move |(name, _): &(&str, String)| is_one(labels) || !written(name);
        labels.of(app, port).into_iter().filter(stands)
    });
    all.into_iter().try_fold(section, |section, (name, value)| section.assignment("Label", name, &value))
}

fn process<'a>(section: SectionWriter<'a>, runtime: &Runtime) -> Result<SectionWriter<'a>, UnitTextError> {
    let mut section = maybe(section, "PidsLimit", runtime.pids)?;
    section = each(section, "Ulimit", &runtime.ulimits)?;
    if let Some(words) = &runtime.entrypoint {
        section = section.scalar("Entrypoint", &json("Entrypoint", words.as_slice())?)?;
    }
    if let Some(words) = &runtime.command {
        section = section.words("Exec", words.as_slice().iter().map(String::as_str))?;
    }
    section = maybe(section, "WorkingDir", runtime.working_dir.as_ref())?;
    if runtime.init {
        section = section.raw("RunInit", "true")?;
    }
    section = maybe(section, "StopSignal", runtime.stop_signal)?;
    if runtime.grace != Runtime::DEFAULT_GRACE {
        section = section.raw("StopTimeout", &runtime.grace.as_secs().to_string())?;
    }
    Ok(section)
}

fn storage<'a>(
    section: SectionWriter<'a>,
    app: &Slug,
    runtime: &Runtime,
) -> Result<SectionWriter<'a>, UnitTextError> {
    let mut section = maybe(section, "ShmSize", runtime.shm_size.map(Memory::bytes))?;
    for Mount { what, at, read_only } in &runtime.mounts {
        let source = match what {
            MountSource::Volume(name) => volume::file(app, name),
            MountSource::Host(path) => path.to_string(),
        };
        let mode = if *read_only { ":ro" } else { "" };
        section = section.scalar("Volume", &format!("{source}:{at}{mode}"))?;
    }
    runtime.tmpfs.iter().try_fold(section, |section, tmpfs| section.scalar("Tmpfs", &in_memory(tmpfs)))
}

/// Podman hands the size to the kernel, which reads bytes.
fn in_memory(tmpfs: &Tmpfs) -> String {
    match tmpfs.size() {
        Some(size) => format!("{}:size={}", tmpfs.at(), size.bytes()),
        None => tmpfs.at().to_string(),
    }
}

/// As Podman takes several words for one key (FACTS 13.5). What stands in quotes there needs none of the unit's own.
pub(super) fn json(key: &'static str, words: &[String]) -> Result<String, UnitTextError> {
    serde_json::to_string(words)
        .map_err(|_| UnitTextError { name: key.to_owned(), problem: ValueProblem::Control })
}

fn each<'a, T: ToString>(
    section: SectionWriter<'a>,
    key: &'static str,
    values: &[T],
) -> Result<SectionWriter<'a>, UnitTextError> {
    values.iter().try_fold(section, |section, value| section.scalar(key, &value.to_string()))
}

fn maybe<'a, T: ToString>(
    section: SectionWriter<'a>,
    key: &'static str,
    value: Option<T>,
) -> Result<SectionWriter<'a>, UnitTextError> {
    match value {
        Some(value) => section.scalar(key, &value.to_string()),
        None => Ok(section),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::runtime::{
        Alias, ContainerUser, Cpus, ExtraHost, Memory, PublishedPort, Ulimit, Words,
    };
    use crate::domain::volume::ContainerPath;

    const PORT: NonZeroU16 = NonZeroU16::new(9100).unwrap();

    #[test]
    fn a_preset_brings_its_labels_and_what_is_written_out_goes_first() {
        let labels =
            ["prometheus.io/path=/own", "prometheus", "b=1"].map(|text| Labels::parse(text).unwrap());
        let found = lines(&Runtime { labels: labels.to_vec(), ..Runtime::default() }).unwrap();
        let found: Vec<_> = found.iter().filter_map(|line| line.strip_prefix("Label=")).collect();
        let own = r#""prometheus.io/path=/own""#;
        assert_eq!(
            found,
            [own, r#""prometheus.io/scrape=true""#, r#""prometheus.io/port=9100""#, r#""b=1""#]
        );
    }

    fn lines(runtime: &Runtime) -> Result<Vec<String>, UnitTextError> {
        let mut unit = Unit::default();
        container(unit.section(Section::Container), &Slug::parse("blog").unwrap(), PORT, runtime)?;
        service(unit.section(Section::Service), runtime)?;
        let text = unit.to_string();
        assert_eq!(Unit::parse(&text).unwrap().to_string(), text);
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// All that the text can be taken for.
    fn taken(text: &str) -> Vec<Runtime> {
        let mut runtimes = Vec::new();
        let mut with = |set: &dyn Fn(&mut Runtime) -> Option<()>| {
            let mut runtime = Runtime::default();
            runtimes.extend(set(&mut runtime).map(|()| runtime));
        };
        with(&|runtime| {
            runtime.publish = vec![PublishedPort::parse(text).ok()?];
            Some(())
        });
        with(&|runtime| {
            runtime.aliases = vec![Alias::parse(text).ok()?];
            Some(())
        });
        with(&|runtime| {
            runtime.extra_hosts = vec![ExtraHost::parse(text).ok()?];
            Some(())
        });
        with(&|runtime| {
            runtime.labels = vec![Labels::parse(&format!("a={text}")).ok()?];
            Some(())
        });
        with(&|runtime| {
            runtime.ulimits = vec![Ulimit::parse(text).ok()?];
            Some(())
        });
        with(&|runtime| {
            runtime.user = Some(ContainerUser::parse(text).ok()?);
            Some(())
        });
        with(&|runtime| {
            runtime.entrypoint = Some(Words::new(vec![text.to_owned()]).ok()?);
            Some(())
        });
        with(&|runtime| {
            runtime.command = Some(Words::new(vec![text.to_owned()]).ok()?);
            Some(())
        });
        with(&|runtime| {
            runtime.working_dir = Some(ContainerPath::parse(&format!("/{text}")).ok()?);
            Some(())
        });
        with(&|runtime| {
            runtime.mounts = vec![Mount::parse(&format!("data:/{text}")).ok()?];
            Some(())
        });
        with(&|runtime| {
            runtime.tmpfs = vec![Tmpfs::parse(&format!("/{text}")).ok()?];
            Some(())
        });
        runtimes
    }

    proptest! {
        #[test]
        fn no_value_makes_a_second_directive(text in "(\\[Service\\]|Exec|[\\PC\n\r\t\\\\\"'%$;#= ]){0,6}") {
            let without = lines(&Runtime::default()).unwrap().len();
            for runtime in taken(&text) {
                // A refusal is fine: `check` tells it when the option is set.
                if let Ok(lines) = lines(&runtime) {
                    prop_assert_eq!(lines.len(), without + 1 + usize::from(runtime.user.is_some_and(|user| user.group().is_some())));
                }
            }
        }
    }

    #[test]
    fn a_power_that_is_given_is_not_dropped() {
        let given = crate::domain::runtime::Capability::parse("NET_RAW").unwrap();
        let runtime = Runtime { capabilities: [given].into(), ..Runtime::default() };
        let lines = lines(&runtime).unwrap();
        assert!(
            lines.contains(&"DropCapability=AUDIT_WRITE FSETID MKNOD SETFCAP SETPCAP SYS_CHROOT".to_owned())
        );
        assert!(lines.contains(&"AddCapability=NET_RAW".to_owned()));
    }

    #[test]
    fn limits_alone_make_no_other_unit() {
        let with = |memory: Option<&str>, cpus: Option<&str>, init| {
            let memory = memory.map(|text| Memory::parse(text).unwrap());
            let limits = Limits { memory, cpus: cpus.map(|text| Cpus::parse(text).unwrap()) };
            lines(&Runtime { limits, init, ..Runtime::default() }).unwrap().join("\n")
        };
        let before = with(Some("512M"), None, false);
        assert!(before.contains("MemoryMax=536870912"), "{before}");
        assert!(same_but_limits(&before, &with(None, Some("1.5"), false)));
        assert!(with(None, Some("1.5"), false).contains("CPUQuota=150%"));
        assert!(!same_but_limits(&before, &with(Some("512M"), None, true)));
    }

    #[test]
    fn what_no_unit_can_carry_is_refused_when_it_is_set() {
        let entrypoint = Words::new(vec!["a\u{7f}".to_owned()]).unwrap();
        let runtime = Runtime { entrypoint: Some(entrypoint), ..Runtime::default() };
        let refused = check(&Slug::parse("blog").unwrap(), PORT, &runtime).unwrap_err();
        assert_eq!(refused.name, "Entrypoint");
    }
}
