//! What this machine has left: room on its disks, and the resources that it lets a manager divide.

use std::path::{Path, PathBuf};

use super::cgroup;
use crate::files::{self, FileError};

/// Where Podman looks for its helpers, and then for any program.
const HELPERS: [&str; 10] = [
    "/usr/local/libexec/podman",
    "/usr/local/lib/podman",
    "/usr/libexec/podman",
    "/usr/lib/podman",
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// The process 1 that Podman puts into a container that asks for one.
#[must_use]
pub fn init() -> Option<PathBuf> {
    HELPERS.iter().map(|folder| Path::new(folder).join("catatonit")).find(|path| path.is_file())
}

/// Room on the disk that a path lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that are taken.
    pub used: u64,
    /// Bytes that a user who is not root can still write. With what is used they are less than all there is where
    /// the file system keeps some back.
    pub free: u64,
    /// Bytes altogether.
    pub total: u64,
}

impl Room {
    /// How much is used of what a user who is not root can have, in percent rounded up: as `df` says it.
    #[must_use]
    pub fn percent(&self) -> Option<u64> {
        let had = u128::from(self.used) + u128::from(self.free);
        let percent = (u128::from(self.used) * 100).checked_add(had.checked_sub(1)?)?.checked_div(had)?;
        u64::try_from(percent).ok()
    }
}

/// Looks at the disk that a path lies on.
pub fn room(path: &Path) -> std::io::Result<Room> {
    let found = rustix::fs::statvfs(path)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let used = bytes(found.f_blocks.saturating_sub(found.f_bfree));
    Ok(Room { used, free: bytes(found.f_bavail), total: bytes(found.f_blocks) })
}

/// The bytes of a file, or of every file below a folder; nothing where there is neither. Links are not followed, and
/// what goes away meanwhile takes nothing.
pub fn taken(path: &Path) -> std::io::Result<u64> {
    let Some(found) = unless_gone(std::fs::symlink_metadata(path))? else { return Ok(0) };
    if !found.is_dir() {
        return Ok(found.len());
    }
    let mut bytes: u64 = 0;
    let Some(entries) = unless_gone(std::fs::read_dir(path))? else { return Ok(0) };
    for entry in entries {
        bytes = bytes.saturating_add(taken(&entry?.path())?);
    }
    Ok(bytes)
}

/// How many processes ran or wanted to, over the last minute; none where the kernel does not say.
#[must_use]
pub fn load() -> Option<f64> {
    let text = files::read_text(Path::new("/proc/loadavg")).ok()??;
    text.split_whitespace().next()?.parse().ok()
}

/// The memory of this machine, and what of it can be had; none where the kernel does not say.
#[must_use]
pub fn memory() -> Option<Room> {
    let text = files::read_text(Path::new("/proc/meminfo")).ok()??;
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let (free, total) = (bytes("MemAvailable:")?, bytes("MemTotal:")?);
    Some(Room { used: total.saturating_sub(free), free, total })
}

fn unless_gone<T>(looked: std::io::Result<T>) -> std::io::Result<Option<T>> {
    match looked {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// What a manager may divide among its units, such as `cpu` and `memory`, by the cgroup that it has.
pub fn controllers(cgroup: &str) -> Result<Vec<String>, FileError> {
    let text = cgroup::file(cgroup, "cgroup.controllers")?.unwrap_or_default();
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// How many processes of a cgroup, and of those below it, the kernel has killed for want of memory. None where there
/// is no such cgroup, or where nobody counts its memory.
pub fn oom_kills(cgroup: &str) -> Result<u64, FileError> {
    let text = cgroup::file(cgroup, "memory.events")?.unwrap_or_default();
    let count = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
    Ok(count.and_then(|count| count.parse().ok()).unwrap_or(0))
}

/// A number of bytes as people read it: `1.5 GiB`.
#[must_use]
pub fn readable(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut tenths = bytes.saturating_mul(10) / 1024;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1024;
        unit += 1;
    }
    let unit = units.get(unit).copied().unwrap_or_default();
    if tenths >= 100 {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0.0 KiB"),
            (1536, "1.5 KiB"),
            (10 << 20, "10 MiB"),
            (3 << 29, "1.5 GiB"),
            (5000 << 40, "5000 TiB"),
        ] {
            assert_eq!(readable(bytes), text);
        }
    }

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        for (name, bytes) in [("one", 10), ("below/two", 7)] {
            crate::files::write_whole(&folder.path().join(name), &vec![b'x'; bytes], 0o600).unwrap();
        }
        std::os::unix::fs::symlink("/etc", folder.path().join("link")).unwrap();
        assert_eq!(taken(folder.path()).unwrap(), 17 + 4);
        assert_eq!(taken(Path::new("/nowhere/at/all")).unwrap(), 0);
    }

    #[test]
    fn what_is_kept_back_is_neither_used_nor_free() {
        for (used, free, total, percent) in [
            (45, 49, 264, Some(48)),
            (0, 10, 10, Some(0)),
            (1, 999, 1000, Some(1)),
            (10, 0, 11, Some(100)),
            (0, 0, 0, None),
            (u64::MAX, u64::MAX, u64::MAX, Some(50)),
        ] {
            assert_eq!(Room { used, free, total }.percent(), percent, "{used} {free}");
        }
    }

    #[test]
    fn this_machine_has_memory_and_a_load() {
        let found = memory().unwrap();
        assert!(found.free <= found.total && found.free > 0);
        assert!(load().unwrap() >= 0.0);
    }

    #[test]
    fn a_disk_has_room_and_nowhere_has_none() {
        let found = room(Path::new("/tmp")).unwrap();
        assert!(found.used + found.free <= found.total && found.total > 0);
        assert!(room(Path::new("/nowhere/at/all")).is_err());
        assert_eq!(controllers("/no/such/cgroup").unwrap(), Vec::<String>::new());
        assert_eq!(oom_kills("/no/such/cgroup").unwrap(), 0);
    }
}
