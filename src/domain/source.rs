//! Where an app comes from: a push to rivetr itself, a repository elsewhere, an image, an upload, or instructions.

use std::fmt;

use super::image::ImageRef;
use super::instructions::Instructions;
use super::key::SshHost;
use super::name::{InvalidName, Slug};
use super::secret::{Sealed, Secret};

/// Where the code of an app comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `git push` to rivetr; the branch that is deployed.
    Push {
        /// The branch whose pushes are deployed.
        branch: Branch,
    },
    /// A repository that rivetr fetches from.
    Git(GitSource),
    /// An image of a registry; nothing is built.
    Image {
        /// Which one.
        image: ImageRef,
    },
    /// An archive that is sent with each wish to deploy.
    Upload,
    /// A Containerfile that is kept with the app, built without any other file.
    Inline {
        /// Its text.
        instructions: Instructions,
    },
}

impl Source {
    /// The branch that is deployed, where it is one.
    #[must_use]
    pub fn branch(&self) -> Option<&Branch> {
        match self {
            Self::Push { branch } => Some(branch),
            Self::Git(git) => match &git.reference {
                Reference::Branch(branch) => Some(branch),
                Reference::Tag(_) | Reference::Commit(_) => None,
            },
            Self::Image { .. } | Self::Upload | Self::Inline { .. } => None,
        }
    }
}

/// A repository elsewhere, and what of it is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitSource {
    /// Where it is.
    pub url: GitUrl,
    /// What is deployed of it.
    pub reference: Reference,
    /// How rivetr is let in.
    pub access: GitAccess,
    /// Whether the repositories that it names inside itself are fetched too.
    pub submodules: bool,
    /// Whether its large files are fetched too (Git LFS).
    pub lfs: bool,
}

impl GitSource {
    /// A repository that anybody may read, without anything that has to be asked for.
    #[must_use]
    pub fn new(url: GitUrl, reference: Reference) -> Self {
        Self { url, reference, access: GitAccess::Public, submodules: false, lfs: false }
    }
}

/// How rivetr is let in to a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitAccess {
    /// As anybody.
    Public,
    /// Over HTTPS, with a token of this app alone.
    Token {
        /// The user name that goes with it.
        user: TokenUser,
        /// The token, sealed.
        token: Sealed,
    },
    /// Over SSH, with the key of this name.
    Key(Slug),
}

/// A token as a person gives it, before it is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GitToken {
    /// The user name that goes with it.
    pub user: TokenUser,
    /// The token.
    pub token: Secret,
}

impl GitToken {
    /// The longest token, in bytes: those of the large providers have 20 to 300.
    const MAX: usize = 4000;

    /// Takes visible ASCII; blanks and line ends around it, as a file has them, are left out.
    pub fn parse(user: TokenUser, text: &str) -> Result<Self, InvalidName> {
        let text = text.trim();
        if text.is_empty() || text.len() > Self::MAX || !text.chars().all(|c| c.is_ascii_graphic()) {
            let rule = "use the token as it was given to you: one word of visible ASCII characters";
            return Err(InvalidName::new("token", "(not shown)", rule));
        }
        Ok(Self { user, token: Secret::new(text.as_bytes().to_vec()) })
    }
}

/// The user name that goes with a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenUser(String);

impl TokenUser {
    /// Takes visible ASCII without a colon, which ends the name where it is sent (RFC 7617).
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_graphic() && c != ':';
        if (1..=200).contains(&text.len()) && text.chars().all(inner) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new("user name", text, "use visible ASCII characters and no colon"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TokenUser {
    /// The large providers look at the token alone, as long as some name stands before it.
    fn default() -> Self {
        Self("git".to_owned())
    }
}

/// What of a repository is deployed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The head of a branch, as it is then.
    Branch(Branch),
    /// What a tag names, as it is then.
    Tag(Tag),
    /// Always this commit.
    Commit(CommitId),
}

impl Reference {
    /// What is asked of the repository: a full reference name, or the name of a commit.
    #[must_use]
    pub fn wanted(&self) -> String {
        match self {
            Self::Branch(branch) => format!("refs/heads/{branch}"),
            Self::Tag(tag) => format!("refs/tags/{tag}"),
            Self::Commit(commit) => commit.to_string(),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(branch) => write!(f, "branch {branch}"),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Commit(commit) => write!(f, "commit {commit}"),
        }
    }
}

/// Takes what `git check-ref-format` takes below `refs/heads` and `refs/tags`, in a narrower alphabet, and nothing
/// that a command could take for an option.
fn is_short_refname(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '#');
    let parts_ok = text.split('/').all(|part| {
        !part.is_empty() && !part.starts_with('.') && !part.to_ascii_lowercase().ends_with(".lock")
    });
    text.len() <= 200
        && text.chars().all(inner)
        && parts_ok
        && !text.starts_with('-')
        && !text.ends_with('.')
        && !text.contains("..")
        && text != "HEAD"
}

