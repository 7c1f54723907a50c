//! The files of a checkout, which strangers may have pushed: read one by one, never through a link, never from outside.
//!
//! Paths are relative to its root. What is refused is an [`io::Error`] whose words name no folder of this machine.

use std::io::{Error, ErrorKind};
use std::path::{Component, Path, PathBuf};
use std::{fs, io};

/// A folder that only rivetr writes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkout(PathBuf);

impl Checkout {
    /// The checkout that lies there.
    #[must_use]
    pub fn at(root: PathBuf) -> Self {
        Self(root)
    }

    /// The text of a file of at most so many bytes.
    pub fn text(&self, path: &Path, most: usize) -> io::Result<String> {
        let (real, kind) = self.find(path)?;
        if !kind.is_file() {
            return Err(Error::new(ErrorKind::IsADirectory, "it is a folder, not a file"));
        }
        if usize::try_from(kind.len()).unwrap_or(usize::MAX) > most {
            let words = format!("it has more than {most} bytes, which is the limit: put data into volumes");
            return Err(Error::new(ErrorKind::FileTooLarge, words));
        }
        fs::read_to_string(real).map_err(|error| {
            if error.kind() == ErrorKind::InvalidData {
                return Error::new(ErrorKind::InvalidData, "it is no text (UTF-8)");
            }
            Error::from(error.kind())
        })
    }

    /// Whether there is a file.
    pub fn has_file(&self, path: &Path) -> io::Result<bool> {
        match self.find(path) {
            Ok((_, kind)) => Ok(kind.is_file()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The file at a path, or the files of the folder that is there and of those in it; no more than one beyond `most`.
    pub fn files(&self, path: &Path, most: usize) -> io::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let mut open = vec![path.to_owned()];
        while let Some(path) = open.pop() {
            let (real, kind) = self.find(&path)?;
            if kind.is_file() {
                found.push(path);
            } else {
                for entry in fs::read_dir(real)? {
                    open.push(path.join(entry?.file_name()));
                }
            }
            if found.len() > most {
                break;
            }
        }
        found.sort();
        Ok(found)
    }

    /// Where a path lies, and what is there; each of its parts is looked at, for one that is a link leads elsewhere.
    fn find(&self, path: &Path) -> io::Result<(PathBuf, fs::Metadata)> {
        let mut real = self.0.clone();
        let mut walked = PathBuf::new();
        let mut kind = fs::symlink_metadata(&real)?;
        for part in path.components() {
            let part = match part {
                Component::CurDir => continue,
                Component::Normal(part) => part,
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => return Err(outside()),
            };
            real.push(part);
            walked.push(part);
            kind = fs::symlink_metadata(&real).map_err(|error| {
                let below_a_file = error.kind() == ErrorKind::NotADirectory;
                Error::from(if below_a_file { ErrorKind::NotFound } else { error.kind() })
            })?;
            if kind.is_symlink() {
                let words = format!(
                    "{} is a link, and links are not followed: put the file itself there",
                    walked.display()
                );
                return Err(Error::new(ErrorKind::PermissionDenied, words));
            }
        }
        Ok((real, kind))
    }
}

/// What is said of a path that is none of the checkout's.
#[must_use]
pub fn outside() -> Error {
    Error::new(ErrorKind::PermissionDenied, "it lies outside of the repository")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::files;

    fn checkout() -> (tempfile::TempDir, Checkout) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("source");
        for (name, text) in [("compose.yaml", "services: {}\n"), ("conf/a", "1"), ("conf/deep/b", "2")] {
            let path = root.join(name);
            files::make_dirs(path.parent().unwrap(), 0o755).unwrap();
            files::write_whole(&path, text.as_bytes(), 0o644).unwrap();
        }
        files::write_whole(&root.join("binary"), &[0xff, 0xfe], 0o644).unwrap();
        files::write_whole(&folder.path().join("secret"), b"canary", 0o600).unwrap();
        symlink("../secret", root.join("out")).unwrap();
        symlink("conf", root.join("within")).unwrap();
        symlink(folder.path(), root.join("conf/up")).unwrap();
        (folder, Checkout::at(root))
    }

    #[test]
    fn a_file_is_read_as_it_is() {
        let (_folder, checkout) = checkout();
        assert_eq!(checkout.text(Path::new("conf/deep/b"), 10).unwrap(), "2");
        assert!(checkout.has_file(Path::new("./compose.yaml")).unwrap());
        assert!(!checkout.has_file(Path::new("conf")).unwrap());
        assert!(!checkout.has_file(Path::new("compose.yaml/x")).unwrap());
        assert_eq!(checkout.files(Path::new("conf/deep"), 10).unwrap(), [Path::new("conf/deep/b")]);
    }

    #[test]
    fn nothing_is_read_from_outside_or_through_a_link() {
        let (_folder, checkout) = checkout();
        let denied = ErrorKind::PermissionDenied;
        for (path, kind, words) in [
            ("../secret", denied, "outside of the repository"),
            ("conf/../../secret", denied, "outside of the repository"),
            ("/etc/passwd", denied, "outside of the repository"),
            ("out", denied, "out is a link"),
            ("within/a", denied, "within is a link"),
            ("conf/up/secret", denied, "conf/up is a link"),
            ("conf", ErrorKind::IsADirectory, "a folder"),
            ("binary", ErrorKind::InvalidData, "no text"),
            ("compose.yaml", ErrorKind::FileTooLarge, "more than 4 bytes"),
            ("nothing", ErrorKind::NotFound, ""),
        ] {
            let error = checkout.text(Path::new(path), 4).unwrap_err();
            assert_eq!(error.kind(), kind, "{path}");
            assert!(error.to_string().contains(words), "{path}: {error}");
            assert!(!error.to_string().contains("canary"));
        }
        let error = checkout.files(Path::new("conf"), 10).unwrap_err();
        assert!(error.to_string().contains("conf/up is a link"), "{error}");
    }
}
