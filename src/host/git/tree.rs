//! Commits out to the disk: what is in one, and a checkout of it to build from. Submodules stay empty here, and
//! large files are fetched only when asked for.
//!
//! A checkout keeps executable bits and links as they are and never writes through a link. Links that lead out of
//! the tree are reported, not refused: images are full of links such as `/etc/mtab`, and the build resolves them
//! inside its own root. What the daemon itself reads must stand in [`Git::listing`], which leaves them out.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::super::process::{ProcessError, printable};
use super::lfs::{Pointer, pointers};
use super::remote::Remote;
use super::{Git, GitError, option, unexpected};
use crate::domain::source::CommitId;
use crate::files::{self, FileError};

/// The most files a checkout may have: more than the largest repositories that people deploy.
const FILES_MAX: usize = 300_000;
/// The most bytes read of a listing: [`FILES_MAX`] entries of about 200 bytes.
const LISTING_MAX: usize = 64 << 20;
/// The most notes that are made one by one.
const NOTES_MAX: usize = 10;

/// A checkout that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// How many files and links it has.
    pub files: usize,
    /// What the files hold, in bytes.
    pub bytes: u64,
    /// What the person who pushed it should know.
    pub notes: Vec<Note>,
}

/// Something in a commit that will not work as its author may think.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A submodule: its folder stays empty.
    Submodule(String),
    /// A file of which only the pointer is there.
    LargeFile(String),
    /// A link that leads out of the tree.
    LinkLeadsOut {
        /// The link.
        path: String,
        /// Where it leads.
        target: String,
    },
    /// So many more submodules.
    MoreSubmodules(usize),
    /// So many more of them.
    More(usize),
}

impl Note {
    /// Whether it is about submodules.
    #[must_use]
    pub fn is_submodule(&self) -> bool {
        matches!(self, Self::Submodule(_) | Self::MoreSubmodules(_))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Submodule(path) => {
                write!(
                    f,
                    "{path} is a submodule and stays empty: submodules are not fetched unless asked for"
                )
            }
            Self::LargeFile(path) => {
                write!(f, "{path} is only a pointer (Git LFS): large files are not fetched unless asked for")
            }
            Self::LinkLeadsOut { path, target } => {
                write!(
                    f,
                    "{path} is a link out of the repository (to {target}): what it points to here is not used"
                )
            }
            Self::MoreSubmodules(count) | Self::More(count) => write!(f, "and {count} more of this kind"),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    File,
    Program,
    Link,
    Submodule,
    Folder,
}

/// One line of a tree.
#[derive(Debug)]
pub(super) struct Entry {
    kind: Kind,
    object: Option<CommitId>,
    pub(super) bytes: u64,
    pub(super) path: Vec<u8>,
}

/// A checkout that is being made.
pub(super) struct Checkout<'a> {
    /// The repository.
    pub repo: &'a Path,
    /// Where the files go.
    pub dest: &'a Path,
    /// What is needed meanwhile.
    pub aside: &'a Path,
}

impl Checkout<'_> {
    /// The index of git that belongs to it.
    pub(super) fn index(&self) -> PathBuf {
        self.aside.join("index")
    }
}

impl Entry {
    pub(super) fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File | Kind::Program)
    }

    fn shown(&self) -> String {
        printable(&String::from_utf8_lossy(&self.path))
    }
}

/// Where a link leads, by the tree alone.
#[derive(Debug, PartialEq, Eq)]
enum Leads {
    ToFile,
    Elsewhere,
    Out(String),
}

