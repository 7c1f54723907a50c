//! Commits in over the wire: what `git push` brings, and what is fetched from elsewhere.

use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::super::process::{ProcessError, Running, last_lines, printable};
use super::{Git, GitError, commit, option};
use crate::domain::source::{Branch, CommitId, GitUrl};
use crate::files;

/// The most memory that one process of git may take while it unpacks what strangers sent.
const UNPACK_MEMORY: u64 = 1 << 30;
/// How long a server may take to say where a branch is.
const HEAD_LIMIT: Duration = Duration::from_secs(30);
/// The longest line of progress that is shown; a longer one is cut.
const LINE_MAX: usize = 4096;
/// The last lines of progress that are kept to say why a fetch failed.
const LINES_KEPT: usize = 20;

/// Flaws in old histories that harm nobody; everything else that `fsck` finds is refused.
const HARMLESS: [&str; 6] = [
    "zeroPaddedFilemode",
    "badTimezone",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "badDateOverflow",
    "badEmail",
];

/// What a client may ask of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// To push to it.
    ReceivePack,
}

impl Git {
    /// What a client is told before it sends anything: the branches, and what may be done. References of our own
    /// are hidden here, and only here: hidden ones cannot be written either.
    pub async fn advertise(&self, repo: &Path, service: Service) -> Result<Vec<u8>, GitError> {
        let command = match service {
            Service::ReceivePack => "receive-pack",
        };
        self.clear(repo)?;
        let hide = [("transfer.hideRefs", "refs/"), ("transfer.hideRefs", "!refs/heads/")];
        let advertise = [command, "--stateless-rpc", "--http-backend-info-refs", "--"];
        Ok(self.command(repo, hide).args(advertise).args([repo]).run().await?.stdout)
    }

    /// Takes in one push: commands and pack on stdin, the report on stdout. Every object is checked; the pack is
    /// kept as it is, at most as large as the settings say.
    pub fn receive_pack(&self, repo: &Path) -> Result<Running, GitError> {
        let most = self.settings.max_bytes.to_string();
        let settings = [
            ("receive.fsckObjects", "true"),
            ("receive.maxInputSize", most.as_str()),
            ("receive.unpackLimit", "1"),
            // A clone that has only the last commits, as build machines make them, may push too.
            ("receive.shallowUpdate", "true"),
        ];
        let receive = ["receive-pack", "--stateless-rpc", "--"];
        let command = self.command(repo, settings).args(tolerance("receive.fsck"));
        Ok(command.args(receive).args([repo]).memory(UNPACK_MEMORY).stream()?)
    }

    /// Fetches the head of a branch without its history, and says which commit it is. `progress` gets what a
    /// person would see, line by line.
    pub async fn fetch(
        &self,
        repo: &Path,
        url: &GitUrl,
        branch: &Branch,
        progress: impl FnMut(&str) + Send,
    ) -> Result<CommitId, GitError> {
        let kept = format!("refs/rivetr/fetched/{branch}");
        self.fetch_to(repo, url, &format!("refs/heads/{branch}"), &kept, progress).await?;
        let none =
            || GitError::NoSuch { url: url.to_string(), what: format!("branch {:?}", branch.as_str()) };
        self.resolve(repo, &kept).await?.ok_or_else(none)
    }

    /// Fetches one commit without its history; the server must allow to ask for it by its name.
    pub async fn fetch_commit(
        &self,
        repo: &Path,
        url: &GitUrl,
        commit: &CommitId,
        progress: impl FnMut(&str) + Send,
    ) -> Result<(), GitError> {
        let kept = format!("refs/rivetr/fetched/{commit}");
        self.fetch_to(repo, url, commit.as_str(), &kept, progress).await?;
        if self.resolve(repo, &kept).await?.as_ref() == Some(commit) {
            return Ok(());
        }
        Err(GitError::NoSuch { url: url.to_string(), what: format!("commit {commit}") })
    }

    /// The head of a branch as its server has it now; none if there is no such branch. Nothing is fetched.
    pub async fn head(&self, url: &GitUrl, branch: &Branch) -> Result<Option<CommitId>, GitError> {
        self.check_protocol(url)?;
        let reference = format!("refs/heads/{branch}");
        let list = ["ls-remote", "--quiet", "--", url.as_str(), &reference];
        let settings = [("http.lowSpeedLimit", "1"), ("http.lowSpeedTime", "10")];
        let command = self.command(Path::new("/"), settings).args(list).limit(HEAD_LIMIT);
        let output = command.run().await?;
        let text = String::from_utf8_lossy(&output.stdout);
        // What is asked for also matches a longer name that ends with it.
        let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
        let found = lines.find(|(_, name)| *name == reference);
        found.map(|(id, _)| commit("ls-remote", id.as_bytes())).transpose()
    }