/// The name of a branch, without `refs/heads/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch(String);

impl Branch {
    /// Takes what `git check-ref-format --branch` takes, in a narrower alphabet.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if is_short_refname(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new(
            "branch",
            text,
            "use a branch name of letters, digits and - _ . / + # that does not begin with a dash",
        ))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Branch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a tag, without `refs/tags/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tag(String);

impl Tag {
    /// Takes what [`Branch::parse`] takes.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        if is_short_refname(text) {
            return Ok(Self(text.to_owned()));
        }
        let rule = "use a tag name of letters, digits and - _ . / + # that does not begin with a dash";
        Err(InvalidName::new("tag", text, rule))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address of a repository, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitUrl(String);

impl GitUrl {
    /// Takes `https://`, `http://` and `ssh://` addresses, and turns `git@host:path` into one of the last kind.
    /// Which of them may be used is for the configuration.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| Err(InvalidName::new("repository address", text, rule));
        let spelled_out = text.split_once("://").is_none().then(|| from_scp_form(text)).flatten();
        let full = spelled_out.as_deref().unwrap_or(text);
        let Some((scheme, rest)) = full.split_once("://") else {
            return refuse("write it as a URL: https://host/path.git");
        };
        if !matches!(scheme, "https" | "http" | "ssh") {
            return refuse("begin it with https:// or ssh://");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        if user.is_some_and(|user| scheme != "ssh" || user.contains(':')) {
            return refuse("leave user name and password out of the address");
        }
        if !is_authority(authority) || path.is_empty() {
            return refuse("name a host and a path: https://host/path.git");
        }
        let visible = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '`' | '<' | '>');
        if full.len() > 2000 || !full.chars().all(visible) || path.split('/').any(|part| part == "..") {
            return refuse("use visible ASCII characters, no quotes, no blanks and no .. in the path");
        }
        Ok(Self(full.to_owned()))
    }

    /// Scheme, host and port, as a credential is bound to them: `https://example.org`.
    #[must_use]
    pub fn origin(&self) -> &str {
        let (_, after) = self.0.split_once("://").unwrap_or_default();
        let length = after.find('/').unwrap_or(after.len());
        self.0.get(..self.0.len() - after.len() + length).unwrap_or(&self.0)
    }

    /// What a token is sealed for: whose it is, such as `app/blog`, and the server that it opens.
    #[must_use]
    pub fn token_place(&self, whose: &str) -> String {
        format!("{whose}/git-token/{}", self.origin())
    }

    /// The host whose key is looked at over SSH.
    #[must_use]
    pub fn ssh_host(&self) -> Option<SshHost> {
        let authority = self.origin().strip_prefix("ssh://")?;
        SshHost::parse(authority.rsplit('@').next().unwrap_or(authority)).ok()
    }

    /// The address of another repository as this one names it in its `.gitmodules`: in full, or from here on
    /// (`../other.git`).
    pub fn join(&self, named: &str) -> Result<Self, InvalidName> {
        if !(named.starts_with("./") || named.starts_with("../")) {
            return Self::parse(named);
        }
        let origin = self.origin();
        let mut parts: Vec<&str> =
            self.0.get(origin.len()..).unwrap_or_default().split('/').skip(1).collect();
        if parts.last() == Some(&"") {
            parts.pop();
        }
        for part in named.split('/') {
            match part {
                "" | "." => {}
                ".." if parts.pop().is_some() => {}
                ".." => {
                    let rule = "it leads out of the server that the repository lies on";
                    return Err(InvalidName::new("repository address", named, rule));
                }
                part => parts.push(part),
            }
        }
        Self::parse(&format!("{origin}/{}", parts.join("/")))
    }

    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `https`, `http` or `ssh`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.0.split_once("://").map_or("", |(scheme, _)| scheme)
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `git@host:path`, as `scp` writes it, as a URL.
fn from_scp_form(text: &str) -> Option<String> {
    let (authority, path) = text.split_once(':')?;
    let (user, host) = authority.split_once('@')?;
    let plain = !user.is_empty() && !host.contains('/') && !path.is_empty() && !path.starts_with(':');
    plain.then(|| format!("ssh://{authority}/{}", path.trim_start_matches('/')))
}