impl Git {
    /// The files at the root of a commit, and the links there that lead to a file of the same commit.
    pub async fn listing(&self, repo: &Path, commit: &CommitId) -> Result<Vec<String>, GitError> {
        let entries = self.entries(repo, commit, &["-l"]).await?;
        let links: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == Kind::Link).collect();
        let ends = self.follow(repo, commit, &links).await?;
        let dead: BTreeSet<&[u8]> = links
            .iter()
            .zip(&ends)
            .filter(|(_, leads)| **leads != Leads::ToFile)
            .map(|(link, _)| link.path.as_slice())
            .collect();
        let readable = entries.iter().filter(|entry| match entry.kind {
            Kind::File | Kind::Program => true,
            Kind::Link => !dead.contains(entry.path.as_slice()),
            Kind::Submodule | Kind::Folder => false,
        });
        Ok(readable.filter_map(|entry| String::from_utf8(entry.path.clone()).ok()).collect())
    }

    /// Checks a commit out to `dest`, without `.git`, in place of whatever was there. Modes come from the commit
    /// alone, so that what a build copies does not depend on this process's umask. Large files come from `lfs`, or
    /// stay pointers.
    pub async fn export(
        &self,
        repo: &Path,
        commit: &CommitId,
        dest: &Path,
        lfs: Option<&Remote>,
    ) -> Result<Exported, GitError> {
        let entries = self.entries(repo, commit, &["-l", "-r"]).await?;
        let bytes = entries.iter().map(|entry| entry.bytes).fold(0, u64::saturating_add);
        if bytes > self.settings.max_bytes {
            let what = format!("the checkout of commit {}", commit.short());
            return Err(GitError::TooLarge { what, limit: self.settings.max_bytes });
        }
        if entries.len() > FILES_MAX {
            return Err(GitError::TooMany { limit: FILES_MAX });
        }
        let mut notes = self.notes(repo, commit, &entries).await?;
        let aside = empty(dest).await?;
        let checkout = Checkout { repo, dest, aside: aside.path() };
        let (entries, large) = self.check_out(&checkout, commit, entries).await?;
        let filled = match lfs {
            Some(remote) if !large.is_empty() => self.fill_pointers(&checkout, remote, &large).await?,
            Some(_) => 0,
            None => {
                let paths = large.iter().map(|pointer| printable(&String::from_utf8_lossy(&pointer.path)));
                notes.extend(shortened(paths.map(Note::LargeFile)));
                0
            }
        };
        let files = entries.iter().filter(|entry| entry.kind != Kind::Submodule).count();
        let dest = dest.to_owned();
        in_background(move || set_modes(&dest, &entries)).await?;
        Ok(Exported { files, bytes: bytes.saturating_add(filled), notes })
    }

    /// The submodules of a commit: their paths and the commits they stand for.
    pub(super) async fn links(
        &self,
        repo: &Path,
        commit: &CommitId,
    ) -> Result<Vec<(Vec<u8>, CommitId)>, GitError> {
        let entries = self.entries(repo, commit, &["-l", "-r"]).await?;
        Ok(entries.into_iter().filter_map(|entry| Some((entry.path, entry.object?))).collect())
    }

    /// Writes the files, and finds those that are only pointers.
    async fn check_out(
        &self,
        checkout: &Checkout<'_>,
        commit: &CommitId,
        entries: Vec<Entry>,
    ) -> Result<(Vec<Entry>, Vec<Pointer>), GitError> {
        let Checkout { repo, dest, .. } = checkout;
        let here = || {
            let command = self.in_repo(repo).args([option("--work-tree=", dest)]);
            command.env("GIT_INDEX_FILE", checkout.index())
        };
        here().args(["read-tree", commit.as_str()]).run().await?;
        here().args(["checkout-index", "--all", "--force", "--quiet"]).dir(*dest).run().await?;
        let dest = (*dest).to_owned();
        in_background(move || {
            let large = pointers(&dest, &entries);
            Ok((entries, large))
        })
        .await
    }

    async fn entries(&self, repo: &Path, commit: &CommitId, how: &[&str]) -> Result<Vec<Entry>, GitError> {
        let list =
            self.in_repo(repo).args(["ls-tree", "-z", "--full-tree"]).args(how).args([commit.as_str()]);
        let output = match list.cap(LISTING_MAX).run().await {
            Err(ProcessError::TooMuch { .. }) => return Err(GitError::TooMany { limit: FILES_MAX }),
            other => other?,
        };
        output.stdout.split(|byte| *byte == 0).filter(|line| !line.is_empty()).map(entry).collect()
    }

    async fn notes(&self, repo: &Path, commit: &CommitId, entries: &[Entry]) -> Result<Vec<Note>, GitError> {
        let links: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == Kind::Link).collect();
        let ends = self.follow(repo, commit, &links).await?;
        let submodules = entries.iter().filter(|entry| entry.kind == Kind::Submodule);
        let out = links.iter().zip(ends).filter_map(|(link, leads)| match leads {
            Leads::Out(target) => Some(Note::LinkLeadsOut { path: link.shown(), target }),
            Leads::ToFile | Leads::Elsewhere => None,
        });
        Ok(shortened(submodules.map(|entry| Note::Submodule(entry.shown())))
            .into_iter()
            .chain(shortened(out))
            .collect())
    }

    /// Where links lead when they are followed within the commit, never on disk.
    async fn follow(&self, repo: &Path, commit: &CommitId, links: &[&Entry]) -> Result<Vec<Leads>, GitError> {
        if links.is_empty() {
            return Ok(Vec::new());
        }
        let mut asked = Vec::new();
        for link in links {
            asked.extend_from_slice(commit.as_str().as_bytes());
            asked.push(b':');
            asked.extend_from_slice(&link.path);
            asked.push(0);
        }
        let ask = ["cat-file", "--batch-check=%(objecttype)", "--follow-symlinks", "-z"];
        let output = self.in_repo(repo).args(ask).stdin(asked).cap(LISTING_MAX).run().await?;
        let ends = ends(&output.stdout)?;
        if ends.len() == links.len() { Ok(ends) } else { Err(unexpected("cat-file", "too few answers")) }
    }
}

