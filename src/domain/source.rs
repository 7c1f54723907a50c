//! Where an app comes from: a push to rivetr itself, a repository elsewhere, an image, an upload, or instructions.

use std::fmt;

use super::image::ImageRef;
use super::instructions::Instructions;
use super::name::InvalidName;

/// Where the code of an app comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `git push` to rivetr; the branch that is deployed.
    Push {
        /// The branch whose pushes are deployed.
        branch: Branch,
    },
    /// A repository that rivetr fetches from.
    Git {
        /// Where it is.
        url: GitUrl,
        /// The branch whose head is deployed.
        branch: Branch,
    },
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
    /// The branch that is deployed, if it comes from a repository.
    #[must_use]
    pub fn branch(&self) -> Option<&Branch> {
        match self {
            Self::Push { branch } | Self::Git { branch, .. } => Some(branch),
            Self::Image { .. } | Self::Upload | Self::Inline { .. } => None,
        }
    }
}

/// The name of a branch, without `refs/heads/`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Branch(String);

impl Branch {
    /// Takes what `git check-ref-format --branch` takes, in a narrower alphabet.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/' | '+' | '#');
        let parts_ok = text.split('/').all(|part| {
            !part.is_empty() && !part.starts_with('.') && !part.to_ascii_lowercase().ends_with(".lock")
        });
        let well_formed = text.len() <= 200
            && text.chars().all(inner)
            && parts_ok
            && !text.starts_with('-')
            && !text.ends_with('.')
            && !text.contains("..")
            && text != "HEAD";
        if well_formed {
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

/// The address of a repository, without credentials.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GitUrl(String);

impl GitUrl {
    /// Takes `https://`, `http://` and `ssh://` addresses. Which of them may be used is for the configuration.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let refuse = |rule| Err(InvalidName::new("repository address", text, rule));
        let Some((scheme, rest)) = text.split_once("://") else {
            return refuse("write it as a URL: https://host/path.git");
        };
        if !matches!(scheme, "https" | "http" | "ssh") {
            return refuse("begin it with https:// or ssh://");
        }
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains('@') && scheme != "ssh" {
            return refuse("leave user name and password out of the address");
        }
        let visible = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\'' | '\\' | '`' | '<' | '>');
        let bare = authority.rsplit('@').next().unwrap_or(authority);
        if bare.is_empty() || bare.starts_with('-') || authority.starts_with('-') || path.is_empty() {
            return refuse("name a host and a path: https://host/path.git");
        }
        if text.len() > 2000 || !text.chars().all(visible) || path.split('/').any(|part| part == "..") {
            return refuse("use visible ASCII characters, no quotes, no blanks and no .. in the path");
        }
        Ok(Self(text.to_owned()))
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
    fn branches() {
        for good in ["main", "feature/login", "v1.2", "fix-#12"] {
            assert_eq!(Branch::parse(good).unwrap().as_str(), good);
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
            "git@example.org:a.git",
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
    fn commits() {
        let full = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(CommitId::parse(full).unwrap().short(), "01234567");
        for bad in ["", "main", "0123", &"0".repeat(40), &"A".repeat(40), &format!("{full} ")] {
            assert!(CommitId::parse(bad).is_err(), "{bad:?}");
        }
    }
}
