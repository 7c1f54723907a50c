//! Files as a crash leaves them: old or new, never half. The only place that writes, locks and removes them.
//!
//! Knows nothing of what the files are about. Everything here blocks; async callers use `spawn_blocking`
//! where a disk may be slow.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// How the file set aside begins; a crash before the rename leaves one, and [`sweep`] finds it by this.
const ASIDE_PREFIX: &str = ".rivetr-";
/// How the file set aside ends; neither systemd nor Podman's generator reads such names.
const ASIDE_SUFFIX: &str = ".new";

/// Something that could not be done with a file.
#[derive(Debug, Error)]
#[error("cannot {action} {}: {source}{}", path.display(), cure(source))]
pub struct FileError {
    action: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl FileError {
    /// What kind of trouble it was, for those who treat a full disk apart.
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }

    /// The file or directory it was about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Replaces `path` by `contents` with exactly `mode`: written aside, synced, renamed, the directory synced.
///
/// Makes no directories. Whoever reads meanwhile sees the old file or the new one.
pub fn write_whole(path: &Path, contents: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = parent(path);
    let write = || {
        let mut aside = tempfile::Builder::new()
            .prefix(ASIDE_PREFIX)
            .suffix(ASIDE_SUFFIX)
            .permissions(Permissions::from_mode(0o600))
            .tempfile_in(directory)?;
        aside.write_all(contents)?;
        aside.as_file().set_permissions(Permissions::from_mode(mode))?;
        aside.as_file().sync_all()?;
        aside.persist(path).map_err(|failed| failed.error)?;
        sync_directory(directory)
    };
    write().map_err(because("write", path))
}

/// Makes `path` and the directories above it that are missing, each with exactly `mode`; leaves others alone.
pub fn make_dirs(path: &Path, mode: u32) -> Result<(), FileError> {
    let mut missing = Vec::new();
    for ancestor in path.ancestors().filter(|ancestor| !ancestor.as_os_str().is_empty()) {
        if fs::metadata(ancestor).is_ok_and(|found| found.is_dir()) {
            break;
        }
        missing.push(ancestor);
    }
    for directory in missing.into_iter().rev() {
        make_dir(directory, mode).map_err(because("make the directory", directory))?;
    }
    Ok(())
}

/// Makes a directory that lasts as long as its handle, for its owner alone; what a crash leaves, [`sweep`] finds.
pub fn temporary_dir(directory: &Path) -> Result<tempfile::TempDir, FileError> {
    let aside = tempfile::Builder::new().prefix(ASIDE_PREFIX).suffix(ASIDE_SUFFIX).tempdir_in(directory);
    aside.map_err(because("make a directory in", directory))
}

/// Makes `path` a link that leads to `target`, in place of a file or a link that is there.
pub fn link(path: &Path, target: &Path) -> Result<(), FileError> {
    let make = || {
        let aside = tempfile::Builder::new()
            .prefix(ASIDE_PREFIX)
            .suffix(ASIDE_SUFFIX)
            .make_in(parent(path), |aside| std::os::unix::fs::symlink(target, aside))?;
        aside.persist(path).map_err(|failed| failed.error)?;
        sync_directory(parent(path))
    };
    make().map_err(because("make the link", path))
}

/// Removes a file or a link; one that is not there is as good as removed.
pub fn remove_file(path: &Path) -> Result<(), FileError> {
    unless_missing(fs::remove_file(path)).map_err(because("remove", path))
}

/// Removes a directory if nothing is in it, and says whether it is gone.
pub fn remove_dir_if_empty(path: &Path) -> Result<bool, FileError> {
    match unless_missing(fs::remove_dir(path)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(false),
        Err(error) => Err(because("remove the directory", path)(error)),
    }
}

/// Removes a directory that is empty, or one of the kernel's whose files go with it.
pub fn remove_dir(path: &Path) -> Result<(), FileError> {
    unless_missing(fs::remove_dir(path)).map_err(because("remove the directory", path))
}

/// Makes a directory of the kernel's, which is on no disk.
pub fn make_kernel_dir(path: &Path) -> Result<(), FileError> {
    fs::create_dir(path).map_err(because("make the directory", path))
}

/// Writes to a file of the kernel's, which takes what is written to it at once and keeps nothing.
pub fn tell_kernel(path: &Path, text: &str) -> Result<(), FileError> {
    let tell = || OpenOptions::new().write(true).open(path)?.write_all(text.as_bytes());
    tell().map_err(because("write", path))
}

/// Removes a directory with all that is in it, or a file; never follows a link, removes the link itself.
pub fn remove_tree(path: &Path) -> Result<(), FileError> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => fs::remove_file(path),
        other => other,
    };
    unless_missing(removed).map_err(because("remove", path))
}

