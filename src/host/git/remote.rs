//! A repository elsewhere, and how git is let in there: with a token over HTTPS, or with a key over SSH.
//!
//! A token is handed over in git's environment and holds for the one origin that it was given for; redirects are not
//! followed with it, because git would carry it along. A key lies in a directory of its own while git runs. What a
//! server is known by is handed in and handed back; where it is kept is not decided here.

use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use thiserror::Error;
use zeroize::Zeroizing;

use super::super::process::{Spawn, last_lines};
use super::{Git, GitError};
use crate::domain::key::{HostKey, PublicKey};
use crate::domain::secret::Secret;
use crate::domain::source::{GitUrl, TokenUser};
use crate::files;

/// How long a server may send next to nothing, in seconds.
pub(super) const PATIENCE_SECONDS: &str = "30";

/// How long a server of SSH may take to answer at first, and between two signs of life, in seconds.
const SSH_PATIENCE: u32 = 15;

/// A repository elsewhere.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub url: GitUrl,
    /// How git is let in.
    pub credential: Credential,
}

/// How git is let in. Both secrets are as their users need them.
#[derive(Debug, Clone)]
pub enum Credential {
    /// As anybody.
    None,
    /// With a token, over HTTPS.
    Token {
        /// The user name that goes with it.
        user: TokenUser,
        /// The token.
        token: Secret,
    },
    /// With a key, over SSH.
    Key {
        /// The private key, as `ssh` reads it.
        private: Secret,
        /// What the server is known by; nothing: whatever it shows at first is taken.
        known: Vec<HostKey>,
    },
}

/// Why a server did not let git in.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotLetIn {
    /// Nothing was given to show.
    #[error(
        "it wants a user name and a token, as it also does where there is no such repository: check the address, or \
         give a token with --git-token-file"
    )]
    WantsToken,
    /// The token is worth nothing there.
    #[error(
        "it does not accept the token: it was mistyped, has expired or was revoked. Make another one there and give \
         it with --git-token-file"
    )]
    BadToken,
    /// The token does not reach as far.
    #[error(
        "the token may not read this repository: give it the right to read the repository's contents there, or give \
         another one with --git-token-file"
    )]
    Forbidden,
    /// It is somewhere else now.
    #[error(
        "it is redirected elsewhere, and a token is not carried along: use the address it is redirected to"
    )]
    Redirected,
    /// An address of SSH, and no key for it.
    #[error("it is reached over SSH, and there is no key for it: give one with --git-key")]
    WantsKey,
    /// The server of SSH does not take the key.
    #[error(
        "it does not accept the key: add its public half there as a deploy key; `rivetr keys show NAME` prints it"
    )]
    KeyRefused,
    /// The server shows another key than before.
    #[error(
        "the key of {host} has changed: it was {}, now it is {}. Somebody may be posing as this server. If you know \
         why it has changed, accept the new one with: rivetr keys hosts forget {host}",
        old.join(" or "), new.as_deref().unwrap_or("one of another kind")
    )]
    HostChanged {
        /// The server.
        host: String,
        /// The fingerprints that it was known by.
        old: Vec<String>,
        /// The fingerprint that it shows now, where `ssh` tells.
        new: Option<String>,
    },
    /// There is no SSH client here.
    #[error("there is no ssh on this host; install openssh-client (Debian) or openssh-clients (Fedora)")]
    NoSsh,
    /// No connection came about.
    #[error("{0}; check the address, and that this machine can reach it")]
    Unreachable(String),
    /// It was let wait.
    #[error(
        "the server sent next to nothing for {PATIENCE_SECONDS} s: it hangs, or is overloaded; try again later"
    )]
    Silent,
}

impl Remote {
    /// The same server's other repositories are read in the same way; those of others as anybody.
    #[must_use]
    pub fn other(&self, url: GitUrl) -> Self {
        let same = url.origin() == self.url.origin();
        Self { credential: if same { self.credential.clone() } else { Credential::None }, url }
    }

    /// From now on, the server is known by these keys.
    pub fn learn(&mut self, met: &[HostKey]) {
        if let Credential::Key { known, .. } = &mut self.credential {
            known.extend_from_slice(met);
        }
    }