    fn check_protocol(&self, url: &GitUrl) -> Result<(), GitError> {
        if self.allows(url.scheme()) {
            return Ok(());
        }
        let allowed = self.settings.protocols.join(", ");
        Err(GitError::Protocol { scheme: url.scheme().to_owned(), allowed })
    }

    async fn fetch_to(
        &self,
        repo: &Path,
        url: &GitUrl,
        wanted: &str,
        kept: &str,
        mut progress: impl FnMut(&str) + Send,
    ) -> Result<(), GitError> {
        self.check_protocol(url)?;
        self.clear(repo)?;
        let settings = [
            ("fetch.fsckObjects", "true"),
            // As one pack, so that the largest file is the size of what was fetched.
            ("fetch.unpackLimit", "1"),
            // 1000 bytes a second for half a minute is a connection that has died.
            ("http.lowSpeedLimit", "1000"),
            ("http.lowSpeedTime", "30"),
        ];
        let fetch = ["fetch", "--progress", "--no-tags", "--depth=1", "--force", "--no-write-fetch-head"];
        let refspec = format!("+{wanted}:{kept}");
        let command = self.command(repo, settings).args(tolerance("fetch.fsck"));
        let command = command.args([option("--git-dir=", repo)]).args(fetch);
        let command = command.args(["--no-recurse-submodules", "--", url.as_str(), &refspec]);
        let bounded = command.largest_file(self.settings.max_bytes).memory(UNPACK_MEMORY);
        let mut running = bounded.stream()?;
        let mut said: Vec<String> = Vec::new();
        let lines = each_line(running.stderr.take(), |line| {
            progress(line);
            said.push(line.to_owned());
            said.drain(..said.len().saturating_sub(LINES_KEPT));
        });
        let (read, ended) = tokio::join!(lines, running.wait());
        if ended?.success() {
            read.map_err(|source| ProcessError::Io { program: "git".to_owned(), source })?;
            return Ok(());
        }
        if self.clear(repo)? {
            return Err(GitError::TooLarge {
                what: format!("the repository {url}"),
                limit: self.settings.max_bytes,
            });
        }
        Err(why(url, wanted, &said))
    }

    /// Removes what killed commands left half written: packs as large as they could get, and whatever is older
    /// than a command may last. Says whether there was a pack that had grown to the limit.
    fn clear(&self, repo: &Path) -> Result<bool, GitError> {
        let objects = repo.join("objects");
        let mut full = false;
        for folder in [objects.join("pack"), objects] {
            for name in files::names(&folder)?.iter().filter(|name| name.starts_with("tmp_")) {
                let path = folder.join(name);
                let Ok(found) = std::fs::symlink_metadata(&path) else { continue };
                let grown = found.is_file() && found.len() >= self.settings.max_bytes;
                let age = found.modified().ok().and_then(|modified| modified.elapsed().ok());
                if grown || age.is_some_and(|age| age > self.settings.limit) {
                    files::remove_tree(&path)?;
                }
                full |= grown;
            }
        }
        Ok(full)
    }
}

/// What a failed fetch means, from what git said.
fn why(url: &GitUrl, wanted: &str, said: &[String]) -> GitError {
    let all = said.join("\n");
    let url = url.to_string();
    if ["couldn't find remote ref", "not our ref"].iter().any(|sign| all.contains(sign)) {
        let what = match wanted.strip_prefix("refs/heads/") {
            Some(branch) => format!("branch {branch:?}"),
            None => format!("commit {wanted}"),
        };
        return GitError::NoSuch { url, what };
    }
    GitError::Fetch { url, said: last_lines(&all) }
}

/// Settings that let harmless flaws pass.
fn tolerance(section: &str) -> impl Iterator<Item = String> {
    HARMLESS.iter().flat_map(move |flaw| ["-c".to_owned(), format!("{section}.{flaw}=ignore")])
}

/// Hands over what a program says, line by line, as a terminal would show it in the end.
async fn each_line(from: Option<impl AsyncRead + Unpin>, mut line: impl FnMut(&str)) -> std::io::Result<()> {
    let Some(mut from) = from else { return Ok(()) };
    let mut begun = Vec::new();
    let mut show = |bytes: &[u8]| {
        let text = printable(&String::from_utf8_lossy(bytes));
        if !text.is_empty() {
            line(&text);
        }
    };
    let mut chunk = Vec::with_capacity(LINE_MAX);
    while from.read_buf(&mut chunk).await? > 0 {
        for &byte in &chunk {
            match byte {
                b'\n' => {
                    show(&begun);
                    begun.clear();
                }
                // What follows overwrites what was shown.
                b'\r' if begun.len() >= LINE_MAX => begun.clear(),
                _ if begun.len() < LINE_MAX => begun.push(byte),
                _ => {}
            }
        }
        chunk.clear();
    }
    show(&begun);
    Ok(())
}
