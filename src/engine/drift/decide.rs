//! What becomes of a change by hand: it is taken over, taken back, or left as it is.

use std::path::PathBuf;

use super::super::apply::ApplyError;
use super::super::{Engine, EngineError};
use super::{Drifted, digest, digest_of_wanted};
use crate::domain::drift::{Change, Kept, Verdict};
use crate::quadlet::UnitFiles;
use crate::quadlet::path::{Owner, Place, UnitPath};
use crate::quadlet::unit::{Section, Unit};

/// What was done with a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// The file says again what rivetr wants; what stood in it, if anything did, is kept there.
    Restored(Option<PathBuf>),
    /// The same, and what was changed is in this drop-in now.
    DropIn {
        /// The drop-in.
        at: PathBuf,
        /// What stood in the file.
        aside: Option<PathBuf>,
    },
    /// It stays as it is until it or what rivetr would write changes.
    Kept(Kept),
}

impl Engine {
    /// Puts back what rivetr wants, and keeps what stood there aside. What runs goes on as it was started.
    pub async fn restore_unit(&self, name: &str) -> Result<(Drifted, Decided), EngineError> {
        let _alone = self.0.changing.lock().await;
        let (owner, path, found) = self.drifted(name).await?;
        if found.change == Change::Removed {
            // From now on it was never there, and comes as anything that is missing.
            self.0.writer.forget_unit(path.to_string()).await?;
            self.bring_back_units(&owner).await?;
            return Ok((found, Decided::Restored(None)));
        }
        let text = found.wanted.as_deref().ok_or_else(|| cannot_be_told(name))?;
        let aside = self.put_back(&owner, &path, text).await?;
        Ok((found, Decided::Restored(aside)))
    }

    /// Takes a change over: into a drop-in, which is the person's own and goes on to later releases, if that says the
    /// very same to Podman; else the file stays as it is.
    pub async fn adopt_unit(&self, name: &str) -> Result<(Drifted, Decided), EngineError> {
        let _alone = self.0.changing.lock().await;
        let (owner, path, found) = self.drifted(name).await?;
        let Some(there) = found.there.as_deref() else {
            let message = format!(
                "{name} was removed, and there is nothing to adopt: restore it, or ignore that; what is not to run is \
                 stopped or deleted"
            );
            return Err(EngineError::Conflict { field: "unit", message });
        };
        if path.place() == Place::Quadlet {
            let files = UnitFiles::from([(path.clone(), there.to_owned())]);
            self.machine().units.check(&files).await.map_err(|error| EngineError::Conflict {
                field: "unit",
                message: format!("{name} cannot be adopted as it is. {error}"),
            })?;
            if let Some(text) = &found.wanted
                && let Some(dropin) = self.as_dropin(&path, text, there).await?
            {
                let at = self.machine().units.add_dropin(&path, &dropin).map_err(EngineError::internal)?;
                let aside = self.put_back(&owner, &path, text).await?;
                return Ok((found, Decided::DropIn { at, aside }));
            }
        }
        self.keep(&path, &found, Kept::Adopted).await?;
        Ok((found, Decided::Kept(Kept::Adopted)))
    }

    /// Leaves a change as it is, and shows it no more until something about it is other.
    pub async fn ignore_unit(&self, name: &str) -> Result<(Drifted, Decided), EngineError> {
        let _alone = self.0.changing.lock().await;
        let (_, path, found) = self.drifted(name).await?;
        self.keep(&path, &found, Kept::Ignored).await?;
        Ok((found, Decided::Kept(Kept::Ignored)))
    }