    /// What a failure means, from what git and `ssh` said.
    pub(super) fn why(&self, said: &[String]) -> GitError {
        let all = said.join("\n");
        let url = self.url.to_string();
        let Some(why) = self.not_let_in(&all) else {
            return GitError::Fetch { url, said: last_lines(&all) };
        };
        GitError::NotLetIn { url, why }
    }

    fn not_let_in(&self, said: &str) -> Option<NotLetIn> {
        let says = |signs: &[&str]| signs.iter().any(|sign| said.contains(sign));
        let with_token = matches!(self.credential, Credential::Token { .. });
        if let Credential::Key { known, .. } = &self.credential {
            if says(&[
                "HOST IDENTIFICATION HAS CHANGED",
                "host key is known for",
                "Host key verification failed",
            ]) {
                return Some(self.changed(known, said));
            }
            if says(&["Permission denied (", "Too many authentication failures"]) {
                return Some(NotLetIn::KeyRefused);
            }
            if says(&["ssh: not found", "ssh: command not found"]) {
                return Some(NotLetIn::NoSsh);
            }
            let reached = said.lines().find(|line| line.starts_with("ssh: "));
            return reached.map(|line| NotLetIn::Unreachable(line.to_owned()));
        }
        if says(&[
            "could not read Username",
            "could not read Password",
            "Authentication failed",
            "Authorization error",
            "error: 401",
        ]) {
            return Some(if with_token { NotLetIn::BadToken } else { NotLetIn::WantsToken });
        }
        if with_token && says(&["error: 403"]) {
            return Some(NotLetIn::Forbidden);
        }
        if says(&["Operation too slow", "Less than 1000 bytes/sec"]) {
            return Some(NotLetIn::Silent);
        }
        let redirects = ["error: 301", "error: 302", "error: 303", "error: 307", "error: 308"];
        if with_token && says(&redirects) {
            return Some(NotLetIn::Redirected);
        }
        let signs = [
            "Failed to connect to",
            "Could not resolve host",
            "Connection timed out",
            "Empty reply",
            "reset",
        ];
        let (_, why) =
            said.lines().find(|line| signs.iter().any(|sign| line.contains(sign)))?.split_once("': ")?;
        Some(NotLetIn::Unreachable(why.to_owned()))
    }

    fn changed(&self, known: &[HostKey], said: &str) -> NotLetIn {
        let shown = said.split_whitespace().find(|word| word.starts_with("SHA256:"));
        NotLetIn::HostChanged {
            host: self.url.ssh_host().map_or_else(|| self.url.to_string(), |host| host.to_string()),
            old: known.iter().map(|known| known.key.fingerprint()).collect(),
            new: shown.map(|word| word.trim_end_matches('.').to_owned()),
        }
    }
}

/// What one command of git needs to be let in; whatever of it lies on the disk goes with it.
pub(super) struct Session {
    env: Vec<(&'static str, Zeroizing<String>)>,
    settings: Vec<(&'static str, &'static str)>,
    directory: Option<tempfile::TempDir>,
}

impl Git {
    /// Gets ready for a command that speaks to a server.
    pub(super) fn session(&self, remote: &Remote) -> Result<Session, GitError> {
        let url = &remote.url;
        if !self.allows(url.scheme()) {
            let allowed = self.settings.protocols.join(", ");
            return Err(GitError::Protocol { scheme: url.scheme().to_owned(), allowed });
        }
        let refused = |why| GitError::NotLetIn { url: url.to_string(), why };
        let mut session = Session { env: Vec::new(), settings: Vec::new(), directory: None };
        match (&remote.credential, url.scheme()) {
            (Credential::Key { private, known }, "ssh") => self.show_key(&mut session, private, known)?,
            (Credential::None | Credential::Token { .. }, "ssh") => return Err(refused(NotLetIn::WantsKey)),
            (Credential::Token { user, token }, _) => session.show_token(url, user, token),
            (Credential::None | Credential::Key { .. }, _) => {}
        }
        Ok(session)
    }

