//! Unit files that somebody changed by hand: noticed, shown, and left alone until somebody decides.
//!
//! What rivetr last wrote of each file is known by its digest, so a rivetr that writes units otherwise than the one
//! before takes none of them for changed. A file that is changed counts as wanted as it is, wherever a plan is made.

mod decide;
mod write;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::apply::ApplyError;
use super::{Engine, EngineError};
use crate::domain::drift::{Change, Kept, TextDigest, WrittenUnit};
use crate::domain::name::Slug;
use crate::plan::{Observed, Wanted};
use crate::quadlet::UnitFiles;
use crate::quadlet::path::{Owner, UnitPath};
use crate::quadlet::unit::Unit;

pub use self::decide::Decided;

/// A unit file that somebody changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drifted {
    /// Whose it is: `app-blog`.
    pub owner: String,
    /// The name of its file.
    pub file: String,
    /// The unit that it makes.
    pub unit: String,
    /// Where it lies, or lay.
    pub path: String,
    /// What was done to it.
    pub change: Change,
    /// What was decided of this change.
    pub kept: Option<Kept>,
    /// What stands in it.
    pub there: Option<String>,
    /// What rivetr would write; none: nobody can tell.
    pub wanted: Option<String>,
}

/// Changes that the log has told of, so that it tells of each once.
#[derive(Default)]
pub(super) struct Told(Mutex<BTreeMap<UnitPath, Option<TextDigest>>>);

impl Engine {
    /// The files that somebody changed, of every owner or of those of this name, such as the name of an app. With `all`
    /// also those of which it was decided that they stay so.
    pub async fn drift(&self, name: Option<&str>, all: bool) -> Result<Vec<Drifted>, EngineError> {
        let mut folders: Vec<String> =
            self.reader().every_unit_file().await?.into_iter().map(|file| file.owner).collect();
        folders.dedup();
        let named = |owner: &Owner| name.is_none_or(|name| owner.is_called(name));
        let mut found = Vec::new();
        for owner in folders.iter().filter_map(|folder| Owner::of_folder(folder)).filter(named) {
            found.extend(self.drift_of(&owner, all).await?);
        }
        Ok(found)
    }

    /// The files of an owner that somebody changed.
    pub(super) async fn drift_of(&self, owner: &Owner, all: bool) -> Result<Vec<Drifted>, EngineError> {
        let there = self.machine().units.read(owner).map_err(EngineError::internal)?;
        let changed = self.changed_by_hand(owner, &there).await?;
        if changed.is_empty() {
            return Ok(Vec::new());
        }
        let wanted = Box::pin(self.wanted_files(owner)).await?.unwrap_or_default();
        let mut found = Vec::new();
        for (path, (row, change)) in changed {
            let (there, wanted) = (there.get(&path), wanted.get(&path));
            let (now, then) = (there.map(|text| digest(text)), wanted.map(|text| digest_of_wanted(text)));
            let kept = row.settled(now, then);
            if kept.is_some() && !all {
                continue;
            }
            found.push(Drifted {
                owner: owner.folder(),
                file: path.file().to_owned(),
                unit: path.unit(),
                path: self.machine().units.place(&path).display().to_string(),
                change,
                kept,
                there: there.cloned(),
                wanted: wanted.cloned(),
            });
        }
        Ok(found)
    }

    /// The names of files of an app and its jobs that somebody changed and nobody decided about.
    pub async fn edited_of_app(&self, slug: &Slug) -> Result<Vec<String>, EngineError> {
        self.edited_of(&[Owner::App(slug.clone()), Owner::Jobs(slug.clone())]).await
    }

    /// The same of a database.
    pub async fn edited_of_database(&self, slug: &Slug) -> Result<Vec<String>, EngineError> {
        self.edited_of(&[Owner::Database(slug.clone())]).await
    }

    /// The same of a service.
    pub async fn edited_of_service(&self, slug: &Slug) -> Result<Vec<String>, EngineError> {
        self.edited_of(&[Owner::Service(slug.clone())]).await
    }

    async fn edited_of(&self, owners: &[Owner]) -> Result<Vec<String>, EngineError> {
        let mut files = Vec::new();
        for owner in owners {
            files.extend(self.drift_of(owner, false).await?.into_iter().map(|drifted| drifted.file));
        }
        Ok(files)
    }

    /// Refuses what would change units, or start them anew, while one was changed by hand.
    pub(super) async fn refuse_drift(&self, owners: &[Owner]) -> Result<(), EngineError> {
        for owner in owners {
            if let Some(first) = self.drift_of(owner, false).await?.first() {
                let Drifted { file, change, .. } = first;
                let message = format!(
                    "{file} was {} by hand, and rivetr does not touch it before you decide: `rivetr drift` shows \
                     what is other; then rivetr drift adopt, restore or ignore {file}",
                    change.as_str()
                );
                return Err(EngineError::Conflict { field: "units", message });
            }
        }
        Ok(())
    }

    /// What somebody changed among the files of an owner, with what is known of each.
    pub(super) async fn changed_by_hand(
        &self,
        owner: &Owner,
        there: &UnitFiles,
    ) -> Result<BTreeMap<UnitPath, (WrittenUnit, Change)>, EngineError> {
        Ok(changes(self.reader().unit_files(&owner.folder()).await?, there))
    }