/// An optional user, a host or an address, an optional port; nothing that `ssh` could take for an option.
fn is_authority(text: &str) -> bool {
    let (user, host) = text.rsplit_once('@').map_or((None, text), |(user, host)| (Some(user), host));
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let user_ok =
        user.is_none_or(|user| !user.is_empty() && !user.starts_with('-') && user.chars().all(inner));
    user_ok && SshHost::parse(host).is_ok()
}

/// The full name of a commit: 40 (SHA-1) or 64 (SHA-256) hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CommitId(String);

impl CommitId {
    /// Takes a full, lower-case object name that is not all zeros.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        if matches!(text.len(), 40 | 64) && text.chars().all(hex) && text.chars().any(|c| c != '0') {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new("commit", text, "use the full object name: 40 or 64 hexadecimal digits"))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first eight digits, for people.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..8).unwrap_or(&self.0)
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn branches_and_tags() {
        for good in ["main", "feature/login", "v1.2", "fix-#12"] {
            assert_eq!(Branch::parse(good).unwrap().as_str(), good);
            assert_eq!(Tag::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "-u",
            "--upload-pack=x",
            "a..b",
            "a b",
            "a//b",
            "/a",
            "a/",
            ".a",
            "a.lock",
            "HEAD",
            "a\nb",
            "a~1",
        ] {
            assert!(Branch::parse(bad).is_err(), "{bad:?}");
            assert!(Tag::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn addresses() {
        for good in ["https://example.org/a/b.git", "ssh://git@example.org:2222/a.git", "http://127.0.0.1/x"]
        {
            assert_eq!(GitUrl::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "ext::sh -c id",
            "file:///etc",
            "git@-oProxyCommand=x:a.git",
            "-u@example.org:a.git",
            "git@example.org:",
            "git@exa%mple.org:a.git",
            "example.org:a.git",
            "https://example.org:x/a",
            "https://example.org:70000/a",
            "ssh://git:secret@example.org/a",
            "ssh://a b@example.org/a",
            "https://u:p@example.org/a",
            "ssh://-oProxyCommand=x/a",
            "ssh://git@-oProxyCommand=x/a",
            "https:///a",
            "https://example.org",
            "https://example.org/../a",
            "https://example.org/a b",
            "https://example.org/a\nb",
            "-u",
        ] {
            assert!(GitUrl::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_short_form_of_ssh_becomes_a_url() {
        for (typed, full) in [
            ("git@example.org:me/a.git", "ssh://git@example.org/me/a.git"),
            ("git@example.org:/srv/a.git", "ssh://git@example.org/srv/a.git"),
        ] {
            assert_eq!(GitUrl::parse(typed).unwrap().as_str(), full);
        }
        let url = GitUrl::parse("ssh://git@[::1]:2222/a.git").unwrap();
        assert_eq!(url.origin(), "ssh://git@[::1]:2222");
        assert_eq!(url.ssh_host().unwrap().to_string(), "[::1]:2222");
        assert_eq!(GitUrl::parse("https://example.org/a").unwrap().ssh_host(), None);
    }

    #[test]
    fn a_repository_names_its_neighbours() {
        let url = GitUrl::parse("https://example.org/me/a.git").unwrap();
        for (named, full) in [
            ("../b.git", Some("https://example.org/me/b.git")),
            ("./sub", Some("https://example.org/me/a.git/sub")),
            ("../../you/c", Some("https://example.org/you/c")),
            ("https://else.example/d", Some("https://else.example/d")),
            ("git@else.example:d", Some("ssh://git@else.example/d")),
            ("../../../d", None),
            ("../..", None),
            ("/etc", None),
            ("file:///etc", None),
            ("../x y", None),
        ] {
            assert_eq!(url.join(named).ok().as_ref().map(GitUrl::as_str), full, "{named}");
        }
    }

    #[test]
    fn tokens() {
        let user = TokenUser::default();
        let token = GitToken::parse(user.clone(), " canary\n").unwrap();
        assert_eq!(token.token.reveal(), b"canary");
        assert!(!format!("{token:?}").contains("canary"));
        for bad in ["", "\n", "a b", "a\nb", "ä"] {
            let refused = GitToken::parse(user.clone(), bad).unwrap_err().to_string();
            assert!(bad.trim().is_empty() || !refused.contains(bad), "{refused}");
        }
        for bad in ["", "a:b", "a b", "a\r\nX: y"] {
            assert!(TokenUser::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn commits() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(CommitId::parse(full).unwrap().short(), "01234567");
        for bad in ["", "main", "0123", &"0".repeat(40), &"A".repeat(40), &format!("{full} ")] {
            assert!(CommitId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