    /// Lays out the key and the settings of `ssh`. git starts it through a shell, and gets nothing but a path that
    /// was made here.
    fn show_key(&self, session: &mut Session, private: &Secret, known: &[HostKey]) -> Result<(), GitError> {
        files::make_dirs(&self.settings.runtime, 0o700)?;
        let directory = files::temporary_dir(&self.settings.runtime)?;
        let path = plain(directory.path())?;
        let line = |HostKey { host, key }: &HostKey| format!("{} {key}\n", host.in_known_hosts());
        let lines: Vec<String> = known.iter().map(line).collect();
        files::write_whole(&directory.path().join("key"), private.reveal(), 0o600)?;
        files::write_whole(&directory.path().join("known_hosts"), lines.concat().as_bytes(), 0o600)?;
        let config = ssh_config(path, !known.is_empty());
        files::write_whole(&directory.path().join("config"), config.as_bytes(), 0o600)?;
        session.env.push(("GIT_SSH_COMMAND", format!("ssh -F {path}/config").into()));
        session.env.push(("GIT_SSH_VARIANT", "ssh".to_owned().into()));
        session.directory = Some(directory);
        Ok(())
    }
}

impl Session {
    fn show_token(&mut self, url: &GitUrl, user: &TokenUser, token: &Secret) {
        let pair = [user.as_str().as_bytes(), b":", token.reveal()].concat();
        let pair = Zeroizing::new(BASE64_STANDARD.encode(Zeroizing::new(pair)));
        self.env.push(("GIT_CONFIG_COUNT", "1".to_owned().into()));
        self.env.push(("GIT_CONFIG_KEY_0", format!("http.{}/.extraHeader", url.origin()).into()));
        self.env.push(("GIT_CONFIG_VALUE_0", format!("Authorization: Basic {}", *pair).into()));
        self.settings.push(("http.followRedirects", "false"));
    }

    /// Settings of git that go with it.
    pub(super) fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.settings.iter().copied()
    }

    /// The command, with what it is to show.
    pub(super) fn dress(&self, command: Spawn) -> Spawn {
        self.env.iter().fold(command, |command, (name, value)| command.env(name, value.as_str()))
    }

    /// The keys by which the server was seen to be known, where it was not known before.
    pub(super) fn met(&self, remote: &Remote) -> Result<Vec<HostKey>, GitError> {
        let (Some(directory), Some(host), Credential::Key { known, .. }) =
            (&self.directory, remote.url.ssh_host(), &remote.credential)
        else {
            return Ok(Vec::new());
        };
        if !known.is_empty() {
            return Ok(Vec::new());
        }
        let text = files::read_text(&directory.path().join("known_hosts"))?.unwrap_or_default();
        let name = host.in_known_hosts();
        let lines = text.lines().filter_map(|line| line.split_once(' ')).filter(|(of, _)| *of == name);
        let keys = lines.filter_map(|(_, key)| PublicKey::parse(key));
        Ok(keys.map(|key| HostKey { host: host.clone(), key }).collect())
    }
}

/// A path that a shell, and `ssh` in its configuration, take as it stands.
fn plain(path: &Path) -> Result<&str, GitError> {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let text = path.to_str().filter(|text| text.chars().all(inner));
    text.ok_or_else(|| GitError::OddPath(path.to_owned()))
}

