//! Large files that a commit only points to (Git LFS): found in a checkout, and fetched by `git-lfs` where it is
//! installed.
//!
//! It gets the repository's own server and nothing else of the configuration in the repository; what the server says
//! to fetch the files from is its own affair.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::remote::Remote;
use super::tree::{Checkout, Entry};
use super::{Git, GitError, option};
use crate::domain::source::GitUrl;

/// How a pointer begins (git-lfs, docs/spec.md).
const POINTER: &str = "version https://git-lfs.github.com/spec/v1\n";
/// The largest pointer, in bytes (the same).
const POINTER_MAX: u64 = 1024;
/// How much of a file of attributes is looked at, in bytes.
const ATTRIBUTES_MAX: u64 = 1 << 20;

/// A file that only says where its contents are.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pointer {
    /// Its path in the repository.
    pub path: Vec<u8>,
    /// How large the contents are, in bytes.
    pub bytes: u64,
}

/// The pointers of a checkout, where its attributes say that it has any.
pub(super) fn pointers(dest: &Path, entries: &[Entry]) -> Vec<Pointer> {
    let files = || entries.iter().filter(|entry| entry.is_file());
    let asks_for_lfs = |entry: &Entry| {
        let name = entry.path.rsplit(|byte| *byte == b'/').next();
        name == Some(b".gitattributes")
            && beginning(dest, entry, ATTRIBUTES_MAX).is_some_and(|text| text.contains("filter=lfs"))
    };
    if !files().any(asks_for_lfs) {
        return Vec::new();
    }
    let small = files().filter(|entry| entry.bytes < POINTER_MAX);
    small.filter_map(|entry| parse(&entry.path, &beginning(dest, entry, POINTER_MAX)?)).collect()
}

fn parse(path: &[u8], text: &str) -> Option<Pointer> {
    let size = text.strip_prefix(POINTER)?.lines().find_map(|line| line.strip_prefix("size "))?;
    Some(Pointer { path: path.to_owned(), bytes: size.parse().ok()? })
}

/// The beginning of a file that is text. One that cannot be read is no pointer; the build will say so.
fn beginning(dest: &Path, entry: &Entry, most: u64) -> Option<String> {
    let file = File::open(dest.join(OsStr::from_bytes(&entry.path))).ok()?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes).ok()?;
    String::from_utf8(bytes).ok()
}

impl Git {
    /// Puts the contents in place of their pointers.
    pub(super) async fn fill_pointers(
        &self,
        checkout: &Checkout<'_>,
        remote: &Remote,
        pointers: &[Pointer],
    ) -> Result<u64, GitError> {
        let Checkout { repo, dest, aside, .. } = checkout;
        let is_there = self.command(repo, []).args(["lfs", "version"]).output().await?;
        if !is_there.status.success() {
            return Err(GitError::NoLfs);
        }
        let bytes = pointers.iter().map(|pointer| pointer.bytes).fold(0, u64::saturating_add);
        if bytes > self.settings.max_bytes {
            let what = format!("what the large files of {} hold", remote.url);
            return Err(GitError::TooLarge { what, limit: self.settings.max_bytes });
        }
        let session = self.session(remote)?;
        let (url, storage) = (endpoint(&remote.url), aside.join("lfs").to_string_lossy().into_owned());
        let settings = [
            ("filter.lfs.process", "git-lfs filter-process"),
            ("filter.lfs.required", "true"),
            ("lfs.url", url.as_str()),
            ("lfs.storage", storage.as_str()),
        ];
        let command = self.command(repo, settings.into_iter().chain(session.settings()));
        let command = command.args([option("--git-dir=", repo), option("--work-tree=", dest)]);
        let command = command.args(["checkout-index", "--force", "--quiet", "-z", "--stdin"]);
        let command = session.dress(command).env("GIT_INDEX_FILE", checkout.index()).dir(*dest);
        let paths: Vec<u8> =
            pointers.iter().flat_map(|pointer| [&pointer.path[..], b"\0"].concat()).collect();
        let output = command.stdin(paths).largest_file(self.settings.max_bytes).output().await?;
        if output.status.success() {
            return Ok(bytes);
        }
        // Where git-lfs keeps its own log is gone by now.
        let of_use = |line: &&str| {
            !["Errors logged to", "Use `git lfs logs"].iter().any(|sign| line.starts_with(sign))
        };
        Err(remote.why(&output.stderr.lines().filter(of_use).map(str::to_owned).collect::<Vec<_>>()))
    }
}

/// Where a server keeps large files (git-lfs, docs/api/server-discovery.md).
fn endpoint(url: &GitUrl) -> String {
    let url_text = url.as_str().trim_end_matches('/');
    match url.scheme() {
        "ssh" => url_text.to_owned(),
        _ if Path::new(url_text).extension() == Some(OsStr::new("git")) => format!("{url_text}/info/lfs"),
        _ => format!("{url_text}.git/info/lfs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pointers_are_told_from_files() {
        let text = format!("{POINTER}oid sha256:{}\nsize 12345\n", "a".repeat(64));
        assert_eq!(parse(b"a", &text), Some(Pointer { path: b"a".to_vec(), bytes: 12345 }));
        for other in ["", "version", POINTER, &format!("{POINTER}size x\n"), &format!(" {text}")] {
            assert_eq!(parse(b"a", other), None, "{other:?}");
        }
    }

    #[test]
    fn endpoints() {
        for (url, expect) in [
            ("https://example.org/a.git", "https://example.org/a.git/info/lfs"),
            ("https://example.org/a/", "https://example.org/a.git/info/lfs"),
            ("ssh://git@example.org/a.git", "ssh://git@example.org/a.git"),
        ] {
            assert_eq!(endpoint(&GitUrl::parse(url).unwrap()), expect);
        }
    }
}
