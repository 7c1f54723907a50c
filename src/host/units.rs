//! The unit files on disk: read, write and remove those of one owner, and have Podman's generator check them.
//!
//! Touches only files that begin with `rivetr-` in rivetr's own folders, and an owner's plain units, known by their
//! names, beside the units of others. Drop-ins belong to the person who wrote them: they are carried along, never changed. Loading,
//! starting and stopping is for `systemd`.

mod check;
mod dropins;
mod edited;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::layout::{Layout, Manager};
use super::process::ProcessError;
use crate::files::{self, FileError};
use crate::quadlet::UnitFiles;
use crate::quadlet::path::{InvalidUnitPath, Owner, Place, UnitPath};

pub use self::check::{UnitProblem, UnitProblems, generator};

/// Quadlets may hold what is meant for one app alone, so only their owner reads them; the generator is the owner.
const QUADLET_MODE: u32 = 0o600;
/// Plain units hold nothing private, and other tools expect to read them.
const UNIT_MODE: u32 = 0o644;
/// What comes up with the timers of the machine.
const TIMERS: &str = "timers.target.wants";
/// How every file of ours begins.
const OURS: &str = "rivetr-";

/// The directories that unit files lie in.
#[derive(Debug, Clone)]
pub struct UnitDirectory {
    quadlets: PathBuf,
    units: PathBuf,
    /// Where new files are checked before they are written.
    runtime: PathBuf,
    /// Where edited files are kept before they go.
    aside: PathBuf,
    generator: PathBuf,
    manager: Manager,
}

/// What could not be done with unit files.
#[derive(Debug, Error)]
pub enum UnitsError {
    /// A file could not be read, written or removed.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of ours has a name that no unit can have.
    #[error(transparent)]
    Name(#[from] InvalidUnitPath),
    /// Podman's generator could not be run.
    #[error("cannot check units with Podman's generator: {0}")]
    Generator(#[from] ProcessError),
    /// Podman's generator is nowhere to be found.
    #[error("Podman's Quadlet generator is not installed (looked for {0}): install podman 5.4 or newer")]
    NoGenerator(String),
    /// Podman's generator would not take the units.
    #[error(transparent)]
    Problems(#[from] UnitProblems),
}

impl UnitDirectory {
    /// The directories of a layout, and the program that [`generator`] found.
    #[must_use]
    pub fn new(layout: &Layout, generator: PathBuf) -> Self {
        let (quadlets, units) = (layout.quadlets.clone(), layout.units.clone());
        let (runtime, aside) = (layout.runtime.clone(), layout.edited_units());
        Self { quadlets, units, runtime, aside, generator, manager: layout.manager }
    }

    /// The unit files of an owner, as they are on disk now.
    pub fn read(&self, owner: &Owner) -> Result<UnitFiles, UnitsError> {
        let mut found = UnitFiles::new();
        for name in files::names(&self.quadlets.join(owner.folder()))? {
            if !name.starts_with(OURS) || is_dropin_folder(&name) {
                continue;
            }
            let path = UnitPath::quadlet(owner, &name)?;
            if let Some(text) = files::read_text(&self.place(&path))? {
                found.insert(path, text);
            }
        }
        for name in files::names(&self.units)? {
            if Owner::of_file(&name).as_ref() != Some(owner) {
                continue;
            }
            let path = UnitPath::systemd(&name)?;
            if let Some(text) = files::read_text(&self.place(&path))? {
                found.insert(path, text);
            }
        }
        Ok(found)
    }

    /// Everyone who has unit files, also if nobody knows them any more.
    pub fn owners(&self) -> Result<BTreeSet<Owner>, UnitsError> {
        let folders = files::names(&self.quadlets)?;
        let mut owners: BTreeSet<Owner> = folders.iter().filter_map(|name| Owner::of_folder(name)).collect();
        owners.extend(files::names(&self.units)?.iter().filter_map(|name| Owner::of_file(name)));
        Ok(owners)
    }

    /// Writes a unit file whole, and the folder it lies in. A timer is enabled before: it comes up at boot, also
    /// where rivetr does not.
    pub fn write(&self, path: &UnitPath, text: &str) -> Result<(), UnitsError> {
        let (on_disk, mode) = match path.place() {
            Place::Quadlet => (self.place(path), QUADLET_MODE),
            Place::Systemd => (self.place(path), UNIT_MODE),
        };
        if let Some(folder) = on_disk.parent() {
            files::make_dirs(folder, 0o755)?;
        }
        if path.is_timer() {
            files::make_dirs(&self.units.join(TIMERS), 0o755)?;
            files::link(&self.enabled(path), &Path::new("..").join(path.file()))?;
        }
        files::write_whole(&on_disk, text.as_bytes(), mode)?;
        Ok(())
    }

    /// Removes a unit file, and its folder once nothing is left in it.
    pub fn remove(&self, path: &UnitPath) -> Result<(), UnitsError> {
        if path.is_timer() {
            files::remove_file(&self.enabled(path))?;
            files::remove_dir_if_empty(&self.units.join(TIMERS))?;
        }
        files::remove_file(&self.place(path))?;
        if let Some(folder) = path.folder() {
            let folder = self.quadlets.join(folder);
            files::sweep(&folder)?;
            files::remove_dir_if_empty(&folder)?;
        }
        Ok(())
    }

    /// The link by which a timer comes up at boot: what `systemctl enable` makes of its `[Install]`.
    fn enabled(&self, path: &UnitPath) -> PathBuf {
        self.units.join(TIMERS).join(path.file())
    }

    /// Where a unit file lies on this machine.
    #[must_use]
    pub fn place(&self, path: &UnitPath) -> PathBuf {
        let root = match path.place() {
            Place::Quadlet => &self.quadlets,
            Place::Systemd => &self.units,
        };
        match path.folder() {
            Some(folder) => root.join(folder).join(path.file()),
            None => root.join(path.file()),
        }
    }
}

/// `rivetr-app-blog-7.container.d`, where people put what they add to a unit.
fn is_dropin_folder(name: &str) -> bool {
    Path::new(name).extension().is_some_and(|ending| ending == "d")
}

#[cfg(test)]
mod tests;