/// Nothing of the machine's own settings, no agent, no question, no other way in than the key. A server that is known
/// must show a key that is known: to take a new kind of key would be to take anybody's.
fn ssh_config(directory: &str, is_known: bool) -> String {
    let strict = if is_known { "yes" } else { "accept-new" };
    format!(
        "Host *\n\
         IdentityFile {directory}/key\n\
         IdentitiesOnly yes\n\
         IdentityAgent none\n\
         UserKnownHostsFile {directory}/known_hosts\n\
         GlobalKnownHostsFile /dev/null\n\
         StrictHostKeyChecking {strict}\n\
         HashKnownHosts no\n\
         UpdateHostKeys no\n\
         VerifyHostKeyDNS no\n\
         CheckHostIP no\n\
         CanonicalizeHostname no\n\
         BatchMode yes\n\
         PreferredAuthentications publickey\n\
         ForwardAgent no\n\
         ForwardX11 no\n\
         ClearAllForwardings yes\n\
         PermitLocalCommand no\n\
         ControlMaster no\n\
         ControlPath none\n\
         ConnectionAttempts 1\n\
         ConnectTimeout {SSH_PATIENCE}\n\
         ServerAliveInterval {SSH_PATIENCE}\n\
         ServerAliveCountMax 2\n\
         LogLevel ERROR\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(url: &str, credential: &Credential, said: &str, expect: &str) {
        let remote = Remote { url: GitUrl::parse(url).unwrap(), credential: credential.clone() };
        let lines: Vec<String> = said.lines().map(str::to_owned).collect();
        let shown = remote.why(&lines).to_string();
        assert!(expect.split('…').all(|part| shown.contains(part)), "{said} gave {shown}");
    }

    #[test]
    fn failures_are_said_in_words() {
        let http = "https://example.org/a.git";
        let token = Credential::Token { user: TokenUser::default(), token: Secret::new(b"canary".to_vec()) };
        let asked = "fatal: could not read Username for 'https://example.org': terminal prompts disabled";
        let status = |code| format!("fatal: unable to access 'x': The requested URL returned error: {code}");
        check(
            http,
            &Credential::None,
            asked,
            "cannot fetch from https://example.org/a.git: it wants a user name",
        );
        check(http, &token, asked, "does not accept the token…--git-token-file");
        check(http, &token, &status(403), "may not read this repository");
        check(http, &token, &status(301), "redirected elsewhere");
        check(http, &token, &status(500), "error: 500");
        check(http, &Credential::None, &status(403), "error: 403");

        let ssh = "ssh://git@example.org:2222/a.git";
        let known = vec![HostKey {
            host: GitUrl::parse(ssh).unwrap().ssh_host().unwrap(),
            key: crate::domain::key::PrivateKey::from_seed(&[1; 32]).unwrap().public,
        }];
        let old = known[0].key.fingerprint();
        let key = Credential::Key { private: Secret::new(vec![]), known };
        let changed = "WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nThe fingerprint for the ED25519 key sent by \
                       the remote host is\nSHA256:abc.\nHost key verification failed.";
        let words = format!("{old}, now it is SHA256:abc. …rivetr keys hosts forget example.org:2222");
        check(ssh, &key, changed, &words);
        let other = "No ED25519 host key is known for x and you have requested strict checking.";
        check(ssh, &key, other, "one of another kind");
        check(ssh, &key, "git@example.org: Permission denied (publickey).", "does not accept the key");
        let curl = "fatal: unable to access 'https://example.org/a.git/': ";
        let silent =
            format!("{curl}Operation too slow. Less than 1000 bytes/sec transferred the last 30 seconds");
        check(http, &token, &silent, "sent next to nothing for 30 s…try again later");
        let refused =
            format!("{curl}Failed to connect to example.org port 443 after 1 ms: Could not connect");
        check(http, &Credential::None, &refused, "a.git: Failed to connect to example.org…check the address");

        let unreachable =
            "ssh: connect to host example.org port 2222: Connection refused\nfatal: Could not read";
        check(ssh, &key, unreachable, "Connection refused; check the address");
    }

    #[test]
    fn a_credential_stays_with_its_server() {
        let token = Credential::Token { user: TokenUser::default(), token: Secret::new(b"canary".to_vec()) };
        let remote = Remote { url: GitUrl::parse("https://example.org/a.git").unwrap(), credential: token };
        assert!(!format!("{remote:?}").contains("canary"));
        for (url, same) in [
            ("https://example.org/b.git", true),
            ("https://example.org:8443/b.git", false),
            ("http://example.org/b.git", false),
            ("https://example.org.evil.example/b.git", false),
        ] {
            let other = remote.other(GitUrl::parse(url).unwrap());
            assert_eq!(matches!(other.credential, Credential::Token { .. }), same, "{url}");
        }
    }

    #[test]
    fn only_plain_paths_reach_ssh() {
        assert!(plain(Path::new("/run/user/1000/rivetr/git/.rivetr-aB3.new")).is_ok());
        for odd in ["/run/a b", "/run/$x", "/run/%d", "/run/'", "/run/a;b", "/run/ä"] {
            assert!(plain(Path::new(odd)).is_err(), "{odd}");
        }
    }
}
