//! Commits in over the wire: what `git push` brings, and what is fetched from elsewhere.

use std::path::Path;

use super::super::process::{ProcessError, Running, printable};
use super::progress::{each_line, is_progress};
use super::remote::{PATIENCE_SECONDS, Remote};
use super::{Git, GitError, commit, option};
use crate::domain::key::HostKey;
use crate::domain::source::{CommitId, Reference};
use crate::files;

/// The most memory that one process of git may take while it unpacks what strangers sent.
pub(super) const UNPACK_MEMORY: u64 = 1 << 30;
/// The last lines of progress that are kept to say why a fetch failed.
const LINES_KEPT: usize = 20;

/// Where what is being fetched arrives. One deployment of an app is at work at a time.
pub(super) const INCOMING: &str = "refs/rivetr/incoming";
/// Below it, each commit that was fetched has a reference of its own name.
pub(super) const FETCHED: &str = "refs/rivetr/fetched";

/// Less than 1000 bytes a second for half a minute is a connection that has died.
const PATIENCE: [(&str, &str); 2] = [("http.lowSpeedLimit", "1000"), ("http.lowSpeedTime", PATIENCE_SECONDS)];

/// Flaws in old histories that harm nobody; everything else that `fsck` finds is refused.
const HARMLESS: [&str; 6] = [
    "zeroPaddedFilemode",
    "badTimezone",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "badDateOverflow",
    "badEmail",
];

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The commit.
    pub commit: CommitId,
    /// The keys of a server that was met for the first time.
    pub met: Vec<HostKey>,
}

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

    /// Fetches what a reference names, without its history, tags peeled. `progress` gets what a person would see, line
    /// by line. The commit is kept under a reference of its own until it is tidied away. For a commit, the server
    /// must allow to ask for it by its name.
    pub async fn fetch(
        &self,
        repo: &Path,
        remote: &Remote,
        reference: &Reference,
        progress: impl FnMut(&str) + Send,
    ) -> Result<Fetched, GitError> {
        let met = self.fetch_to(repo, remote, reference, INCOMING, progress).await?;
        let none = || no_such(remote, reference);
        let commit = self.resolve(repo, INCOMING).await?.ok_or_else(none)?;
        if matches!(reference, Reference::Commit(wanted) if *wanted != commit) {
            return Err(none());
        }
        self.set_ref(repo, &fetched(&commit), Some(&commit)).await?;
        self.set_ref(repo, INCOMING, None).await?;
        Ok(Fetched { commit, met })
    }

    /// Asks which commit a reference names now, tags peeled, and fetches nothing; none if there is no such reference.
    /// Beside it, the keys of a server that was met for the first time.
    pub async fn head(
        &self,
        remote: &Remote,
        reference: &Reference,
    ) -> Result<(Option<CommitId>, Vec<HostKey>), GitError> {
        if let Reference::Commit(commit) = reference {
            return Ok((Some(commit.clone()), Vec::new()));
        }
        let session = self.session(remote)?;
        let name = reference.wanted();
        let peeled = format!("{name}^{{}}");
        let command = self.command(Path::new("/"), session.settings().chain(PATIENCE));
        let command = session.dress(command.args(["ls-remote", "--", remote.url.as_str(), &name, &peeled]));
        let output = command.output().await?;
        if !output.status.success() {
            return Err(remote.why(&output.stderr.lines().map(printable).collect::<Vec<_>>()));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let named = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('\t'));
            lines.find(|(_, name)| *name == wanted).map(|(id, _)| id.to_owned())
        };
        let found = named(&peeled).or_else(|| named(&name));
        let found = found.map(|id| commit("ls-remote", id.as_bytes())).transpose()?;
        Ok((found, session.met(remote)?))
    }

    async fn fetch_to(
        &self,
        repo: &Path,
        remote: &Remote,
        reference: &Reference,
        kept: &str,
        mut progress: impl FnMut(&str) + Send,
    ) -> Result<Vec<HostKey>, GitError> {
        let session = self.session(remote)?;
        self.clear(repo)?;
        let settings = [
            ("fetch.fsckObjects", "true"),
            // As one pack, so that the largest file is the size of what was fetched.
            ("fetch.unpackLimit", "1"),
            // Whoever deploys would wait for it, and `free` does it afterwards.
            ("maintenance.auto", "false"),
        ];
        let fetch = ["fetch", "--progress", "--no-tags", "--depth=1", "--force", "--no-write-fetch-head"];
        let refspec = format!("+{}:{kept}", reference.wanted());
        let command = self.command(repo, settings.into_iter().chain(PATIENCE).chain(session.settings()));
        let command = command.args(tolerance("fetch.fsck")).args([option("--git-dir=", repo)]).args(fetch);
        let command = command.args(["--no-recurse-submodules", "--", remote.url.as_str(), &refspec]);
        let bounded = command.largest_file(self.settings.max_bytes).memory(UNPACK_MEMORY);
        let mut running = session.dress(bounded).stream()?;
        let mut said: Vec<String> = Vec::new();
        let lines = each_line(running.stderr.take(), |line, is_last| {
            if is_progress(line) {
                progress(line);
            }
            if is_last {
                said.push(line.to_owned());
                said.drain(..said.len().saturating_sub(LINES_KEPT));
            }
        });
        let (read, ended) = tokio::join!(lines, running.wait());
        if ended?.success() {
            read.map_err(|source| ProcessError::Io { program: "git".to_owned(), source })?;
            return session.met(remote);
        }
        if self.clear(repo)? {
            return Err(GitError::TooLarge {
                what: format!("the repository {}", remote.url),
                limit: self.settings.max_bytes,
            });
        }
        let missing = |line: &String| {
            ["couldn't find remote ref", "not our ref"].iter().any(|sign| line.contains(sign))
        };
        Err(if said.iter().any(missing) { no_such(remote, reference) } else { remote.why(&said) })
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

/// Where a commit is kept that was fetched.
pub(super) fn fetched(commit: &CommitId) -> String {
    format!("{FETCHED}/{commit}")
}

fn no_such(remote: &Remote, reference: &Reference) -> GitError {
    let what = match reference {
        Reference::Branch(branch) => format!("branch {:?}", branch.as_str()),
        Reference::Tag(tag) => format!("tag {:?} that names a commit", tag.as_str()),
        Reference::Commit(commit) => format!("commit {commit}"),
    };
    GitError::NoSuch { url: remote.url.to_string(), what }
}

/// Settings that let harmless flaws pass.
fn tolerance(section: &str) -> impl Iterator<Item = String> {
    HARMLESS.iter().flat_map(move |flaw| ["-c".to_owned(), format!("{section}.{flaw}=ignore")])
}