/// One line of `ls-tree -l -z`: mode, type, object and size, a tab, the path.
fn entry(line: &[u8]) -> Result<Entry, GitError> {
    let parse = || {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let (facts, path) = line.split_at_checked(tab)?;
        let mut facts = std::str::from_utf8(facts).ok()?.split_ascii_whitespace();
        let kind = match facts.next()? {
            "120000" => Kind::Link,
            "160000" => Kind::Submodule,
            "040000" => Kind::Folder,
            mode if mode.ends_with("755") => Kind::Program,
            _ => Kind::File,
        };
        let object = facts.nth(1)?;
        let object = (kind == Kind::Submodule).then(|| CommitId::parse(object)).transpose().ok()?;
        let bytes = facts.next()?.parse().unwrap_or(0);
        Some(Entry { kind, object, bytes, path: path.get(1..)?.to_owned() })
    };
    parse().ok_or_else(|| unexpected("ls-tree", &String::from_utf8_lossy(line)))
}

/// What `cat-file --batch-check --follow-symlinks` answers: the type of what a link leads to, or a word and the
/// length of a text that follows on a line of its own (git-cat-file, "--follow-symlinks").
fn ends(mut answer: &[u8]) -> Result<Vec<Leads>, GitError> {
    let mut ends = Vec::new();
    while !answer.is_empty() {
        let line = take_line(&mut answer, None)?;
        let end = match line.split_once(' ') {
            None if line == "blob" => Leads::ToFile,
            Some((word @ ("symlink" | "dangling" | "loop" | "notdir"), length)) => {
                let length = length.parse().map_err(|_| unexpected("cat-file", &line))?;
                let text = take_line(&mut answer, Some(length))?;
                if word == "symlink" { Leads::Out(printable(&text)) } else { Leads::Elsewhere }
            }
            None | Some(_) => Leads::Elsewhere,
        };
        ends.push(end);
    }
    Ok(ends)
}

/// Takes a line of the given length, or up to the next line feed.
fn take_line(from: &mut &[u8], length: Option<usize>) -> Result<String, GitError> {
    let length = length.or_else(|| from.iter().position(|byte| *byte == b'\n'));
    let parts = length.and_then(|length| from.split_at_checked(length));
    let Some((line, [b'\n', rest @ ..])) = parts else {
        return Err(unexpected("cat-file", &String::from_utf8_lossy(from)));
    };
    *from = rest;
    Ok(String::from_utf8_lossy(line).into_owned())
}

/// Makes an empty directory for a checkout, in place of whatever was there, and one beside it for what is needed
/// meanwhile.
async fn empty(dest: &Path) -> Result<tempfile::TempDir, GitError> {
    let (above, dest) = (dest.parent().unwrap_or(dest).to_owned(), dest.to_owned());
    in_background(move || {
        files::remove_tree(&dest)?;
        files::make_dirs(&above, 0o700)?;
        files::make_dirs(&dest, 0o755)?;
        files::temporary_dir(&above)
    })
    .await
}

fn shortened(notes: impl Iterator<Item = Note>) -> Vec<Note> {
    let mut notes: Vec<Note> = notes.collect();
    let more = notes.len().saturating_sub(NOTES_MAX);
    if more > 0 {
        notes.truncate(NOTES_MAX);
        let of_submodules = notes.first().is_some_and(Note::is_submodule);
        notes.push(if of_submodules { Note::MoreSubmodules(more) } else { Note::More(more) });
    }
    notes
}

/// Modes as the commit has them. No path of a tree passes through a link: git has no folder and link of one name.
fn set_modes(dest: &Path, entries: &[Entry]) -> Result<(), FileError> {
    let mut folders = BTreeSet::new();
    for entry in entries {
        let path = Path::new(OsStr::from_bytes(&entry.path));
        folders.extend(path.ancestors().skip(1).map(Path::to_owned));
        match entry.kind {
            Kind::File => files::set_mode(&dest.join(path), 0o644)?,
            Kind::Program => files::set_mode(&dest.join(path), 0o755)?,
            Kind::Submodule => drop(folders.insert(PathBuf::from(path))),
            Kind::Link | Kind::Folder => {}
        }
    }
    folders.iter().try_for_each(|folder| files::set_mode(&dest.join(folder), 0o755))
}

async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, GitError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => Ok(done?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(interrupted()),
        },
    }
}

fn interrupted() -> GitError {
    let source = std::io::Error::new(std::io::ErrorKind::Interrupted, "rivetr is stopping");
    ProcessError::Io { program: "git".to_owned(), source }.into()
}

/// Whole megabytes, for people.
pub(super) fn megabytes(bytes: u64) -> u64 {
    bytes / 1_000_000
}