/// Gives what may be at `path` another name beside it, in one step, in place of what has that name.
pub fn set_aside(path: &Path, aside: &Path) -> Result<(), FileError> {
    remove_tree(aside)?;
    unless_missing(fs::rename(path, aside)).map_err(because("rename", path))
}

/// Removes what an interrupted [`write_whole`] or a lost [`temporary_dir`] left in `directory`.
pub fn sweep(directory: &Path) -> Result<(), FileError> {
    for name in names(directory)? {
        if name.starts_with(ASIDE_PREFIX) && name.ends_with(ASIDE_SUFFIX) {
            remove_tree(&directory.join(name))?;
        }
    }
    Ok(())
}

/// Reads a file as text; none if there is no such file.
pub fn read_text(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(because("read", path)(error)),
    }
}

/// Reads the last `bytes` bytes of a file; what is not UTF-8 is replaced.
pub fn read_tail(path: &Path, bytes: u64) -> Result<String, FileError> {
    let read = || -> io::Result<String> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(io::SeekFrom::Start(length.saturating_sub(bytes)))?;
        let mut tail = Vec::new();
        file.take(bytes).read_to_end(&mut tail)?;
        Ok(String::from_utf8_lossy(&tail).into_owned())
    };
    read().map_err(because("read", path))
}

/// The names in a directory, sorted; none if there is no such directory. Names that are not UTF-8 are not ours.
pub fn names(directory: &Path) -> Result<Vec<String>, FileError> {
    let read = || -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    };
    match read() {
        Ok(names) => Ok(names),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(because("list", directory)(error)),
    }
}

/// Sets the permission bits of a file or directory that this process owns.
pub fn set_mode(path: &Path, mode: u32) -> Result<(), FileError> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(because("set the mode of", path))
}

/// A file that is being received, for its owner alone: gone with its handle unless it is kept; what a crash leaves,
/// [`sweep`] finds.
#[derive(Debug)]
pub struct Incoming(tempfile::NamedTempFile);

impl Incoming {
    /// Begins one in a directory.
    pub fn begin(directory: &Path) -> Result<Self, FileError> {
        let aside = tempfile::Builder::new().prefix(ASIDE_PREFIX).suffix(ASIDE_SUFFIX).tempfile_in(directory);
        aside.map(Self).map_err(because("make a file in", directory))
    }

    /// A handle to write it by.
    pub fn file(&self) -> Result<File, FileError> {
        self.0.as_file().try_clone().map_err(because("open", self.0.path()))
    }

    /// Gives it its name, in the directory that it was begun in.
    pub fn keep(self, path: &Path) -> Result<(), FileError> {
        let kept = self.0.persist(path).map_err(|failed| failed.error);
        kept.and_then(|_| sync_directory(parent(path))).map_err(because("keep", path))
    }
}

/// A log that grows line by line, also while others append to it.
#[derive(Debug)]
pub struct LogFile {
    file: File,
    path: PathBuf,
}

