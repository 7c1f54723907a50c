//! What people add to a unit by hand: carried from release to release, as every release is a unit of its own.

use std::path::{Path, PathBuf};

use super::{UnitDirectory, UnitsError};
use crate::files;
use crate::quadlet::path::{Owner, UnitPath};

impl UnitDirectory {
    /// Copies the drop-ins of one unit to another that has none of that name. Says which were carried.
    pub fn carry_dropins(&self, from: &UnitPath, to: &UnitPath) -> Result<Vec<String>, UnitsError> {
        let mut carried = Vec::new();
        for (from, to) in self.both_dropins(from).into_iter().zip(self.both_dropins(to)) {
            for name in dropin_names(&from)? {
                let Some(text) = files::read_text(&from.join(&name))? else { continue };
                if files::read_text(&to.join(&name))?.is_none() {
                    files::make_dirs(&to, 0o755)?;
                    files::write_whole(&to.join(&name), text.as_bytes(), 0o600)?;
                }
                carried.push(name);
            }
        }
        Ok(carried)
    }

    /// Removes the drop-ins of a unit that is gone where the other unit has the very same; what differs stays, as
    /// somebody wrote it since.
    pub fn drop_carried(&self, gone: &UnitPath, kept: &UnitPath) -> Result<(), UnitsError> {
        for (gone_from, kept_in) in self.both_dropins(gone).into_iter().zip(self.both_dropins(kept)) {
            for name in dropin_names(&gone_from)? {
                let (old, new) = (gone_from.join(&name), kept_in.join(&name));
                let text = files::read_text(&old)?;
                if text.is_some() && text == files::read_text(&new)? {
                    files::remove_file(&old)?;
                }
            }
            files::remove_dir_if_empty(&gone_from)?;
        }
        if let Some(folder) = gone.folder() {
            files::remove_dir_if_empty(&self.quadlets.join(folder))?;
        }
        Ok(())
    }

    /// Removes an owner's folder with all that is in it: the owner is gone, and another of its name is another.
    pub fn remove_owner(&self, owner: &Owner) -> Result<(), UnitsError> {
        files::remove_tree(&self.quadlets.join(owner.folder()))?;
        for name in files::names(&self.units)? {
            if name.strip_suffix(".service.d").is_some_and(|unit| is_of(owner, unit)) {
                files::remove_tree(&self.units.join(&name))?;
            }
        }
        Ok(())
    }

    /// The drop-ins of a Quadlet: each file, and what stands in it.
    pub fn dropins_of(&self, path: &UnitPath) -> Result<Vec<(PathBuf, String)>, UnitsError> {
        read_all(&self.dropins(path))
    }

    /// The drop-ins that systemd itself reads for a unit, in the directory of plain units.
    pub fn plain_dropins_of(&self, unit: &str) -> Result<Vec<(PathBuf, String)>, UnitsError> {
        read_all(&self.units.join(format!("{unit}.d")))
    }

    /// Where people put what they add to a Quadlet, and what they add to the service that it becomes (`systemctl edit`).
    fn both_dropins(&self, path: &UnitPath) -> [PathBuf; 2] {
        [self.dropins(path), self.units.join(format!("{}.d", path.unit()))]
    }

    pub(super) fn dropins(&self, path: &UnitPath) -> PathBuf {
        let mut folder = self.place(path).into_os_string();
        folder.push(".d");
        folder.into()
    }
}

/// Whether a service is a container of an owner, by its name. Of those of a service and of jobs the name alone does not
/// say it: theirs stay.
fn is_of(owner: &Owner, unit: &str) -> bool {
    match owner {
        Owner::App(slug) => {
            let number = unit.strip_prefix("rivetr-app-").and_then(|rest| rest.strip_prefix(slug.as_str()));
            let number = number.and_then(|rest| rest.strip_prefix('-'));
            number.is_some_and(|number| {
                number.starts_with(|c: char| c.is_ascii_digit())
                    && number.chars().all(|c| c.is_ascii_digit() || c == '_')
            })
        }
        Owner::Database(slug) => unit.strip_prefix("rivetr-db-") == Some(slug.as_str()),
        Owner::Commands(_)
        | Owner::OneOff(_)
        | Owner::Project(_)
        | Owner::Service(_)
        | Owner::Jobs(_)
        | Owner::Volume(_) => false,
    }
}

fn read_all(folder: &Path) -> Result<Vec<(PathBuf, String)>, UnitsError> {
    let mut found = Vec::new();
    for name in dropin_names(folder)? {
        let path = folder.join(&name);
        // One that goes meanwhile is none.
        if let Some(text) = files::read_text(&path)? {
            found.push((path, text));
        }
    }
    found.sort();
    Ok(found)
}

fn dropin_names(folder: &Path) -> Result<Vec<String>, UnitsError> {
    let mut names = files::names(folder)?;
    names.retain(|name| Path::new(name).extension().is_some_and(|ending| ending == "conf"));
    Ok(names)
}
