//! Every unit that rivetr has on this machine: its file, how it does, and whether somebody edited it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::apply::ApplyError;
use super::{Engine, EngineError};
use crate::domain::app::{App, Wish};
use crate::host::systemd::UnitSummary;
use crate::quadlet::path::Owner;
use crate::quadlet::{self, UnitFiles};

/// The units of rivetr itself and of all that it runs, as systemd names them.
const OURS: &[&str] = &["rivetr*"];

/// A unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryUnit {
    /// Its name to systemd.
    pub unit: String,
    /// Its file; none: it is not one of those that rivetr writes while it runs.
    pub file: Option<UnitFile>,
    /// What a person has put beside it, each with its path.
    pub drop_ins: Vec<(PathBuf, String)>,
    /// systemd's words for how it does, such as `active` and `running`; none: it has not been loaded.
    pub state: Option<(&'static str, String)>,
}

/// The file of a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnitFile {
    /// Whose it is: `app-blog`, `project-default`.
    pub owner: String,
    /// Where it lies.
    pub path: String,
    /// What stands in it.
    pub text: String,
    /// How it differs from what rivetr would write.
    pub drift: Drift,
}

/// How a file differs from what rivetr would write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Drift {
    /// Not by hand.
    None,
    /// Somebody edited it; this is what rivetr would write, where that can be told.
    Edited(Option<String>),
    /// Nothing wants it any more, and it is about to go.
    Unwanted,
    /// What should be there cannot be told, or goes by itself.
    Unknown,
}

impl Engine {
    /// Every unit, by name.
    pub async fn inventory(&self) -> Result<Vec<InventoryUnit>, EngineError> {
        let loaded = self.machine().systemd.list(OURS).await.map_err(EngineError::internal)?;
        let state = |unit: UnitSummary| (unit.unit, (unit.active_state.as_str(), unit.sub_state));
        let mut states: BTreeMap<_, _> = loaded.into_iter().map(state).collect();
        let mut found = Vec::new();
        for owner in self.machine().units.owners().map_err(EngineError::internal)? {
            let there = self.machine().units.read(&owner).map_err(EngineError::internal)?;
            let wanted = self.wanted_files(&owner).await?;
            let changed = self.changed_by_hand(&owner, &there).await?;
            for (path, text) in there {
                let edited = changed.contains_key(&path);
                let (unit, wanted) = (path.unit(), wanted.as_ref().map(|files| files.get(&path)));
                let file = UnitFile {
                    owner: owner.folder(),
                    path: self.machine().units.place(&path).display().to_string(),
                    drift: drift(edited, wanted),
                    text,
                };
                let units = &self.machine().units;
                let mut drop_ins = units.dropins_of(&path).map_err(EngineError::internal)?;
                drop_ins.extend(units.plain_dropins_of(&unit).map_err(EngineError::internal)?);
                found.push(InventoryUnit { state: states.remove(&unit), unit, file: Some(file), drop_ins });
            }
        }
        for (unit, state) in states {
            let drop_ins = self.machine().units.plain_dropins_of(&unit).map_err(EngineError::internal)?;
            found.push(InventoryUnit { unit, file: None, drop_ins, state: Some(state) });
        }
        found.sort_by(|one, other| one.unit.cmp(&other.unit));
        Ok(found)
    }

    /// What an owner's files should be; none: nobody can tell.
    pub(super) async fn wanted_files(&self, owner: &Owner) -> Result<Option<UnitFiles>, EngineError> {
        match owner {
            Owner::App(slug) => match self.reader().app(slug).await? {
                Some(app) if !app.deleting => match self.files_of(&app).await {
                    Ok(files) => Ok(Some(files)),
                    Err(error @ ApplyError::Ungiven(_)) => {
                        tracing::debug!(app = %slug, %error, "what its units should be cannot be told");
                        Ok(None)
                    }
                    Err(error) => Err(error.into()),
                },
                Some(_) | None => Ok(None),
            },
            Owner::Project(slug) => match self.reader().project(slug).await? {
                Some(project) => {
                    Ok(Some(quadlet::project::network(&project).map_err(EngineError::internal)?))
                }
                None => Ok(None),
            },
            Owner::Database(slug) => match self.reader().database(slug).await? {
                Some(database) => match &database.image {
                    Some(image) => Ok(Some(self.database_files(&database, image).await?)),
                    None => Ok(Some(UnitFiles::new())),
                },
                None => Ok(None),
            },
            Owner::Jobs(slug) => match self.reader().app(slug).await? {
                Some(app) if !app.deleting => {
                    let jobs = self.reader().jobs(Some(app.id)).await?;
                    match self.wanted_jobs(&app, &jobs).await {
                        Ok(wanted) => Ok(Some(wanted.files)),
                        Err(ApplyError::Ungiven(_)) => Ok(None),
                        Err(error) => Err(error.into()),
                    }
                }
                Some(_) | None => Ok(None),
            },
            Owner::Service(slug) => self.wanted_units_of_service(slug).await,
            Owner::Volume(volume) => Ok(Some(self.volume_backup_units(volume).await?)),
            Owner::Commands(_) | Owner::OneOff(_) => Ok(None),
        }
    }

    async fn files_of(&self, app: &App) -> Result<UnitFiles, ApplyError> {
        let mut files = UnitFiles::new();
        for release in self.wanted_releases(app, &[]).await? {
            let enabled = app.wish != Wish::Stop || app.live != Some(release.id);
            files.extend(self.release_files(app, &release, &release.addresses, enabled).await?.0);
        }
        if !files.is_empty() {
            files.extend(quadlet::app::handle(&app.slug)?);
        }
        Ok(files)
    }
}

/// `wanted`: none, nobody can tell; some none, it should not be there.
#[expect(clippy::option_option, reason = "not to know is not the same as to want none")]
fn drift(edited: bool, wanted: Option<Option<&String>>) -> Drift {
    match wanted {
        _ if edited => Drift::Edited(wanted.flatten().cloned()),
        None => Drift::Unknown,
        Some(None) => Drift::Unwanted,
        Some(Some(_)) => Drift::None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_changed_is_drift() {
        let wanted = "[Container]\nImage=a\n".to_owned();
        assert_eq!(drift(false, Some(Some(&wanted))), Drift::None);
        assert_eq!(drift(true, Some(Some(&wanted))), Drift::Edited(Some(wanted.clone())));
        assert_eq!(drift(true, None), Drift::Edited(None));
        assert_eq!((drift(false, None), drift(false, Some(None))), (Drift::Unknown, Drift::Unwanted));
    }
}
