//! The directory that an archive is unpacked into: each name is looked up by the kernel beneath it and through no
//! link, each is made once, and all together stay within bounds.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use tokio_util::sync::CancellationToken;

use super::ArchiveError;

/// The deepest nesting, in directories.
const DEPTH_MAX: usize = 64;
/// The longest path, in bytes, and the longest name in it; the kernel's own bounds.
const PATH_MAX: usize = 4000;
const NAME_MAX: usize = 255;
/// What one read takes from an entry, in bytes.
const CHUNK: usize = 64 * 1024;
/// How many links the kernel follows on one path before it gives up (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// A directory that is being filled.
pub(super) struct Tree {
    root: OwnedFd,
    made: BTreeMap<String, Made>,
    entries: usize,
    bytes: u64,
    stop: CancellationToken,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Made {
    Directory,
    File,
    /// To this target.
    Link(Vec<u8>),
}

impl Tree {
    /// `entries` and `bytes` are what may come.
    pub fn open(
        root: &Path,
        entries: usize,
        bytes: u64,
        stop: CancellationToken,
    ) -> Result<Self, ArchiveError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::open(root, flags, Mode::empty()).map_err(unwritten)?;
        Ok(Self { root, made: BTreeMap::new(), entries, bytes, stop })
    }

    /// Takes from the bytes that may still come.
    pub fn spend(&mut self, entry: &[u8], bytes: u64) -> Result<(), ArchiveError> {
        if self.stop.is_cancelled() {
            return Err(ArchiveError::Stopped);
        }
        let left = self.bytes.checked_sub(bytes);
        let rule = "what it unpacks to is too large, or out of proportion to the archive";
        self.bytes = left.ok_or_else(|| ArchiveError::refused(entry, rule))?;
        Ok(())
    }

    /// Makes a directory; one that is there already is fine.
    pub fn directory(&mut self, entry: &[u8]) -> Result<(), ArchiveError> {
        self.count(entry)?;
        let parts = parts(entry)?;
        self.parents(entry, &parts, parts.len())
    }

    /// Makes a file of exactly `size` bytes.
    pub fn file(
        &mut self,
        entry: &[u8],
        executable: bool,
        size: u64,
        mut data: impl Read,
    ) -> Result<(), ArchiveError> {
        let (folder, path, name) = self.place(entry)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR).map_err(unwritten)?;
        self.made.insert(path, Made::File);
        let mode = if executable { 0o755 } else { 0o644 };
        rustix::fs::fchmod(&file, Mode::from_raw_mode(mode)).map_err(unwritten)?;
        let mut file = std::fs::File::from(file);
        let mut chunk = vec![0; CHUNK];
        let mut left = size;
        loop {
            let read = match data.read(&mut chunk) {
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(ArchiveError::broken(error)),
            };
            if read == 0 {
                break;
            }
            self.spend(entry, read as u64)?;
            let unequal = || ArchiveError::refused(entry, SIZE);
            left = left.checked_sub(read as u64).ok_or_else(unequal)?;
            let chunk = chunk.get(..read).unwrap_or_default();
            io::Write::write_all(&mut file, chunk).map_err(ArchiveError::Unwritten)?;
        }
        if left == 0 { Ok(()) } else { Err(ArchiveError::refused(entry, SIZE)) }
    }

    /// Makes a symbolic link to something beneath the directory; it is never followed here.
    pub fn link(&mut self, entry: &[u8], target: &[u8]) -> Result<(), ArchiveError> {
        let parts = parts(entry)?;
        if !stays_beneath(parts.len().saturating_sub(1), target) {
            return Err(ArchiveError::refused(entry, OUTSIDE));
        }
        let (folder, path, name) = self.place(entry)?;
        rustix::fs::symlinkat(target, &folder, &name).map_err(unwritten)?;
        self.made.insert(path, Made::Link(target.to_owned()));
        Ok(())
    }

    /// Follows each link: one that leads over others may look as if it stayed beneath, and not do so.
    pub fn finish(self) -> Result<(), ArchiveError> {
        let links = self.made.iter().filter(|(_, made)| matches!(made, Made::Link(_)));
        match links.map(|(path, _)| path).find(|path| leads_out(&self.made, path)) {
            Some(path) => Err(ArchiveError::refused(path.as_bytes(), OUTSIDE)),
            None => Ok(()),
        }
    }

    fn count(&mut self, entry: &[u8]) -> Result<(), ArchiveError> {
        if self.stop.is_cancelled() {
            return Err(ArchiveError::Stopped);
        }
        let left = self.entries.checked_sub(1);
        self.entries = left.ok_or_else(|| ArchiveError::refused(entry, "there are too many entries"))?;
        Ok(())
    }

    /// Makes way for a new file or link: its directory, its whole path, its name.
    fn place(&mut self, entry: &[u8]) -> Result<(OwnedFd, String, String), ArchiveError> {
        self.count(entry)?;
        let parts = parts(entry)?;
        let Some((name, above)) = parts.split_last() else {
            return Err(ArchiveError::refused(entry, "it has no name"));
        };
        let path = parts.join("/");
        if self.made.contains_key(&path) {
            return Err(ArchiveError::refused(entry, "the name comes twice"));
        }
        self.parents(entry, &parts, above.len())?;
        Ok((self.folder(entry, above)?, path, (*name).to_owned()))
    }

    /// Makes the first `depth` directories of a path that are not there yet.
    fn parents(&mut self, entry: &[u8], parts: &[&str], depth: usize) -> Result<(), ArchiveError> {
        for end in 1..=depth {
            let (Some(above), Some(path)) = (parts.get(..end - 1), parts.get(..end)) else { break };
            let path = path.join("/");
            match self.made.get(&path) {
                Some(Made::Directory) => continue,
                Some(Made::File | Made::Link(_)) => {
                    let rule = "it leads through a file or a link of the archive";
                    return Err(ArchiveError::refused(entry, rule));
                }
                None => {}
            }
            self.count(entry)?;
            let folder = self.folder(entry, above)?;
            let name = parts.get(end - 1).copied().unwrap_or_default();
            rustix::fs::mkdirat(&folder, name, Mode::RWXU).map_err(unwritten)?;
            let mode = Mode::from_raw_mode(0o755);
            rustix::fs::chmodat(&folder, name, mode, AtFlags::empty()).map_err(unwritten)?;
            self.made.insert(path, Made::Directory);
        }
        Ok(())
    }

    /// Part by part: `openat2`, which could do it at once, is one of the calls that a unit which may make no
    /// set-user-ID files cannot make (systemd.exec(5), `RestrictSUIDSGID=`).
    fn folder(&self, entry: &[u8], above: &[&str]) -> Result<OwnedFd, ArchiveError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = self.root.try_clone().map_err(ArchiveError::Unwritten)?;
        above.iter().try_fold(root, |folder, part| {
            rustix::fs::openat(&folder, *part, flags, Mode::empty()).map_err(|error| match error {
                Errno::LOOP | Errno::NOTDIR => ArchiveError::refused(entry, "it leads through a link"),
                other => unwritten(other),
            })
        })
    }
}