    /// Makes what somebody changed by hand count as wanted: an edited file stays as it is, and one that is gone is not
    /// put back. Notes files that nobody has noted yet, and forgets those that are neither there nor wanted.
    pub(super) async fn leave_edits(
        &self,
        owner: &Owner,
        wanted: &mut Wanted,
        observed: &Observed,
    ) -> Result<(), ApplyError> {
        if !owner.stays() {
            return Ok(());
        }
        let rows = self.reader().unit_files(&owner.folder()).await?;
        let known = |path: &UnitPath| rows.iter().any(|row| row.path == path.to_string());
        let fresh = observed.files.iter().filter(|(path, _)| wanted.files.contains_key(path) && !known(path));
        let fresh: Vec<_> = fresh.map(|(path, text)| (path.to_string(), digest(text))).collect();
        let is = |files: &UnitFiles, row: &WrittenUnit| {
            UnitPath::of(&row.path).is_some_and(|path| files.contains_key(&path))
        };
        let gone = rows.iter().filter(|row| !is(&wanted.files, row) && !is(&observed.files, row));
        let gone: Vec<String> = gone.map(|row| row.path.clone()).collect();
        if !fresh.is_empty() || !gone.is_empty() {
            self.0.writer.note_units(owner.folder(), fresh, gone).await?;
        }
        let changed = changes(rows, &observed.files);
        self.0.drift.tell(owner, &changed, &observed.files);
        for path in changed.into_keys() {
            match (observed.files.get(&path), wanted.files.get_mut(&path)) {
                (Some(there), Some(text)) => text.clone_from(there),
                (Some(_), None) => {}
                (None, _) => {
                    wanted.files.remove(&path);
                    wanted.running.remove(&path.unit());
                }
            }
        }
        Ok(())
    }
}

/// What somebody changed. Where every file of an owner is gone, nobody removed one by hand: the machine lost its units,
/// and they come back.
fn changes(rows: Vec<WrittenUnit>, there: &UnitFiles) -> BTreeMap<UnitPath, (WrittenUnit, Change)> {
    if there.is_empty() {
        return BTreeMap::new();
    }
    let changed = rows.into_iter().filter_map(|row| {
        let path = UnitPath::of(&row.path)?;
        let change = row.change(there.get(&path).map(|text| digest(text)))?;
        Some((path, (row, change)))
    });
    changed.collect()
}

impl Told {
    /// Tells the log of changes of an owner that it does not know yet.
    fn tell(&self, owner: &Owner, changed: &BTreeMap<UnitPath, (WrittenUnit, Change)>, there: &UnitFiles) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let folder = owner.folder();
        told.retain(|path, _| path.folder() != Some(&folder) || changed.contains_key(path));
        for (path, (_, change)) in changed {
            let now = there.get(path).map(|text| digest(text));
            if told.insert(path.clone(), now) != Some(now) {
                let what = change.as_str();
                tracing::warn!(%owner, "{path} was {what} by hand; left as it is, `rivetr drift` shows it");
            }
        }
    }
}

fn digest(text: &str) -> TextDigest {
    TextDigest(Sha256::digest(text.as_bytes()).into())
}

/// The digest of what rivetr would write, whether the unit is to come up by itself or not: to stop an app is no reason
/// to ask again what is to become of a change.
fn digest_of_wanted(text: &str) -> TextDigest {
    match Unit::parse(text) {
        Ok(unit) => digest(&unit.disabled()),
        Err(_) => digest(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_found_and_what_is_lost_altogether_is_not() {
        let row = |path: &str, text: &str| WrittenUnit {
            path: path.to_owned(),
            owner: "app-blog".to_owned(),
            written: Some(digest(text)),
            coming: None,
            verdict: None,
        };
        let [one, two] = ["app-blog/rivetr-app-blog-1.container", "rivetr-app-blog.target"];
        let rows = || vec![row(one, "one"), row(two, "two"), row("nonsense/x.container", "three")];
        let check = |there: &[(&str, &str)], expect: &[(&str, Change)]| {
            let files = there.iter().map(|(path, text)| (UnitPath::of(path).unwrap(), (*text).to_owned()));
            let found = changes(rows(), &files.collect());
            let found: Vec<(String, Change)> =
                found.into_iter().map(|(path, (_, change))| (path.to_string(), change)).collect();
            let expect: Vec<(String, Change)> =
                expect.iter().map(|(path, change)| ((*path).to_owned(), *change)).collect();
            assert_eq!(found, expect);
        };
        check(&[(one, "one"), (two, "two")], &[]);
        check(&[(one, "1"), (two, "two")], &[(one, Change::Edited)]);
        check(&[(two, "two")], &[(one, Change::Removed)]);
        check(&[], &[]);
    }

    #[test]
    fn to_stop_an_app_wants_nothing_else_of_a_changed_file() {
        let on = "[Container]\nImage=a\n\n[Install]\nWantedBy=default.target\n";
        assert_eq!(digest_of_wanted(on), digest_of_wanted("[Container]\nImage=a\n"));
        assert_ne!(digest_of_wanted(on), digest_of_wanted("[Container]\nImage=b\n"));
        assert_eq!(digest_of_wanted("nonsense"), digest("nonsense"));
    }
}
