//! What rivetr itself keeps on disk, for a backup of all of it; and what is put in its place by a restore.
//!
//! A restore is staged whole first. That its folder has its name says that all of it is there: from then on the next start
//! of rivetr puts it in place, also when it was interrupted.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::layout::Layout;
use crate::files::{self, FileError};

/// What of the state goes along: repositories that were pushed to, and the logs of deployments.
const KEPT: [&str; 2] = ["repos", "deployments"];
/// The folders of a restore that are not the state itself.
const QUADLETS: &str = "quadlets";
const UNITS: &str = "units";
/// Files of SQLite's beside the database, which belong to the one that was there before.
const BESIDE: [&str; 2] = ["rivetr.db-wal", "rivetr.db-shm"];

/// The files of rivetr itself.
#[derive(Debug, Clone)]
pub struct InstanceFiles(Layout);

impl InstanceFiles {
    /// Those of this layout.
    #[must_use]
    pub fn new(layout: &Layout) -> Self {
        Self(layout.clone())
    }

    /// What goes along, by its name in the archive: the heads of repositories before what they name, so that a push that
    /// comes between takes nothing away.
    pub fn listed(&self) -> io::Result<Vec<(String, PathBuf)>> {
        let mut found = BTreeMap::new();
        for name in KEPT {
            walk(&self.0.state.join(name), &format!("state/{name}"), &mut found)?;
        }
        let objects = |name: &String| name.contains(".git/objects/");
        let (late, early): (Vec<_>, Vec<_>) = found.into_iter().partition(|(name, _)| objects(name));
        Ok(early.into_iter().chain(late).collect())
    }

    /// The text of a file, such as that of the keys; none if it is not there.
    pub fn text(path: &Path) -> Result<Option<String>, FileError> {
        files::read_text(path)
    }

    /// Where in the archive a drop-in of a Quadlet goes, or one of a plain unit, so that a restore finds its place.
    #[must_use]
    pub fn drop_in(&self, path: &Path) -> Option<String> {
        let below = |root: &Path, name: &str| {
            let rest = path.strip_prefix(root).ok()?.to_str()?;
            Some(format!("state/{name}/{rest}"))
        };
        below(&self.0.quadlets, QUADLETS).or_else(|| below(&self.0.units, UNITS))
    }

    /// Names a folder that was unpacked and checked as what the next start puts in place.
    pub fn stage(&self, unpacked: &Path) -> Result<(), FileError> {
        files::set_aside(unpacked, &self.staged())
    }

    /// Puts in place what was staged, if anything was; what it takes the place of is kept in `replaced`. Done again after
    /// an interruption, it goes on.
    pub fn adopt(&self) -> Result<bool, FileError> {
        let staged = self.staged();
        let names = files::names(&staged)?;
        if !staged.is_dir() {
            return Ok(false);
        }
        let replaced = self.0.state.join("replaced");
        files::make_dirs(&replaced, 0o700)?;
        if names.iter().any(|name| name == "rivetr.db") {
            for name in BESIDE {
                files::set_aside(&self.0.state.join(name), &replaced.join(name))?;
            }
        }
        for name in names {
            let from = staged.join(&name);
            match name.as_str() {
                QUADLETS => merge(&from, &self.0.quadlets, 0o600)?,
                UNITS => merge(&from, &self.0.units, 0o644)?,
                _ => {
                    let to = self.0.state.join(&name);
                    files::set_aside(&to, &replaced.join(&name))?;
                    files::set_aside(&from, &to)?;
                }
            }
        }
        files::remove_tree(&staged)?;
        Ok(true)
    }

    fn staged(&self) -> PathBuf {
        self.0.state.join("restore")
    }
}

/// Writes the texts of a folder into another that has files of its own, and may be on another disk.
fn merge(from: &Path, to: &Path, mode: u32) -> Result<(), FileError> {
    files::make_dirs(to, 0o755)?;
    for name in files::names(from)? {
        let (from, to) = (from.join(&name), to.join(&name));
        if from.is_dir() {
            merge(&from, &to, mode)?;
        } else if let Some(text) = files::read_text(&from)? {
            files::write_whole(&to, text.as_bytes(), mode)?;
        }
    }
    Ok(())
}

/// The regular files below a folder; links are not followed. What goes meanwhile was not there.
fn walk(folder: &Path, name: &str, found: &mut BTreeMap<String, PathBuf>) -> io::Result<()> {
    let entries = match folder.read_dir() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        let (path, name) = (entry.path(), format!("{name}/{own}"));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&path, &name, found)?;
        } else if kind.is_file() {
            found.insert(name, path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::layout::Surroundings;

    fn layout(home: &Path) -> Layout {
        Layout::discover(Surroundings {
            uid: 1000,
            home: home.to_owned(),
            state_directory: Some(home.join("state")),
            ..Surroundings::default()
        })
    }

    fn put(path: &Path, text: &str) {
        files::make_dirs(files::parent(path), 0o700).unwrap();
        files::write_whole(path, text.as_bytes(), 0o600).unwrap();
    }

    #[test]
    fn what_was_staged_takes_the_place_of_what_is_there() {
        let home = tempfile::tempdir().unwrap();
        let (layout, files) = (layout(home.path()), InstanceFiles::new(&layout(home.path())));
        assert!(!files.adopt().unwrap());
        for name in ["rivetr.db", "rivetr.db-wal", "master.keys", "repos/old.git/HEAD"] {
            put(&layout.state.join(name), "old");
        }
        let unpacked = layout.state.join("spool/x");
        for name in ["rivetr.db", "master.keys", "repos/new.git/HEAD", "quadlets/app-a/a.container.d/1.conf"]
        {
            put(&unpacked.join(name), "new");
        }
        files.stage(&unpacked).unwrap();
        // As after a crash in the middle of it.
        files::set_aside(&layout.state.join("rivetr.db"), &layout.state.join("replaced-early")).unwrap();
        assert!(files.adopt().unwrap());
        let text = |path: &str| files::read_text(&layout.state.join(path)).unwrap();
        let new = Some("new".to_owned());
        assert_eq!(
            [text("rivetr.db"), text("master.keys"), text("repos/new.git/HEAD")],
            [new.clone(), new.clone(), new.clone()]
        );
        assert_eq!(text("rivetr.db-wal"), None);
        assert_eq!(text("replaced/master.keys"), Some("old".to_owned()));
        assert_eq!(files::read_text(&layout.quadlets.join("app-a/a.container.d/1.conf")).unwrap(), new);
        assert!(!files.adopt().unwrap());
    }

    #[test]
    fn heads_come_before_what_they_name() {
        let home = tempfile::tempdir().unwrap();
        let layout = layout(home.path());
        for name in ["repos/a.git/objects/aa/b", "repos/a.git/refs/heads/main", "deployments/a/1.log"] {
            put(&layout.state.join(name), "x");
        }
        let listed = InstanceFiles::new(&layout).listed().unwrap();
        let names: Vec<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "state/deployments/a/1.log",
                "state/repos/a.git/refs/heads/main",
                "state/repos/a.git/objects/aa/b"
            ]
        );
    }
}