/// Whether a path leads out of what was made, with every link followed as the kernel follows it.
fn leads_out(made: &BTreeMap<String, Made>, path: &str) -> bool {
    let mut ahead: Vec<&[u8]> = path.as_bytes().split(|byte| *byte == b'/').rev().collect();
    let mut at: Vec<&[u8]> = Vec::new();
    let mut links = 0;
    while let Some(part) = ahead.pop() {
        match part {
            b"" | b"." => {}
            b".." => {
                if at.pop().is_none() {
                    return true;
                }
            }
            name => {
                at.push(name);
                let here = at.join(&b'/');
                let Some(Made::Link(target)) = str::from_utf8(&here).ok().and_then(|here| made.get(here))
                else {
                    continue;
                };
                at.pop();
                links += 1;
                if links > LINKS_MAX {
                    return false;
                }
                ahead.extend(target.split(|byte| *byte == b'/').rev());
            }
        }
    }
    false
}

const OUTSIDE: &str = "the link leads out of the archive";
const SIZE: &str = "it is longer or shorter than it says";

fn unwritten(error: Errno) -> ArchiveError {
    ArchiveError::Unwritten(error.into())
}

/// The parts of an entry's name, without what says nothing.
fn parts(entry: &[u8]) -> Result<Vec<&str>, ArchiveError> {
    let refuse = |rule| Err(ArchiveError::refused(entry, rule));
    let Ok(text) = str::from_utf8(entry) else { return refuse("its name is not UTF-8") };
    if text.starts_with('/') {
        return refuse("its name begins at the root of the file system");
    }
    if text.is_empty() || text.len() > PATH_MAX || text.contains('\0') {
        return refuse("its name is empty, too long, or holds a NUL byte");
    }
    let parts: Vec<&str> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return refuse("its name leads upwards");
    }
    if parts.len() > DEPTH_MAX || parts.iter().any(|part| part.len() > NAME_MAX) {
        return refuse("it lies too deep, or a part of its name is too long");
    }
    Ok(parts)
}

/// Whether a link that lies so deep leads to something beneath the root, taken by its letters.
fn stays_beneath(mut depth: usize, target: &[u8]) -> bool {
    if target.is_empty() || target.len() > PATH_MAX || target.starts_with(b"/") || target.contains(&0) {
        return false;
    }
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => match depth.checked_sub(1) {
                Some(above) => depth = above,
                None => return false,
            },
            _ => depth += 1,
        }
    }
    true
}