impl LogFile {
    /// Opens the log for its owner alone, and makes it if it is missing.
    pub fn append(path: &Path) -> Result<Self, FileError> {
        let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path);
        Ok(Self { file: file.map_err(because("open the log", path))?, path: path.to_owned() })
    }

    /// Adds one line, in one write, so that lines of several writers do not mix.
    pub fn line(&mut self, text: &str) -> Result<(), FileError> {
        let line = format!("{text}\n");
        self.lines(line.as_bytes())
    }

    /// Adds lines that have their ends, in one write unless the file takes only a part of it.
    pub fn lines(&mut self, lines: &[u8]) -> Result<(), FileError> {
        self.file.write_all(lines).map_err(because("write the log", &self.path))
    }
}

/// A lock on a file, held until it is dropped or the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock could not be taken.
#[derive(Debug, Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("{} is held by {holder}: two of them must not work on the same state; stop that one first", path.display())]
    Held {
        /// The locked file.
        path: PathBuf,
        /// The process that holds it, in words.
        holder: String,
    },
    /// The file could not be opened or locked.
    #[error(transparent)]
    File(#[from] FileError),
}

/// Takes the lock on `path`, or says who holds it; never waits.
pub fn lock(path: &Path) -> Result<Lock, LockError> {
    let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let mut file = open.map_err(because("open the lock", path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(LockError::Held { path: path.to_owned(), holder: holder(&mut file) });
        }
        Err(TryLockError::Error(error)) => return Err(because("lock", path)(error).into()),
    }
    let sign = |file: &mut File| {
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{}", std::process::id())
    };
    sign(&mut file).map_err(because("write the lock", path))?;
    Ok(Lock { _file: file })
}

/// Whoever signed the lock; it may have been taken a moment ago and not be signed yet.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(32).read_to_string(&mut text).is_ok();
    match text.trim().parse::<u32>() {
        Ok(pid) if read => format!("process {pid}"),
        Ok(_) | Err(_) => "another process".to_owned(),
    }
}

fn make_dir(directory: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && directory.is_dir() => return Ok(()),
        Err(error) => return Err(error),
    }
    fs::set_permissions(directory, Permissions::from_mode(mode))?;
    sync_directory(parent(directory))
}

fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory a path lies in; a bare name lies in the current one.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn unless_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn because(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FileError {
    move |source| FileError { action, path: path.to_owned(), source }
}

/// What a person can do about it, where the error alone does not say.
fn cure(error: &io::Error) -> &'static str {
    #[expect(clippy::wildcard_enum_match_arm, reason = "the standard library may add kinds")]
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; free some space on that disk",
        io::ErrorKind::ReadOnlyFilesystem => "; the file system is mounted read-only",
        io::ErrorKind::PermissionDenied => "; check that it belongs to the user rivetr runs as",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_directory_is_set_aside_over_an_older_one_and_none_is_as_good() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("source"), dir.path().join("removed"));
        for name in ["first", "second"] {
            fs::create_dir(&path).unwrap();
            write_whole(&path.join(name), b"", 0o600).unwrap();
            set_aside(&path, &aside).unwrap();
            assert_eq!((path.exists(), names(&aside).unwrap()), (false, vec![name.to_owned()]));
        }
        set_aside(&path, &aside).unwrap();
    }

    #[test]
    fn a_write_replaces_the_whole_file_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("routes.json");
        for (contents, bits) in [("first, and longer", 0o644), ("second", 0o600), ("", 0o640)] {
            write_whole(&path, contents.as_bytes(), bits).unwrap();
            assert_eq!(read_text(&path).unwrap().unwrap(), contents);
            assert_eq!(mode(&path), bits);
        }
        assert_eq!(names(dir.path()).unwrap(), ["routes.json"]);
    }

    #[test]
    fn a_write_replaces_a_link_and_not_what_it_points_to() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link) = (dir.path().join("victim"), dir.path().join("link"));
        write_whole(&victim, b"mine", 0o600).unwrap();
        std::os::unix::fs::symlink(&victim, &link).unwrap();
        write_whole(&link, b"new", 0o600).unwrap();
        assert_eq!(read_text(&victim).unwrap().unwrap(), "mine");
        assert_eq!(read_text(&link).unwrap().unwrap(), "new");
        assert!(!fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn a_write_that_fails_names_the_file_and_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let missing = write_whole(&dir.path().join("no/such"), b"", 0o600).unwrap_err();
        assert!(missing.to_string().contains("no/such"), "{missing}");
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::create_dir(dir.path().join("taken")).unwrap();
        assert!(write_whole(&dir.path().join("taken"), b"", 0o600).is_err());
        assert_eq!(names(dir.path()).unwrap(), ["taken"]);
    }

    #[test]
    fn directories_are_made_with_their_mode_and_others_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("old");
        make_dirs(&old, 0o711).unwrap();
        make_dirs(&old.join("a/b"), 0o750).unwrap();
        make_dirs(&old.join("a/b"), 0o700).unwrap();
        assert_eq!([mode(&old), mode(&old.join("a")), mode(&old.join("a/b"))], [0o711, 0o750, 0o750]);
        write_whole(&old.join("file"), b"", 0o600).unwrap();
        assert!(make_dirs(&old.join("file/x"), 0o700).is_err());
    }

    #[test]
    fn removing_what_is_not_there_is_no_error() {
        let dir = tempfile::tempdir().unwrap();
        let gone = dir.path().join("gone");
        remove_file(&gone).unwrap();
        remove_tree(&gone).unwrap();
        assert!(remove_dir_if_empty(&gone).unwrap());
        assert_eq!(read_text(&gone).unwrap(), None);
        assert!(names(&gone).unwrap().is_empty());
        make_dirs(&gone.join("x"), 0o700).unwrap();
        assert!(!remove_dir_if_empty(&gone).unwrap());
    }

    #[test]
    fn removing_a_tree_does_not_follow_links() {
        let dir = tempfile::tempdir().unwrap();
        let (kept, tree) = (dir.path().join("kept"), dir.path().join("tree"));
        make_dirs(&kept, 0o700).unwrap();
        write_whole(&kept.join("file"), b"x", 0o600).unwrap();
        make_dirs(&tree, 0o700).unwrap();
        std::os::unix::fs::symlink(&kept, tree.join("link")).unwrap();
        std::os::unix::fs::symlink(&kept, dir.path().join("alias")).unwrap();
        remove_tree(&tree).unwrap();
        remove_tree(&dir.path().join("alias")).unwrap();
        assert_eq!(names(dir.path()).unwrap(), ["kept"]);
        assert_eq!(names(&kept).unwrap(), ["file"]);
    }

    #[test]
    fn a_sweep_takes_only_what_was_set_aside() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".rivetr-Ab3dEf.new", ".rivetr-notes", "a.new", "rivetr-app-blog-1.container"] {
            File::create(dir.path().join(name)).unwrap();
        }
        make_dirs(&dir.path().join(".rivetr-Xy9.new/deep"), 0o700).unwrap();
        sweep(dir.path()).unwrap();
        assert_eq!(names(dir.path()).unwrap(), [".rivetr-notes", "a.new", "rivetr-app-blog-1.container"]);
    }

    #[test]
    fn a_log_grows_by_lines_from_several_hands() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("7.log");
        let (mut one, mut two) = (LogFile::append(&path).unwrap(), LogFile::append(&path).unwrap());
        one.line("fetched").unwrap();
        two.line("built").unwrap();
        one.line("started").unwrap();
        assert_eq!(read_text(&path).unwrap().unwrap(), "fetched\nbuilt\nstarted\n");
        assert_eq!(mode(&path), 0o600);
    }

    #[test]
    fn a_lock_is_held_once_and_says_by_whom() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock(&path).unwrap();
        let refused = lock(&path).unwrap_err();
        assert!(matches!(refused, LockError::Held { .. }), "{refused}");
        assert!(refused.to_string().contains(&format!("process {}", std::process::id())), "{refused}");
        drop(held);
        lock(&path).unwrap();
    }
}