    /// The changed file of this name, or of the unit of this name.
    async fn drifted(&self, name: &str) -> Result<(Owner, UnitPath, Drifted), EngineError> {
        let all = self.drift(None, true).await?;
        let found = all.into_iter().find(|drifted| drifted.file == name || drifted.unit == name);
        let not_found = || EngineError::NotFound {
            what: "unit file that was changed by hand",
            name: name.chars().take(80).collect(),
        };
        let found = found.ok_or_else(not_found)?;
        let owner = Owner::of_folder(&found.owner).ok_or_else(not_found)?;
        let quadlet = UnitPath::quadlet(&owner, &found.file).ok();
        let path = quadlet
            .filter(|path| self.machine().units.place(path).display().to_string() == found.path)
            .or_else(|| UnitPath::systemd(&found.file).ok());
        Ok((owner, path.ok_or_else(not_found)?, found))
    }

    async fn keep(&self, path: &UnitPath, found: &Drifted, kept: Kept) -> Result<(), EngineError> {
        let verdict = Verdict {
            kept,
            there: found.there.as_deref().map(digest),
            wanted: found.wanted.as_deref().map(digest_of_wanted),
        };
        Ok(self.0.writer.keep_unit(path.to_string(), verdict).await?)
    }

    /// Writes over an edited file, once what stands in it is kept.
    async fn put_back(
        &self,
        owner: &Owner,
        path: &UnitPath,
        text: &str,
    ) -> Result<Option<PathBuf>, EngineError> {
        let machine = self.machine();
        let aside = machine.units.keep_aside(path).map_err(EngineError::internal)?;
        self.0.writer.forget_unit(path.to_string()).await?;
        self.write_unit(owner, path, text).await?;
        machine.systemd.reload().await.map_err(EngineError::internal)?;
        machine.systemd.enforce_limits(&path.unit()).await.map_err(EngineError::internal)?;
        Ok(aside)
    }

    /// What a drop-in has to say in place of an edited text, if one can say it.
    async fn as_dropin(
        &self,
        path: &UnitPath,
        text: &str,
        there: &str,
    ) -> Result<Option<String>, EngineError> {
        let (Ok(before), Ok(mut after)) = (Unit::parse(text), Unit::parse(there)) else { return Ok(None) };
        if !before.has(Section::Install) {
            // It was stopped since: what has it come up is no change of the person's.
            after.drop_section(Section::Install);
        }
        let Some(dropin) = before.changes_to(&after).filter(|dropin| !dropin.is_empty()) else {
            return Ok(None);
        };
        let edited = after.to_string();
        let same = self.machine().units.says_the_same(path, (text, &dropin), &edited).await;
        Ok(same.map_err(EngineError::internal)?.then_some(dropin))
    }

    /// Makes the units of an owner what they should be, so that what is missing comes back.
    async fn bring_back_units(&self, owner: &Owner) -> Result<(), EngineError> {
        let done = match owner {
            Owner::App(slug) => match self.reader().app(slug).await? {
                Some(app) => self.converge(&app).await,
                None => Ok(()),
            },
            Owner::Jobs(slug) => match self.reader().app(slug).await? {
                Some(app) => self.converge_jobs(&app).await,
                None => Ok(()),
            },
            Owner::Project(slug) => match self.reader().project(slug).await? {
                Some(project) => self.apply_project_network(&project).await,
                None => Ok(()),
            },
            Owner::Database(slug) => {
                if let Some(database) = self.reader().database(slug).await? {
                    self.tend_soon(database.id, false);
                }
                Ok(())
            }
            Owner::Service(slug) => {
                if let Some(service) = self.reader().service(slug).await? {
                    self.work_on(service.id);
                }
                Ok(())
            }
            Owner::Volume(volume) => self.tend_volume_backups(volume).await,
            Owner::Commands(_) | Owner::OneOff(_) => Ok(()),
        };
        done.map_err(|error: ApplyError| error.into())
    }
}

fn cannot_be_told(name: &str) -> EngineError {
    let message = format!(
        "what should stand in {name} cannot be told: nothing wants it any more, or its secrets cannot be opened (the \
         log says which)"
    );
    EngineError::Conflict { field: "unit", message }
}
