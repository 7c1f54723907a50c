//! What a unit uses, and what it may use, from the kernel's files of its cgroup. Where no controller counts something,
//! nothing is known of it.

use std::path::Path;
use std::time::Duration;

use crate::files::{self, FileError};

/// What the processes of a cgroup and of those below it use, and may use; none: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InUse {
    /// Memory in bytes, without what the kernel keeps of files only as long as nobody needs the room.
    pub memory: Option<u64>,
    /// The most that they may use, in bytes.
    pub memory_limit: Option<Bound>,
    /// Processor time since the cgroup was made.
    pub cpu: Option<Duration>,
    /// The most processor time that they may use, in percent of one processor.
    pub cpu_limit: Option<Bound>,
}

/// The most of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// As much as there is.
    Unlimited,
    /// So much.
    At(u64),
}

/// Looks at a cgroup, by its path below the root of the hierarchy.
pub fn in_use(cgroup: &str) -> Result<InUse, FileError> {
    let read = |name| file(cgroup, name);
    let (current, stat) = (read("memory.current")?, read("memory.stat")?);
    Ok(InUse {
        memory: current.as_deref().and_then(|current| memory(current, stat.as_deref())),
        memory_limit: read("memory.max")?.as_deref().and_then(bound),
        cpu: read("cpu.stat")?.as_deref().and_then(cpu),
        cpu_limit: read("cpu.max")?.as_deref().and_then(quota),
    })
}

/// A file of a cgroup; none where there is none.
pub(super) fn file(cgroup: &str, name: &str) -> Result<Option<String>, FileError> {
    let hierarchy = [Path::new("/sys/fs/cgroup"), Path::new("/sys/fs/cgroup/unified")];
    for root in hierarchy {
        let file = root.join(cgroup.trim_start_matches('/')).join(name);
        if let Some(text) = files::read_text(&file)? {
            return Ok(Some(text));
        }
    }
    Ok(None)
}

fn memory(current: &str, stat: Option<&str>) -> Option<u64> {
    let current: u64 = current.trim().parse().ok()?;
    let idle = stat.and_then(|stat| value(stat, "inactive_file")).unwrap_or(0);
    Some(current.saturating_sub(idle))
}

fn cpu(stat: &str) -> Option<Duration> {
    value(stat, "usage_usec").map(Duration::from_micros)
}

fn bound(text: &str) -> Option<Bound> {
    match text.trim() {
        "max" => Some(Bound::Unlimited),
        bytes => bytes.parse().ok().map(Bound::At),
    }
}

/// `50000 100000`: so many microseconds in each period of so many.
fn quota(text: &str) -> Option<Bound> {
    let (most, period) = text.trim().split_once(' ')?;
    if most == "max" {
        return Some(Bound::Unlimited);
    }
    let (most, period): (u64, u64) = (most.parse().ok()?, period.parse().ok()?);
    most.checked_mul(100)?.checked_div(period).map(Bound::At)
}

/// The number behind a name, in a file of one a line.
fn value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_a_cgroup() {
        let stat = "anon 10\ninactive_file_x 1\ninactive_file 40\nactive_file 3\n";
        assert_eq!(memory("100\n", Some(stat)), Some(60));
        assert_eq!((memory("100\n", None), memory("", Some(stat))), (Some(100), None));
        assert_eq!(cpu("usage_usec 1500\nuser_usec 1000\n"), Some(Duration::from_micros(1500)));
        assert_eq!(cpu("user_usec 1000\n"), None);
        assert_eq!((bound("max\n"), bound("1024\n")), (Some(Bound::Unlimited), Some(Bound::At(1024))));
        assert_eq!(quota("50000 100000\n"), Some(Bound::At(50)));
        assert_eq!(quota("max 100000\n"), Some(Bound::Unlimited));
        for broken in ["", "50000", "50000 0", "x 100000", "99999999999999999999 1"] {
            assert_eq!(quota(broken), None, "{broken}");
        }
        assert_eq!(in_use("/no/such/cgroup").unwrap(), InUse::default());
    }
}
