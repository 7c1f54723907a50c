//! Files that a person gives an app: bytes that appear at a path in its container.

use std::fmt;

use super::name::InvalidName;
use super::secret::{Sealed, Secret};

/// One file as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedFile {
    /// Where it appears.
    pub path: MountPath,
    /// What stands in it, sealed for [`MountedFile::place`].
    pub content: Sealed,
}

impl MountedFile {
    /// The place that its content is sealed for. It names no app, for a deployment takes a copy.
    #[must_use]
    pub fn place(path: &MountPath) -> String {
        format!("file/{path}")
    }
}

/// Where a file appears in a container: an absolute path in which nothing has to be escaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MountPath(String);

impl MountPath {
    /// The longest path, in bytes.
    const MAX: usize = 1000;

    /// Takes `/etc/app/config.toml`: no `.` or `..`, no doubled slash, none at the end, and none of what Podman
    /// reads as more than a character.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let plain = |c: char| !c.is_control() && c != ',' && c != '"' && c != '\\' && c != ':';
        let component = |part: &str| !part.is_empty() && part != "." && part != ".." && part.len() <= 255;
        let well_formed = text.len() <= Self::MAX
            && text.chars().all(plain)
            && text.trim() == text
            && text.strip_prefix('/').is_some_and(|rest| rest.split('/').all(component));
        if well_formed && !Self::is_the_kernels(text) {
            return Ok(Self(text.to_owned()));
        }
        Err(InvalidName::new(
            "path",
            text,
            "write the absolute path of a file, such as /etc/app/config.toml, without .., commas, colons, quotes \
             and backslashes, and not below /proc, /sys or /dev",
        ))
    }

    fn is_the_kernels(text: &str) -> bool {
        let first = text.split('/').nth(1);
        first.is_some_and(|first| ["proc", "sys", "dev"].contains(&first))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MountPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What stands in a mounted file: any bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileContent(Secret);

impl FileContent {
    /// The most bytes: a secret of Podman's has fewer than 512,000 (measured on 5.4.2).
    pub const MAX: usize = 511_999;

    /// Takes 1 to [`FileContent::MAX`] bytes; Podman keeps nothing empty.
    pub fn new(bytes: Vec<u8>) -> Result<Self, InvalidName> {
        if (1..=Self::MAX).contains(&bytes.len()) {
            return Ok(Self(Secret::new(bytes)));
        }
        Err(InvalidName::new("content", "(not shown)", "a mounted file holds 1 to 511,999 bytes"))
    }

    /// The bytes.
    #[must_use]
    pub fn secret(&self) -> &Secret {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        for good in ["/a", "/etc/app/config.toml", "/etc/a b=$%;#'ü", "/process"] {
            assert_eq!(MountPath::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "/",
            "a",
            "etc/a",
            "/a/",
            "//a",
            "/a//b",
            "/a/../b",
            "/./a",
            "/a,b",
            "/a:b",
            "/a\"b",
            "/a\\b",
            "/a\nb",
            "/a ",
            "/proc/1",
            "/sys/a",
            "/dev/null",
            "/..",
            "/a\0",
        ] {
            assert!(MountPath::parse(bad).is_err(), "{bad:?}");
        }
        assert!(MountPath::parse(&format!("/{}", "a/".repeat(600) + "a")).is_err());
    }

    #[test]
    fn contents() {
        for (length, fits) in [(0, false), (1, true), (FileContent::MAX, true), (FileContent::MAX + 1, false)]
        {
            assert_eq!(FileContent::new(vec![0; length]).is_ok(), fits, "{length}");
        }
    }
}
